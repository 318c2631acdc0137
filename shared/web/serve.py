"""The API's command: check the settings, bring the database up to date, and run the API's processes until a signal asks to stop.

    python -m shared.web.serve --host 0.0.0.0 --port 8000

Exits 2 with a line for each mistake if the settings make no sense, before anything else is done; 1 if the port is taken, the database cannot be brought up to
date, or the application cannot start; 0 after SIGTERM or SIGINT. `API_PROCESSES` and `API_DRAIN_S` say how many processes there are, and how they end.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import shared.observing  # noqa: F401  # before structlog

# isort: split
import structlog

from shared.descriptors.judging import start_judging
from shared.observing import process_slots
from shared.observing.logging import configure_logging, log_whatever_is_written
from shared.settings import Settings, SettingsInvalid, read_settings
from shared.web.supervisor import Reporter, Supervisor

APPLICATION = "main"
"""The module with the application; it is named and not imported, because `shared` knows no slice."""
GRACEFUL_S = 25
"""How long requests that run may take after the sockets are closed."""
KILLED_AFTER_S = 5.0
"""A process that has not ended by itself so long after that is killed."""
SETTINGS_INVALID, FAILED = 2, 1

_LOADED_LATER = (
    *("shared.web.api_server", "shared.web.http_protocol", "uvloop", "uvicorn.lifespan.on", "anyio._backends._asyncio", "anyio.streams.memory"),
    "sqlalchemy.dialects.postgresql.asyncpg",
)
"""Modules that a process would load by itself when it starts, or at a request."""

log = structlog.get_logger(__name__)


class _StopAsked(BaseException):
    """A signal asked to stop before anything serves; no handler of exceptions may keep it, wherever it is raised."""


def main() -> int:
    """Run the API; return the exit code."""
    log_whatever_is_written()
    parser = argparse.ArgumentParser(prog="python -m shared.web.serve")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (8000)")
    arguments = parser.parse_args()
    try:
        settings = read_settings()
    except SettingsInvalid as invalid:
        sys.stderr.write("".join(f"rowgate: {problem}\n" for problem in invalid.problems))
        return SETTINGS_INVALID
    configure_logging(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ask_to_stop)
    try:
        return _start(arguments.host, arguments.port, settings)
    except _StopAsked:
        return 0


def _start(host: str, port: int, settings: Settings) -> int:
    try:
        listener = open_listener(host, port)
    except OSError as error:
        log.error("the API cannot listen", host=host, port=port, reason=str(error))  # noqa: TRY400  # says it all
        return FAILED
    process_slots.count_nothing_here()
    if not _migrate_beside(load_application):
        log.error("the database could not be brought up to date: the API does not start")
        return FAILED
    return run_processes(listener, settings)


def open_listener(host: str, port: int) -> socket.socket:
    """Return the socket that all processes accept connections from; nothing connects to it before they listen. Raises `OSError`."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    return listener


def load_application() -> None:
    """Load what every process needs, which they then share; nothing is opened or connected, and no thread is started."""
    module = importlib.import_module(APPLICATION)
    module.app.openapi()
    for name in _LOADED_LATER:
        importlib.import_module(name)


def run_processes(listener: socket.socket, settings: Settings) -> int:
    """Run the processes of the loaded application until a signal asks to stop; return the exit code."""
    start_judging()
    host, port = listener.getsockname()[:2]
    log.info("the API listens", host=host, port=port, processes=settings.api_processes)
    # What is loaded stays as it is: a collection in a child would touch, and so copy, the memory of every object.
    gc.collect()
    gc.freeze()
    supervisor = Supervisor(
        lambda reporter: serve(listener, settings, reporter),
        processes=settings.api_processes,
        stop_within_s=settings.api_drain_s + GRACEFUL_S + KILLED_AFTER_S,
        on_tick=importlib.import_module(APPLICATION).app.state.secrets.look,
        on_stop=listener.close,  # or else clients could connect after all that would answer them have closed it
    )
    return supervisor.run()


def serve(listener: socket.socket, settings: Settings, reporter: Reporter) -> int:
    """Serve in this process until a signal asks to stop; return the exit code."""
    from uvicorn import Config  # noqa: PLC0415  # loaded already, with the application

    from shared.web.api_server import ApiServer  # noqa: PLC0415
    from shared.web.http_protocol import GuardedProtocol  # noqa: PLC0415

    application = importlib.import_module(APPLICATION).app
    config = Config(application, http=GuardedProtocol, ws="none", lifespan="on", log_config=None, timeout_graceful_shutdown=GRACEFUL_S)
    ApiServer(config, drain_s=settings.api_drain_s, on_ready=reporter.ready, on_beat=reporter.beat).run([listener])
    return 0


def _migrate_beside(work: Callable[[], None]) -> bool:
    """Bring the database up to date in a process of its own while this one works; return whether it succeeded."""
    pid = os.fork()
    if pid == 0:
        _migrate_and_exit()
    try:
        work()
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    return os.waitstatus_to_exitcode(status) == 0


def _migrate_and_exit() -> None:
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        from shared.db.migrate import migrate  # noqa: PLC0415  # only this process needs it

        migrate()
        code = 0
    except Exception:  # whatever it is, it is told and the API does not start
        log.exception("a migration failed")
    finally:
        os._exit(code)


def _ask_to_stop(_number: int, _frame: FrameType | None) -> None:
    raise _StopAsked


if __name__ == "__main__":
    sys.exit(main())

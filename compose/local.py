"""Run the whole stack on one machine, without Docker and without root: PostgreSQL and Valkey from wheels, api, worker and dispatcher.

    python -m compose.local

The API listens on `PORT` (8000); `RUN_DIR` (.local) keeps the data between runs. With `STORAGE=s3` files are kept in an S3 store from a wheel (SeaweedFS).
Exits 0 after it was asked to stop (SIGINT, SIGTERM, SIGHUP), and 1 if a part could not start or ended by itself.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from dotenv import dotenv_values
from pydantic import ValidationError

from compose.console import Console
from compose.object_store import Store, start_store
from compose.processes import Child, Command, get_warden
from compose.services import Service, ServiceFailed, free_port, start_postgres, start_valkey
from shared.settings import Settings, SettingsInvalid, describe_invalid, find_env_file

ROOT = Path(__file__).resolve().parent.parent
READY_TIMEOUT_S = 120.0
POLL_S = 0.1
DEFAULTS = {
    "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true",
    "LOG_FORMAT": "text",
    "WORKER_SHUTDOWN_TIMEOUT_S": "5",
    "PYTHONUNBUFFERED": "1",
}
"""Settings of the local stack, unless the environment or `.env` sets them."""
API_DEFAULTS = {
    # With its default thresholds glibc returns freed body buffers to the system and takes them again page by page; with these it keeps them for reuse.
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
}


class StackFailed(Exception):
    """A part could not start or ended by itself; the message names it and has its last lines."""


class StopAsked(Exception):
    """A signal asked the stack to stop while it was starting."""


class Stack:
    """Five processes, or six with a store, that run and end together."""

    def __init__(self, run_dir: Path, *, port: int, has_page: bool = True, has_store: bool = False) -> None:
        self.run_dir = run_dir
        self.port = port
        self.has_page = has_page
        self.has_store = has_store
        self.logs = run_dir / "logs"
        self.console = Console(self.logs)
        self._apps: list[Child] = []
        self._services: list[Service] = []
        self._signals = 0
        self._warden = get_warden()
        for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(asked, self._on_signal)

    @property
    def url(self) -> str:
        """The URL of the API."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start everything and return when the API is healthy. Raises `ServiceFailed`, `StackFailed` or `StopAsked`."""
        postgres = self._serve(start_postgres(self.run_dir))
        valkey = self._serve(start_valkey(self.run_dir))
        store = start_store(self.run_dir) if self.has_store else None
        if store is not None:
            self._serve(store)
        environment = self._environment(postgres.url, valkey.url, store)
        self._write_environment(environment)
        self._migrate(environment)
        for command in application_commands(self.port, environment):
            self._start_app(command)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_healthy(self.port):
            self._raise_if_over()
            if time.monotonic() > deadline:
                raise StackFailed(f"The API did not become healthy within {READY_TIMEOUT_S:.0f} s: see {self.logs / 'api.log'}.")
            time.sleep(POLL_S)

    def watch(self) -> None:
        """Wait until a signal asks the stack to stop. Raises `StackFailed` if a part ends by itself."""
        while not self._signals:
            self._raise_if_over()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop api, worker and dispatcher, then the servers that they need. Another signal kills all of them at once."""
        for child in (*self._apps, *(service.child for service in reversed(self._services))):
            child.stop()
        (self.run_dir / "env").unlink(missing_ok=True)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1:
            for child in (*self._apps, *(service.child for service in self._services)):
                child.send(signal.SIGKILL)

    def _raise_if_over(self) -> None:
        if self._signals:
            raise StopAsked
        if self._warden.has_ended():
            raise StackFailed("The process that cleans up after a crash (compose/warden.py) has ended.")
        for child in (*(service.child for service in self._services), *self._apps):
            status = child.exit_status()
            if status is not None:
                raise StackFailed(f"{child.name} has ended by itself ({describe_exit(status)}). {last_lines(child)}")

    def _serve(self, service: Service) -> Service:
        self._services.append(service)
        return service

    def _start_app(self, command: Command) -> Child:
        child = Child(command, log_file=self.logs / f"{command.name}.log", on_line=self.console.show)
        self._apps.append(child)
        return child

    def _migrate(self, environment: Mapping[str, str]) -> None:
        command = Command(name="migration", arguments=[sys.executable, "-m", "alembic", "upgrade", "head"], environment=environment, directory=ROOT)
        child = self._start_app(command)
        while (status := child.exit_status()) is None:
            if self._signals:
                raise StopAsked
            time.sleep(POLL_S)
        child.stop()
        self._apps.remove(child)
        if status != 0:
            raise StackFailed(f"The database could not be brought up to date ({describe_exit(status)}). {last_lines(child)}")

    def _environment(self, database_url: str, redis_url: str, store: Store | None) -> dict[str, str]:
        metrics = self.run_dir / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)  # it holds counts of processes that no longer exist
        own = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        no_files = dict.fromkeys(("DATABASE_URL_FILE", "REDIS_URL_FILE", "AWS_SECRET_ACCESS_KEY_FILE"), "")
        return {**given_environment(), **own, **no_files, **self._place_files(store)}

    def _place_files(self, store: Store | None) -> dict[str, str]:
        """Return the settings that say where files are kept: in a folder beside the database, or in a store of this stack."""
        nowhere = dict.fromkeys(("UPLOAD_DIR", "STORAGE_URL", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "")
        if store is not None:
            return nowhere | store.list_settings()
        uploads = self.run_dir / "uploads"
        uploads.mkdir(mode=0o700, exist_ok=True)
        return nowhere | {"UPLOAD_DIR": str(uploads)}

    def _write_environment(self, environment: Mapping[str, str]) -> None:
        """Write the settings needed to run one of the processes by hand: `set -a; . .local/env`."""
        names = ("DATABASE_URL", "REDIS_URL", "WEBHOOK_ALLOW_PRIVATE_ADDRESSES", *(name for name in self._place_files(None) if environment.get(name)))
        path = self.run_dir / "env"
        path.touch(mode=0o600)
        path.write_text("".join(f"{name}='{environment[name]}'\n" for name in names))


def given_environment() -> dict[str, str]:
    """Return `DEFAULTS`, the settings of `.env` (or of `ENV_FILE`) and the environment; the later come before the earlier. Raises `StackFailed`."""
    try:
        path = find_env_file()
        written = {} if path is None else {name.upper(): value for name, value in dotenv_values(path).items() if value}
    except (SettingsInvalid, OSError, UnicodeDecodeError) as problem:
        raise StackFailed(str(problem)) from None
    return {**DEFAULTS, **written, **os.environ}


def require_valid_settings() -> Settings:
    """Return the settings, without the addresses of the servers. Raises `StackFailed` if one makes no sense, before anything is started."""
    environment = given_environment()
    given = {name: environment[name.upper()] for name in Settings.model_fields if environment.get(name.upper())}
    places: dict[str, str | None] = {"database_url": "postgresql://127.0.0.1/", "redis_url": "redis://127.0.0.1", "upload_dir": os.devnull, "storage_url": None}
    places |= dict.fromkeys(("database_url_file", "redis_url_file", "aws_secret_access_key_file", "aws_access_key_id", "aws_secret_access_key"))
    try:
        return Settings(**{**given, **places})  # type: ignore[arg-type]  # checked by the model
    except ValidationError as invalid:
        raise StackFailed("\nrowgate: ".join(describe_invalid(invalid))) from None


def application_commands(port: int, environment: Mapping[str, str]) -> list[Command]:
    """Return the commands of the project's own processes, in the order in which they are started and stopped."""
    celery = [sys.executable, "-m", "celery", "-A", "celery_app", "worker"]
    # On SIGTERM Celery finishes what it has begun, or gives it back after WORKER_SHUTDOWN_TIMEOUT_S; after that time SIGQUIT ends it at once.
    patience_s = float(environment["WORKER_SHUTDOWN_TIMEOUT_S"]) + 10.0
    celery_stop = ((signal.SIGTERM, patience_s), (signal.SIGQUIT, 5.0))
    return [
        Command(
            name="api",
            arguments=[sys.executable, "-m", "shared.web.serve", "--port", str(port)],
            environment={**API_DEFAULTS, **environment},
            directory=ROOT,
        ),
        Command(
            name="worker",
            arguments=[*celery, "-Q", "processing"],
            environment=environment,
            stop_signals=celery_stop,
            directory=ROOT,
        ),
        Command(
            name="dispatcher",
            arguments=[*celery, "-Q", "webhooks,maintenance", "-P", "threads", "-c", "32", "-B"],
            environment=environment,
            stop_signals=celery_stop,
            directory=ROOT,
        ),
    ]


def describe_exit(status: int) -> str:
    """Describe an exit status in words."""
    if status >= 0:
        return f"exit code {status}"
    return signal.Signals(-status).name


def last_lines(child: Child) -> str:
    """Return the end of a child's output, for a message."""
    lines = "\n  ".join(child.last_lines)
    return f"Its last lines (all of them: {child.log_file}):\n  {lines}"


def is_healthy(port: int) -> bool:
    """Whether `GET /api/health` on this machine answers 200 with the body of this service."""
    return health(port) is not None


def health(port: int) -> Mapping[str, object] | None:
    """Return the body of `GET /api/health` if it is this service's and 200; None if anything else or nothing answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3.0)
    with suppress(OSError, http.client.HTTPException, ValueError):
        connection.request("GET", "/api/health")
        response = connection.getresponse()
        body = json.loads(response.read())
        if response.status == http.HTTPStatus.OK and isinstance(body, dict) and {"status", "database", "redis"} <= body.keys():
            return body
    connection.close()
    return None


def choose_port(wanted: int) -> int:
    """Return `wanted` if it is free, otherwise another free port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return free_port()
        return wanted


@contextmanager
def only_one(run_dir: Path) -> Iterator[None]:
    """Lock the folder for this process. Raises `StackFailed` if another process holds it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StackFailed(f"Rowgate already runs in {run_dir} ({lock.read().strip() or 'it is just starting'}). Stop it first, or set RUN_DIR.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def announce(stack: Stack) -> None:
    """Print the stack's addresses and what to try."""
    sample = Path("tests/data/orders.csv")
    lines = [
        "",
        f"Rowgate is up:   {stack.url}   ({'open it in a browser' if stack.has_page else 'PAGE=false: without the page'})",
        f"Documentation:   {stack.url}/docs",
        f"Try it:          curl -F file=@{sample} {stack.url}/api/files/upload",
        f"Data and logs:   {stack.run_dir}",
        "",
        "Webhooks may go to private addresses here (WEBHOOK_ALLOW_PRIVATE_ADDRESSES=true): fine for trying out, not for a server.",
        "Ctrl-C stops everything; the data stays.",
        "",
    ]
    stack.console.say("\n".join(lines))


def chosen_run_dir() -> Path:
    """Return `RUN_DIR`, or .local in the project's root."""
    return Path(os.environ.get("RUN_DIR") or ROOT / ".local").resolve()


def chosen_storage() -> str:
    """Return `STORAGE`: `folder` (the default) or `s3`. Raises `StackFailed` if it is anything else."""
    text = os.environ.get("STORAGE") or "folder"
    if text not in {"folder", "s3"}:
        raise StackFailed(f"STORAGE is {text!r}: it must be folder or s3.")
    return text


def chosen_port() -> int:
    """Return `PORT`, or 8000. Raises `StackFailed` if it is not a port number."""
    text = os.environ.get("PORT") or "8000"
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise StackFailed(f"PORT is {text!r}: it must be a number from 1 to 65535.")
    return int(text)


@contextmanager
def running_stack() -> Iterator[Stack]:
    """Start a stack for the block and stop it afterwards; the caller announces it. Raises `StackFailed`, `ServiceFailed` or `StopAsked`."""
    settings = require_valid_settings()
    run_dir, wanted = chosen_run_dir(), chosen_port()
    with only_one(run_dir):
        stack = Stack(run_dir, port=choose_port(wanted), has_page=settings.page, has_store=chosen_storage() == "s3")
        if stack.port != wanted:
            stack.console.say(f"Port {wanted} is taken: the API will listen on {stack.port} (set PORT to choose).")
        try:
            store = ", an S3 store" if stack.has_store else ""
            stack.console.say(f"Starting PostgreSQL, Valkey{store}, api, worker and dispatcher …")
            stack.start()
            yield stack
        finally:
            stack.console.say("Stopping …")
            stack.stop()
            stack.console.say("Stopped.")


def main() -> int:
    """Run the stack until a signal asks it to stop; return the exit code."""
    try:
        with running_stack() as stack:
            announce(stack)
            stack.console.follow = True
            stack.watch()
            stack.console.follow = False
    except StopAsked:
        return 0
    except (StackFailed, ServiceFailed, OSError) as problem:
        print(f"rowgate: {problem}", file=sys.stderr)  # noqa: T201  # a command's report
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

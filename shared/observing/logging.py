"""Configure logging: structlog as the front end, JSON in containers, text on a terminal, and no file contents or secrets in any line."""

from __future__ import annotations

import io
import logging
import sys
import threading
import traceback
import warnings
from textwrap import indent
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from shared.observing.raw_output import get_standard_error, is_json_wanted, mask_credentials, take_over_output, write_line
from shared.observing.tracing import name_span
from shared.settings import Settings
from shared.texts import ELLIPSIS, MAX_TEXT_CHARACTERS, escape_control, shorten

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

CHATTY = ("uvicorn.access", "celery.app.trace", "celery.beat", "celery.worker.strategy", "httpx", "httpcore", "alembic.runtime.plugins")
"""Loggers kept at WARNING: every few seconds they write lines that the service's own lines say better."""

MAX_TRACE_LINES = 100
_FIRST = ("timestamp", "level", "event", "logger")
_TRACES = frozenset({"exception", "stack", "traceback"})

log = structlog.get_logger(__name__)

_COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    name_span,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_PROCESSORS: list[Processor] = [structlog.stdlib.filter_by_level, *_COMMON, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
"""One list for every call of `configure_logging`, because loggers keep the list that they were first used with."""


def is_text(settings: Settings) -> bool:
    """Whether this process logs text for a person at a terminal; otherwise it logs JSON."""
    return settings.log_format == "text" or (settings.log_format == "auto" and sys.stderr.isatty())


def configure_logging(settings: Settings) -> None:
    """Send every logger of this process, including the libraries', to standard error in one format; tracebacks show no values of variables."""
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(get_standard_error())
    handler.setFormatter(make_formatter(settings))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    warnings.filterwarnings("ignore", module=r"openpyxl\.")  # they quote cells


def log_whatever_is_written() -> None:
    """Make whatever this process writes a line of the log: prints of libraries, and exceptions that nobody catches.

    A program of the service calls it first, before it reads its settings; a process that only imports the service's modules does not.
    """
    take_over_output()
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if structlog.is_configured():
        log.critical("uncaught exception", exc_info=(kind, error, trace))
    elif is_json_wanted():
        write_line("uncaught exception", level="critical", logger=__name__, exception="".join(traceback.format_exception(error)))
    else:
        sys.__excepthook__(kind, error, trace)


def _log_uncaught_in_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_value is not None and failed.exc_type is not SystemExit:
        name = failed.thread.name if failed.thread is not None else None
        log.critical("uncaught exception in a thread", thread=name, exc_info=(failed.exc_type, failed.exc_value, failed.exc_traceback))


def _log_unraisable(failed: sys.UnraisableHookArgs) -> None:
    if failed.exc_value is not None:
        log.error("exception that could not be raised", where=repr(failed.object), exc_info=(failed.exc_type, failed.exc_value, failed.exc_traceback))


def make_formatter(settings: Settings) -> logging.Formatter:
    """Return the formatter of every log line."""
    last: list[Processor]
    if is_text(settings):
        last = [_escape_controls, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_write_traceback)]
    else:
        last = [structlog.processors.format_exc_info, _shorten_traces, _put_first, structlog.processors.JSONRenderer()]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_COMMON, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _drop_colours, _shorten_texts, *last, _mask],
    )


def _drop_colours(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    line.pop("color_message", None)  # uvicorn's second copy of its message
    return line


def _shorten_texts(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {shorten(str(key)): value if key in _TRACES else _shorten_value(value) for key, value in line.items()}


def _shorten_value(value: Any) -> Any:  # noqa: ANN401  # whatever is logged
    if isinstance(value, str):
        return shorten(value)
    if value is None or isinstance(value, bool | int | float) or len(text := repr(value)) <= MAX_TEXT_CHARACTERS:
        return value
    return shorten(text)


def _shorten_traces(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {key: _shorten_trace(value) if key in _TRACES and isinstance(value, str) else value for key, value in line.items()}


def _put_first(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Begin the line with what every line has."""
    return {**{name: line[name] for name in _FIRST if name in line}, **line}


def _shorten_trace(text: str) -> str:
    """Cut the lines of a traceback, whose messages may quote what a client sent, and leave out its middle if it has very many."""
    lines = text.split("\n")
    if len(lines) > MAX_TRACE_LINES:
        lines[MAX_TRACE_LINES // 2 : -MAX_TRACE_LINES // 2] = [ELLIPSIS]
    return "\n".join(map(shorten, lines))


def _write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    # Indented, so that no message in it can look like a line of the log.
    stream.write(indent(escape_control(_shorten_trace(text.getvalue()), kept="\n"), "  "))


def _escape_controls(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Escape control characters in the keys and texts of a line for a terminal: paths, file names and sentences may come from a client.

    The line breaks of tracebacks and descriptions of exceptions stay; JSON needs nothing, since it escapes them itself.
    """
    return {
        escape_control(str(key)): escape_control(value, kept="\n" if key in _TRACES else "") if isinstance(value, str) else value for key, value in line.items()
    }


def _mask(_logger: WrappedLogger, _method: str, line: Any) -> str:  # noqa: ANN401  # what the renderer made
    return mask_credentials(str(line))

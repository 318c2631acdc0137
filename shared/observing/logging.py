"""Configure logging: structlog as the front end, JSON in containers, text on a terminal, and no file contents or secrets in any line."""

from __future__ import annotations

import logging
import re
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any

import structlog

from shared.settings import Settings, get_settings

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

CHATTY = ("uvicorn.access", "celery.app.trace", "celery.beat", "celery.worker.strategy", "httpx", "httpcore", "alembic.runtime.plugins")
"""Loggers kept at WARNING: every few seconds they write lines that the service's own lines say better."""

_CREDENTIALS = re.compile(r"(?<=://)[^\s/'\"?#\\]*@")
"""The part before the host of a URL: `user:password@`."""


_COMMON: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_PROCESSORS: list[Processor] = [structlog.stdlib.filter_by_level, *_COMMON, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
"""One list for every call of `configure_logging`, because loggers keep the list that they were first used with."""


def mask_credentials(text: str) -> str:
    """Mask user names and passwords of URLs in a text."""
    return _CREDENTIALS.sub("***@", text)


def describe_frames(error: BaseException) -> str:
    """Describe where an exception and its causes came from: types, files, lines and source code, without messages, which may quote a file's contents.

    The operating system's messages (`No space left on device`) quote nothing and are kept.
    """
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        frames = "".join(traceback.format_tb(current.__traceback__))
        reason = f": {current.strerror}" if isinstance(current, OSError) and current.errno is not None else ""
        parts.insert(0, f"{frames}{type(current).__module__}.{type(current).__qualname__}{reason}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\nthen\n".join(parts)


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
    handler = logging.StreamHandler(sys.stderr)
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


def make_formatter(settings: Settings | None = None) -> logging.Formatter:
    """Return the formatter of every log line. Without `settings` it uses the environment's, as `uvicorn_logging.json` does for uvicorn's supervisor."""
    last: list[Processor]
    if is_text(settings or get_settings()):
        last = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_COMMON, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _drop_colours, *last, _mask],
    )


def _drop_colours(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    line.pop("color_message", None)  # uvicorn's second copy of its message
    return line


def _mask(_logger: WrappedLogger, _method: str, line: Any) -> str:  # noqa: ANN401  # what the renderer made
    return mask_credentials(str(line))

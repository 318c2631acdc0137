"""Traces by OpenTelemetry: `span` marks a part of the work, and the spans of one upload are one trace, over processes, to its webhook.

Off unless a collector is named by the variables of OpenTelemetry itself (`COLLECTORS`); nothing of OpenTelemetry is loaded then, and every function here does
nothing. No attribute of a span may hold what is in a file, its name, a key, or a URL's path: who reads traces need not be who may read files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self
from urllib.parse import urlsplit

import structlog
from dotenv import dotenv_values

from shared.settings import SettingsInvalid, find_env_file

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

    from shared.observing.open_telemetry import Tracing

Kind = Literal["internal", "server", "client", "producer", "consumer"]
Value = str | bool | int | float | None
"""An attribute; None: it is not known, and left out."""
Attributes = Mapping[str, Value]

COLLECTORS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
VARIABLES = (
    *COLLECTORS,
    *("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"),
    *("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SDK_DISABLED"),
)
"""The variables that Compose passes on. Those that it does not are OpenTelemetry's all the same, wherever the processes have them in their environment."""
_PREFIX = "OTEL_"
_PROTOCOL = "http/protobuf"

log = structlog.get_logger(__name__)

_tracing: Tracing | None = None
"""None: off."""


class Span(Protocol):
    """A part of the work, from its creation to the end of its block, in which it is the current one."""

    def __enter__(self) -> Self:
        """Make it the current one."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        """End it. An exception that passes through is no mark of failure, since it may be an expected one."""
        ...

    def set(self, attributes: Attributes) -> None:
        """Add attributes."""
        ...

    def rename(self, name: str) -> None:
        """Give it another name."""
        ...

    def fail(self, error_type: str) -> None:
        """Mark it as failed, by a word of ours and no message."""
        ...

    def end(self) -> None:
        """End it before its block does; it stays the current one for log lines."""
        ...


class _NoSpan:
    """Stands for every span while tracing is off."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set(self, attributes: Attributes) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, error_type: str) -> None:
        pass

    def end(self) -> None:
        pass


NO_SPAN: Span = _NoSpan()


def read_variables() -> dict[str, str]:
    """Return OpenTelemetry's variables from the environment, or else from the file of settings; empty ones count as absent, as its specification says."""
    written: Mapping[str, str | None] = {}
    with suppress(SettingsInvalid, OSError, UnicodeDecodeError):  # whoever reads the settings says so
        path = find_env_file()
        written = dotenv_values(path) if path is not None else {}
    return {name: value for name, value in {**written, **os.environ}.items() if name.startswith(_PREFIX) and value}


def is_wanted(variables: Mapping[str, str]) -> bool:
    """Whether traces are to be sent."""
    exporters = [name.strip() for name in variables.get("OTEL_TRACES_EXPORTER", "otlp").split(",")]
    return any(name in variables for name in COLLECTORS) and variables.get("OTEL_SDK_DISABLED", "").strip().lower() != "true" and "otlp" in exporters


def find_mistake(variables: Mapping[str, str]) -> str | None:
    """Return one line that says why traces cannot be sent as the variables ask for; None if they can, or need not."""
    if not is_wanted(variables):
        return None
    for name in PROTOCOLS:
        if variables.get(name, _PROTOCOL) != _PROTOCOL:
            return f"{name}: traces are sent as {_PROTOCOL} only"
    for name in COLLECTORS:
        if name in variables and (urlsplit(variables[name]).scheme not in {"http", "https"} or not urlsplit(variables[name]).hostname):
            return f"{name}: must be an http or https URL, such as http://collector:4318"
    return None


def prepare(service: str) -> None:
    """Turn tracing on if it is wanted, and load what it takes; each program calls this once, before it forks. No thread is started and nothing is opened.

    `service` is the `service.name` unless a variable says otherwise.
    """
    global _tracing  # noqa: PLW0603  # there is one for each process
    variables = read_variables()
    if _tracing is not None or not is_wanted(variables):
        return
    mistake = find_mistake(variables)
    if mistake is not None:
        log.error("traces are not sent", reason=mistake)
        return
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        if name not in variables:
            del os.environ[name]
    os.environ.update(variables)  # from the file of settings, which OpenTelemetry does not read
    from shared.observing.open_telemetry import Tracing  # noqa: PLC0415  # only if it is wanted

    _tracing = Tracing(service)
    log.info("traces are sent", collector=_tracing.collector)


def stop() -> None:
    """Send what is left and turn tracing off, when a process ends. Takes a second at most, and less if the collector has not answered lately."""
    global _tracing  # as above
    ending, _tracing = _tracing, None
    if ending is not None:
        ending.stop()


def is_on() -> bool:
    """Whether there are spans at all; for code that would prepare what nobody needs."""
    return _tracing is not None


def span(name: str, *, kind: Kind = "internal", parent: str | None = None, attributes: Attributes | None = None) -> Span:
    """Begin a span, for a `with` block.

    `parent` is a W3C `traceparent`, for example that of a job; without one, or with one that is none, it is the current span, if there is one.
    """
    return NO_SPAN if _tracing is None else _tracing.start_span(name, kind=kind, parent=parent, attributes=attributes)


def describe_message(operation: Literal["send", "process"], *, queue: str) -> dict[str, Value]:
    """Return the attributes of the span in which a message is sent, or what it asks for is done, in the words of OpenTelemetry's conventions."""
    return {"messaging.system": "redis", "messaging.operation.type": operation, "messaging.operation.name": operation, "messaging.destination.name": queue}


def get_traceparent() -> str | None:
    """Return the W3C `traceparent` of the current span; None if there is none."""
    return None if _tracing is None else _tracing.get_traceparent()


def record_error(error: BaseException) -> None:
    """Mark the current span as failed by an unexpected exception: its type and frames, without its message, which may quote a cell."""
    if _tracing is not None:
        _tracing.record_error(error)


def name_span(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Name the current trace and span in a line of the log."""
    if _tracing is not None:
        line.update(_tracing.get_ids())
    return line

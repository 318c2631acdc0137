"""OpenTelemetry's SDK as this service uses it; loaded only if traces are sent. No other module imports OpenTelemetry.

Spans are sent in batches by a thread of each process, which is started after the fork, at its first span. A collector that does not answer costs spans, never
time of the work: the queue is bounded, the end of a process waits for a second at most, and complaints are one line a minute for all processes of a program.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import threading
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.observing.frames import describe_frames
from shared.observing.tracing import COLLECTORS, Attributes, Kind
from shared.texts import ELLIPSIS
from shared.version import VERSION

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan

SCHEDULE_DELAY_MS = 1000
"""How long a span may wait to be sent, unless OTEL_BSP_SCHEDULE_DELAY says otherwise: a worker's child may be killed at any time."""
END_S = 1.0
"""How long the end of a process waits for the last spans."""
FAILING_END_S = 0.1
"""The same if the collector has not taken the spans before."""
COMPLAIN_EVERY_S = 60.0
MAX_FRAMES_CHARACTERS = 16_384
MAX_TRACEPARENT_CHARACTERS = 256
"""Those of today have 55; a longer one begins a trace of its own."""

_KINDS: dict[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_ERROR_TYPE = "error.type"
_PAGE = struct.Struct("dd")
"""Whether the collector does not take spans, and when that was last complained about."""
_PROPAGATOR: Final = TraceContextTextMapPropagator()

log = structlog.get_logger(__name__)


class Tracing:
    """Makes spans, in each process of a program by a provider of its own."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._outages = _Outages()
        self._lock = threading.Lock()
        self._provider: TracerProvider | None = None
        self._tracer: trace.Tracer = trace.NoOpTracer()
        self._pid = 0
        import_module("requests")  # or the exporter would load it at the first span
        _take_over_log(self._outages)
        collector = urlsplit(next(os.environ[name] for name in COLLECTORS if name in os.environ))
        self.collector = f"{collector.scheme}://{collector.hostname}:{collector.port}" if collector.port else f"{collector.scheme}://{collector.hostname}"
        """Where the spans go, without a path or a password."""

    def start_span(self, name: str, *, kind: Kind, parent: str | None, attributes: Attributes | None) -> TracedSpan:
        """Begin a span."""
        if self._pid != os.getpid():
            self._start()
        started = self._tracer.start_span(
            name,
            _find_parent(parent),
            _KINDS[kind],
            attributes=None if attributes is None else _drop_unknown(attributes),
            record_exception=False,
            set_status_on_exception=False,
        )
        return TracedSpan(started)

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            self._provider, self._tracer = None, trace.NoOpTracer()
            try:
                self._provider = self._make_provider()
                self._tracer = self._provider.get_tracer("rowgate", VERSION)
            except Exception as error:  # noqa: BLE001  # a variable that makes no sense, such as a limit that is no number, must not fail the work
                log.error("traces are not sent", reason=f"{type(error).__name__}: {error}")  # noqa: TRY400  # says it all
            self._pid = os.getpid()

    def _make_provider(self) -> TracerProvider:
        resource = Resource.create({"service.version": VERSION})
        if str(resource.attributes.get("service.name", "unknown_service")).startswith("unknown_service"):
            resource = resource.merge(Resource({"service.name": self._service}))
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        delay_ms = None if "OTEL_BSP_SCHEDULE_DELAY" in os.environ else SCHEDULE_DELAY_MS
        provider.add_span_processor(BatchSpanProcessor(_Exporter(OTLPSpanExporter(), self._outages), schedule_delay_millis=delay_ms))
        return provider

    def get_traceparent(self) -> str | None:
        """Return the `traceparent` of the current span, without the state that vendors may add to it."""
        current = trace.get_current_span().get_span_context()
        return _write_traceparent(current) if current.is_valid else None

    def get_ids(self) -> Mapping[str, str]:
        """Return the ids of the current span, for the log."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return {}
        return {"trace_id": trace.format_trace_id(current.trace_id), "span_id": trace.format_span_id(current.span_id)}

    def record_error(self, error: BaseException) -> None:
        """Record the exception on the current span."""
        current = trace.get_current_span()
        if not current.is_recording():
            return
        frames, name = describe_frames(error), f"{type(error).__module__}.{type(error).__qualname__}"
        if len(frames) > MAX_FRAMES_CHARACTERS:
            frames = ELLIPSIS + frames[-MAX_FRAMES_CHARACTERS:]
        current.add_event("exception", {"exception.type": name, "exception.stacktrace": frames})
        current.set_attribute(_ERROR_TYPE, name)
        current.set_status(StatusCode.ERROR)

    def stop(self) -> None:
        """Send what is left, for a moment."""
        if self._provider is None or self._pid != os.getpid():
            return
        # The SDK waits for half a minute; it may go on in its own time, until the process is gone.
        ending = threading.Thread(target=self._provider.shutdown, name="last-spans", daemon=True)
        ending.start()
        ending.join(FAILING_END_S if self._outages.is_failing() else END_S)
        if ending.is_alive():
            self._outages.note(failed=True)


class TracedSpan:
    """A span that is the current one in its block."""

    __slots__ = ("_span", "_token")

    def __init__(self, started: trace.Span) -> None:
        self._span = started
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /) -> None:
        if self._token is not None:
            context.detach(self._token)
        self.end()

    def set(self, attributes: Attributes) -> None:
        """Add attributes, unless it has ended."""
        if self._span.is_recording():
            self._span.set_attributes(_drop_unknown(attributes))

    def rename(self, name: str) -> None:
        """Give it another name, unless it has ended."""
        if self._span.is_recording():
            self._span.update_name(name)

    def fail(self, error_type: str) -> None:
        """Mark it as failed, unless it has ended; the exception that it may have failed by says more."""
        if self._span.is_recording():
            if _ERROR_TYPE not in (getattr(self._span, "attributes", None) or ()):
                self._span.set_attribute(_ERROR_TYPE, error_type)
            self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End it, if it has not ended."""
        if self._span.is_recording():
            self._span.end()


def _drop_unknown(attributes: Attributes) -> dict[str, str | bool | int | float]:
    return {name: value for name, value in attributes.items() if value is not None}


def _find_parent(traceparent: str | None) -> Context | None:
    """Return the context of a `traceparent`; None, for the present context, if it is none."""
    if traceparent is None or len(traceparent) > MAX_TRACEPARENT_CHARACTERS:
        return None
    found = trace.get_current_span(_PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    if not found.is_valid:
        return None
    flags = TraceFlags(found.trace_flags & TraceFlags.SAMPLED)
    return trace.set_span_in_context(NonRecordingSpan(SpanContext(found.trace_id, found.span_id, is_remote=True, trace_flags=flags)))


def _write_traceparent(of: SpanContext) -> str:
    return f"00-{trace.format_trace_id(of.trace_id)}-{trace.format_span_id(of.span_id)}-{of.trace_flags:02x}"


class _Outages:
    """Whether the collector takes spans, and when that was last complained about; shared by the processes that a program forks."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _PAGE.size)

    def is_failing(self) -> bool:
        """Whether the last spans were not taken."""
        return bool(_PAGE.unpack_from(self._page)[0])

    def note(self, *, failed: bool) -> None:
        """Note what became of the last spans."""
        _PAGE.pack_into(self._page, 0, float(failed), _PAGE.unpack_from(self._page)[1])

    def may_complain(self) -> bool:
        """Return whether a line may be logged now, and count it. Two processes at the same moment may both be told so."""
        failing, complained_at = _PAGE.unpack_from(self._page)
        now = time.monotonic()
        if complained_at and now - complained_at < COMPLAIN_EVERY_S:
            return False
        _PAGE.pack_into(self._page, 0, failing, now)
        return True


class _Exporter(SpanExporter):
    """Sends spans, and remembers whether they were taken."""

    def __init__(self, exporter: SpanExporter, outages: _Outages) -> None:
        self._exporter, self._outages = exporter, outages

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = self._exporter.export(spans)
        self._outages.note(failed=result is not SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """Send nothing more."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._exporter.force_flush(timeout_millis)


class _Complaints(logging.Handler):
    """Makes what OpenTelemetry logs a line of our own, once a minute: while its collector is away it complains of every batch."""

    def __init__(self, outages: _Outages) -> None:
        super().__init__(logging.WARNING)
        self._outages = outages

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line, or none."""
        if not self._outages.may_complain():
            return
        # What other modules complain of are variables, which may hold a key.
        reason = record.getMessage() if record.name.startswith("opentelemetry.exporter.") else str(record.msg).replace("%s", ELLIPSIS)
        log.warning("traces could not be sent", reason=reason, next_line_s=COMPLAIN_EVERY_S)


def _take_over_log(outages: _Outages) -> None:
    logger = logging.getLogger("opentelemetry")
    logger.handlers = [_Complaints(outages)]
    logger.propagate = False
    logging.getLogger("urllib3").setLevel(logging.WARNING)

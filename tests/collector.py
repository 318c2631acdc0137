"""A collector of traces: takes what OpenTelemetry's exporters send over HTTP, and keeps the spans."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from compose.processes import wait_until
from shared.observing import tracing


@dataclass(frozen=True)
class Spanned:
    """One span, as it was sent."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]]
    has_failed: bool


@dataclass
class Collector:
    """What has been sent so far."""

    url: str
    spans: list[Spanned] = field(default_factory=list)
    requests: int = 0
    raw: bytearray = field(default_factory=bytearray)
    """All bodies, one after another: texts stand in them as they are."""
    headers: list[dict[str, str]] = field(default_factory=list)

    def wait_for(self, *names: str, timeout_s: float = 20) -> list[Spanned]:
        """Wait until there is a span of each name, as many as it is named, and return all spans."""
        wanted = Counter(names)
        assert wait_until(lambda: wanted <= Counter(each.name for each in list(self.spans)), timeout_s=timeout_s), [each.name for each in self.spans]
        return list(self.spans)

    def get(self, name: str) -> Spanned:
        """Return the only span of this name."""
        [found] = [each for each in self.spans if each.name == name]
        return found


def stop_tracing() -> None:
    """Send what is left, and wait for the threads that do: one that goes on trying takes random pauses, which Hypothesis holds against another test."""
    tracing.stop()
    for thread in threading.enumerate():
        if thread.name == "last-spans" or thread.name.startswith("OtelBatch"):
            thread.join(60)
            assert not thread.is_alive()


def _read(pairs: Any) -> dict[str, Any]:
    return {pair.key: _read_value(pair) for pair in pairs}


def _read_value(pair: KeyValue) -> Any:
    return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")


def parse(body: bytes) -> Iterator[Spanned]:
    """Yield the spans of a request."""
    for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _read(of_process.resource.attributes)["service.name"]
        for scope in of_process.scope_spans:
            for each in scope.spans:
                yield Spanned(
                    service=service,
                    name=each.name,
                    kind=Span.SpanKind.Name(each.kind).removeprefix("SPAN_KIND_").lower(),
                    trace_id=each.trace_id.hex(),
                    span_id=each.span_id.hex(),
                    parent_id=each.parent_span_id.hex(),
                    start_ns=each.start_time_unix_nano,
                    end_ns=each.end_time_unix_nano,
                    attributes=_read(each.attributes),
                    events=[(happened.name, _read(happened.attributes)) for happened in each.events],
                    has_failed=each.status.code == Status.STATUS_CODE_ERROR,
                )


@contextmanager
def running_collector(*, delay_s: float = 0.0, status: int = 200) -> Iterator[Collector]:
    """Run a collector during the block; it answers after `delay_s`, with `status`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.requests += 1
            collector.headers.append({name.lower(): value for name, value in self.headers.items()})
            if status == 200:
                collector.raw += body
                collector.spans += parse(body)
            time.sleep(delay_s)
            self.send_response(status)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""One trace over the real processes, from the API's to the receiver of the webhook; and a collector that hangs delays none of them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.collector import running_collector
from tests.e2e.conftest import running_service
from tests.services import Servers

KEY, NAME, CELL = "alices-key-1234567", "salaries-of-march", "Mueller-4711"
FORKED = ("shared.web.serve",)
JOBS = 12
"""More than a worker's child does in its life."""


@contextmanager
def receiving() -> Iterator[tuple[str, list[str | None]]]:
    """Receive webhooks; gives the URL, and the `traceparent` of each."""
    told: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            told.append(self.headers["traceparent"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{NAME}", told
    server.shutdown()
    server.server_close()


def read_lines(logs: Path, name: str) -> list[dict[str, object]]:
    return [dict(json.loads(line)) for line in (logs / f"{name}.log").read_text().splitlines()]


def test_upload_is_one_trace_over_all_processes(servers: Servers, tmp_path: Path) -> None:
    settings = {"API_KEYS": f"alice:{KEY}", "LOG_FORMAT": "json", "API_PROCESSES": "2"}
    with (
        running_collector() as collector,
        receiving() as (url, told),
        running_service(servers, tmp_path, api=FORKED, slots="1", waits_for_worker=False, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **settings) as service,
    ):
        service.client.headers["X-API-Key"] = KEY
        job_id = service.upload(f"{NAME}.csv", f"a\n{CELL}\n".encode(), webhook_url=url, outputs="errors.csv")
        collector.wait_for("POST webhook", "POST webhook", "write output", timeout_s=60)
        others = [service.upload("b.csv", b"a\n1\n") for _ in range(JOBS)]
        for other in others:
            service.wait_for(other)
        collector.wait_for(*["process job"] * (JOBS + 1))
        lines = [line for name in ("api", "worker", "dispatcher") for line in read_lines(service.logs, name)]
        last = service.client.get("/api/jobs").headers["X-Request-ID"]
    assert collector.get("GET /api/jobs").attributes["http.response.status_code"] == 200, last  # sent at the end of its process
    [request] = [each for each in collector.spans if each.kind == "server" and each.attributes.get("rowgate.job.id") == job_id and "upload" in each.name]
    spans = {each.span_id: each for each in collector.spans if each.trace_id == request.trace_id}
    tree = sorted((each.service, each.kind, each.name, spans[each.parent_id].name if each.parent_id else "") for each in spans.values())
    assert tree == sorted([
        ("rowgate-api", "server", "POST /api/files/upload", ""),
        ("rowgate-api", "internal", "store file", "POST /api/files/upload"),
        ("rowgate-api", "internal", "insert job", "POST /api/files/upload"),
        ("rowgate-api", "producer", "send processing.process_job", "POST /api/files/upload"),
        ("rowgate-worker", "consumer", "process job", "POST /api/files/upload"),
        ("rowgate-worker", "internal", "open file", "process job"),
        ("rowgate-worker", "internal", "check rows", "process job"),
        ("rowgate-worker", "internal", "record end", "process job"),
        ("rowgate-worker", "producer", "send processing.make_output", "record end"),
        ("rowgate-worker", "producer", "send webhooks.send_delivery", "record end"),
        ("rowgate-worker", "consumer", "write output", "record end"),
        ("rowgate-worker", "producer", "send webhooks.send_delivery", "write output"),
        ("rowgate-dispatcher", "client", "POST webhook", "POST /api/files/upload"),
        ("rowgate-dispatcher", "client", "POST webhook", "POST /api/files/upload"),
    ])  # fmt: skip
    sent = {f"00-{request.trace_id}-{each.span_id}-01" for each in spans.values() if each.kind == "client"}
    assert set(told) == sent
    named = {str(line["event"]) for line in lines if line.get("trace_id") == request.trace_id}
    assert {"request", "job claimed", "job completed", "output claimed", "output made", "webhook attempt"} <= named
    assert all("trace_id" in line for line in lines if line["event"] in {"job claimed", "job completed", "webhook attempt"})
    for secret in (KEY, NAME, CELL):
        assert secret.encode() not in collector.raw


def test_collector_that_hangs_delays_no_job_and_no_end(servers: Servers, tmp_path: Path) -> None:
    with running_collector(delay_s=60.0) as collector:
        with running_service(servers, tmp_path, api=FORKED, waits_for_worker=False, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, LOG_FORMAT="json") as service:
            service.wait_for(service.upload("first.csv", b"a\n1\n"))
            began = time.monotonic()
            for job_id in [service.upload("a.csv", b"a\n1\n") for _ in range(JOBS)]:
                service.wait_for(job_id)
            assert time.monotonic() - began < 30.0  # it hangs for 60
            lines = {name: read_lines(service.logs, name) for name in ("api", "worker", "dispatcher")}
            began = time.monotonic()
        assert time.monotonic() - began < 30.0  # it hangs for 60
        assert collector.requests > 0
    for of_program in lines.values():
        assert len([line for line in of_program if line["event"] == "traces could not be sent"]) <= 1

"""What is traced: each request once, an upload with all that follows as one trace, whatever is lost, repeated or tried again; and what is never told.

The same over real processes is in `tests/e2e/test_tracing.py`.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from features.processing import make_output, run
from features.retry.tasks import ring_again
from features.webhooks.deliver import deliver
from shared.db.models import Job, JobStatus, Output
from shared.jobs import job_state
from shared.messages.outbox import Message
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.observing import tracing
from tests.collector import Collector, Spanned
from tests.factories import Factory
from tests.features.webhooks.receiver import receiving, status

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
NAME, CELL, PATH = "salaries-of-march", "Müller-4711", "secret-path-of-hook"
CONTENT = f"id,person\n1,{CELL}\nx,{CELL}\n".encode()


async def upload(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **fields: str) -> uuid.UUID:
    response = await client.post("/api/files/upload", files={"file": (f"{NAME}.csv", CONTENT)}, data=fields, headers=headers or {})
    assert response.status_code == 202, response.text
    return uuid.UUID(response.json()["job_id"])


def group(spans: list[Spanned], trace_id: str = TRACE) -> dict[str, list[Spanned]]:
    grouped: dict[str, list[Spanned]] = {}
    for each in spans:
        if each.trace_id == trace_id:
            grouped.setdefault(each.name, []).append(each)
    return grouped


async def wait_for(collector: Collector, *names: str) -> list[Spanned]:
    return await asyncio.to_thread(collector.wait_for, *names)


async def age(database_url: str, job_id: uuid.UUID) -> None:
    """Let the job's message have been unanswered for long enough to be sent again."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute("UPDATE jobs SET next_ring_at = now() WHERE id = $1", job_id)
    await connection.close()


async def test_upload_is_one_trace_to_its_webhook_though_its_message_was_lost(
    collector: Collector, client: httpx.AsyncClient, context: TaskContext, sent: list[Message]
) -> None:
    async with receiving(lambda number: status(503 if number == 1 else 204)) as receiver:
        job_id = await upload(client, CALLER, webhook_url=f"{receiver.url}/{PATH}", outputs="rejected.csv")
        assert sent.pop().traceparent is not None
        await age(context.settings.database_url, job_id)
        await ring_again(context, Nothing())
        await run.run_job(context, job_id=uuid.UUID(sent.pop().payload["job_id"]))
        delivery, output = sorted(sent, key=lambda message: message.task, reverse=True)
        await make_output.make_output(context, output_id=uuid.UUID(output.payload["output_id"]))
        await deliver(context, delivery_id=uuid.UUID(delivery.payload["delivery_id"]))
    spans = await wait_for(collector, "POST webhook", "POST webhook", "write output", "POST /api/files/upload")
    assert {each.trace_id for each in spans} == {TRACE}
    traced = group(spans)
    [request], [attempt], [making] = traced["POST /api/files/upload"], traced["process job"], traced["write output"]
    assert (request.parent_id, request.kind) == (SPAN, "server")
    assert {traced[name][0].parent_id for name in ("store file", "insert job", "process job", "POST webhook")} == {request.span_id}
    assert {traced[name][0].parent_id for name in ("open file", "check rows", "record end")} == {attempt.span_id}
    assert (making.parent_id, making.kind) == (traced["record end"][0].span_id, "consumer")
    assert all(len(traced[name]) == 1 for name in ("store file", "insert job", "open file", "check rows", "record end"))
    assert attempt.attributes | {"messaging.system": "redis"} == {
        "messaging.system": "redis", "messaging.operation.type": "process", "messaging.operation.name": "process", "messaging.destination.name": "processing",
        "rowgate.job.id": str(job_id), "rowgate.job.attempt": 1, "rowgate.job.rings": 1, "rowgate.job.outcome": "completed", "rowgate.job.rows": 2,
        "rowgate.job.errors": 0, "rowgate.file.type": "csv", "rowgate.file.bytes": len(CONTENT),
    }  # fmt: skip
    failed, delivered = traced["POST webhook"]
    assert (failed.attributes["http.response.status_code"], failed.has_failed, failed.attributes["error.type"]) == (503, True, "503")
    assert (delivered.attributes["http.response.status_code"], delivered.has_failed, delivered.attributes["http.request.resend_count"]) == (204, False, 1)
    told = [request.headers["traceparent"] for request in receiver.requests]
    assert told == [f"00-{TRACE}-{failed.span_id}-01", f"00-{TRACE}-{delivered.span_id}-01"]
    for secret in (NAME, CELL, PATH):
        assert secret.encode() not in collector.raw


async def test_attempt_that_crashed_is_told_without_its_message_and_the_next_one_is_in_the_same_trace(
    collector: Collector, client: httpx.AsyncClient, context: TaskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        int(CELL)

    job_id = await upload(client, CALLER)
    with monkeypatch.context() as patched:
        patched.setattr(run, "inspect_file", fail)
        await run.run_job(context, job_id=job_id)
    await run.run_job(context, job_id=job_id)
    spans = await wait_for(collector, "process job", "process job")
    crashed, completed = group(spans)["process job"]
    assert [each.attributes["rowgate.job.outcome"] for each in (crashed, completed)] == ["crashed", "completed"]
    assert (crashed.has_failed, completed.has_failed) == (True, False)
    [(name, about)] = crashed.events
    assert (name, about["exception.type"], crashed.attributes["error.type"]) == ("exception", "builtins.ValueError", "builtins.ValueError")
    assert CELL.encode() not in collector.raw


async def test_retry_and_check_again_belong_to_the_requests_that_ask_for_them(
    collector: Collector, client: httpx.AsyncClient, context: TaskContext, factory: Factory
) -> None:
    job_id = await upload(client, CALLER)
    assert (await client.post(f"/api/jobs/{job_id}/cancel")).status_code == 202
    retried, again = "1" * 32, "2" * 32
    assert (await client.post(f"/api/jobs/{job_id}/retry", headers={"traceparent": f"00-{retried}-{SPAN}-01"})).status_code == 202
    answer = await client.post(f"/api/jobs/{job_id}/check-again", headers={"traceparent": f"00-{again}-{SPAN}-01"})
    await run.run_job(context, job_id=job_id)
    await run.run_job(context, job_id=uuid.UUID(answer.json()["id"]))
    await wait_for(collector, "process job", "process job", "POST /api/jobs/{job_id}/check-again")
    for trace_id, name in ((retried, "POST /api/jobs/{job_id}/retry"), (again, "POST /api/jobs/{job_id}/check-again")):
        traced = group(collector.spans, trace_id)
        assert traced["process job"][0].parent_id == traced[name][0].span_id


async def test_output_that_is_asked_for_later_belongs_to_the_request_that_asks(
    collector: Collector, client: httpx.AsyncClient, context: TaskContext, sent: list[Message]
) -> None:
    job_id = await upload(client, CALLER)
    await run.run_job(context, job_id=job_id)
    asked = "3" * 32
    sent.clear()
    await client.put(f"/api/jobs/{job_id}/outputs/rejected.csv", headers={"traceparent": f"00-{asked}-{SPAN}-01"})
    [message] = sent
    await make_output.make_output(context, output_id=uuid.UUID(message.payload["output_id"]))
    await wait_for(collector, "write output")
    traced = group(collector.spans, asked)
    assert traced["write output"][0].parent_id == traced["PUT /api/jobs/{job_id}/outputs/{name}"][0].span_id


async def test_caller_that_samples_nothing_is_heard_to_the_end(collector: Collector, client: httpx.AsyncClient, context: TaskContext) -> None:
    async with receiving(lambda _: status(204)) as receiver:
        job_id = await upload(client, {"traceparent": f"00-{TRACE}-{SPAN}-00"}, webhook_url=receiver.url)
        await run.run_job(context, job_id=job_id)
        await client.get("/api/jobs")
    await wait_for(collector, "GET /api/jobs")
    assert group(collector.spans) == {}


async def test_while_nothing_is_traced_nothing_is_stored_or_sent(
    client: httpx.AsyncClient, context: TaskContext, factory: Factory, sent: list[Message]
) -> None:
    async with receiving(lambda _: status(204)) as receiver:
        job_id = await upload(client, CALLER, webhook_url=receiver.url, outputs="rejected.csv")
        await run.run_job(context, job_id=job_id)
        [delivery] = [message.payload["delivery_id"] for message in sent if "delivery_id" in message.payload]
        await deliver(context, delivery_id=uuid.UUID(delivery))
    assert "traceparent" not in receiver.requests[0].headers
    assert [message.traceparent for message in sent] == [None] * 3
    async with context.database.reading() as session:
        job = await session.get(Job, job_id)
        assert job is not None
        assert job.traceparent is None
        [output] = [message.payload["output_id"] for message in sent if "output_id" in message.payload]
        asked = await session.get(Output, uuid.UUID(output))
        assert asked is not None
        assert asked.traceparent is None


async def test_job_of_a_time_without_traces_begins_a_trace_of_its_own(collector: Collector, factory: Factory, context: TaskContext) -> None:
    job = await factory.job(status=JobStatus.QUEUED)
    async with context.database.unit_of_work() as session:
        assert await job_state.retry(session, job_id=job.id) is False
    await run.run_job(context, job_id=job.id)
    await wait_for(collector, "process job")
    assert collector.get("process job").parent_id == ""


async def test_requests_are_told_by_their_route_and_status(collector: Collector, client: httpx.AsyncClient) -> None:
    await client.get(f"/api/jobs/{uuid.uuid4()}", headers={"X-API-Key": "a-key-that-is-secret"})
    await client.get(f"/api/jobs?q={NAME}&label.team={CELL}", headers={"user-agent": PATH})
    await client.get(f"/api/{NAME}/{PATH}")
    await client.request("INVENTED", "/api/jobs")
    spans = await wait_for(collector, "GET /api/jobs/{job_id}", "GET /api/jobs", "GET", "HTTP /api/jobs")
    told = [(each.name, each.attributes.get("http.route"), each.attributes["http.response.status_code"]) for each in spans]
    assert told[0][0] == "GET /api/jobs/{job_id}"
    assert told[1] == ("GET /api/jobs", "/api/jobs", 200)
    assert told[2] == ("GET", None, 404)
    assert (told[3][2], spans[3].attributes["http.request.method"]) == (405, "_OTHER")
    assert all(each.kind == "server" and not each.has_failed for each in spans)
    assert {name for each in spans for name in each.attributes} == {
        "http.request.method", "http.route", "http.response.status_code", "url.scheme", "network.protocol.version", "rowgate.job.id",
    }  # fmt: skip
    for secret in (NAME, CELL, PATH, "a-key-that-is-secret", "INVENTED"):
        assert secret.encode() not in collector.raw


async def test_failure_of_the_service_is_told_without_its_message(collector: Collector, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        int(CELL)

    monkeypatch.setattr("features.jobs.router.read_job", fail)
    assert (await client.get(f"/api/jobs/{uuid.uuid4()}")).status_code == 500
    [failed] = await wait_for(collector, "GET /api/jobs/{job_id}")
    assert failed.has_failed
    [(_, about)] = failed.events
    assert (about["exception.type"], failed.attributes["error.type"]) == ("builtins.ValueError", "builtins.ValueError")
    assert CELL.encode() not in collector.raw


@pytest.mark.parametrize("path", ["/api/health", "/api/health/live", "/api/health/ready", "/metrics", "/docs", "/openapi.json", "/", "/app/jobs", "/nothing"])
async def test_what_watches_and_pages_are_not_traced(path: str, collector: Collector, client: httpx.AsyncClient) -> None:
    await client.get(path, headers=CALLER)
    await client.get("/api/jobs")
    await wait_for(collector, "GET /api/jobs")
    assert [each.name for each in collector.spans] == ["GET /api/jobs"]


async def test_event_stream_is_told_when_it_opens(collector: Collector, app: FastAPI, client: httpx.AsyncClient) -> None:
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/api/events", "raw_path": b"/api/events",
        "query_string": b"", "root_path": "", "headers": [(b"host", b"rowgate")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip
    streaming = asyncio.create_task(app(scope, receive, send))
    [opening] = await wait_for(collector, "GET /api/events")
    assert not streaming.done()
    gone.set()
    await streaming
    assert opening.attributes["http.response.status_code"] == 200
    assert (opening.end_ns - opening.start_ns) < 5e9


async def test_framework_sends_nothing_of_its_own(collector: Collector, app: FastAPI) -> None:
    """FastAPI would, if it were asked by a variable: paths, queries and the messages of exceptions."""
    assert not app._native_telemetry.enabled()
    assert app._telemetry["auto_configure"] is False
    assert tracing.is_on()

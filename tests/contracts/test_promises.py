"""Promises that the service once broke; each violation was found in a review and fixed."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from pydantic import ValidationError
from sqlalchemy import text, update

from features.webhooks import queries as webhook_queries
from features.webhooks import tasks as webhook_tasks
from features.webhooks.messages import SendDelivery
from features.webhooks.models import Delivery, DeliveryStatus
from shared.db.models import JobStatus
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from tests.factories import Factory
from tests.features.webhooks.receiver import receiving, status

PROGRESS = Progress(percent=50, rows_processed=3, rows_failed=1, total_rows=None, error_count=1, errors_stored=1, error_tally=[])


async def test_checkpoint_in_an_old_transaction_does_not_shorten_the_lease(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1)
    async with context.database.unit_of_work() as session:
        await session.execute(text("SELECT 1"))
        async with context.database.unit_of_work() as other:
            await asyncio.sleep(2)
            assert await job_state.renew(other, job_id=job.id, attempt=1, lease_s=2)
        before = await factory.get(job.id)
        assert await job_state.checkpoint(session, job_id=job.id, attempt=1, progress=PROGRESS, lease_s=2)
    after = await factory.get(job.id)
    assert before is not None
    assert before.lease_expires_at is not None
    assert after is not None
    assert after.lease_expires_at is not None
    assert after.lease_expires_at >= before.lease_expires_at


async def test_delivery_whose_dispatcher_died_before_its_post_is_tried_once_however_late(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(200)) as receiver:
        job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url=receiver.url)
        async with context.database.unit_of_work() as session:
            assert await job_state.finish(session, job_id=job.id, attempt=1, progress=PROGRESS)
        [message] = [message for message in sent if message.task == "webhooks.send_delivery"]
        delivery_id = SendDelivery.model_validate(message.payload).delivery_id
        async with context.database.unit_of_work() as session:
            assert len(await webhook_queries.claim_deliveries(session, delivery_ids=[delivery_id], round_s=10.0)) == 1
            long_ago = datetime.now(UTC) - timedelta(seconds=60)
            await session.execute(update(Delivery).where(Delivery.id == delivery_id).values(due_at=long_ago, round_started_at=long_ago))
        await webhook_tasks.send_delivery(context, SendDelivery(delivery_id=delivery_id))
        assert len(receiver.requests) == 1


async def test_nul_in_an_error_filter_is_no_internal_error(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "type-error"), (3, 1, "type-error")])
    first = (await client.get(f"/api/jobs/{job.id}/errors", params={"page_size": 1})).json()
    answer = await client.get(f"/api/jobs/{job.id}/errors", params={"cursor": first["next_cursor"], "column_name": "a\0"})
    assert answer.status_code in {200, 400}


async def test_idempotency_key_with_nul_is_no_internal_error(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, headers=[(b"idempotency-key", b"a\x00b")])
    assert answer.status_code in {202, 400}


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/health/", "/nothing/"])
async def test_unknown_path_with_a_trailing_slash_is_a_problem(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize("form", ["json", "text"])
def test_traceback_in_the_log_shows_no_secret(settings: Settings, capfd: pytest.CaptureFixture[str], form: str) -> None:
    from shared.observing.logging import configure_logging

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    secret = "whsec_" + "VERY" + "SECRET"
    configure_logging(settings.model_copy(update={"log_format": form}))
    try:
        try:
            _fail(settings.model_copy(update={"webhook_secret": secret}))
        except RuntimeError as error:
            structlog.get_logger("tests").error("unexpected failure", exc_info=error)
    finally:
        root.handlers, root.level = handlers, level
        structlog.reset_defaults()
    assert "VERYSECRET" not in capfd.readouterr().err


def _fail(settings: Settings) -> None:
    raise RuntimeError("boom")


def test_refused_setting_does_not_show_its_value(settings: Settings) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**{**settings.model_dump(), "webhook_secret": "HUNTER2-not-base64"})
    assert "HUNTER2" not in str(refused.value)


async def test_all_jobs_are_rung_when_the_broker_lost_its_memory(context: TaskContext, database: Any, sent: list[Message]) -> None:
    from features.retry.tasks import ring_again
    from shared.messages.refs import Nothing

    async with database.unit_of_work() as session:
        await session.execute(
            text(
                "INSERT INTO jobs (id, filename, file_size, file_type, sha256, next_ring_at) "
                "SELECT gen_random_uuid(), 'a.csv', 1, 'csv', repeat('0', 64), now() + interval '600 s' FROM generate_series(1, 1500)",
            ),
        )
    for _ in range(6):  # 30 s
        await ring_again(context, Nothing())
    assert len({message.payload["job_id"] for message in sent}) == 1500


async def test_message_that_was_not_sent_is_not_taken_for_sent(context: TaskContext, database: Any, factory: Factory) -> None:
    """If the broker refuses messages while they are sent again, it must not be recorded as having them."""
    from features.retry.tasks import MEMORY_KEY, ring_again
    from shared.db.session import Database
    from shared.messages.broker import Broker
    from shared.messages.refs import Nothing

    await factory.job(next_ring_at=datetime.now(UTC) + timedelta(seconds=600))
    broken = Broker(context.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    broken_database = Database(engine=database.engine, sessions=database.sessions, send=broken.send)
    try:
        await ring_again(TaskContext(settings=context.settings, database=broken_database, redis=context.redis), Nothing())
    finally:
        await broken.aclose()
    assert not await context.redis.exists(MEMORY_KEY)


async def test_column_with_a_long_label_can_be_filtered(client: httpx.AsyncClient, context: TaskContext, factory: Factory) -> None:
    from features.processing.run import run_job

    label = "x" * 300
    job = await factory.job(content=f"{label},b\n".encode() + b"1,2\n" * 20 + b"z,2\n")
    await run_job(context, job_id=job.id)
    errors = (await client.get(f"/api/jobs/{job.id}/errors")).json()["errors"]
    assert len(errors) == 1
    found = (await client.get(f"/api/jobs/{job.id}/errors", params={"column_name": errors[0]["column_name"]})).json()
    assert found["total"] == 1
    assert len(found["errors"]) == 1


@pytest.mark.parametrize("label", [b"a\x00b", b"a\xff\xfeb", "a\ud7ffb".encode(), b"a" * 70_000])
async def test_odd_label_does_not_crash_the_job(context: TaskContext, factory: Factory, label: bytes) -> None:
    from features.processing.run import run_job

    job = await factory.job(content=label + b",b\n" + b"1,2\n" * 20 + b"z,2\n")
    await run_job(context, job_id=job.id)
    ended = await factory.get(job.id)
    assert ended is not None
    assert ended.status in {JobStatus.COMPLETED, JobStatus.FAILED}
    assert ended.crashes == 0


@pytest.mark.parametrize("encoding", ["utf-7", "base64", "idna", "undefined"])
async def test_encoding_that_the_engine_refuses_is_refused_at_upload(client: httpx.AsyncClient, encoding: str) -> None:
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n")}, data={"encoding": encoding})
    assert answer.status_code == 400


async def test_named_encoding_that_does_not_fit_the_file_fails_the_job_without_a_crash(context: TaskContext, factory: Factory) -> None:
    from features.processing.run import run_job

    job = await factory.job(encoding="utf-16")
    await run_job(context, job_id=job.id)
    ended = await factory.get(job.id)
    assert ended is not None
    assert (ended.status, ended.crashes) == (JobStatus.FAILED, 0)


async def test_unknown_field_larger_than_the_allowance_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", b"a\n1\n"), "attachment": ("b.bin", b"x" * 2_000_000)})
    assert answer.status_code == 400
    assert "attachment" in answer.text


async def test_delivery_is_created_when_its_job_ends_and_not_before(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url="http://127.0.0.1:1/")
    async with context.database.unit_of_work() as session:
        await session.execute(text("SELECT 1"))
        await asyncio.sleep(1.5)  # a worker's transaction is up to five seconds old when it ends the job
        assert await job_state.finish(session, job_id=job.id, attempt=1, progress=PROGRESS)
    ended = await factory.get(job.id)
    async with context.database.unit_of_work() as session:
        [delivery] = await webhook_queries.list_deliveries(session, job_id=job.id)
        assert await webhook_queries.ring_unheard(session, limit=5) == []
    assert ended is not None
    assert ended.completed_at is not None
    assert delivery.created_at >= ended.completed_at


async def test_wrong_method_is_told_every_right_one(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job()
    answer = await client.put(f"/api/jobs/{job.id}")
    assert answer.status_code == 405
    assert {method.strip() for method in answer.headers["allow"].split(",")} >= {"GET", "DELETE"}


async def test_redelivery_during_an_attempt_loses_no_record(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    """If `redeliver` begins a new round during an attempt, both attempts are recorded, and the old one does not end the new round."""
    from features.webhooks.types import AttemptResult, Outcome

    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url="http://127.0.0.1:1/")
    async with context.database.unit_of_work() as session:
        assert await job_state.finish(session, job_id=job.id, attempt=1, progress=PROGRESS)
    [message] = [message for message in sent if message.task == "webhooks.send_delivery"]
    delivery_id = SendDelivery.model_validate(message.payload).delivery_id
    async with context.database.unit_of_work() as session:
        [old] = await webhook_queries.claim_deliveries(session, delivery_ids=[delivery_id], round_s=10.0)
    async with context.database.unit_of_work() as session:
        await webhook_queries.restart(session, delivery_id=delivery_id)
    async with context.database.unit_of_work() as session:
        [new] = await webhook_queries.claim_deliveries(session, delivery_ids=[delivery_id], round_s=10.0)
    result = AttemptResult(started_at=datetime.now(UTC), duration_ms=1, status_code=404, error=None, response_excerpt="")
    async with context.database.unit_of_work() as session:
        await webhook_queries.record_outcomes(session, outcomes=[Outcome(claimed=old, result=result, status=DeliveryStatus.REJECTED)])
    async with context.database.unit_of_work() as session:
        [delivery] = await webhook_queries.list_deliveries(session, job_id=job.id)
        assert delivery.status is DeliveryStatus.PENDING
        await webhook_queries.record_outcomes(session, outcomes=[Outcome(claimed=new, result=result, status=DeliveryStatus.REJECTED)])
    async with context.database.unit_of_work() as session:
        [delivery] = await webhook_queries.list_deliveries(session, job_id=job.id)
        assert len(delivery.attempts) == 2


async def _hold_open_transaction(database: Any, job_id: uuid.UUID) -> Any:
    """Act as a worker that has stored errors and then hangs with its transaction open."""
    connection = await database.engine.connect()
    await connection.execute(
        text(
            "INSERT INTO error_pieces (job_id, attempt, first_row, first_column, record_count, id, rules, row_numbers, rule_numbers, raw_values)"
            " VALUES (:id, 1, 2, 0, 1, gen_random_uuid(), '[]', '{2}', '{0}', '{NULL}')"
        ),
        {"id": job_id},
    )
    return connection


@pytest.mark.slow
async def test_expired_lease_is_taken_back_from_a_worker_that_hangs_in_its_transaction(context: TaskContext, database: Any, factory: Factory) -> None:
    from features.retry.tasks import take_back
    from shared.messages.refs import Nothing

    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, lease_expires_at=datetime.now(UTC) - timedelta(seconds=60))
    lease = TaskContext(settings=context.settings.model_copy(update={"job_lease_s": 0.001}), database=context.database, redis=context.redis)
    connection = await _hold_open_transaction(database, job.id)
    try:
        for _ in range(3):  # the sweep has to see it more than once
            await take_back(lease, Nothing())
            await asyncio.sleep(3)
        await take_back(lease, Nothing())
        after = await factory.get(job.id)
        assert after is not None
        assert after.status is JobStatus.QUEUED
    finally:
        await connection.close()


async def test_retry_does_not_wait_for_a_worker_that_hangs_in_its_transaction(client: httpx.AsyncClient, database: Any, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.CANCELLED, attempt=1, completed_at=datetime.now(UTC))
    connection = await _hold_open_transaction(database, job.id)
    try:
        start = time.monotonic()
        answer = await client.post(f"/api/jobs/{job.id}/retry")
        assert answer.status_code == 202
        assert time.monotonic() - start < 20
    finally:
        await connection.close()

"""The table of transitions, cell by cell: what each function does to a job in each status, and that the first commit wins."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.models import Job, JobStatus
from shared.db.session import Database
from shared.jobs import job_state
from shared.jobs.job_state import Progress
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from tests.factories import Factory

PROGRESS = Progress(percent=40, rows_processed=4, rows_failed=1, total_rows=None, error_count=1, errors_stored=1, error_tally=[{"count": 1}])
Transition = Callable[[AsyncSession, uuid.UUID], Awaitable[Any]]
S = JobStatus


async def take_back_all(session: AsyncSession) -> bool:
    expired = await job_state.list_expired(session)
    return any([await job_state.take_back(session, expired=lease, max_crashes=3, pause_s=0) for lease in expired])


TRANSITIONS: dict[str, tuple[Transition, dict[JobStatus, JobStatus]]] = {
    "claim": (lambda s, i: job_state.claim(s, lease_s=30), {S.QUEUED: S.PROCESSING}),
    "renew": (lambda s, i: job_state.renew(s, job_id=i, attempt=1, lease_s=30), {S.PROCESSING: S.PROCESSING}),
    "describe": (lambda s, i: job_state.describe(s, job_id=i, attempt=1, source={}, notes=[], schema_inferred=None), {S.PROCESSING: S.PROCESSING}),
    "checkpoint": (lambda s, i: job_state.checkpoint(s, job_id=i, attempt=1, progress=PROGRESS, lease_s=30), {S.PROCESSING: S.PROCESSING}),
    "finish": (lambda s, i: job_state.finish(s, job_id=i, attempt=1, progress=PROGRESS), {S.PROCESSING: S.COMPLETED}),
    "fail": (lambda s, i: job_state.fail(s, job_id=i, attempt=1, message="m", progress=PROGRESS), {S.PROCESSING: S.FAILED}),
    "cancel": (lambda s, i: job_state.cancel(s, job_id=i), {S.PROCESSING: S.CANCELLED}),
    "begin_anew": (lambda s, i: job_state.begin_anew(s, job_id=i, attempt=1, lease_s=30), {S.PROCESSING: S.PROCESSING}),
    "release": (lambda s, i: job_state.release(s, job_id=i, attempt=1), {S.PROCESSING: S.QUEUED}),
    "retry": (lambda s, i: job_state.retry(s, job_id=i), {S.FAILED: S.QUEUED, S.CANCELLED: S.QUEUED}),
    "count_crash": (lambda s, i: job_state.count_crash(s, job_id=i, attempt=1, max_crashes=3), {S.PROCESSING: S.QUEUED}),
    "count_machine_fault": (
        lambda s, i: job_state.count_machine_fault(s, job_id=i, attempt=1, message="m", pause_s=0),
        {S.PROCESSING: S.QUEUED},
    ),
    "take_back": (lambda s, i: take_back_all(s), {S.PROCESSING: S.QUEUED}),
    "last_crash": (lambda s, i: job_state.count_crash(s, job_id=i, attempt=1, max_crashes=1), {S.PROCESSING: S.FAILED}),
}


@pytest.mark.parametrize("status", list(JobStatus))
@pytest.mark.parametrize("name", TRANSITIONS)
async def test_transition_happens_only_from_its_statuses(database: Database, factory: Factory, name: str, status: JobStatus) -> None:
    transition, allowed = TRANSITIONS[name]
    job = await factory.job(status=status, attempt=1, lease_expires_at=datetime.now(UTC) - timedelta(hours=1))
    async with database.unit_of_work() as session:
        happened = bool(await transition(session, job.id))
    after = await factory.get(job.id)
    assert after is not None
    assert happened == (status in allowed)
    assert after.status == allowed.get(status, status)


@pytest.mark.parametrize("name", ["renew", "describe", "checkpoint", "finish", "fail", "release", "count_crash", "count_machine_fault"])
@pytest.mark.parametrize("attempt", [0, 2])
async def test_worker_with_another_attempt_changes_nothing(database: Database, factory: Factory, name: str, attempt: int) -> None:
    job = await factory.job(status=S.PROCESSING, attempt=attempt)
    async with database.unit_of_work() as session:
        assert not await TRANSITIONS[name][0](session, job.id)
    after = await factory.get(job.id)
    assert after is not None
    assert (after.status, after.attempt, after.rows_processed) == (S.PROCESSING, attempt, 0)


@pytest.mark.parametrize("name", ["claim", "cancel", "retry"])
async def test_deleted_job_is_nobodys(database: Database, factory: Factory, name: str) -> None:
    _, allowed = TRANSITIONS[name]
    for status in allowed:
        job = await factory.job(status=status, deleted_at=datetime.now(UTC))
        async with database.unit_of_work() as session:
            assert not await TRANSITIONS[name][0](session, job.id)


async def test_every_return_to_the_queue_raises_the_fence_and_starts_from_nothing(database: Database, factory: Factory) -> None:
    for name in ("release", "count_crash", "count_machine_fault", "take_back"):
        job = await factory.job(
            status=S.PROCESSING,
            attempt=1,
            rows_processed=5,
            progress=50,
            error_count=2,
            errors_stored=2,
            lease_expires_at=datetime.now(UTC) - timedelta(hours=1),
        )
        async with database.unit_of_work() as session:
            assert await TRANSITIONS[name][0](session, job.id)
        after = await factory.get(job.id)
        assert after is not None
        assert after.attempt == 2
        assert (after.rows_processed, after.progress, after.error_count, after.errors_stored, after.started_at) == (0, 0, 0, 0, None)
        assert after.purge_due_at is not None


async def test_one_of_many_claims_wins(database: Database, factory: Factory) -> None:
    await factory.job()

    async def claim() -> bool:
        async with database.unit_of_work() as session:
            return await job_state.claim(session, lease_s=30) is not None

    assert sum(await asyncio.gather(*(claim() for _ in range(8)))) == 1


@pytest.mark.parametrize("round_number", range(5))
async def test_end_and_cancel_at_the_same_moment_give_one_end_with_its_delivery(
    context: TaskContext, database: Database, factory: Factory, sent: list[Message], round_number: int
) -> None:
    job = await factory.job(status=S.PROCESSING, attempt=1, webhook_url="http://127.0.0.1:1/")

    async def run(name: str) -> bool:
        async with database.unit_of_work() as session:
            return bool(await TRANSITIONS[name][0](session, job.id))

    outcomes = await asyncio.gather(*(run(name) for name in (("finish", "cancel") if round_number % 2 else ("cancel", "finish"))))
    assert sorted(outcomes) == [False, True]
    assert len(sent) == 1


async def test_nothing_is_sent_when_the_transaction_fails(database: Database, factory: Factory, sent: list[Message]) -> None:
    job = await factory.ended_job(S.FAILED)
    with pytest.raises(ZeroDivisionError):
        async with database.unit_of_work() as session:
            assert await job_state.retry(session, job_id=job.id)
            raise ZeroDivisionError
    assert sent == []
    after = await factory.get(job.id)
    assert after is not None
    assert after.status == S.FAILED


async def test_fault_of_the_machine_makes_a_job_wait_longer_each_time_and_then_ends_it(database: Database, factory: Factory, sent: list[Message]) -> None:
    job = await factory.job()
    for faults, pause_s in ((1, 100), (2, 400)):
        claimed = await claim_now(database, job.id)
        async with database.unit_of_work() as session:
            given_back = await job_state.count_machine_fault(session, job_id=job.id, attempt=claimed.attempt, message="The disk is full.", pause_s=100)
        assert given_back is not None
        assert (given_back.status, given_back.crashes) == (S.QUEUED, faults)
        waiting = await factory.get(job.id)
        assert waiting is not None
        assert waiting.not_before is not None
        assert pause_s - 5 < (waiting.not_before - datetime.now(UTC)).total_seconds() <= pause_s
        assert waiting.next_ring_at == waiting.not_before
        assert (waiting.machine_faults, waiting.crashes) == (faults, 0)
        assert sent == []  # no message now, and a stray one claims nothing
        async with database.unit_of_work() as session:
            assert await job_state.claim(session, lease_s=30) is None
            assert await job_state.forget_rings(session) == 0
        await factory.set(job.id, not_before=datetime.now(UTC))
    claimed = await claim_now(database, job.id)
    assert claimed.not_before is None
    async with database.unit_of_work() as session:
        assert await job_state.count_machine_fault(session, job_id=job.id, attempt=claimed.attempt, message="The disk is full.", pause_s=100) is not None
    ended = await factory.get(job.id)
    assert ended is not None
    assert (ended.status, ended.error_message, ended.completed_at is not None) == (S.FAILED, "The disk is full.", True)
    async with database.unit_of_work() as session:
        assert await job_state.retry(session, job_id=job.id)
    again = await factory.get(job.id)
    assert again is not None
    assert (again.machine_faults, again.not_before) == (0, None)


async def claim_now(database: Database, job_id: uuid.UUID) -> Job:
    async with database.unit_of_work() as session:
        claimed = await job_state.claim(session, lease_s=30)
        assert claimed is not None
        return claimed


async def test_job_of_a_silent_worker_runs_again_at_once_and_then_after_a_pause(database: Database, factory: Factory, sent: list[Message]) -> None:
    job = await factory.job()
    for crashes, waits in ((1, False), (2, True)):
        await claim_now(database, job.id)
        await factory.set(job.id, lease_expires_at=datetime.now(UTC) - timedelta(minutes=1))
        async with database.unit_of_work() as session:
            [expired] = await job_state.list_expired(session)
            taken = await job_state.take_back(session, expired=expired, max_crashes=3, pause_s=100)
        assert taken is not None
        assert taken.crashes == crashes
        after = await factory.get(job.id)
        assert after is not None
        assert (after.not_before is not None) is waits
        assert len(sent) == (0 if waits else 1)
        sent.clear()
        await factory.set(job.id, not_before=None)
    await claim_now(database, job.id)
    await factory.set(job.id, lease_expires_at=datetime.now(UTC) - timedelta(minutes=1))
    async with database.unit_of_work() as session:
        [expired] = await job_state.list_expired(session)
        assert await job_state.take_back(session, expired=expired, max_crashes=3, pause_s=100) is not None
    ended = await factory.get(job.id)
    assert ended is not None
    assert ended.status is S.FAILED
    assert "The service was stopped 3 times" in str(ended.error_message)
    assert "check the file" not in str(ended.error_message)


async def test_job_that_begins_anew_is_the_next_attempt_of_the_same_worker(database: Database, factory: Factory) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=3, rows_processed=5, source={"encoding": "utf-8"}, errors_stored=1)
    async with database.unit_of_work() as session:
        assert await job_state.begin_anew(session, job_id=job.id, attempt=2, lease_s=30) is None
        again = await job_state.begin_anew(session, job_id=job.id, attempt=3, lease_s=30)
    assert again is not None
    assert (again.status, again.attempt, again.rows_processed, again.source, again.crashes) == (JobStatus.PROCESSING, 4, 0, None, 0)
    assert again.lease_expires_at is not None
    assert again.purge_due_at is not None

"""The table of an output's transitions, cell by cell: what each function does to an output in each status, and that the first commit wins."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contracts import MAKE_OUTPUT
from shared.db.models import MAX_SMALL_BYTES, Job, JobStatus, Output, OutputStatus
from shared.db.session import Database
from shared.jobs import job_state, output_state
from shared.jobs.output_state import Made
from shared.messages.outbox import Message
from tests.factories import Factory

MADE = Made(size_bytes=4, row_count=1, sha256="a" * 64, notes=["cut"])
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)
Transition = Callable[[AsyncSession, uuid.UUID], Awaitable[Any]]
S = OutputStatus


async def take_back_all(session: AsyncSession) -> bool:
    expired = await output_state.list_expired(session)
    return any([await output_state.take_back(session, expired=lease, max_crashes=3) for lease in expired])


TRANSITIONS: dict[str, tuple[Transition, dict[OutputStatus, OutputStatus]]] = {
    "claim": (lambda s, i: output_state.claim(s, lease_s=30), {S.QUEUED: S.RUNNING}),
    "is_held": (lambda s, i: output_state.is_held(s, output_id=i, claim=1), {S.RUNNING: S.RUNNING}),
    "renew": (lambda s, i: output_state.renew(s, output_id=i, claim=1, lease_s=30), {S.RUNNING: S.RUNNING}),
    "advance": (lambda s, i: output_state.advance(s, output_id=i, claim=1, percent=50, lease_s=30), {S.RUNNING: S.RUNNING}),
    "finish": (lambda s, i: output_state.finish(s, output_id=i, claim=1, made=MADE), {S.RUNNING: S.READY}),
    "fail": (lambda s, i: output_state.fail(s, output_id=i, claim=1, message="m"), {S.RUNNING: S.FAILED}),
    "release": (lambda s, i: output_state.release(s, output_id=i, claim=1), {S.RUNNING: S.QUEUED}),
    "count_crash": (lambda s, i: output_state.count_crash(s, output_id=i, claim=1, max_crashes=3), {S.RUNNING: S.QUEUED}),
    "last_crash": (lambda s, i: output_state.count_crash(s, output_id=i, claim=1, max_crashes=1), {S.RUNNING: S.FAILED}),
    "take_back": (lambda s, _: take_back_all(s), {S.RUNNING: S.QUEUED}),
}


@pytest.fixture
async def job(factory: Factory) -> Job:
    return await factory.ended_job(JobStatus.FAILED, source={})


async def insert(database: Database, job: Job, status: OutputStatus = S.QUEUED, **values: Any) -> Output:
    async with database.unit_of_work() as session:
        output = Output(**{"job_id": job.id, "attempt": 1, "name": "valid.csv", "claim": 1, "status": status, "lease_expires_at": LONG_AGO, **values})
        session.add(output)
    return output


async def get(database: Database, output_id: uuid.UUID) -> Output:
    async with database.reading() as session:
        return (await session.scalars(select(Output).where(Output.id == output_id))).one()


@pytest.mark.parametrize("status", list(OutputStatus))
@pytest.mark.parametrize("name", TRANSITIONS)
async def test_transition_happens_only_from_its_statuses(database: Database, job: Job, name: str, status: OutputStatus) -> None:
    transition, allowed = TRANSITIONS[name]
    output = await insert(database, job, status)
    async with database.unit_of_work() as session:
        happened = bool(await transition(session, output.id))
    assert happened == (status in allowed)
    assert (await get(database, output.id)).status == allowed.get(status, status)


@pytest.mark.parametrize("name", [name for name in TRANSITIONS if name not in {"claim", "take_back"}])
@pytest.mark.parametrize("claim", [0, 2])
async def test_worker_with_another_claim_changes_nothing(database: Database, job: Job, name: str, claim: int) -> None:
    output = await insert(database, job, S.RUNNING, claim=claim)
    async with database.unit_of_work() as session:
        assert not await TRANSITIONS[name][0](session, output.id)
    after = await get(database, output.id)
    assert (after.status, after.claim, after.progress) == (S.RUNNING, claim, 0)


@pytest.mark.parametrize("name", ["release", "count_crash", "take_back"])
async def test_every_return_to_the_queue_raises_the_fence_and_rings(database: Database, job: Job, sent: list[Message], name: str) -> None:
    output = await insert(database, job, S.RUNNING, progress=50)
    async with database.unit_of_work() as session:
        assert await TRANSITIONS[name][0](session, output.id)
    after = await get(database, output.id)
    assert (after.claim, after.progress, after.started_at, after.lease_expires_at) == (2, 0, None, None)
    assert [(message.task, message.payload) for message in sent] == [(MAKE_OUTPUT.name, {"output_id": str(output.id)})]


@pytest.mark.parametrize(
    ("values", "is_queued"),
    [
        ({"status": S.QUEUED}, False),
        ({"status": S.RUNNING}, False),
        ({"status": S.READY}, False),
        ({"status": S.READY, "expired_at": LONG_AGO}, True),
        ({"status": S.FAILED, "error_message": "m", "crashes": 3}, True),
        ({"status": S.RUNNING, "attempt": 0}, True),
    ],
)
async def test_asking_again_makes_only_what_is_not_there(database: Database, job: Job, sent: list[Message], values: dict[str, Any], is_queued: bool) -> None:
    output = await insert(database, job, **values)
    async with database.unit_of_work() as session:
        asked = await output_state.ask(session, job_id=job.id, attempt=1, name="valid.csv")
    assert asked.id == output.id
    assert len(sent) == is_queued
    if is_queued:
        assert (asked.status, asked.claim, asked.crashes, asked.error_message, asked.expired_at, asked.attempt) == (S.QUEUED, 2, 0, None, None, 1)
    else:
        assert (asked.status, asked.claim) == (values["status"], 1)


async def test_output_that_an_older_release_made_takes_the_turn_and_the_size_of_its_job_when_it_is_asked_for_again(
    database: Database, factory: Factory
) -> None:
    job = await factory.ended_job(JobStatus.FAILED, source={}, submitted_by="a", file_size=2 * MAX_SMALL_BYTES)
    await insert(database, job, S.FAILED, error_message="m", submitted_by=None, file_size=0)
    async with database.unit_of_work() as session:
        asked = await output_state.ask(session, job_id=job.id, attempt=1, name="valid.csv")
    assert (asked.submitted_by, asked.file_size, asked.is_large) == ("a", 2 * MAX_SMALL_BYTES, True)


async def test_outputs_of_a_job_that_is_retried_or_deleted_are_gone(database: Database, factory: Factory) -> None:
    for change in (job_state.retry, job_state.hide):
        job = await factory.ended_job(JobStatus.FAILED, source={})
        output = await insert(database, job, S.RUNNING)
        async with database.unit_of_work() as session:
            assert await change(session, job_id=job.id)
        async with database.unit_of_work() as session:
            assert not await output_state.renew(session, output_id=output.id, claim=1, lease_s=30)
            assert (await session.scalars(select(Output))).all() == []


async def test_output_of_another_attempt_or_a_deleted_job_is_not_claimed(database: Database, factory: Factory) -> None:
    for values in ({"attempt": 2}, {"deleted_at": LONG_AGO}):
        job = await factory.ended_job(JobStatus.COMPLETED, **values)
        await insert(database, job)
        async with database.unit_of_work() as session:
            assert await output_state.claim(session, lease_s=30) is None
            assert not await output_state.is_any_waiting(session)


async def test_one_of_many_claims_wins(database: Database, job: Job) -> None:
    await insert(database, job)

    async def claim() -> bool:
        async with database.unit_of_work() as session:
            return await output_state.claim(session, lease_s=30) is not None

    assert sum(await asyncio.gather(*(claim() for _ in range(8)))) == 1


async def test_many_who_ask_at_once_get_one_output(database: Database, job: Job, sent: list[Message]) -> None:
    async def ask() -> uuid.UUID:
        async with database.unit_of_work() as session:
            return (await output_state.ask(session, job_id=job.id, attempt=1, name="valid.csv")).id

    assert len(set(await asyncio.gather(*(ask() for _ in range(8))))) == 1
    assert len(sent) == 1


@pytest.mark.parametrize("round_number", range(10))
async def test_end_of_an_output_and_a_retry_at_once_never_wait_for_each_other_for_ever(database: Database, factory: Factory, round_number: int) -> None:
    job = await factory.ended_job(JobStatus.FAILED, source={})
    names = ["valid.csv", "rejected.csv", "errors.csv"]
    outputs = [await insert(database, job, S.RUNNING, name=name, is_wanted=True) for name in names]

    async def finish(output: Output) -> bool:
        async with database.unit_of_work() as session:
            return await output_state.finish(session, output_id=output.id, claim=1, made=MADE)

    async def retry() -> bool:
        async with database.unit_of_work() as session:
            return await job_state.retry(session, job_id=job.id)

    works = [finish(output) for output in outputs]
    works.insert(round_number % 4, retry())
    await asyncio.wait_for(asyncio.gather(*works), 10)
    async with database.reading() as session:
        assert (await session.scalars(select(Output))).all() == []


async def test_outputs_that_end_at_once_are_told_together_once(database: Database, factory: Factory, sent: list[Message]) -> None:
    for _ in range(5):
        job = await factory.ended_job(JobStatus.COMPLETED, source={}, webhook_url="http://127.0.0.1:9/")
        outputs = [await insert(database, job, S.RUNNING, name=name, is_wanted=True) for name in ("valid.csv", "errors.csv", "rejected.csv")]
        sent.clear()

        async def finish(output: Output) -> bool:
            async with database.unit_of_work() as session:
                return await output_state.finish(session, output_id=output.id, claim=1, made=MADE)

        assert all(await asyncio.gather(*(finish(output) for output in outputs)))
        assert [message.task for message in sent] == ["webhooks.send_delivery"]


async def test_progress_never_falls(database: Database, job: Job) -> None:
    output = await insert(database, job, S.RUNNING, progress=70)
    async with database.unit_of_work() as session:
        assert await output_state.advance(session, output_id=output.id, claim=1, percent=50, lease_s=30)
    assert (await get(database, output.id)).progress == 70


async def test_unanswered_outputs_are_rung_at_growing_intervals(database: Database, job: Job, sent: list[Message]) -> None:
    output = await insert(database, job, next_ring_at=LONG_AGO)
    await insert(database, job, S.RUNNING, name="errors.csv", next_ring_at=LONG_AGO)
    async with database.unit_of_work() as session:
        assert await output_state.ring_again(session, limit=10) == 1
        assert await output_state.ring_again(session, limit=10) == 0
        assert await output_state.forget_rings(session) == 1
        assert await output_state.ring_again(session, limit=10) == 1
    assert [message.payload for message in sent] == [{"output_id": str(output.id)}] * 2


async def test_lease_that_was_renewed_is_not_taken_back(database: Database, job: Job) -> None:
    output = await insert(database, job, S.RUNNING)
    async with database.unit_of_work() as session:
        [expired] = await output_state.list_expired(session)
    async with database.unit_of_work() as session:
        assert await output_state.renew(session, output_id=output.id, claim=1, lease_s=30)
    async with database.unit_of_work() as session:
        assert await output_state.take_back(session, expired=expired, max_crashes=3) is None


async def test_only_content_that_is_old_enough_expires(database: Database, factory: Factory) -> None:
    for status, completed_at in ((S.READY, LONG_AGO), (S.READY, datetime.now(UTC)), (S.FAILED, LONG_AGO), (S.QUEUED, None)):
        await insert(database, await factory.ended_job(), status, completed_at=completed_at)
    async with database.unit_of_work() as session:
        moment = datetime.now(UTC) - timedelta(minutes=1)
        [expired] = await output_state.expire(session, moment=moment, limit=10)
        assert await output_state.expire(session, moment=moment, limit=10) == []
    assert expired.completed_at == LONG_AGO

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from features.retry import tasks
from shared.db.models import JobStatus
from shared.jobs import job_state
from shared.jobs.suspects import Suspects
from shared.messages.outbox import Message
from shared.messages.redis_client import open_redis
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from tests.factories import Factory

PAST = datetime.now(UTC) - timedelta(seconds=5)
FUTURE = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let each test look like a new process to the sweep, with a clock that the test moves."""
    clock = Clock()
    monkeypatch.setattr(tasks, "_suspects", Suspects())
    monkeypatch.setattr(tasks, "time", clock)
    return clock


class Clock:
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


async def sweep(context: TaskContext, clock: Clock, *, for_s: float = 15) -> None:
    """Sweep every five seconds, as the schedule does."""
    for _ in range(int(for_s / tasks.EVERY_S) + 1):
        await tasks.take_back(context, Nothing())
        clock.now_s += tasks.EVERY_S


async def test_job_of_a_silent_worker_goes_back_to_the_queue(context: TaskContext, factory: Factory, clock: Clock, sent: list[Message]) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, lease_expires_at=PAST, rows_processed=5, progress=50)
    await sweep(context, clock)
    taken = await factory.get(job.id)
    assert taken is not None
    assert (taken.status, taken.crashes, taken.progress, taken.rows_processed) == (JobStatus.QUEUED, 1, 0, 0)
    assert taken.attempt > 1
    assert [message.payload for message in sent] == [{"job_id": str(job.id)}]


async def test_job_whose_lease_is_not_over_is_left_alone(context: TaskContext, factory: Factory, clock: Clock, sent: list[Message]) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, lease_expires_at=FUTURE)
    await sweep(context, clock)
    left = await factory.get(job.id)
    assert left is not None
    assert left.status == JobStatus.PROCESSING
    assert sent == []


async def test_worker_that_renews_in_time_keeps_its_job(context: TaskContext, factory: Factory, clock: Clock) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, lease_expires_at=PAST)
    await sweep(context, clock, for_s=10)
    async with context.database.unit_of_work() as session:
        assert await job_state.renew(session, job_id=job.id, attempt=1, lease_s=0)
    await sweep(context, clock, for_s=10)
    kept = await factory.get(job.id)
    assert kept is not None
    assert (kept.status, kept.crashes) == (JobStatus.PROCESSING, 0)


async def test_lease_that_was_over_before_an_outage_is_judged_anew_after_it(context: TaskContext, factory: Factory, clock: Clock) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, lease_expires_at=PAST)
    await sweep(context, clock, for_s=5)
    clock.now_s += 60
    await sweep(context, clock, for_s=10)
    kept = await factory.get(job.id)
    assert kept is not None
    assert kept.status == JobStatus.PROCESSING
    await sweep(context, clock, for_s=5)
    taken = await factory.get(job.id)
    assert taken is not None
    assert (taken.status, taken.crashes) == (JobStatus.QUEUED, 1)


async def test_third_crash_fails_the_job_and_says_so(context: TaskContext, factory: Factory, clock: Clock, sent: list[Message]) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=3, crashes=2, lease_expires_at=PAST, webhook_url="http://127.0.0.1:1/")
    await sweep(context, clock)
    failed = await factory.get(job.id)
    assert failed is not None
    assert (failed.status, failed.crashes) == (JobStatus.FAILED, 3)
    assert failed.completed_at is not None
    assert "3 times" in str(failed.error_message)
    assert [message.task for message in sent] == ["webhooks.send_delivery"]


async def test_two_sweeps_at_once_count_one_crash(context: TaskContext, factory: Factory, clock: Clock) -> None:
    job = await factory.job(status=JobStatus.PROCESSING, attempt=1, lease_expires_at=PAST)
    await sweep(context, clock, for_s=5)
    clock.now_s += 5
    await asyncio.gather(*(tasks.take_back(context, Nothing()) for _ in range(4)))
    taken = await factory.get(job.id)
    assert taken is not None
    assert taken.crashes == 1


async def test_unanswered_job_is_rung_again_at_growing_intervals(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    await context.redis.set(tasks.MEMORY_KEY, "yes")
    due = await factory.job(next_ring_at=PAST)
    await factory.job(next_ring_at=FUTURE)
    await factory.ended_job(next_ring_at=PAST)
    waits = []
    for _ in range(8):
        await tasks.ring_again(context, Nothing())
        job = await factory.get(due.id)
        assert job is not None
        assert job.next_ring_at is not None
        waits.append(round((job.next_ring_at - datetime.now(UTC)).total_seconds(), -1))
        await factory.set(due.id, next_ring_at=PAST)
    assert [message.payload for message in sent] == [{"job_id": str(due.id)}] * 8
    assert waits == sorted(waits)
    assert waits[0] == 2 * job_state.FIRST_RING_INTERVAL_S
    assert waits[-1] == job_state.MAX_RING_INTERVAL_S


async def test_broker_that_forgot_everything_has_every_waiting_job_rung(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    jobs = [await factory.job(next_ring_at=FUTURE) for _ in range(3)]
    await tasks.ring_again(context, Nothing())
    assert {str(message.payload["job_id"]) for message in sent} == {str(job.id) for job in jobs}
    await tasks.ring_again(context, Nothing())
    assert len(sent) == 3
    await context.redis.flushdb()
    await tasks.ring_again(context, Nothing())
    assert len(sent) == 6


async def test_broker_that_is_away_costs_no_job_its_turn(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    job = await factory.job(next_ring_at=PAST)
    gone = open_redis(context.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    await tasks.ring_again(TaskContext(settings=context.settings, database=context.database, redis=gone), Nothing())
    await gone.aclose()
    left = await factory.get(job.id)
    assert left is not None
    assert left.rings == 0
    assert sent == []

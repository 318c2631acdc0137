"""Messages that say that something waits: what they lead to, and how they are held while it may not be claimed."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from features.processing import claiming, tasks
from shared.contracts import PROCESS_JOB, MakeOutput, ProcessJob
from shared.db.models import MAX_SMALL_BYTES, Job, JobStatus
from shared.jobs import job_state, output_state
from shared.messages.bell import bell_of
from shared.messages.outbox import Message, enqueue
from shared.messages.tasks import TaskContext
from shared.worker import large_places, shutdown
from tests.factories import Factory

LARGE = MAX_SMALL_BYTES + 1
EARLIER = datetime.now(UTC) - timedelta(hours=1)


class Places:
    """Stands for the places of a worker of which all but one are taken."""

    def __init__(self) -> None:
        self.spares_slot = False
        self.taken = 0

    def take(self) -> bool:
        self.taken = 1
        return self.spares_slot

    def give_back(self) -> None:
        self.taken = 0


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Places:
    made = Places()
    monkeypatch.setattr(large_places, "_places", made)
    return made


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def set_times(hold_s: float) -> None:
        monkeypatch.setattr(claiming, "HOLD_S", hold_s)
        monkeypatch.setattr(claiming, "LOOK_S", (0.02, 0.04))

    set_times(0.3)
    return set_times


async def status_of(factory: Factory, job: Job) -> JobStatus:
    found = await factory.get(job.id)
    assert found is not None
    return found.status


async def has(condition: Callable[[], Awaitable[bool]], *, timeout_s: float = 10) -> bool:
    end = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


async def test_message_leads_to_the_job_whose_turn_it_is_and_every_job_ends(context: TaskContext, factory: Factory) -> None:
    jobs = [await factory.job(submitted_by=name, created_at=EARLIER + timedelta(seconds=number)) for number, name in enumerate("aab")]
    order = []
    for job in reversed(jobs):
        await tasks.process_job(context, ProcessJob(job_id=job.id))
        order.append([await status_of(factory, each) is JobStatus.COMPLETED for each in jobs])
    assert order == [[True, False, False], [True, False, True], [True, True, True]]
    await tasks.process_job(context, ProcessJob(job_id=jobs[0].id))  # one too many finds nothing to do


async def test_log_names_the_job_that_was_claimed_and_not_the_request_of_the_message(context: TaskContext, factory: Factory) -> None:
    first = await factory.job(submitted_by="a", created_at=EARLIER)
    second = await factory.job(submitted_by="a")

    async def run(rung_for: Job) -> list[Any]:
        structlog.contextvars.bind_contextvars(job_id=str(rung_for.id), request_id=f"request-of-{rung_for.id}")
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs:
            await tasks.process_job(context, ProcessJob(job_id=rung_for.id))
        return [line for line in logs if line["event"] in {"job claimed", "job completed"}]

    for line in await asyncio.create_task(run(second)):
        assert (line["job_id"], "request_id" in line) == (str(first.id), False)
    for line in await asyncio.create_task(run(second)):
        assert (line["job_id"], line["request_id"]) == (str(second.id), f"request-of-{second.id}")


async def test_webhook_of_another_job_does_not_carry_the_request_of_the_message(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    await factory.job(submitted_by="a", created_at=EARLIER, webhook_url="http://127.0.0.1:9/")
    rung_for = await factory.job(submitted_by="a")

    async def run() -> None:
        structlog.contextvars.bind_contextvars(request_id="another")
        await tasks.process_job(context, ProcessJob(job_id=rung_for.id))

    await asyncio.create_task(run())
    assert [(message.task, message.request_id) for message in sent] == [("webhooks.send_delivery", None)]


async def test_large_file_is_left_to_others_while_a_slot_is_spared(
    context: TaskContext, factory: Factory, sent: list[Message], places: Places, wait: Callable[[float], None]
) -> None:
    large = await factory.job(submitted_by="a", file_size=LARGE, created_at=EARLIER)
    running = await factory.job(submitted_by="b", status=JobStatus.PROCESSING)
    start = time.monotonic()
    await tasks.process_job(context, ProcessJob(job_id=running.id))
    assert 0.25 < time.monotonic() - start < 10
    assert await status_of(factory, large) is JobStatus.QUEUED
    assert [(message.task, message.payload) for message in sent] == [(PROCESS_JOB.name, {"job_id": str(large.id)})]  # there is still one for each that waits
    assert places.taken == 0
    places.spares_slot = True
    await tasks.process_job(context, ProcessJob(job_id=large.id))
    assert await status_of(factory, large) is JobStatus.COMPLETED
    assert places.taken == 0


async def test_small_file_that_comes_is_claimed_at_once_with_the_message_that_is_held(
    context: TaskContext, factory: Factory, sent: list[Message], places: Places, wait: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(30)
    monkeypatch.setattr(claiming, "LOOK_S", (20.0, 20.0))
    large = await factory.job(submitted_by="a", file_size=LARGE, created_at=EARLIER)
    await factory.job(submitted_by="b", status=JobStatus.PROCESSING)
    held = asyncio.ensure_future(tasks.process_job(context, ProcessJob(job_id=large.id)))

    async def is_listening() -> bool:
        return dict(await context.redis.pubsub_numsub(bell_of("processing")))[bell_of("processing")] == 1

    assert await has(is_listening)
    await asyncio.sleep(0.2)
    small = await factory.job(submitted_by="c")
    await context.redis.publish(bell_of("processing"), "")  # as the broker does when it sends the message of the job
    await asyncio.wait_for(held, 10)
    assert [await status_of(factory, job) for job in (small, large)] == [JobStatus.COMPLETED, JobStatus.QUEUED]
    places.spares_slot = True
    await tasks.process_job(context, ProcessJob(job_id=small.id))
    assert await status_of(factory, large) is JobStatus.COMPLETED  # by the message of the small one


async def test_held_message_goes_back_at_once_when_the_worker_stops(
    context: TaskContext, factory: Factory, sent: list[Message], places: Places, wait: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    wait(60)
    is_requested = False
    monkeypatch.setattr(shutdown, "is_requested", lambda: is_requested)
    large = await factory.job(submitted_by="a", file_size=LARGE)
    await factory.job(submitted_by="b", status=JobStatus.PROCESSING)
    held = asyncio.ensure_future(tasks.process_job(context, ProcessJob(job_id=large.id)))
    await asyncio.sleep(0.3)
    assert not held.done()
    assert sent == []
    is_requested = True
    await asyncio.wait_for(held, 30)
    assert [message.payload for message in sent] == [{"job_id": str(large.id)}]
    assert await status_of(factory, large) is JobStatus.QUEUED


async def test_job_that_somebody_holds_for_a_moment_is_not_forgotten(context: TaskContext, factory: Factory, wait: Callable[[float], None]) -> None:
    wait(20)
    job = await factory.job()
    async with context.database.unit_of_work() as session:
        await session.get_one(Job, job.id, with_for_update=True)
        running = asyncio.ensure_future(tasks.process_job(context, ProcessJob(job_id=job.id)))
        await asyncio.sleep(0.3)
        assert not running.done()
    await asyncio.wait_for(running, 20)
    assert await status_of(factory, job) is JobStatus.COMPLETED


async def test_messages_that_are_passed_on_suffice_for_all_that_waits(
    context: TaskContext, factory: Factory, sent: list[Message], places: Places, wait: Callable[[float], None]
) -> None:
    """As many messages as jobs, whichever are claimed, held and passed on meanwhile."""
    wait(0.05)
    jobs = [await factory.job(submitted_by="ab"[number % 2], file_size=LARGE if number % 3 else 9) for number in range(9)]
    async with context.database.unit_of_work() as session:
        for job in jobs:
            enqueue(session, PROCESS_JOB, ProcessJob(job_id=job.id))
    for turn in range(60):
        if not sent:
            break
        places.spares_slot = turn % 2 == 1
        await tasks.process_job(context, ProcessJob.model_validate(sent.pop(0).payload))
    assert [await status_of(factory, job) for job in jobs] == [JobStatus.COMPLETED] * 9


async def test_message_of_an_output_leads_to_the_one_whose_turn_it_is(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async def make_job(submitter: str) -> Job:
        job = await factory.job(submitted_by=submitter)
        await tasks.process_job(context, ProcessJob(job_id=job.id))
        done = await factory.get(job.id)
        assert done is not None
        return done

    asked: list[uuid.UUID] = []
    for submitter, names in (("a", ["valid.csv", "rejected.csv"]), ("b", ["valid.csv"])):
        job = await make_job(submitter)
        for name in names:
            async with context.database.unit_of_work() as session:
                asked.append((await output_state.ask(session, job_id=job.id, attempt=job.attempt, name=name)).id)
    for output_id in reversed(asked):
        await tasks.make_output_of_job(context, MakeOutput(output_id=output_id))
    async with context.database.reading() as session:
        assert not await output_state.is_any_waiting(session)
        assert not await job_state.is_any_waiting(session)

"""Periodic sweeps that keep jobs from being lost to dead workers and lost messages."""

from __future__ import annotations

import time

import structlog
from redis.exceptions import RedisError

from features.retry import metrics
from features.retry.suspects import Suspects
from shared.contracts import MAINTENANCE_QUEUE
from shared.db.session import SENT
from shared.jobs import job_state
from shared.messages.redis_client import explain
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

TAKE_BACK = TaskRef("retry.take_back", MAINTENANCE_QUEUE, Nothing)
RING_AGAIN = TaskRef("retry.ring_again", MAINTENANCE_QUEUE, Nothing)
RING_JOBS = 500
MEMORY_KEY = "rowgate:broker-remembers"
"""A key in the broker's own Redis: if it is gone, the messages are gone too."""

EVERY_S = 5.0
log = structlog.get_logger(__name__)


_suspects = Suspects()


@task(TAKE_BACK, every_s=EVERY_S, time_limit_s=30)
async def take_back(context: TaskContext, _: Nothing) -> None:
    """Take back jobs whose worker has been silent for longer than its lease although the database was reachable."""
    async with context.database.unit_of_work() as session:
        expired = await job_state.list_expired(session)
    for lease in _suspects.judge(expired, now_s=time.monotonic(), lease_s=context.settings.job_lease_s):
        async with context.database.unit_of_work() as session:
            job = await job_state.take_back(session, expired=lease, max_crashes=context.settings.max_crashes)
        if job is not None:
            metrics.LEASES_TAKEN_BACK.labels(job.status.value).inc()
            log.warning("took a job back from a silent worker", job_id=str(job.job_id), status=job.status.value, crashes=job.crashes)


@task(RING_AGAIN, every_s=EVERY_S, time_limit_s=30)
async def ring_again(context: TaskContext, _: Nothing) -> None:
    """Send the messages of unanswered QUEUED jobs again; those of all QUEUED jobs if the broker has lost its messages."""
    try:
        if not await context.redis.exists(MEMORY_KEY):
            async with context.database.unit_of_work() as session:
                forgotten = await job_state.forget_rings(session)
            await context.redis.set(MEMORY_KEY, "yes")
            if forgotten:
                log.warning("the broker had lost its messages: they are sent again", jobs=forgotten)
        await context.redis.ping()
    except RedisError as error:
        log.warning("the broker is unreachable: no message is sent again until it is back", reason=explain(error))
        return
    rung, sent = RING_JOBS, True
    while rung == RING_JOBS and sent:
        async with context.database.unit_of_work() as session:
            rung = await job_state.ring_again(session, limit=RING_JOBS)
        sent = bool(session.info[SENT])
        if rung:
            metrics.MESSAGES_SENT_AGAIN.inc(rung)
            log.info("sent messages of QUEUED jobs again", jobs=rung, taken=sent)
    if not sent:
        await forget_broker(context)


async def forget_broker(context: TaskContext) -> None:
    """Make the next sweep send every QUEUED job's message again: messages that the broker did not take were recorded as sent."""
    try:
        await context.redis.delete(MEMORY_KEY)
    except RedisError as error:
        log.warning("the broker is unreachable", reason=explain(error))

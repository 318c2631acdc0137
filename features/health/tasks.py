"""Heartbeat through the whole chain: schedule → dispatcher → broker → worker."""

from __future__ import annotations

from features.health import heartbeat, queries
from shared.contracts import MAINTENANCE_QUEUE, PROCESSING_QUEUE
from shared.messages.outbox import enqueue
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

BEAT = TaskRef("health.beat", MAINTENANCE_QUEUE, Nothing)
ANSWER_BEAT = TaskRef("health.answer_beat", PROCESSING_QUEUE, Nothing)


@task(BEAT, every_s=heartbeat.EVERY_S, time_limit_s=10)
async def beat(context: TaskContext, _: Nothing) -> None:
    """Record that the schedule ticks, and ask a worker to answer. A running job counts as an answer too, since every slot may be busy."""
    await heartbeat.record(context.redis, heartbeat.DISPATCHER_KEY)
    async with context.database.unit_of_work() as session:
        if await queries.count_held_jobs(session) > 0:
            await heartbeat.record(context.redis, heartbeat.WORKER_KEY)
        enqueue(session, ANSWER_BEAT, Nothing(), expires_s=heartbeat.EVERY_S)


@task(ANSWER_BEAT, time_limit_s=10)
async def answer_beat(context: TaskContext, _: Nothing) -> None:
    """Record that a worker answers."""
    await heartbeat.record(context.redis, heartbeat.WORKER_KEY)

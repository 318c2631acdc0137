"""Periodic sweeps of outputs: back from silent workers, rung again, away after their time, and nothing left on disk."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from features.outputs import metrics
from features.outputs.ask import locate
from features.outputs.sweep import remove, sweep_outputs
from shared.contracts import MAINTENANCE_QUEUE
from shared.jobs import output_state
from shared.jobs.output_state import ExpiredLease
from shared.jobs.ringing import ring_unanswered
from shared.jobs.storage_guard import get_guard
from shared.jobs.stored_files import get_storage
from shared.jobs.suspects import Suspects
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

TAKE_BACK = TaskRef("outputs.take_back", MAINTENANCE_QUEUE, Nothing)
RING_AGAIN = TaskRef("outputs.ring_again", MAINTENANCE_QUEUE, Nothing)
APPLY_RETENTION = TaskRef("outputs.apply_retention", MAINTENANCE_QUEUE, Nothing)
SWEEP_FILES = TaskRef("outputs.sweep_files", MAINTENANCE_QUEUE, Nothing)
MEMORY_KEY = "rowgate:broker-remembers-outputs"
EVERY_S = 5.0
BATCH_OUTPUTS = 500

log = structlog.get_logger(__name__)

_suspects: Suspects[ExpiredLease] = Suspects()


@task(TAKE_BACK, every_s=EVERY_S, time_limit_s=30)
async def take_back(context: TaskContext, _: Nothing) -> None:
    """Take back outputs whose worker has been silent for longer than its lease although the database was reachable."""
    async with context.database.unit_of_work() as session:
        expired = await output_state.list_expired(session)
    for lease in _suspects.judge(expired, now_s=time.monotonic(), lease_s=context.settings.job_lease_s):
        async with context.database.unit_of_work() as session:
            output = await output_state.take_back(session, expired=lease, max_crashes=context.settings.max_crashes)
        if output is not None:
            metrics.LEASES_TAKEN_BACK.labels(output.status.value).inc()
            log.warning("took an output back from a silent worker", output_id=str(output.output_id), status=output.status.value, crashes=output.crashes)


@task(RING_AGAIN, every_s=EVERY_S, time_limit_s=30)
async def ring_again(context: TaskContext, _: Nothing) -> None:
    """Send the messages of unanswered QUEUED outputs again; those of all QUEUED outputs if the broker has lost its messages."""
    if await get_guard(context).find_problem() is not None:
        return
    metrics.MESSAGES_SENT_AGAIN.inc(await ring_unanswered(context, memory_key=MEMORY_KEY, forget=output_state.forget_rings, ring=_ring))


async def _ring(session: AsyncSession, limit: int) -> int:
    return await output_state.ring_again(session, limit=limit)


@task(APPLY_RETENTION, every_s=600, time_limit_s=540)
async def apply_retention(context: TaskContext, _: Nothing) -> None:
    """Remove the content of outputs that were made more than `OUTPUT_RETENTION_DAYS` ago, in batches."""
    days = context.settings.output_retention_days
    if days == 0 or await get_guard(context).find_problem(fresh=True) is not None:
        return
    moment = datetime.now(UTC) - timedelta(days=days)
    count = BATCH_OUTPUTS
    while count == BATCH_OUTPUTS:
        async with context.database.unit_of_work() as session:
            outputs = await output_state.expire(session, moment=moment, limit=BATCH_OUTPUTS)
        count = len(outputs)
        for output in outputs:
            await remove(get_storage(context), locate(output))
        if outputs:
            metrics.EXPIRED.inc(count)
            log.info("retention removed the content of outputs", outputs=count)


@task(SWEEP_FILES, every_s=300, time_limit_s=240)
async def sweep_files(context: TaskContext, _: Nothing) -> None:
    """Remove files and folders of outputs that belong to nobody."""
    if await get_guard(context).find_problem(fresh=True) is None:
        await sweep_outputs(context.database, get_storage(context))

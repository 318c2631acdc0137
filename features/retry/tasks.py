"""Periodic sweeps that keep jobs from being lost to dead workers and lost messages."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from features.retry import metrics
from shared.contracts import MAINTENANCE_QUEUE
from shared.jobs import job_state
from shared.jobs.job_state import ExpiredLease
from shared.jobs.ringing import ring_unanswered
from shared.jobs.storage_guard import get_guard
from shared.jobs.suspects import Suspects
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task
from shared.observing.metrics import MACHINE_FAULTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

TAKE_BACK = TaskRef("retry.take_back", MAINTENANCE_QUEUE, Nothing)
RING_AGAIN = TaskRef("retry.ring_again", MAINTENANCE_QUEUE, Nothing)
MEMORY_KEY = "rowgate:broker-remembers"

EVERY_S = 5.0
log = structlog.get_logger(__name__)


_suspects: Suspects[ExpiredLease] = Suspects()


@task(TAKE_BACK, every_s=EVERY_S, time_limit_s=30)
async def take_back(context: TaskContext, _: Nothing) -> None:
    """Take back jobs whose worker has been silent for longer than its lease although the database was reachable."""
    async with context.database.unit_of_work() as session:
        expired = await job_state.list_expired(session)
    for lease in _suspects.judge(expired, now_s=time.monotonic(), lease_s=context.settings.job_lease_s):
        async with context.database.unit_of_work() as session:
            settings = context.settings
            job = await job_state.take_back(session, expired=lease, max_crashes=settings.max_crashes, pause_s=settings.fault_pause_s)
        if job is not None:
            MACHINE_FAULTS.labels("killed").inc()
            metrics.LEASES_TAKEN_BACK.labels(job.status.value).inc()
            log.warning("took a job back from a silent worker", job_id=str(job.job_id), status=job.status.value, crashes=job.crashes)


@task(RING_AGAIN, every_s=EVERY_S, time_limit_s=30)
async def ring_again(context: TaskContext, _: Nothing) -> None:
    """Send the messages of unanswered QUEUED jobs again; those of all QUEUED jobs if the broker has lost its messages."""
    if await get_guard(context).find_problem() is not None:
        return  # no worker could run them; all are rung for once the storage is back
    metrics.MESSAGES_SENT_AGAIN.inc(await ring_unanswered(context, memory_key=MEMORY_KEY, forget=job_state.forget_rings, ring=_ring))


async def _ring(session: AsyncSession, limit: int) -> int:
    return await job_state.ring_again(session, limit=limit)

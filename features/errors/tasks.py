"""Remove errors that no client can see any more, in batches small enough not to disturb other work."""

from __future__ import annotations

import uuid

import structlog

from features.errors import queries
from shared.contracts import MAINTENANCE_QUEUE, PURGE_JOB, PurgeJob
from shared.db import purge
from shared.jobs.storage_guard import get_guard
from shared.jobs.stored_files import get_storage
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task
from shared.storage.names import name_file

PURGE_DUE = TaskRef("errors.purge_due", MAINTENANCE_QUEUE, Nothing)
BATCH_PIECES = 100
BATCH_JOBS = 100

log = structlog.get_logger(__name__)


@task(PURGE_JOB, time_limit_s=600)
async def purge_job(context: TaskContext, payload: PurgeJob) -> None:
    """Remove what one job no longer needs."""
    await _purge(context, payload.job_id)


@task(PURGE_DUE, every_s=60, time_limit_s=600)
async def purge_due(context: TaskContext, _: Nothing) -> None:
    """Remove what jobs no longer need but no message asked to remove."""
    async with context.database.unit_of_work() as session:
        job_ids = await queries.list_purge_due(session, limit=BATCH_JOBS)
    for job_id in job_ids:
        await _purge(context, job_id)


async def _purge(context: TaskContext, job_id: uuid.UUID) -> None:
    removed = BATCH_PIECES
    while removed == BATCH_PIECES:
        async with context.database.unit_of_work() as session:
            removed = await purge.delete_errors(session, job_id=job_id, limit=BATCH_PIECES)
    if await get_guard(context).find_problem(fresh=True) is not None:
        return  # its file could not be removed: the row stays, and is looked at again
    async with context.database.unit_of_work() as session:
        deleted = await purge.settle(session, job_id=job_id)
    if deleted is not None:
        try:
            await get_storage(context).remove(name_file(deleted.job_id, deleted.filename))
        except OSError as error:
            log.warning("the file of a deleted job is left to the sweep", job_id=str(job_id), reason=error.strerror)
        log.info("purged a deleted job", job_id=str(job_id))

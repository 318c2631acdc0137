"""Run a job again when a client asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from features.retry import queries
from features.retry.problems import NotRetryable
from shared.db.models import Job
from shared.jobs import job_state
from shared.jobs.queries import require_job
from shared.storage.names import name_file
from shared.web.problems import FileGone, StorageUnavailable

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.storage.base import Storage
    from shared.web.auth import Viewer


async def retry_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer, storage: Storage) -> Job:
    """Queue the job again, with nothing left of its former attempts, and return it. Raises `JobNotFound`, `NotRetryable` or `FileGone`."""
    job = await queries.require_locked_job(session, job_id=job_id, viewer=viewer)
    has_file = await storage.measure_file(name_file(job.id, job.filename)) is not None
    if not await job_state.retry(session, job_id=job_id):
        raise NotRetryable(f"This job is {job.status.value}; only a job that is FAILED or CANCELLED can be tried again.")
    if not has_file:
        raise FileGone
    return await require_job(session, job_id=job_id, viewer=viewer, load=[Job.schema_given, Job.schema_inferred])


async def list_outputs(storage: Storage, job_id: uuid.UUID) -> Sequence[str]:
    """Return the names of what is stored of the job's outputs. Raises `StorageUnavailable`."""
    try:
        return await storage.list_outputs_of(job_id)
    except OSError as error:
        raise StorageUnavailable from error


async def remove_outputs(storage: Storage, names: Sequence[str]) -> None:
    """Remove these files; what cannot be removed is left to the sweep."""
    for name in names:
        with suppress(OSError):
            await storage.remove(name)

"""Run a job again when a client asks for it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from features.retry import queries
from features.retry.problems import NotRetryable
from shared.db.models import Job
from shared.jobs import job_state
from shared.jobs.queries import require_job
from shared.jobs.storage import file_exists, stored_path
from shared.web.problems import FileGone

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


async def retry_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer, upload_dir: Path) -> Job:
    """Queue the job again, with nothing left of its former attempts, and return it. Raises `JobNotFound`, `NotRetryable` or `FileGone`."""
    job = await queries.require_locked_job(session, job_id=job_id, viewer=viewer)
    has_file = await file_exists(stored_path(upload_dir, job.id, job.filename))
    if not await job_state.retry(session, job_id=job_id):
        raise NotRetryable(f"This job is {job.status.value}; only a job that is FAILED or CANCELLED can be tried again.")
    if not has_file:
        raise FileGone
    return await require_job(session, job_id=job_id, viewer=viewer, load=[Job.schema_given, Job.schema_inferred])

"""POST /api/jobs/{job_id}/retry."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, BackgroundTasks

from features.retry.problems import NotRetryable
from features.retry.service import retry_job
from shared.db.session import SessionDep
from shared.jobs.schemas import JobRead
from shared.jobs.storage import remove_outputs
from shared.web.auth import SettingsDep, ViewerDep
from shared.web.problems import FileGone, JobNotFound, NotAuthenticated, responses

router = APIRouter(prefix="/api/jobs", tags=["retry"])


@router.post("/{job_id}/retry", status_code=202, responses=responses(NotRetryable, FileGone, JobNotFound, NotAuthenticated))
async def retry_failed_job(job_id: uuid.UUID, session: SessionDep, viewer: ViewerDep, settings: SettingsDep, after: BackgroundTasks) -> JobRead:
    """Run a FAILED or CANCELLED job again from its first row."""
    job = await retry_job(session, job_id=job_id, viewer=viewer, upload_dir=settings.upload_dir)
    after.add_task(remove_outputs, settings.upload_dir, job_id)
    return JobRead.model_validate(job)

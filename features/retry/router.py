"""POST /api/jobs/{job_id}/retry."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, BackgroundTasks

from features.retry.problems import NotRetryable
from features.retry.service import list_outputs, remove_outputs, retry_job
from shared.jobs.examples import JOB, WAITING, show
from shared.jobs.schemas import JobRead
from shared.web.auth import ViewerDep
from shared.web.database import SessionDep
from shared.web.openapi import declare_tag
from shared.web.problems import FileGone, JobNotFound, NotAuthenticated, StorageUnavailable, responses
from shared.web.request_log import note_act
from shared.web.storage import RequireStorage, StorageDep

_RETRIED = {**WAITING, "attempt": 2, "updated_at": "2026-11-23T18:41:52.120448Z", **{name: JOB[name] for name in ("source", "notes", "schema")}}
TAG = declare_tag("retry", place=60, description="Run a job again whose file could not be read to its end, or that was cancelled.")
router = APIRouter(prefix="/api/jobs", tags=[TAG])


@router.post(
    "/{job_id}/retry",
    status_code=202,
    dependencies=[RequireStorage],
    responses={202: show(_RETRIED), **responses(NotRetryable, FileGone, JobNotFound, NotAuthenticated, StorageUnavailable)},
)
async def retry_failed_job(job_id: uuid.UUID, session: SessionDep, viewer: ViewerDep, storage: StorageDep, after: BackgroundTasks) -> JobRead:
    """Run a FAILED or CANCELLED job again from its first row."""
    # Listed before the job runs again, so that outputs of its new attempt are not among them.
    left = await list_outputs(storage, job_id)
    job = await retry_job(session, job_id=job_id, viewer=viewer, storage=storage)
    note_act("retry", job_id=job_id)
    after.add_task(remove_outputs, storage, left)
    return JobRead.model_validate(job)

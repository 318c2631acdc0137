"""GET /api/jobs, GET, PATCH and DELETE /api/jobs/{job_id}."""

from __future__ import annotations

import uuid
from typing import Annotated, TypeAlias, cast

from fastapi import APIRouter, Query
from pydantic import AfterValidator, WithJsonSchema

from features.jobs import queries
from features.jobs.problems import JobEnded
from features.jobs.schemas import JobList, JobUpdate
from features.jobs.service import SHOWN, delete_job, update_job
from features.jobs.types import JobFilter, Moments, parse_moments
from shared.db.models import JobStatus
from shared.db.session import DatabaseDep, ReadingDep
from shared.jobs.queries import require_job
from shared.jobs.schemas import JobEntry, JobRead
from shared.web.auth import SettingsDep, ViewerDep
from shared.web.pagination import PageNumber, PageSize, count_pages
from shared.web.problems import BadRequest, ClientTooSlow, JobNotFound, NotAuthenticated, responses

router = APIRouter(prefix="/api/jobs", tags=["jobs"])

_EXAMPLES = ["2026-11-23", "2026-11-23T10:00:00Z"]
_FROM = "Created at or after this date or date-time (UTC)"
_TO = "Created at or before this date-time, or until the end of this date (UTC)"
# Declared as text but used as `Moments`, because FastAPI accepts only plain types as query parameters.
MomentsParameter: TypeAlias = Annotated[
    str,
    AfterValidator(parse_moments),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]


@router.get("", responses=responses(BadRequest, NotAuthenticated))
async def list_jobs(
    session: ReadingDep,
    viewer: ViewerDep,
    page: PageNumber = 1,
    page_size: PageSize = 50,
    status: JobStatus | None = None,
    from_date: Annotated[MomentsParameter | None, Query(description=_FROM, examples=_EXAMPLES)] = None,
    to_date: Annotated[MomentsParameter | None, Query(description=_TO, examples=_EXAMPLES)] = None,
) -> JobList:
    """List jobs, newest first."""
    wanted = JobFilter(
        status=status,
        created_from=cast("Moments", from_date).first if from_date else None,
        created_to=cast("Moments", to_date).last if to_date else None,
        page=page,
        page_size=page_size,
    )
    total = await queries.count_jobs(session, viewer=viewer, wanted=wanted)
    jobs = await queries.list_jobs(session, viewer=viewer, wanted=wanted)
    read = [JobEntry.model_validate(job) for job in jobs]
    return JobList(total=total, page=page, page_size=page_size, total_pages=count_pages(total, page_size), jobs=read)


@router.get("/{job_id}", responses=responses(JobNotFound, NotAuthenticated))
async def show_job(job_id: uuid.UUID, session: ReadingDep, viewer: ViewerDep) -> JobRead:
    """Show the current state of a job."""
    job = await require_job(session, job_id=job_id, viewer=viewer, load=SHOWN)
    return JobRead.model_validate(job)


@router.patch("/{job_id}", responses=responses(BadRequest, JobNotFound, JobEnded, NotAuthenticated, ClientTooSlow))
async def change_job(job_id: uuid.UUID, changes: JobUpdate, database: DatabaseDep, viewer: ViewerDep, settings: SettingsDep) -> JobRead:
    """Change a job's external_id and labels, and, until the job ends, its webhook_url."""
    return JobRead.model_validate(await update_job(database, job_id=job_id, viewer=viewer, changes=changes, settings=settings))


@router.delete("/{job_id}", status_code=204, responses=responses(JobNotFound, NotAuthenticated))
async def delete_or_cancel_job(job_id: uuid.UUID, database: DatabaseDep, viewer: ViewerDep, settings: SettingsDep) -> None:
    """Cancel the job if it is PROCESSING; otherwise delete it with its errors and its file."""
    await delete_job(database, job_id=job_id, viewer=viewer, upload_dir=settings.upload_dir)

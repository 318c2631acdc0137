"""GET /api/jobs, GET, PATCH and DELETE /api/jobs/{job_id}, POST /api/jobs/{job_id}/cancel."""

from __future__ import annotations

import uuid
from typing import Annotated, TypeAlias, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, WithJsonSchema

from features.jobs.pages import list_page, read_job
from features.jobs.problems import AlreadyEnded, JobEnded
from features.jobs.schemas import JobList, JobUpdate
from features.jobs.service import delete_job, stop_job, update_job
from features.jobs.types import JobFilter, Moments, parse_file_type, parse_moments
from shared.db.models import JobStatus
from shared.formats import list_extensions
from shared.jobs.examples import JOB, show
from shared.jobs.schemas import JobRead
from shared.web.auth import SettingsDep, ViewerDep
from shared.web.database import DatabaseDep, ReadingDep, SessionDep
from shared.web.openapi import declare_tag
from shared.web.pagination import Cursor, PageNumber, PageSize
from shared.web.parameters import accept_parameters
from shared.web.problems import BadRequest, ClientTooSlow, JobNotFound, NotAuthenticated, responses
from shared.web.request_log import note_act
from shared.web.storage import StorageDep

TAG = declare_tag("jobs", place=20, description="A job is one check of one file: follow it, find it again, change it, stop it, delete it.")
router = APIRouter(prefix="/api/jobs", tags=[TAG])

LABEL_PREFIX = "label."
_CANCELLED = {**JOB, "status": "CANCELLED", "progress": 40, "total_rows": 120, "valid": False}
# Examples are in the descriptions: pages such as /docs fill in those of a parameter, and a filter that nobody chose finds nothing.
_FROM = "Created at or after this date or date-time (UTC): `2026-11-23` or `2026-11-23T10:00:00Z`"
_TO = "Created at or before this date-time, or until the end of this date (UTC): `2026-11-23T10:00:00Z` or `2026-11-23`"
_FILE_TYPE = f"Only files with this extension, in any case: {', '.join(list_extensions())}"
# Declared as text but used as `Moments`, because FastAPI accepts only plain types as query parameters.
MomentsParameter: TypeAlias = Annotated[
    str,
    AfterValidator(parse_moments),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]
FileTypeParameter: TypeAlias = Annotated[str, AfterValidator(parse_file_type)]


Labels = Annotated[
    str | None,
    Query(
        alias=f"{LABEL_PREFIX}NAME",
        description="Only jobs whose label NAME has this value, which may be empty: `label.team=sales`; several such parameters: jobs with all of them",
    ),
]


async def read_filter(
    request: Request,
    status: Annotated[JobStatus | None, Query(description="Only jobs in this state")] = None,
    from_date: Annotated[MomentsParameter | None, Query(description=_FROM)] = None,
    to_date: Annotated[MomentsParameter | None, Query(description=_TO)] = None,
    q: Annotated[str | None, Query(max_length=255, description="Part of the file's name, in any case: `orders`")] = None,
    external_id: Annotated[str | None, Query(max_length=255, description="Only jobs with this external_id: `order-import-4711`")] = None,
    file_type: Annotated[FileTypeParameter | None, Query(max_length=50, description=_FILE_TYPE)] = None,
    _label: Labels = None,  # documents the parameters whose names are the client's
) -> JobFilter:
    """Return which jobs the request asks for."""
    return JobFilter(
        status=status,
        created_from=cast("Moments", from_date).first if from_date else None,
        created_to=cast("Moments", to_date).last if to_date else None,
        name_part=q,
        external_id=external_id,
        labels={name.removeprefix(LABEL_PREFIX): value for name, value in request.query_params.items() if name.startswith(LABEL_PREFIX)},
        file_type=file_type,
    )


@router.get("", responses=responses(BadRequest, NotAuthenticated))
@accept_parameters(LABEL_PREFIX)
async def list_jobs(
    session: ReadingDep,
    viewer: ViewerDep,
    wanted: Annotated[JobFilter, Depends(read_filter)],
    page: PageNumber = 1,
    page_size: PageSize = 50,
    cursor: Cursor = None,
) -> JobList:
    """List jobs, newest first."""
    return await list_page(session, viewer=viewer, wanted=wanted, page=page, page_size=page_size, cursor=cursor)


@router.get("/{job_id}", responses=responses(JobNotFound, NotAuthenticated))
async def show_job(job_id: uuid.UUID, session: ReadingDep, viewer: ViewerDep) -> JobRead:
    """Show the current state of a job."""
    return await read_job(session, job_id=job_id, viewer=viewer)


@router.patch("/{job_id}", responses=responses(BadRequest, JobNotFound, JobEnded, NotAuthenticated, ClientTooSlow))
async def change_job(job_id: uuid.UUID, changes: JobUpdate, database: DatabaseDep, viewer: ViewerDep, settings: SettingsDep) -> JobRead:
    """Change a job's external_id and labels, and, until the job ends, its webhook_url."""
    job = await update_job(database, job_id=job_id, viewer=viewer, changes=changes, settings=settings)
    note_act("patch", job_id=job_id, fields=sorted(changes.model_fields_set))
    return JobRead.model_validate(job)


@router.delete("/{job_id}", status_code=204, response_description="The job is cancelled or deleted", responses=responses(JobNotFound, NotAuthenticated))
async def delete_or_cancel_job(job_id: uuid.UUID, database: DatabaseDep, viewer: ViewerDep, storage: StorageDep) -> None:
    """Cancel the job if it is PROCESSING; otherwise delete it with its errors and its file."""
    is_deleted = await delete_job(database, job_id=job_id, viewer=viewer, storage=storage)
    note_act("delete" if is_deleted else "cancel", job_id=job_id)


@router.post("/{job_id}/cancel", status_code=202, responses={202: show(_CANCELLED), **responses(JobNotFound, AlreadyEnded, NotAuthenticated)})
async def cancel_job(job_id: uuid.UUID, session: SessionDep, viewer: ViewerDep) -> JobRead:
    """Stop a job that is QUEUED or PROCESSING, and keep it with what it has found; a retry runs it again."""
    job = await stop_job(session, job_id=job_id, viewer=viewer)
    note_act("cancel", job_id=job_id)
    return JobRead.model_validate(job)

"""GET /api/jobs/{job_id}/errors and …/errors/summary."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import WithJsonSchema

from features.errors.pages import list_page, summarize
from features.errors.schemas import ErrorList, ErrorSummary
from features.errors.types import ErrorFilter
from shared.db.models import Job
from shared.jobs.queries import require_job
from shared.vocabulary import ERROR_TYPES
from shared.web.auth import ViewerDep
from shared.web.database import ReadingDep
from shared.web.openapi import declare_tag
from shared.web.pagination import Cursor, PageNumber, PageSize
from shared.web.problems import BadRequest, JobNotFound, NotAuthenticated, responses

TAG = declare_tag("errors", place=40, description="What is wrong in the file: error by error, or counted by cause.")
router = APIRouter(prefix="/api/jobs/{job_id}/errors", tags=[TAG])

NO_NUL = r"^[^\x00]*$"
"""PostgreSQL's text type cannot hold NUL, so no stored value can match one."""
_KNOWN_TYPES = {"type": "string", "enum": list(ERROR_TYPES)}
_OTHER_TYPES = {"type": "string", "maxLength": 100, "pattern": NO_NUL, "description": "The type of a check that was added to this service"}
ErrorType = Annotated[
    str | None,
    Query(max_length=100, pattern=NO_NUL, description="Only errors of this type"),
    WithJsonSchema({"anyOf": [_KNOWN_TYPES, _OTHER_TYPES]}),
]
ColumnName = Annotated[str | None, Query(max_length=1000, pattern=NO_NUL, description="Only errors of this column: `age`")]

ErrorMessage = Annotated[
    str | None,
    Query(max_length=1000, pattern=NO_NUL, description="Only errors with this sentence, as the summary has it; with column and type: those of one cause"),
]


@router.get("", responses=responses(BadRequest, JobNotFound, NotAuthenticated))
async def list_errors(
    job_id: uuid.UUID,
    session: ReadingDep,
    viewer: ViewerDep,
    page: PageNumber = 1,
    page_size: PageSize = 50,
    error_type: ErrorType = None,
    column_name: ColumnName = None,
    error_message: ErrorMessage = None,
    cursor: Cursor = None,
) -> ErrorList:
    """The stored errors of a job, ordered by row and column."""
    job = await require_job(session, job_id=job_id, viewer=viewer, load=[Job.error_tally])
    wanted = ErrorFilter(error_type=error_type, column_name=column_name, error_message=error_message)
    return await list_page(session, job=job, wanted=wanted, page=page, page_size=page_size, cursor=cursor)


@router.get("/summary", responses=responses(JobNotFound, NotAuthenticated))
async def show_error_summary(job_id: uuid.UUID, session: ReadingDep, viewer: ViewerDep) -> ErrorSummary:
    """Exact counts over all rows, even if not every error was stored."""
    return summarize(await require_job(session, job_id=job_id, viewer=viewer, load=[Job.error_tally]))

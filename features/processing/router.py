"""GET /api/jobs/{job_id}/schema."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter

from features.processing.problems import SchemaNotKnown
from shared.db.models import Job
from shared.jobs.examples import TABLE_SCHEMA, show
from shared.jobs.queries import require_job
from shared.web.auth import ViewerDep
from shared.web.database import ReadingDep
from shared.web.openapi import declare_tag
from shared.web.problems import JobNotFound, NotAuthenticated, responses

TAG = declare_tag("processing", place=30, description="The schema that a job's file was checked by, given or inferred.")
router = APIRouter(prefix="/api/jobs", tags=[TAG])


@router.get(
    "/{job_id}/schema", response_description="The schema", responses={200: show(TABLE_SCHEMA), **responses(JobNotFound, SchemaNotKnown, NotAuthenticated)}
)
async def show_job_schema(job_id: uuid.UUID, session: ReadingDep, viewer: ViewerDep) -> dict[str, Any]:
    """The Table Schema that was used, given or inferred, ready to be corrected and sent with the next upload."""
    job = await require_job(session, job_id=job_id, viewer=viewer, load=[Job.schema_given, Job.schema_inferred])
    if job.table_schema is None:
        raise SchemaNotKnown
    return job.table_schema

"""Read jobs: a page of the list, or one job with its place in the queue."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

from features.jobs import queries
from features.jobs.schemas import JobList
from features.jobs.types import JobPlace
from shared.db.models import Job, JobStatus
from shared.db.turns import find_places
from shared.jobs.queries import MAX_QUEUE_POSITION, require_job
from shared.jobs.schemas import JobEntry, JobRead
from shared.web.pagination import count_pages, count_skipped, decode_cursor, encode_cursor, invalid_cursor

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from features.jobs.types import JobFilter
    from shared.web.auth import Viewer


async def list_page(session: AsyncSession, *, viewer: Viewer, wanted: JobFilter, page: int, page_size: int, cursor: str | None) -> JobList:
    """Return one page of jobs. A cursor takes precedence over `page`. Raises `BadRequest` if it is not a valid cursor."""
    after = _parse_cursor(cursor) if cursor is not None else None
    total = await queries.count_jobs(session, viewer=viewer, wanted=wanted)
    skipped = count_skipped(page, page_size)
    found = await queries.list_jobs(session, viewer=viewer, wanted=wanted, after=after, skipped=skipped, limit=page_size + 1)
    return JobList(
        total=total,
        page=page,
        page_size=page_size,
        total_pages=count_pages(total, page_size),
        next_cursor=encode_cursor([found[page_size - 1].created_at.isoformat(), str(found[page_size - 1].id)]) if len(found) > page_size else None,
        jobs=[JobEntry.model_validate(job) for job in found[:page_size]],
    )


async def read_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer) -> JobRead:
    """Return one job as clients see it. Raises `JobNotFound`."""
    job = await require_job(session, job_id=job_id, viewer=viewer, load=[Job.schema_given, Job.schema_inferred])
    read = JobRead.model_validate(job)
    if job.status is JobStatus.QUEUED:
        places = await find_places(session, job_ids=[job.id], limit=MAX_QUEUE_POSITION)
        read.queue_position = places.get(job.id)
    return read


def _parse_cursor(cursor: str) -> JobPlace:
    moment, id_text = decode_cursor(cursor, str, str)
    try:
        created_at = datetime.fromisoformat(moment)
        place = JobPlace(created_at=created_at, id=uuid.UUID(id_text))
    except ValueError as error:
        raise invalid_cursor() from error
    if created_at.tzinfo is None:
        raise invalid_cursor()
    return place

"""SQL of the jobs slice."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, cast, func, select, text, update
from sqlalchemy.orm import undefer

from features.jobs.types import JobFilter
from shared.db.models import ENDED, Job, JobCount
from shared.jobs.queries import is_visible
from shared.web.pagination import count_skipped

FOLD_COUNTS = """
WITH folded AS (DELETE FROM job_counts RETURNING submitted_by, status, count)
INSERT INTO job_counts (submitted_by, status, count)
SELECT submitted_by, status, sum(count) FROM folded GROUP BY submitted_by, status HAVING sum(count) <> 0
"""

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


def _conditions(viewer: Viewer, wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions = [is_visible(viewer)]
    if wanted.status is not None:
        conditions.append(Job.status == wanted.status)
    if wanted.created_from is not None:
        conditions.append(Job.created_at >= wanted.created_from)
    if wanted.created_to is not None:
        conditions.append(Job.created_at <= wanted.created_to)
    return conditions


async def count_jobs(session: AsyncSession, *, viewer: Viewer, wanted: JobFilter) -> int:
    """Count the jobs that match the filter. A filter without dates is answered from the totals, so no job is read."""
    if wanted.created_from is None and wanted.created_to is None:
        statement = select(cast(func.coalesce(func.sum(JobCount.count), 0), BigInteger))
        if wanted.status is not None:
            statement = statement.where(JobCount.status == wanted.status)
        if not viewer.sees_all:
            statement = statement.where(JobCount.submitted_by == viewer.name)
    else:
        statement = select(func.count()).select_from(Job).where(*_conditions(viewer, wanted))
    return (await session.scalars(statement)).one()


async def list_jobs(session: AsyncSession, *, viewer: Viewer, wanted: JobFilter) -> Sequence[Job]:
    """Return one page of jobs, newest first; ties are ordered by id. Jobs of earlier pages are skipped in the index, without being read."""
    newest_first = Job.created_at.desc(), Job.id.desc()
    page = (
        select(Job.id)
        .where(*_conditions(viewer, wanted))
        .order_by(*newest_first)
        .offset(count_skipped(wanted.page, wanted.page_size))
        .limit(wanted.page_size)
        .subquery()
    )
    statement = select(Job).join(page, page.c.id == Job.id).order_by(*newest_first)
    return (await session.scalars(statement)).all()


async def change_details(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer, values: Mapping[str, Any]) -> Job | None:
    """Change columns that say nothing about the job's state, and return the job; None if there is no such job, or a webhook_url comes after its end.

    The update locks the row, so the end of a job and a change of its webhook cannot overlap.
    """
    columns = (Job.external_id, Job.labels, Job.webhook_url)
    new = {column.key: values.get(column.key, column) for column in columns}  # a column that is not given keeps its value
    statement = (
        update(Job)
        .where(Job.id == job_id, is_visible(viewer))
        .values(external_id=new["external_id"], labels=new["labels"], webhook_url=new["webhook_url"])
        .returning(Job)
    )
    if "webhook_url" in values:
        statement = statement.where(Job.status.not_in(ENDED))
    return (await session.scalars(statement.options(undefer(Job.schema_given), undefer(Job.schema_inferred)))).one_or_none()


async def count_unfolded(session: AsyncSession, *, limit: int) -> int:
    """Count the rows of `job_counts`, which the totals are summed from; counts no further than `limit`."""
    rows = select(JobCount.id).limit(limit).subquery()
    return (await session.scalars(select(func.count()).select_from(rows))).one()


async def fold_counts(session: AsyncSession) -> None:
    """Merge the `job_counts` rows of each submitter and status into one. Readers see either the old rows or the new one."""
    await session.execute(text(FOLD_COUNTS))

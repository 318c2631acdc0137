"""SQL of the jobs slice."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, cast, func, select, text, tuple_, update
from sqlalchemy.orm import undefer

from features.jobs.types import JobFilter, JobPlace
from shared.db.models import ENDED, Job, JobCount
from shared.jobs.queries import is_visible

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
    if wanted.name_part is not None:
        conditions.append(Job.filename.icontains(wanted.name_part, autoescape=True))
    if wanted.external_id is not None:
        conditions.append(Job.external_id == wanted.external_id)
    if wanted.labels:
        conditions.append(Job.labels.contains(dict(wanted.labels)))
    if wanted.file_type is not None:
        conditions.append(Job.file_type == wanted.file_type)
    return conditions


async def count_jobs(session: AsyncSession, *, viewer: Viewer, wanted: JobFilter) -> int:
    """Count the jobs that match the filter. A filter by status alone is answered from the totals, so no job is read."""
    if wanted.is_counted:
        statement = select(cast(func.coalesce(func.sum(JobCount.count), 0), BigInteger))
        if wanted.status is not None:
            statement = statement.where(JobCount.status == wanted.status)
        if not viewer.sees_all:
            statement = statement.where(JobCount.submitted_by == viewer.name)
    else:
        statement = select(func.count()).select_from(Job).where(*_conditions(viewer, wanted))
    return (await session.scalars(statement)).one()


async def list_jobs(session: AsyncSession, *, viewer: Viewer, wanted: JobFilter, after: JobPlace | None, skipped: int, limit: int) -> Sequence[Job]:
    """Return at most `limit` jobs, newest first, ties ordered by id: those that come after a place, or those after the first `skipped` ones.

    Jobs that are skipped are skipped in the index, without being read.
    """
    newest_first = Job.created_at.desc(), Job.id.desc()
    page = select(Job.id).where(*_conditions(viewer, wanted)).order_by(*newest_first).limit(limit)
    page = page.offset(skipped) if after is None else page.where(tuple_(Job.created_at, Job.id) < tuple_(after.created_at, after.id))
    shown = page.subquery()
    statement = select(Job).join(shown, shown.c.id == Job.id).order_by(*newest_first)
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

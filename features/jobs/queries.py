"""The jobs slice's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.orm import undefer

from features.jobs.schemas import JobFilter
from shared.db.jobs import is_visible
from shared.db.models import Job
from shared.pagination import count_skipped

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.auth import Viewer


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
    """How many jobs the filter finds."""
    statement = select(func.count()).select_from(Job).where(*_conditions(viewer, wanted))
    return (await session.scalars(statement)).one()


async def list_jobs(session: AsyncSession, *, viewer: Viewer, wanted: JobFilter) -> Sequence[Job]:
    """One page, newest first; ids break ties."""
    statement = (
        select(Job)
        .where(*_conditions(viewer, wanted))
        .options(undefer(Job.schema_given), undefer(Job.schema_inferred))
        .order_by(Job.created_at.desc(), Job.id.desc())
        .offset(count_skipped(wanted.page, wanted.page_size))
        .limit(wanted.page_size)
    )
    return (await session.scalars(statement)).all()

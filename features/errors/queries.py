"""The errors slice's SQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import func, select, tuple_

from features.errors.schemas import ErrorFilter
from shared.db.models import Job, ProcessingError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

_column = func.coalesce(ProcessingError.column_number, 0)


async def list_errors(session: AsyncSession, *, job: Job, wanted: ErrorFilter) -> Sequence[ProcessingError]:
    """Errors of the job's present attempt by row and column, one more than a page holds where there are more."""
    statement = select(ProcessingError).where(ProcessingError.job_id == job.id, ProcessingError.attempt == job.attempt)
    if wanted.error_type is not None:
        statement = statement.where(ProcessingError.error_type == wanted.error_type)
    if wanted.column_name is not None:
        statement = statement.where(ProcessingError.column_name == wanted.column_name)
    if wanted.after is not None:
        place = tuple_(wanted.after.row_number, wanted.after.column_number, wanted.after.id)
        statement = statement.where(tuple_(ProcessingError.row_number, _column, ProcessingError.id) > place)
    else:
        statement = statement.offset(wanted.offset)
    statement = statement.order_by(ProcessingError.row_number, _column, ProcessingError.id).limit(wanted.page_size + 1)
    return (await session.scalars(statement)).all()


async def list_purge_due(session: AsyncSession, *, limit: int) -> Sequence[uuid.UUID]:
    """Jobs with something to be purged, the longest due first."""
    statement = select(Job.id).where(Job.purge_due_at.is_not(None)).order_by(Job.purge_due_at).limit(limit)
    return (await session.scalars(statement)).all()

"""Remove rows that no client can see any more: errors of older attempts, and everything of a deleted job."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, or_, select, tuple_, update

from shared.db.models import ErrorPiece, Job

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class PurgedJob:
    """A job whose row has been deleted, so that its file can be removed."""

    job_id: uuid.UUID
    filename: str


async def delete_errors(session: AsyncSession, *, job_id: uuid.UUID, limit: int) -> int:
    """Delete at most `limit` error pieces of the job's older attempts, or of all attempts if it was deleted; returns how many."""
    key = tuple_(ErrorPiece.job_id, ErrorPiece.attempt, ErrorPiece.first_row, ErrorPiece.first_column)
    old = (
        select(ErrorPiece.job_id, ErrorPiece.attempt, ErrorPiece.first_row, ErrorPiece.first_column)
        .join(Job, Job.id == ErrorPiece.job_id)
        .where(ErrorPiece.job_id == job_id, or_(ErrorPiece.attempt < Job.attempt, Job.deleted_at.is_not(None)))
        .limit(limit)
    )
    return len((await session.scalars(delete(ErrorPiece).where(key.in_(old)).returning(ErrorPiece.first_row))).all())


async def settle(session: AsyncSession, *, job_id: uuid.UUID) -> PurgedJob | None:
    """Finish a purge: delete the row of a deleted job and return it. For any other job, note that nothing is due if its old errors are gone."""
    has_old_errors = exists().where(ErrorPiece.job_id == job_id, ErrorPiece.attempt < Job.attempt)
    # A worker that hangs in its transaction holds a lock on the row. It is then skipped and left for the next run, so that nothing waits.
    free = select(Job.id).where(Job.id == job_id, Job.deleted_at.is_not(None)).with_for_update(skip_locked=True)
    row = (await session.execute(delete(Job).where(Job.id.in_(free)).returning(Job.id, Job.filename))).one_or_none()
    if row is not None:
        return PurgedJob(job_id=row.id, filename=row.filename)
    await session.execute(update(Job).where(Job.id == job_id, Job.deleted_at.is_(None), ~has_old_errors).values(purge_due_at=None, updated_at=Job.updated_at))
    return None

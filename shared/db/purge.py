"""Removing rows that no client can see any more: errors of older attempts, and all of a deleted job."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, or_, select, update

from shared.db.models import Job, ProcessingError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class PurgedJob:
    """A job whose row is gone, and whose file can go."""

    job_id: uuid.UUID
    filename: str


async def delete_errors(session: AsyncSession, *, job_id: uuid.UUID, limit: int) -> int:
    """Delete at most `limit` errors of the job's older attempts, or of all where it was deleted; returns how many."""
    old = (
        select(ProcessingError.id)
        .join(Job, Job.id == ProcessingError.job_id)
        .where(ProcessingError.job_id == job_id, or_(ProcessingError.attempt < Job.attempt, Job.deleted_at.is_not(None)))
        .limit(limit)
    )
    return len((await session.scalars(delete(ProcessingError).where(ProcessingError.id.in_(old)).returning(ProcessingError.id))).all())


async def settle(session: AsyncSession, *, job_id: uuid.UUID) -> PurgedJob | None:
    """Delete the row of a deleted job, or note that nothing is due, where its errors are gone. Returns the deleted job."""
    has_old_errors = exists().where(ProcessingError.job_id == job_id, ProcessingError.attempt < Job.attempt)
    # A worker that hangs in its transaction holds the row: then it is left for the next time, and nobody waits.
    free = select(Job.id).where(Job.id == job_id, Job.deleted_at.is_not(None)).with_for_update(skip_locked=True)
    row = (await session.execute(delete(Job).where(Job.id.in_(free)).returning(Job.id, Job.filename))).one_or_none()
    if row is not None:
        return PurgedJob(job_id=row.id, filename=row.filename)
    await session.execute(update(Job).where(Job.id == job_id, Job.deleted_at.is_(None), ~has_old_errors).values(purge_due_at=None))
    return None

"""The health slice's SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from shared.db.models import Job, JobStatus

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def count_held_jobs(session: AsyncSession) -> int:
    """How many jobs run with a lease that is not over: each is a sign of a living worker."""
    statement = select(func.count()).select_from(Job).where(Job.status == JobStatus.PROCESSING, Job.lease_expires_at > func.now())
    return (await session.scalars(statement)).one()

"""SQL of the health slice: small queries, answered from an index or a few rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, cast, extract, func, select

from shared.db.models import Job, JobCount, JobStatus

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def count_held_jobs(session: AsyncSession) -> int:
    """Count the jobs that run under a lease that has not expired; each is a sign of a living worker."""
    statement = select(func.count()).select_from(Job).where(Job.status == JobStatus.PROCESSING, Job.lease_expires_at > func.now())
    return (await session.scalars(statement)).one()


async def count_jobs_by_status(session: AsyncSession) -> Mapping[JobStatus, int]:
    """Count the jobs that clients see in each status, from the totals in `job_counts`; no job is read."""
    statement = select(JobCount.status, cast(func.sum(JobCount.count), BigInteger).label("jobs")).group_by(JobCount.status)
    found = {row.status: row.jobs for row in await session.execute(statement)}
    return {status: found.get(status, 0) for status in JobStatus}


async def get_oldest_wait_s(session: AsyncSession) -> float:
    """Return how long the oldest job that no worker has claimed yet has been QUEUED, in seconds; 0 if none waits.

    Jobs that wait for a further attempt are left out, because the start of their wait is not recorded.
    """
    statement = (
        select(extract("epoch", func.now() - Job.created_at))
        .where(Job.status == JobStatus.QUEUED, Job.deleted_at.is_(None), Job.attempt == 0)
        .order_by(Job.created_at, Job.id)
        .limit(1)
    )
    wait_s = (await session.scalars(statement)).one_or_none()
    return max(0.0, float(wait_s or 0))


async def get_server_version(session: AsyncSession) -> str:
    """Return the version of PostgreSQL."""
    version: str = (await session.scalars(select(func.current_setting("server_version")))).one()
    return version

"""The retry slice's SQL. The status change itself is in `shared.jobs.job_state.retry`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select

from shared.db.models import Job
from shared.jobs.queries import is_visible
from shared.web.problems import JobNotFound

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


async def require_locked_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer) -> Job:
    """Return the job, locked so that no one else changes it before this transaction ends. Raises `JobNotFound`."""
    statement = select(Job).where(Job.id == job_id, is_visible(viewer)).with_for_update(key_share=True)
    job = (await session.scalars(statement)).one_or_none()
    if job is None:
        raise JobNotFound
    return job

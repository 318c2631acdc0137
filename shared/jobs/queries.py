"""Find one job in the same way in every slice: only jobs that the viewer may see, and none that was deleted."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import InstrumentedAttribute, undefer

from shared.db.models import Job
from shared.web.problems import JobNotFound

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer

MAX_QUEUE_POSITION = 10_000
"""Places in the queue are counted no further."""


def is_visible(viewer: Viewer) -> ColumnElement[bool]:
    """Return the SQL condition that a job exists for `viewer`."""
    own = true() if viewer.sees_all else Job.submitted_by == viewer.name
    return Job.deleted_at.is_(None) & own


async def require_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer, load: Sequence[InstrumentedAttribute[object]] = ()) -> Job:
    """Return the job, with the deferred columns in `load` as well as the others. Raises `JobNotFound`."""
    statement = select(Job).where(Job.id == job_id, is_visible(viewer)).options(*(undefer(column) for column in load)).execution_options(populate_existing=True)
    job = (await session.scalars(statement)).one_or_none()
    if job is None:
        raise JobNotFound
    return job

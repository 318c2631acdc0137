"""Find one job, as every slice does: only one that the viewer may see, and none that was deleted. And change what clients may change of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, select, true, update
from sqlalchemy.orm import InstrumentedAttribute, undefer

from shared.db.models import ENDED, Job
from shared.web.problems import JobNotFound

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


def is_visible(viewer: Viewer) -> ColumnElement[bool]:
    """The condition that a job exists for `viewer`."""
    own = true() if viewer.sees_all else Job.submitted_by == viewer.name
    return Job.deleted_at.is_(None) & own


async def require_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer, load: Sequence[InstrumentedAttribute[object]] = ()) -> Job:
    """The job, with the large columns in `load` beside the others. Raises `JobNotFound`."""
    statement = select(Job).where(Job.id == job_id, is_visible(viewer)).options(*(undefer(column) for column in load)).execution_options(populate_existing=True)
    job = (await session.scalars(statement)).one_or_none()
    if job is None:
        raise JobNotFound
    return job


async def change_details(session: AsyncSession, *, job_id: uuid.UUID, values: Mapping[str, Any], until_ended: bool) -> bool:
    """Change columns that say nothing about the job's state: `external_id`, `labels`, `webhook_url`. False if the job is gone.

    With `until_ended` also if it has ended. The row is locked, so that the end of a job and a change of where it is told come one after the other.
    """
    statement = update(Job).where(Job.id == job_id, Job.deleted_at.is_(None)).values(**values).returning(Job.id)
    if until_ended:
        statement = statement.where(Job.status.not_in(ENDED))
    return (await session.scalars(statement, execution_options={"synchronize_session": False})).one_or_none() is not None

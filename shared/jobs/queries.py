"""Find one job, or change its details, in the same way in every slice: only jobs that the viewer may see, and none that was deleted."""

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


_DETAILS = {"external_id": Job.external_id, "labels": Job.labels, "webhook_url": Job.webhook_url}
"""What a client may change of a job."""


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


async def change_details(session: AsyncSession, *, job_id: uuid.UUID, values: Mapping[str, Any], until_ended: bool) -> bool:
    """Change columns that say nothing about the job's state: `external_id`, `labels`, `webhook_url`. Returns False if the job is gone.

    With `until_ended`, also returns False if the job has ended. The update locks the row, so the end of a job and a change of its webhook cannot
    overlap.
    """
    changes = {_DETAILS[name]: value for name, value in values.items()}
    statement = update(Job).where(Job.id == job_id, Job.deleted_at.is_(None)).values(changes).returning(Job.id)
    if until_ended:
        statement = statement.where(Job.status.not_in(ENDED))
    return (await session.scalars(statement, execution_options={"synchronize_session": False})).one_or_none() is not None

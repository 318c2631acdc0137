"""SQL of the outputs slice. Every change of a status is in `shared.jobs.output_state`."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import and_, select

from shared.db.models import Job, Output, OutputStatus
from shared.jobs.queries import is_visible
from shared.output_names import OUTPUT_NAMES
from shared.web.problems import JobNotFound

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


async def require_locked_job(session: AsyncSession, *, job_id: uuid.UUID, viewer: Viewer) -> Job:
    """Return the job, locked so that it is neither retried nor deleted before this transaction ends; others may lock it likewise. Raises `JobNotFound`."""
    statement = select(Job).where(Job.id == job_id, is_visible(viewer)).with_for_update(read=True).execution_options(populate_existing=True)
    job = (await session.scalars(statement)).one_or_none()
    if job is None:
        raise JobNotFound
    return job


async def get_job(session: AsyncSession, *, job_id: uuid.UUID) -> Job | None:
    """Return the job as this transaction sees it."""
    return await session.get(Job, job_id, populate_existing=True)


async def list_outputs(session: AsyncSession, *, job: Job) -> Sequence[Output]:
    """Return the outputs of the job's present attempt by name, without those whose content is no longer kept."""
    statement = select(Output).where(_is_of(job), Output.name.in_(OUTPUT_NAMES), Output.expired_at.is_(None)).order_by(Output.name)
    return (await session.scalars(statement)).all()


async def get_output(session: AsyncSession, *, job: Job, name: str) -> Output | None:
    """Return an output of the job's present attempt; None if it was never asked for."""
    return (await session.scalars(select(Output).where(_is_of(job), Output.name == name))).one_or_none()


async def list_kept_claims(session: AsyncSession, *, output_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, tuple[int, OutputStatus]]:
    """Return the present claim and the status of those outputs that have a file, or get one, by their id."""
    statement = select(Output.id, Output.claim, Output.status).where(
        Output.id.in_(output_ids), Output.status.in_([OutputStatus.RUNNING, OutputStatus.READY]), Output.expired_at.is_(None)
    )
    return {row.id: (row.claim, row.status) for row in await session.execute(statement)}


def _is_of(job: Job) -> ColumnElement[bool]:
    return and_(Output.job_id == job.id, Output.attempt == job.attempt)

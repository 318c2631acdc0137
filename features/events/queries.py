"""SQL of the events slice."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, false, func, or_, select, text, true, tuple_, union_all

from features.events.models import DeletedJob
from features.events.types import Change, ChangePlace, JobState, Snapshot, Version
from shared.db.models import ENDED, Job, JobStatus, Output, OutputStatus
from shared.db.turns import find_places
from shared.jobs.queries import MAX_QUEUE_POSITION, is_visible

if TYPE_CHECKING:
    from sqlalchemy import Select, Subquery
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.web.auth import Viewer


async def read_snapshot(session: AsyncSession) -> Snapshot:
    """Return what has been committed as the session's next statement sees it; in a session of `Database.snapshot`, as all of them do."""
    written = (await session.execute(text("SELECT pg_current_snapshot()::text"))).scalar_one()
    snapshot = Snapshot.parse(written)
    if snapshot is None:
        raise ValueError(f"this is no snapshot of PostgreSQL: {written}")
    return snapshot


async def list_changes(
    session: AsyncSession,
    *,
    since: Snapshot,
    until: Snapshot,
    viewer: Viewer | None = None,
    after: ChangePlace | None = None,
    limit: int | None = None,
) -> Sequence[Change]:
    """Return what `since` does not have and `until` may have, in the order of transactions: all of it, or a page of what `viewer` may see.

    A job can be there twice, for itself and for its outputs. What lies ahead of `until`, as after a restore into a new database, is left out.
    """
    found = _changes(since, until)
    statement = (
        select(found.c.id, found.c.submitted_by, found.c.changed_in, found.c.is_deleted)
        .where(or_(found.c.changed_in >= since.next_id, found.c.changed_in.in_(since.running)))
        .order_by(found.c.changed_in, found.c.id)
    )
    if viewer is not None and not viewer.sees_all:
        statement = statement.where(found.c.submitted_by == viewer.name)
    if after is not None:
        statement = statement.where(tuple_(found.c.changed_in, found.c.id) > tuple_(after.changed_in, after.job_id))
    rows = await session.execute(statement.limit(limit))
    return [Change(job_id=row.id, submitted_by=row.submitted_by, changed_in=row.changed_in, is_deleted=row.is_deleted) for row in rows]


def _changes(since: Snapshot, until: Snapshot) -> Subquery:
    first, end = since.first_running, until.next_id
    of_jobs = select(Job.id, Job.submitted_by, Job.changed_in, false().label("is_deleted")).where(
        Job.changed_in >= first, Job.changed_in < end, Job.deleted_at.is_(None)
    )
    of_outputs = (
        select(Job.id, Job.submitted_by, Output.changed_in, false())
        .join(Job, Job.id == Output.job_id)
        .where(Output.changed_in >= first, Output.changed_in < end, Job.deleted_at.is_(None))
    )
    of_deleted = select(DeletedJob.id, DeletedJob.submitted_by, DeletedJob.changed_in, true()).where(
        DeletedJob.changed_in >= first, DeletedJob.changed_in < end
    )
    return union_all(of_jobs, of_outputs, of_deleted).subquery()


async def list_states(session: AsyncSession, *, job_ids: Collection[uuid.UUID]) -> Sequence[JobState]:
    """Return the states of those of the jobs that were not deleted."""
    return await _read_states(session, _select_states().where(Job.id.in_(job_ids), Job.deleted_at.is_(None)))


async def list_open(session: AsyncSession, *, viewer: Viewer, limit: int) -> Sequence[JobState]:
    """Return the states of jobs that have not ended, the newest ones at most, the oldest of them first."""
    newest = select(Job.id).where(is_visible(viewer), Job.status.not_in(ENDED)).order_by(Job.created_at.desc(), Job.id.desc()).limit(limit).subquery()
    return await _read_states(session, _select_states().join(newest, newest.c.id == Job.id).order_by(Job.created_at, Job.id))


def _select_states() -> Select[Any]:
    of_outputs = select(func.coalesce(func.sum(Output.version), 0)).where(Output.job_id == Job.id).scalar_subquery()
    are_open = Output.status.in_([OutputStatus.QUEUED, OutputStatus.RUNNING])
    has_open = select(Output.id).where(Output.job_id == Job.id, Output.attempt == Job.attempt, are_open).exists()
    return select(Job, of_outputs.label("of_outputs"), has_open.label("has_open_outputs"))


async def _read_states(session: AsyncSession, statement: Select[Any]) -> Sequence[JobState]:
    rows = (await session.execute(statement)).all()
    waiting = [row.Job.id for row in rows if row.Job.status is JobStatus.QUEUED]
    places = await find_places(session, job_ids=waiting, limit=MAX_QUEUE_POSITION) if waiting else {}
    return [
        JobState(
            job=row.Job,
            version=Version(row.Job.attempt, row.Job.version, int(row.of_outputs)),
            has_open_outputs=row.has_open_outputs,
            queue_position=places.get(row.Job.id),
        )
        for row in rows
    ]


async def forget_deleted(session: AsyncSession, *, before: datetime) -> None:
    """Delete what is known of jobs that were deleted before this moment."""
    await session.execute(delete(DeletedJob).where(DeletedJob.deleted_at < before))

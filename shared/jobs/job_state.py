"""Every change of a job's status; no other code changes it.

Each function runs a guarded `UPDATE … WHERE id AND status … [AND attempt] RETURNING` on the database's clock. The first commit wins; no returned row means
that the job is no longer the caller's, which must stop. In the same transaction, a change that ends an attempt also publishes `JobFinished`, and one that
makes a job QUEUED also sends its message. The table of transitions is in docs/job-states.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Interval, and_, case, cast, delete, func, literal, or_, select, text, update
from sqlalchemy.orm import undefer

from shared.contracts import PROCESS_JOB, PURGE_JOB, EventName, JobFinished, ProcessJob, PurgeJob
from shared.db import turns
from shared.db.models import ENDED, Job, JobStatus, Output
from shared.db.turns import JOBS, choose_next, note_turn
from shared.messages.events import publish
from shared.messages.outbox import enqueue
from shared.observing.tracing import get_traceparent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import InstrumentedAttribute

RENEWALS_PER_LEASE = 3
"""How many times a worker renews its lease within one lease's length."""
FIRST_RING_INTERVAL_S = 15.0
"""How long a job's message may stay unanswered before it is first sent again; doubled each time, up to `MAX_RING_INTERVAL_S`."""
MAX_RING_INTERVAL_S = 600.0
PASSED_ON_S = 60.0
"""How long a message that a worker had to leave to others may stay unanswered before it is sent again."""
MAX_MACHINE_FAULTS = 3
"""A job that its machine failed so many times is FAILED, with a sentence that says whose fault it was."""
PAUSE_GROWTH = 4
"""The second pause after a fault of the machine is so many times as long as the first."""

_EVENT_OF: dict[JobStatus, EventName] = {
    JobStatus.COMPLETED: "job.completed",
    JobStatus.FAILED: "job.failed",
    JobStatus.CANCELLED: "job.cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job has been read, and what was counted and recorded up to that row; all of it is committed together."""

    percent: int
    rows_processed: int
    rows_failed: int
    total_rows: int | None
    error_count: int
    errors_stored: int
    error_tally: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """A job that was taken from its worker, because the worker went silent, met an unexpected exception, or was failed by its machine."""

    job_id: uuid.UUID
    status: JobStatus
    crashes: int
    """How often that has happened to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredLease:
    """A lease that has expired and has not been renewed yet."""

    job_id: uuid.UUID
    attempt: int
    expired_at: datetime


# Rows are locked FOR NO KEY UPDATE (`key_share`), because a worker's open transaction holds KEY SHARE on its job through the foreign key of its errors.
# Leases and end times use clock_timestamp(): now() is the start of the transaction, and a worker's transaction is seconds old when it commits.
def _seconds(value: float) -> ColumnElement[timedelta]:
    return literal(timedelta(seconds=value), Interval)


def _lease_until(lease_s: float) -> ColumnElement[datetime]:
    return func.clock_timestamp() + _seconds(lease_s)


def _reset() -> dict[str, Any]:
    """Return the column values of a job that starts again at row 1. Errors of the older attempt are hidden at once and purged later."""
    return {
        "progress": 0,
        "rows_processed": 0,
        "rows_failed": 0,
        "total_rows": None,
        "error_count": 0,
        "errors_stored": 0,
        "error_tally": [],
        "error_message": None,
        "started_at": None,
        "completed_at": None,
        "lease_expires_at": None,
        "attempt": Job.attempt + 1,
        "rings": 0,
        "next_ring_at": func.clock_timestamp() + _seconds(FIRST_RING_INTERVAL_S),
        "not_before": None,
        "purge_due_at": case((Job.errors_stored > 0, func.now()), else_=Job.purge_due_at),
    }


def _may_run() -> ColumnElement[bool]:
    """Whether the job's pause after a fault of the machine, if there is one, is over."""
    return or_(Job.not_before.is_(None), Job.not_before <= func.now())


def _waits() -> ColumnElement[bool]:
    return and_(Job.status == JobStatus.QUEUED, Job.deleted_at.is_(None))


def _is_held(job_id: uuid.UUID, attempt: int) -> ColumnElement[bool]:
    return and_(Job.id == job_id, Job.status == JobStatus.PROCESSING, Job.attempt == attempt)


def _figures(progress: Progress) -> dict[str, Any]:
    return {
        "progress": progress.percent,
        "rows_processed": progress.rows_processed,
        "rows_failed": progress.rows_failed,
        "total_rows": progress.total_rows,
        "error_count": progress.error_count,
        "errors_stored": progress.errors_stored,
        "error_tally": progress.error_tally,
    }


async def claim(session: AsyncSession, *, lease_s: float, may_be_large: bool = True) -> Job | None:
    """QUEUED → PROCESSING, by a worker that received a message: the job whose turn it is, whichever it was sent for (`shared.db.turns`).

    The returned job's `attempt` is the worker's fence. None: nothing waits, or what waits is not to be had now, because others hold it, or because it is
    large and must not be (`shared.db.turns.choose_next`).
    """
    chosen = choose_next(JOBS, may_be_large=may_be_large).cte("chosen")
    statement = (
        update(Job)
        .where(Job.id == select(chosen.c.id).scalar_subquery(), Job.status == JobStatus.QUEUED)
        .values(
            status=JobStatus.PROCESSING,
            attempt=Job.attempt + 1,
            started_at=func.now(),
            lease_expires_at=_lease_until(lease_s),
            next_ring_at=None,
            not_before=None,
            source=None,
        )
        .returning(Job)
        .options(undefer(Job.schema_given), undefer(Job.dialect))
        .add_cte(note_turn(JOBS, chosen))
    )
    fresh = {"synchronize_session": False, "populate_existing": True}
    return (await session.scalars(statement, execution_options=fresh)).one_or_none()


async def is_any_waiting(session: AsyncSession) -> bool:
    """Whether there is any job that could be claimed, if not by everybody or at this moment; asked by a worker that has claimed none."""
    return await turns.is_any_waiting(session, JOBS)


async def begin_anew(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, lease_s: float) -> Job | None:
    """PROCESSING → PROCESSING as the next attempt, by the worker that claimed it and has to read its file from the beginning. None: the job is lost."""
    values = _reset() | {"started_at": func.now(), "lease_expires_at": _lease_until(lease_s), "next_ring_at": None, "source": None}
    statement = update(Job).where(_is_held(job_id, attempt)).values(values).returning(Job).options(undefer(Job.schema_given), undefer(Job.dialect))
    return (await session.scalars(statement)).one_or_none()


async def is_held(session: AsyncSession, *, job_id: uuid.UUID, attempt: int) -> bool:
    """Whether the job still runs under this claim; asked by the worker between chunks, a few times a second. False: cancelled, taken back or gone."""
    return (await session.scalars(select(Job.id).where(_is_held(job_id, attempt)))).one_or_none() is not None


async def renew(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, lease_s: float) -> bool:
    """Extend the lease of a PROCESSING job to `lease_s` from now, by the worker that claimed it. False: the job is lost."""
    statement = update(Job).where(_is_held(job_id, attempt)).values(lease_expires_at=_lease_until(lease_s), updated_at=Job.updated_at).returning(Job.id)
    return (await session.scalars(statement)).one_or_none() is not None


async def describe(
    session: AsyncSession,
    *,
    job_id: uuid.UUID,
    attempt: int,
    source: dict[str, Any],
    notes: list[dict[str, Any]],
    schema_inferred: dict[str, Any] | None,
) -> bool:
    """Record what was found when the file was opened, by the worker that claimed the job. False: the job is lost."""
    statement = update(Job).where(_is_held(job_id, attempt)).values(source=source, notes=notes, schema_inferred=schema_inferred).returning(Job.id)
    return (await session.scalars(statement)).one_or_none() is not None


async def checkpoint(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, progress: Progress, lease_s: float) -> bool:
    """Record progress and extend the lease of a PROCESSING job, in the transaction that stores the errors found so far. False: lost, roll back."""
    statement = update(Job).where(_is_held(job_id, attempt)).values(**_figures(progress), lease_expires_at=_lease_until(lease_s)).returning(Job.id)
    return (await session.scalars(statement)).one_or_none() is not None


async def finish(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, progress: Progress) -> bool:
    """PROCESSING → COMPLETED, by the worker that claimed it, after the last row. False: the job is lost, roll back."""
    figures = _figures(progress) | {"progress": 100, "total_rows": progress.rows_processed}
    return await _end(session, _is_held(job_id, attempt), JobStatus.COMPLETED, figures)


async def fail(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, message: str, progress: Progress | None) -> bool:
    """PROCESSING → FAILED, by the worker that claimed it: the file cannot be read to its end, or the time is over. False: the job is lost, roll back."""
    figures = _figures(progress) if progress is not None else {}
    return await _end(session, _is_held(job_id, attempt), JobStatus.FAILED, figures | {"error_message": message})


async def cancel(session: AsyncSession, *, job_id: uuid.UUID, even_if_queued: bool = False) -> bool:
    """PROCESSING → CANCELLED, by a client; the worker notices at its next chunk. `even_if_queued`: also QUEUED → CANCELLED. False: in another status."""
    statuses = [JobStatus.PROCESSING, *([JobStatus.QUEUED] if even_if_queued else [])]
    return await _end(session, and_(Job.id == job_id, Job.status.in_(statuses), Job.deleted_at.is_(None)), JobStatus.CANCELLED, {"next_ring_at": None})


async def _end(session: AsyncSession, guard: ColumnElement[bool], status: JobStatus, values: dict[str, Any]) -> bool:
    statement = (
        update(Job).where(guard).values(**values, status=status, completed_at=func.clock_timestamp(), lease_expires_at=None).returning(Job.id, Job.attempt)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return False
    await publish(session, JobFinished(job_id=row.id, attempt=row.attempt, name=_EVENT_OF[status]))
    return True


async def release(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, pause_s: float = 0.0) -> bool:
    """PROCESSING → QUEUED, by the worker that claimed it and is shutting down, or lost its database or store; no crash is counted.

    With a pause its message is sent after that. False: the job is lost.
    """
    values = _reset() | {"status": JobStatus.QUEUED}
    if pause_s > 0:
        values |= {"not_before": func.now() + _seconds(pause_s), "next_ring_at": func.now() + _seconds(pause_s)}
    statement = update(Job).where(_is_held(job_id, attempt)).values(values).returning(Job.id)
    released = (await session.scalars(statement)).all()
    if pause_s <= 0:
        _ring_for(session, released)
    return bool(released)


async def retry(session: AsyncSession, *, job_id: uuid.UUID) -> bool:
    """FAILED or CANCELLED → QUEUED, by a client, without its outputs; the crash count starts again at 0. False: the job is in another status.

    From here on it belongs to the trace of this request.
    """
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status.in_([JobStatus.FAILED, JobStatus.CANCELLED]), Job.deleted_at.is_(None))
        .values(**_reset(), status=JobStatus.QUEUED, crashes=0, machine_faults=0, traceparent=func.coalesce(get_traceparent(), Job.traceparent))
        .returning(Job.id)
    )
    retried = (await session.scalars(statement)).all()
    await _drop_outputs(session, retried)
    return _ring_for(session, retried) > 0


async def _drop_outputs(session: AsyncSession, job_ids: Sequence[uuid.UUID]) -> None:
    """Delete the outputs of these jobs, so that their workers find them lost; the caller or a sweep removes their files."""
    if job_ids:
        await session.execute(delete(Output).where(Output.job_id.in_(job_ids)))


async def count_crash(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, max_crashes: int) -> TakenBack | None:
    """PROCESSING → QUEUED, or FAILED at the last crash, by the worker that claimed it and met an unexpected exception. None: the job is lost."""
    message = f"Processing this file stopped unexpectedly {max_crashes} times. Please check the file, or send it again; a retry starts a new count."
    return await _give_back(session, _is_held(job_id, attempt), Job.crashes, limit=max_crashes, message=message, pauses_s=())


async def count_machine_fault(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, message: str, pause_s: float) -> TakenBack | None:
    """PROCESSING → QUEUED after a pause, or FAILED with `message` at the last fault, by the worker whose machine failed the job. None: the job is lost."""
    pauses_s = (pause_s, pause_s * PAUSE_GROWTH)
    return await _give_back(session, _is_held(job_id, attempt), Job.machine_faults, limit=MAX_MACHINE_FAULTS, message=message, pauses_s=pauses_s)


async def list_expired(session: AsyncSession, *, limit: int = 1000) -> Sequence[ExpiredLease]:
    """Return running jobs whose lease has expired, the longest expired first, at most `limit`; used by the sweep."""
    statement = (
        select(Job.id, Job.attempt, Job.lease_expires_at)
        .where(Job.status == JobStatus.PROCESSING, Job.lease_expires_at < func.now())
        .order_by(Job.lease_expires_at)
        .limit(limit)
    )
    return [ExpiredLease(job_id=row.id, attempt=row.attempt, expired_at=row.lease_expires_at) for row in await session.execute(statement)]


async def take_back(session: AsyncSession, *, expired: ExpiredLease, max_crashes: int, pause_s: float) -> TakenBack | None:
    """PROCESSING → QUEUED, or FAILED at the last crash, by the sweep, if the lease has not been renewed since. None: it was renewed, or the job is lost.

    A worker that falls silent was killed, most often for lack of memory, or its machine is gone. The job runs again at once the first time, and after
    `pause_s` from then on.
    """
    guard = and_(_is_held(expired.job_id, expired.attempt), Job.lease_expires_at == expired.expired_at)
    message = (
        f"The service was stopped {max_crashes} times while it checked this file: its memory may be too small for it, or its machine failed. "
        "The file may be in order. Tell whoever runs this service, then try again."
    )
    return await _give_back(session, guard, Job.crashes, limit=max_crashes, message=message, pauses_s=(0, pause_s))


async def _give_back(
    session: AsyncSession, guard: ColumnElement[bool], counter: InstrumentedAttribute[int], *, limit: int, message: str, pauses_s: Sequence[float]
) -> TakenBack | None:
    """Count one more failure of a job in the column `counter`, and queue it again after the pause that belongs to it, or end it at the `limit`."""
    gives_up = counter + 1 >= limit
    failed = (
        update(Job)
        .where(guard, gives_up)
        .values(
            {
                "status": JobStatus.FAILED,
                counter.key: counter + 1,
                "error_message": message,
                "completed_at": func.clock_timestamp(),
                "lease_expires_at": None,
            }
        )
        .returning(Job.id, Job.attempt, counter.label("failures"))
    )
    ended = (await session.execute(failed)).one_or_none()
    if ended is not None:
        await publish(session, JobFinished(job_id=ended.id, attempt=ended.attempt, name=_EVENT_OF[JobStatus.FAILED]))
        return TakenBack(job_id=ended.id, status=JobStatus.FAILED, crashes=ended.failures)
    values = _reset() | {"status": JobStatus.QUEUED, counter.key: counter + 1}
    if any(pauses_s):
        # The last pause is that of every later failure as well.
        *earlier, last = pauses_s
        pause = case(*((counter == count, _seconds(pause_s)) for count, pause_s in enumerate(earlier)), else_=_seconds(last)) if earlier else _seconds(last)
        until = func.now() + pause
        waits = pause > _seconds(0)
        values |= {"not_before": case((waits, until), else_=None), "next_ring_at": case((waits, until), else_=values["next_ring_at"])}
    requeued = update(Job).where(guard, ~gives_up).values(values).returning(Job.id, counter.label("failures"), Job.not_before)
    row = (await session.execute(requeued)).one_or_none()
    if row is None:
        return None
    if row.not_before is None:
        _ring_for(session, [row.id])
    return TakenBack(job_id=row.id, status=JobStatus.QUEUED, crashes=row.failures)


async def pass_on(session: AsyncSession, *, job_id: uuid.UUID) -> None:
    """Send a message again, by a worker that may not use it: for its job or, if somebody has claimed that, for any that waits.

    The sweep rings for that job only if this message is lost, so there is one of it.
    """
    anyone = select(Job.id).where(_waits(), _may_run()).limit(1).with_for_update(skip_locked=True, key_share=True)
    own = anyone.where(Job.id == job_id)
    for found in (own, anyone):
        statement = (
            update(Job)
            .where(Job.id == found.scalar_subquery())
            .values(next_ring_at=func.now() + _seconds(PASSED_ON_S), updated_at=Job.updated_at)
            .returning(Job.id)
        )
        if _ring_for(session, (await session.scalars(statement, execution_options={"synchronize_session": False})).all()):
            return


async def forget_rings(session: AsyncSession) -> int:
    """Make the message of every QUEUED job due now, by the sweep, because the broker has lost its messages; returns the number of jobs."""
    statement = (
        update(Job)
        .where(Job.status == JobStatus.QUEUED, Job.deleted_at.is_(None), Job.next_ring_at > func.now(), _may_run())
        .values(rings=0, next_ring_at=func.now(), updated_at=Job.updated_at)
        .returning(Job.id)
    )
    return len((await session.scalars(statement)).all())


async def ring_again(session: AsyncSession, *, limit: int) -> int:
    """Send the messages of unanswered QUEUED jobs again, by the sweep; returns how many, at most `limit`.

    A job's intervals grow from `FIRST_RING_INTERVAL_S` to `MAX_RING_INTERVAL_S`.
    """
    due = (
        select(Job.id)
        .where(Job.status == JobStatus.QUEUED, Job.deleted_at.is_(None), Job.next_ring_at <= func.now())
        .order_by(Job.next_ring_at, Job.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    pause = func.least(MAX_RING_INTERVAL_S, FIRST_RING_INTERVAL_S * func.power(2.0, func.least(Job.rings + 1, 10)))
    statement = (
        update(Job)
        .where(Job.id.in_(due))
        .values(rings=Job.rings + 1, next_ring_at=func.now() + pause * cast(text("interval '1 second'"), Interval), updated_at=Job.updated_at)
        .returning(Job.id)
    )
    return _ring_for(session, (await session.scalars(statement)).all())


def _ring_for(session: AsyncSession, job_ids: Sequence[uuid.UUID]) -> int:
    for job_id in job_ids:
        enqueue(session, PROCESS_JOB, ProcessJob(job_id=job_id))
    return len(job_ids)


async def hide(session: AsyncSession, *, job_id: uuid.UUID) -> bool:
    """Hide a job that is not running from all clients; its row, errors and file are removed later. False: the job is running, or gone."""
    statement = (
        update(Job)
        .where(Job.id == job_id, Job.status != JobStatus.PROCESSING, Job.deleted_at.is_(None))
        .values(deleted_at=func.now(), purge_due_at=func.now())
        .returning(Job.id)
    )
    if (await session.scalars(statement)).one_or_none() is None:
        return False
    await _drop_outputs(session, [job_id])
    enqueue(session, PURGE_JOB, PurgeJob(job_id=job_id))
    return True


async def hide_ended_before(session: AsyncSession, *, moment: datetime, limit: int) -> int:
    """Hide jobs that ended before `moment`, by retention; returns how many, at most `limit`."""
    old = (
        select(Job.id)
        .where(Job.status.in_(ENDED), Job.completed_at < moment, Job.deleted_at.is_(None))
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    statement = update(Job).where(Job.id.in_(old)).values(deleted_at=func.now(), purge_due_at=func.now()).returning(Job.id)
    hidden = (await session.scalars(statement)).all()
    await _drop_outputs(session, hidden)
    for job_id in hidden:
        enqueue(session, PURGE_JOB, PurgeJob(job_id=job_id))
    return len(hidden)

"""Every change of an output's status; no other code changes it.

Each function runs a guarded `UPDATE … WHERE id AND status … [AND claim] RETURNING`, as in `shared.jobs.job_state`: the first commit wins, and no returned row
means that the output is no longer the caller's. An output belongs to one attempt of its job; `retry` and `DELETE` remove its row, and whoever makes it finds it
lost. The table of transitions is in docs/job-states.md.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Interval, and_, cast, exists, func, literal, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert

from shared.contracts import MAKE_OUTPUT, MakeOutput, OutputsReady
from shared.db import turns
from shared.db.models import Job, Output, OutputStatus
from shared.db.turns import OUTPUTS, choose_next, note_turn
from shared.jobs.job_state import FIRST_RING_INTERVAL_S, MAX_RING_INTERVAL_S, PASSED_ON_S
from shared.messages.events import publish
from shared.messages.outbox import enqueue
from shared.observing.tracing import get_traceparent

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

ENDED = (OutputStatus.READY, OutputStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenBack:
    """An output that was taken from its worker, because the worker went silent or met an unexpected exception."""

    output_id: uuid.UUID
    status: OutputStatus
    crashes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredLease:
    """A lease that has expired and has not been renewed yet."""

    output_id: uuid.UUID
    claim: int
    expired_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is told of a file that was made."""

    size_bytes: int
    row_count: int
    sha256: str
    notes: Sequence[str] = ()


def _seconds(value: float) -> ColumnElement[timedelta]:
    return literal(timedelta(seconds=value), Interval)


def _lease_until(lease_s: float) -> ColumnElement[datetime]:
    return func.clock_timestamp() + _seconds(lease_s)


def _is_held(output_id: uuid.UUID, claim: int) -> ColumnElement[bool]:
    return and_(Output.id == output_id, Output.status == OutputStatus.RUNNING, Output.claim == claim)


def _reset() -> dict[str, Any]:
    """Return the column values of an output that is made from its beginning; nobody writes to the file of its older claims."""
    return {
        "progress": 0,
        "size_bytes": None,
        "row_count": None,
        "sha256": None,
        "error_message": None,
        "notes": [],
        "started_at": None,
        "completed_at": None,
        "expired_at": None,
        "lease_expires_at": None,
        "claim": Output.claim + 1,
        "rings": 0,
        "next_ring_at": func.clock_timestamp() + _seconds(FIRST_RING_INTERVAL_S),
    }


async def ask(session: AsyncSession, *, job_id: uuid.UUID, attempt: int, name: str, is_wanted: bool = False) -> Output:
    """Insert the output as QUEUED, or FAILED, or READY without its content → QUEUED, and send its message; any other is returned as it is.

    The caller holds a lock on the job's row that keeps `retry` and `DELETE` out, or has just ended the job. `is_wanted`: it was asked for at upload.
    """
    new = insert(Output).values(
        job_id=job_id,
        attempt=attempt,
        name=name,
        submitted_by=select(Job.submitted_by).where(Job.id == job_id).scalar_subquery(),
        file_size=select(Job.file_size).where(Job.id == job_id).scalar_subquery(),
        is_wanted=is_wanted,
        next_ring_at=func.clock_timestamp() + _seconds(FIRST_RING_INTERVAL_S),
        traceparent=get_traceparent(),
    )
    statement = new.on_conflict_do_update(
        index_elements=[Output.job_id, Output.name],
        set_=_reset()
        | {"status": OutputStatus.QUEUED, "crashes": 0, "created_at": func.now()}
        | {name: new.excluded[name] for name in ("attempt", "submitted_by", "file_size", "traceparent")},
        where=or_(Output.status == OutputStatus.FAILED, Output.expired_at.is_not(None), Output.attempt != new.excluded.attempt),
    ).returning(Output)
    fresh = {"populate_existing": True}
    queued = (await session.scalars(statement, execution_options=fresh)).one_or_none()
    if queued is not None:
        _ring_for(session, [queued.id])
        return queued
    return (await session.scalars(select(Output).where(Output.job_id == job_id, Output.name == name), execution_options=fresh)).one()


async def claim(session: AsyncSession, *, lease_s: float, may_be_large: bool = True) -> Output | None:
    """QUEUED → RUNNING, by a worker that received a message: the output whose turn it is, whichever it was sent for (`shared.db.turns`).

    The returned output's `claim` is the worker's fence. None: nothing waits, or what waits is not to be had now; see `job_state.claim`.
    """
    chosen = choose_next(OUTPUTS, may_be_large=may_be_large).cte("chosen")
    statement = (
        update(Output)
        .where(Output.id == select(chosen.c.id).scalar_subquery(), Output.status == OutputStatus.QUEUED)
        .values(
            status=OutputStatus.RUNNING,
            claim=Output.claim + 1,
            started_at=func.now(),
            lease_expires_at=_lease_until(lease_s),
            next_ring_at=None,
        )
        .returning(Output)
        .add_cte(note_turn(OUTPUTS, chosen))
    )
    fresh = {"synchronize_session": False, "populate_existing": True}
    return (await session.scalars(statement, execution_options=fresh)).one_or_none()


async def is_any_waiting(session: AsyncSession) -> bool:
    """Whether there is any output that could be claimed, if not by everybody or at this moment; asked by a worker that has claimed none."""
    return await turns.is_any_waiting(session, OUTPUTS)


def _is_of_job() -> ColumnElement[bool]:
    """Whether the output belongs to its job's present attempt, and the job is there for clients."""
    return exists().where(Job.id == Output.job_id, Job.attempt == Output.attempt, Job.deleted_at.is_(None))


async def is_held(session: AsyncSession, *, output_id: uuid.UUID, claim: int) -> bool:
    """Whether the output is still made under this claim; asked by the worker between chunks. False: its job was retried or deleted, or it was taken back."""
    return (await session.scalars(select(Output.id).where(_is_held(output_id, claim)))).one_or_none() is not None


async def renew(session: AsyncSession, *, output_id: uuid.UUID, claim: int, lease_s: float) -> bool:
    """Extend the lease of a RUNNING output to `lease_s` from now, by the worker that claimed it. False: the output is lost."""
    return await _change(session, output_id, claim, {"lease_expires_at": _lease_until(lease_s)})


async def advance(session: AsyncSession, *, output_id: uuid.UUID, claim: int, percent: int, lease_s: float) -> bool:
    """Record the progress, which never falls, and extend the lease, by the worker that claimed it. False: the output is lost."""
    progress = func.greatest(Output.progress, percent)
    return await _change(session, output_id, claim, {"progress": progress, "lease_expires_at": _lease_until(lease_s)})


async def _change(session: AsyncSession, output_id: uuid.UUID, claim: int, values: dict[str, Any]) -> bool:
    statement = update(Output).where(_is_held(output_id, claim)).values(values).returning(Output.id)
    return (await session.scalars(statement, execution_options={"synchronize_session": False})).one_or_none() is not None


async def finish(session: AsyncSession, *, output_id: uuid.UUID, claim: int, made: Made) -> bool:
    """RUNNING → READY, by the worker that claimed it, when its file is there and durable. False: the output is lost, remove the file."""
    values = {"progress": 100, "size_bytes": made.size_bytes, "row_count": made.row_count, "sha256": made.sha256, "notes": list(made.notes)}
    return await _end(session, _is_held(output_id, claim), output_id, values | {"status": OutputStatus.READY})


async def fail(session: AsyncSession, *, output_id: uuid.UUID, claim: int, message: str) -> bool:
    """RUNNING → FAILED, by the worker that claimed it: it cannot be made, or not within its limits. False: the output is lost."""
    return await _end(session, _is_held(output_id, claim), output_id, {"status": OutputStatus.FAILED, "error_message": message})


async def _end(session: AsyncSession, guard: ColumnElement[bool], output_id: uuid.UUID, values: dict[str, Any]) -> bool:
    # The job is locked first, as `retry` and `DELETE` do it, so that nobody waits in a circle and that of two outputs that end at once one sees the other.
    of_output = select(Output.job_id).where(Output.id == output_id).scalar_subquery()
    await session.execute(select(Job.id).where(Job.id == of_output).with_for_update(key_share=True))
    statement = (
        update(Output)
        .where(guard)
        .values(**values, completed_at=func.clock_timestamp(), lease_expires_at=None)
        .returning(Output.job_id, Output.attempt, Output.is_wanted)
        .execution_options(synchronize_session=False)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return False
    if row.is_wanted:
        is_open = exists().where(Output.job_id == row.job_id, Output.attempt == row.attempt, Output.is_wanted, Output.status.not_in(ENDED))
        if not (await session.scalars(select(is_open))).one():
            await publish(session, OutputsReady(job_id=row.job_id, attempt=row.attempt))
    return True


async def release(session: AsyncSession, *, output_id: uuid.UUID, claim: int) -> bool:
    """RUNNING → QUEUED, by the worker that claimed it and is shutting down, or lost its database; no crash is counted. False: the output is lost."""
    statement = (
        update(Output)
        .where(_is_held(output_id, claim))
        .values(**_reset(), status=OutputStatus.QUEUED)
        .returning(Output.id)
        .execution_options(synchronize_session=False)
    )
    return _ring_for(session, (await session.scalars(statement)).all()) > 0


async def count_crash(session: AsyncSession, *, output_id: uuid.UUID, claim: int, max_crashes: int, message: str | None = None) -> TakenBack | None:
    """RUNNING → QUEUED, or FAILED at the last crash (with `message`, if given), by the worker that claimed it and met an exception or a fault of its machine.

    None: the output is lost.
    """
    return await _take_back(session, _is_held(output_id, claim), output_id, max_crashes, message)


async def list_expired(session: AsyncSession, *, limit: int = 1000) -> Sequence[ExpiredLease]:
    """Return outputs that are being made and whose lease has expired, the longest expired first, at most `limit`; used by the sweep."""
    statement = (
        select(Output.id, Output.claim, Output.lease_expires_at)
        .where(Output.status == OutputStatus.RUNNING, Output.lease_expires_at < func.now())
        .order_by(Output.lease_expires_at)
        .limit(limit)
    )
    return [ExpiredLease(output_id=row.id, claim=row.claim, expired_at=row.lease_expires_at) for row in await session.execute(statement)]


async def take_back(session: AsyncSession, *, expired: ExpiredLease, max_crashes: int) -> TakenBack | None:
    """RUNNING → QUEUED, or FAILED at the last crash, by the sweep, if the lease has not been renewed since. None: it was renewed, or the output is lost."""
    guard = and_(_is_held(expired.output_id, expired.claim), Output.lease_expires_at == expired.expired_at)
    return await _take_back(session, guard, expired.output_id, max_crashes)


async def _take_back(session: AsyncSession, guard: ColumnElement[bool], output_id: uuid.UUID, max_crashes: int, message: str | None = None) -> TakenBack | None:
    message = message or f"Making this output stopped unexpectedly {max_crashes} times. Ask for it again, or for another format."
    gives_up = Output.crashes + 1 >= max_crashes
    failed = {"status": OutputStatus.FAILED, "error_message": message, "crashes": Output.crashes + 1}
    if await _end(session, and_(guard, gives_up), output_id, failed):
        return TakenBack(output_id=output_id, status=OutputStatus.FAILED, crashes=max_crashes)
    requeued = (
        update(Output)
        .where(guard, ~gives_up)
        .values(**_reset(), status=OutputStatus.QUEUED, crashes=Output.crashes + 1)
        .returning(Output.id, Output.status, Output.crashes)
        .execution_options(synchronize_session=False)
    )
    row = (await session.execute(requeued)).one_or_none()
    if row is None:
        return None
    _ring_for(session, [row.id])
    return TakenBack(output_id=row.id, status=row.status, crashes=row.crashes)


async def pass_on(session: AsyncSession, *, output_id: uuid.UUID) -> None:
    """Send a message again, by a worker that may not use it: for its output or, if somebody has claimed that, for any that waits; see `job_state.pass_on`."""
    anyone = select(Output.id).where(Output.status == OutputStatus.QUEUED, _is_of_job()).limit(1).with_for_update(skip_locked=True, key_share=True)
    own = anyone.where(Output.id == output_id)
    for found in (own, anyone):
        statement = update(Output).where(Output.id == found.scalar_subquery()).values(next_ring_at=func.now() + _seconds(PASSED_ON_S)).returning(Output.id)
        if _ring_for(session, (await session.scalars(statement, execution_options={"synchronize_session": False})).all()):
            return


async def forget_rings(session: AsyncSession) -> int:
    """Make the message of every QUEUED output due now, by the sweep, because the broker has lost its messages; returns the number of outputs."""
    statement = (
        update(Output)
        .where(Output.status == OutputStatus.QUEUED, Output.next_ring_at > func.now())
        .values(rings=0, next_ring_at=func.now())
        .returning(Output.id)
    )
    return len((await session.scalars(statement)).all())


async def ring_again(session: AsyncSession, *, limit: int) -> int:
    """Send the messages of unanswered QUEUED outputs again, by the sweep; returns how many, at most `limit`. Its intervals grow as a job's do."""
    due = (
        select(Output.id)
        .where(Output.status == OutputStatus.QUEUED, Output.next_ring_at <= func.now())
        .order_by(Output.next_ring_at)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    pause = func.least(MAX_RING_INTERVAL_S, FIRST_RING_INTERVAL_S * func.power(2.0, func.least(Output.rings + 1, 10)))
    statement = (
        update(Output)
        .where(Output.id.in_(due))
        .values(rings=Output.rings + 1, next_ring_at=func.now() + pause * cast(text("interval '1 second'"), Interval))
        .returning(Output.id)
    )
    return _ring_for(session, (await session.scalars(statement)).all())


def _ring_for(session: AsyncSession, output_ids: Sequence[uuid.UUID]) -> int:
    for output_id in output_ids:
        enqueue(session, MAKE_OUTPUT, MakeOutput(output_id=output_id))
    return len(output_ids)


async def lose(session: AsyncSession, *, output_id: uuid.UUID, claim: int) -> None:
    """Note that the content of a READY output is gone although nobody removed it; `ask` has it made anew."""
    guard = and_(Output.id == output_id, Output.status == OutputStatus.READY, Output.claim == claim)
    await session.execute(update(Output).where(guard).values(expired_at=func.now()), execution_options={"synchronize_session": False})


async def expire(session: AsyncSession, *, moment: datetime, limit: int) -> Sequence[Output]:
    """Note that the content of READY outputs made before `moment` is gone, by retention, and return them, at most `limit`; the caller removes their files."""
    old = (
        select(Output.id)
        .where(Output.status == OutputStatus.READY, Output.expired_at.is_(None), Output.completed_at < moment)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
    )
    statement = update(Output).where(Output.id.in_(old)).values(expired_at=func.now()).returning(Output)
    return (await session.scalars(statement)).all()

"""The webhook slice's SQL."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Integer, Interval, String, Table, Uuid, any_, bindparam, column, delete, exists, func, literal, select, table, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased
from sqlalchemy.orm.attributes import set_committed_value

from features.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus
from features.webhooks.schemas import MAX_ATTEMPTS, MAX_ATTEMPTS_OF_ALL, MAX_DELIVERIES
from features.webhooks.types import AttemptResult, ClaimedDelivery, Outcome
from shared.db.base import Base
from shared.db.models import Job, Output

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

ATTEMPT_LEASE_S = 5.0
"""How long a claim holds. An attempt is cut off after 1.5 s, so one that is silent for this long has lost its process."""
UNHEARD_S = 1.0
"""A delivery that has been due for longer than this has no live message."""


def _seconds(value: float) -> ColumnElement[timedelta]:
    return literal(timedelta(seconds=value), Interval)


def _any_of(ids: Sequence[uuid.UUID]) -> ColumnElement[Any]:
    """Match any of `ids`, passed as one array so that the statement is the same for any number of them."""
    return any_(literal(list(ids), ARRAY(Uuid)))


def _among(delivery_ids: Sequence[uuid.UUID]) -> ColumnElement[bool]:
    return Delivery.id == _any_of(delivery_ids)


_DUE = (Delivery.status == DeliveryStatus.PENDING, Delivery.due_at <= func.clock_timestamp())

_deleted_jobs = table("deleted_jobs", column("id", Uuid), column("submitted_by", String))
"""Written by a trigger; a delivery may be sent when its job is gone already."""
_deliveries = Table("webhook_deliveries", Base.metadata)

_CARRY_ON = (
    update(_deliveries)
    .where(
        Delivery.id == bindparam("of_delivery"),
        Delivery.status == DeliveryStatus.PENDING,
        Delivery.round_started_at == bindparam("of_round"),
    )
    .values(
        status=bindparam("new_status"),
        round_attempts=Delivery.round_attempts + bindparam("made", type_=Integer),
        due_at=func.clock_timestamp() + bindparam("delay", type_=Interval),
    )
)
"""Updates a delivery after an attempt, if it is still in the round of that attempt."""


async def get_job(session: AsyncSession, *, job_id: uuid.UUID) -> Job | None:
    """Return the job as this transaction sees it, deleted or not."""
    return await session.get(Job, job_id, populate_existing=True)


async def list_wanted(session: AsyncSession, *, job_id: uuid.UUID, attempt: int) -> Sequence[Output]:
    """Return the outputs that were asked for at upload, of one attempt, by name."""
    statement = select(Output).where(Output.job_id == job_id, Output.attempt == attempt, Output.is_wanted).order_by(Output.name)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).all()


async def insert_delivery(
    session: AsyncSession, *, job: Job, attempt: int, event: str, url: str, payload: dict[str, Any], started_at: datetime | None = None
) -> uuid.UUID | None:
    """Insert a delivery and return its id; None if this event of this attempt already has one. Its ten seconds count from `started_at`, or now."""
    statement = (
        insert(Delivery)
        .values(
            job_id=job.id,
            attempt=attempt,
            event=event,
            url=url,
            payload=payload,
            # The transaction may have begun seconds before the job ended.
            created_at=func.clock_timestamp(),
            due_at=func.clock_timestamp(),
            round_started_at=func.clock_timestamp() if started_at is None else started_at,
        )
        .on_conflict_do_nothing()
        .returning(Delivery.id)
    )
    return (await session.scalars(statement)).one_or_none()


async def list_deliveries(session: AsyncSession, *, job_id: uuid.UUID) -> Sequence[Delivery]:
    """Return the job's deliveries, newest first, with the last attempts of each; `schemas` says how many at most."""
    newest = Delivery.created_at.desc(), Delivery.id.desc()
    deliveries = (await session.scalars(select(Delivery).where(Delivery.job_id == job_id).order_by(*newest).limit(MAX_DELIVERIES))).all()
    of_delivery = DeliveryAttempt.delivery_id == Delivery.id
    last = aliased(DeliveryAttempt, select(DeliveryAttempt).where(of_delivery).order_by(DeliveryAttempt.number.desc()).limit(MAX_ATTEMPTS).lateral("last"))
    shown = [delivery.id for delivery in deliveries]
    statement = select(last).select_from(Delivery).join(last, true()).where(_among(shown))
    attempts: defaultdict[uuid.UUID, list[DeliveryAttempt]] = defaultdict(list)
    for attempt in await session.scalars(statement.order_by(*newest, last.number.desc()).limit(MAX_ATTEMPTS_OF_ALL)):
        attempts[attempt.delivery_id].insert(0, attempt)
    for delivery in deliveries:
        set_committed_value(delivery, "attempts", attempts[delivery.id])
    return deliveries


async def lock_newest(session: AsyncSession, *, job_id: uuid.UUID) -> tuple[uuid.UUID, DeliveryStatus] | None:
    """Return id and status of the job's newest delivery, locked until the transaction ends; None if the job has none."""
    newest = select(Delivery.id, Delivery.status).where(Delivery.job_id == job_id).order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(1)
    row = (await session.execute(newest.with_for_update())).one_or_none()
    return None if row is None else (row.id, row.status)


async def restart(session: AsyncSession, *, delivery_id: uuid.UUID) -> None:
    """Begin a new round of the delivery."""
    now = func.clock_timestamp()
    values = {"status": DeliveryStatus.PENDING, "round_started_at": now, "round_attempts": 0, "due_at": now}
    await session.execute(update(Delivery).where(Delivery.id == delivery_id).values(**values))


async def list_due_urls(session: AsyncSession, *, delivery_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
    """Return the URLs, by delivery id, of those of `delivery_ids` that are due."""
    return {row.id: row.url for row in await session.execute(select(Delivery.id, Delivery.url).where(_among(delivery_ids), *_DUE))}


async def claim_deliveries(session: AsyncSession, *, delivery_ids: Sequence[uuid.UUID], round_s: float) -> Sequence[ClaimedDelivery]:
    """Claim those of `delivery_ids` that are due, for one attempt each; rows locked by another transaction are skipped."""
    due = select(Delivery.id).where(_among(delivery_ids), *_DUE).order_by(Delivery.id).with_for_update(skip_locked=True).cte("due")
    statement = (
        update(Delivery)
        .where(Delivery.id == due.c.id)
        .values(due_at=func.clock_timestamp() + _seconds(ATTEMPT_LEASE_S))
        .returning(
            Delivery.id,
            Delivery.job_id,
            Delivery.url,
            Delivery.payload,
            Delivery.event,
            func.coalesce(
                select(Job.submitted_by).where(Job.id == Delivery.job_id).scalar_subquery(),
                select(_deleted_jobs.c.submitted_by).where(_deleted_jobs.c.id == Delivery.job_id).scalar_subquery(),
            ).label("submitted_by"),
            select(Job.traceparent).where(Job.id == Delivery.job_id).scalar_subquery().label("traceparent"),
            Delivery.round_started_at,
            Delivery.round_attempts,
            func.extract("epoch", Delivery.round_started_at + _seconds(round_s) - func.clock_timestamp()).label("time_left_s"),
        )
        .execution_options(synchronize_session=False)
    )
    return [
        ClaimedDelivery(
            id=row.id,
            job_id=row.job_id,
            url=row.url,
            body=row.payload,
            event=row.event,
            submitted_by=row.submitted_by,
            traceparent=row.traceparent,
            round_started_at=row.round_started_at,
            round_attempt=row.round_attempts + 1,
            time_left_s=float(row.time_left_s),
        )
        for row in await session.execute(statement)
    ]


async def record_outcomes(session: AsyncSession, *, outcomes: Sequence[Outcome]) -> None:
    """Store the attempts, each with its delivery's next number, and update the deliveries.

    If a redelivery has begun a new round meanwhile, the attempt is stored and the new round goes on; a delivery that is gone is skipped.
    """
    delivery_ids = [outcome.claimed.id for outcome in outcomes]
    known = set(await session.scalars(select(Delivery.id).where(_among(delivery_ids)).order_by(Delivery.id).with_for_update()))
    counts = select(DeliveryAttempt.delivery_id, func.max(DeliveryAttempt.number)).where(DeliveryAttempt.delivery_id == _any_of(delivery_ids))
    numbers: Counter[uuid.UUID] = Counter(dict((await session.execute(counts.group_by(DeliveryAttempt.delivery_id))).all()))
    attempts = []
    for outcome in outcomes:
        if outcome.result is not None and outcome.claimed.id in known:
            numbers[outcome.claimed.id] += 1
            attempts.append(_describe_attempt(outcome.claimed.id, numbers[outcome.claimed.id], outcome.result))
    if attempts:
        await session.execute(insert(DeliveryAttempt), attempts)
    connection = await session.connection()
    await connection.execute(
        _CARRY_ON,
        [
            {
                "of_delivery": outcome.claimed.id,
                "of_round": outcome.claimed.round_started_at,
                "new_status": outcome.status,
                "made": int(outcome.result is not None),
                "delay": timedelta(seconds=outcome.delay_s or 0.0),
            }
            for outcome in outcomes
        ],
    )


def _describe_attempt(delivery_id: uuid.UUID, number: int, result: AttemptResult) -> dict[str, Any]:
    return {
        "delivery_id": delivery_id,
        "number": number,
        "started_at": result.started_at,
        "duration_ms": result.duration_ms,
        "status_code": result.status_code,
        "error": result.error,
        "response_excerpt": result.response_excerpt,
        "retry_after_s": result.retry_after_s,
    }


async def ring_unheard(session: AsyncSession, *, limit: int) -> Sequence[uuid.UUID]:
    """Return deliveries that are due and have no live message, at most `limit`, the longest due first.

    Each returned delivery moves to the end of that order, so that a crowd waiting for one receiver does not hide the others.
    """
    unheard = (
        select(Delivery.id)
        .where(Delivery.status == DeliveryStatus.PENDING, Delivery.due_at < func.now() - _seconds(UNHEARD_S))
        .order_by(Delivery.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("unheard")
    )
    statement = update(Delivery).where(Delivery.id == unheard.c.id).values(due_at=func.clock_timestamp()).returning(Delivery.id)
    return (await session.scalars(statement, execution_options={"synchronize_session": False})).all()


async def delete_orphans(session: AsyncSession, *, limit: int) -> int:
    """Delete ended deliveries of jobs that are gone, at most `limit`; returns how many."""
    gone = select(Delivery.id).where(Delivery.status != DeliveryStatus.PENDING, ~exists().where(Job.id == Delivery.job_id)).limit(limit)
    return len((await session.scalars(delete(Delivery).where(Delivery.id.in_(gone)).returning(Delivery.id))).all())

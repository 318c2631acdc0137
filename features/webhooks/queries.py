"""The webhook slice's SQL."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Interval, delete, exists, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import selectinload

from features.webhooks.models import Delivery, DeliveryAttempt, DeliveryStatus
from features.webhooks.schemas import AttemptResult, ClaimedDelivery
from shared.db.models import Job

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncSession

ATTEMPT_LEASE_S = 5.0
"""An attempt is cut at 1.5 s: one that is silent for longer has lost its process."""
UNHEARD_S = 1.0
"""A delivery that is due for longer has no live message."""


def _seconds(value: float) -> ColumnElement[timedelta]:
    return literal(timedelta(seconds=value), Interval)


async def get_job(session: AsyncSession, *, job_id: uuid.UUID) -> Job | None:
    """The job as this transaction sees it, deleted or not."""
    return await session.get(Job, job_id, populate_existing=True)


async def insert_delivery(session: AsyncSession, *, job: Job, attempt: int, event: str, url: str, payload: dict[str, Any]) -> uuid.UUID | None:
    """The id of the new delivery; None where this event of this attempt has one already."""
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
            round_started_at=job.completed_at,
        )
        .on_conflict_do_nothing()
        .returning(Delivery.id)
    )
    return (await session.scalars(statement)).one_or_none()


async def list_deliveries(session: AsyncSession, *, job_id: uuid.UUID) -> Sequence[Delivery]:
    """Deliveries of the job with their attempts, newest first."""
    statement = (
        select(Delivery).where(Delivery.job_id == job_id).options(selectinload(Delivery.attempts)).order_by(Delivery.created_at.desc(), Delivery.id.desc())
    )
    return (await session.scalars(statement)).all()


async def restart_newest(session: AsyncSession, *, job_id: uuid.UUID) -> uuid.UUID | None:
    """Begin a new round of the job's newest delivery and return its id; None where it has none."""
    newest = select(Delivery.id).where(Delivery.job_id == job_id).order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(1)
    statement = (
        update(Delivery)
        .where(Delivery.id.in_(newest))
        .values(status=DeliveryStatus.PENDING, round_started_at=func.clock_timestamp(), round_attempts=0, due_at=func.clock_timestamp())
        .returning(Delivery.id)
    )
    return (await session.scalars(statement)).one_or_none()


async def claim_delivery(session: AsyncSession, *, delivery_id: uuid.UUID, round_s: float) -> ClaimedDelivery | None:
    """Take a delivery that is due for one attempt; None where it is not due, or somebody else's."""
    statement = (
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.status == DeliveryStatus.PENDING, Delivery.due_at <= func.clock_timestamp())
        .values(due_at=func.clock_timestamp() + _seconds(ATTEMPT_LEASE_S))
        .returning(
            Delivery,
            func.extract("epoch", Delivery.round_started_at + _seconds(round_s) - func.clock_timestamp()).label("time_left_s"),
        )
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        return None
    delivery: Delivery = row[0]
    return ClaimedDelivery(
        id=delivery.id,
        url=delivery.url,
        body=delivery.payload,
        event=delivery.event,
        round_started_at=delivery.round_started_at,
        round_attempt=delivery.round_attempts + 1,
        time_left_s=float(row.time_left_s),
    )


async def insert_attempt(session: AsyncSession, *, claimed: ClaimedDelivery, result: AttemptResult) -> None:
    """Record one POST, with the next number; counts it in its round, if that is not over."""
    await session.execute(select(Delivery.id).where(Delivery.id == claimed.id).with_for_update())
    number = select(func.coalesce(func.max(DeliveryAttempt.number), 0) + 1).where(DeliveryAttempt.delivery_id == claimed.id).scalar_subquery()
    await session.execute(
        insert(DeliveryAttempt).values(
            delivery_id=claimed.id,
            number=number,
            started_at=result.started_at,
            duration_ms=result.duration_ms,
            status_code=result.status_code,
            error=result.error,
            response_excerpt=result.response_excerpt,
        ),
    )
    await session.execute(update(Delivery).where(_same_round(claimed)).values(round_attempts=claimed.round_attempt))


async def end_delivery(session: AsyncSession, *, claimed: ClaimedDelivery, status: DeliveryStatus) -> None:
    """The delivery is over, unless a redelivery has begun a new round meanwhile."""
    await session.execute(update(Delivery).where(_same_round(claimed)).values(status=status))


async def postpone_delivery(session: AsyncSession, *, claimed: ClaimedDelivery, delay_s: float) -> None:
    """The next attempt is due in `delay_s`."""
    await session.execute(update(Delivery).where(_same_round(claimed)).values(due_at=func.clock_timestamp() + _seconds(delay_s)))


def _same_round(claimed: ClaimedDelivery) -> ColumnElement[bool]:
    return (Delivery.id == claimed.id) & (Delivery.status == DeliveryStatus.PENDING) & (Delivery.round_started_at == claimed.round_started_at)


async def list_unheard(session: AsyncSession, *, limit: int) -> Sequence[uuid.UUID]:
    """Deliveries that are due and that no live message speaks of, the oldest first."""
    statement = (
        select(Delivery.id)
        .where(Delivery.status == DeliveryStatus.PENDING, Delivery.due_at < func.now() - _seconds(UNHEARD_S))
        .order_by(Delivery.due_at)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def delete_orphans(session: AsyncSession, *, limit: int) -> int:
    """Remove ended deliveries of jobs that are gone; returns how many."""
    gone = select(Delivery.id).where(Delivery.status != DeliveryStatus.PENDING, ~exists().where(Job.id == Delivery.job_id)).limit(limit)
    return len((await session.scalars(delete(Delivery).where(Delivery.id.in_(gone)).returning(Delivery.id))).all())

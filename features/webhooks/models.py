"""The webhook slice's own tables: deliveries, and every attempt to send them."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import Enum, ForeignKey, Index, String, Text, UniqueConstraint, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.db.base import Base


class DeliveryStatus(enum.StrEnum):
    """The state of a delivery: it may still be attempted, was answered with 2xx, was refused for good, or every attempt failed."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    REJECTED = "REJECTED"
    EXHAUSTED = "EXHAUSTED"


class Delivery(Base):
    """The end of one attempt of a job, to be sent to its webhook. `id` is the `webhook-id`."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("job_id", "attempt", "event"),
        Index("ix_webhook_deliveries_due_at", "due_at", postgresql_where=text("status = 'PENDING'")),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    job_id: Mapped[uuid.UUID]
    """Not a foreign key: a promised delivery is still sent if the job is deleted a moment after its end."""
    attempt: Mapped[int]
    event: Mapped[str] = mapped_column(String(50))
    url: Mapped[str] = mapped_column(String(500))
    payload: Mapped[dict[str, Any]]
    status: Mapped[DeliveryStatus] = mapped_column(Enum(DeliveryStatus, name="delivery_status"), default=DeliveryStatus.PENDING, server_default="PENDING")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    round_started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When the job ended, or the time of the last `redeliver`; the round's ten seconds count from here."""
    round_attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    """Attempts recorded since the round started."""
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When the next attempt is due; while an attempt is being made, when it is presumed dead."""
    attempts: Mapped[list[DeliveryAttempt]] = relationship(order_by="DeliveryAttempt.number", lazy="raise", passive_deletes=True)


class DeliveryAttempt(Base):
    """One POST to the webhook."""

    __tablename__ = "webhook_attempts"
    __table_args__ = (UniqueConstraint("delivery_id", "number"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    delivery_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_deliveries.id", ondelete="CASCADE"))
    number: Mapped[int]
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    response_excerpt: Mapped[str | None] = mapped_column(Text)
    retry_after_s: Mapped[float | None]
    """The delay that the receiver asked for (`Retry-After`), in seconds from its answer."""

"""Response bodies about a job's deliveries. The body of a webhook itself is built in `features.webhooks.events`."""

from __future__ import annotations

import uuid

from pydantic import Field

from features.webhooks.models import DeliveryStatus
from shared.web.schemas import Read, UtcTime

MAX_ATTEMPTS = 50
"""Most attempts of one delivery that are shown."""
MAX_DELIVERIES = MAX_ATTEMPTS_OF_ALL = 1000
"""Most deliveries, and most attempts of all of them, in one answer."""


class DeliveryAttemptRead(Read):
    """One POST to the webhook."""

    number: int = Field(description="Counted from 1, over all rounds")
    started_at: UtcTime
    duration_ms: int
    status_code: int | None = Field(description="Null if no answer came")
    error: str | None = Field(description="Why no answer came, at most 1,000 characters; null if one did", examples=["ConnectError: connection refused"])
    response_excerpt: str | None = Field(description="The first 1,000 characters of the answer")


class DeliveryRead(Read):
    """One event of a job, and the attempts to deliver it."""

    id: uuid.UUID = Field(description="The webhook-id: the same in every retry and redelivery")
    event: str = Field(examples=["job.completed"])
    url: str
    status: DeliveryStatus
    created_at: UtcTime
    attempts: list[DeliveryAttemptRead] = Field(description=f"The last {MAX_ATTEMPTS} at most, the first of them first")


class DeliveryList(Read):
    """The deliveries of a job, newest first."""

    deliveries: list[DeliveryRead] = Field(
        description=f"The newest {MAX_DELIVERIES:,} at most; of more than {MAX_ATTEMPTS_OF_ALL:,} attempts in all, those of older ones are left out"
    )

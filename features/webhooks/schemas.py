"""Response bodies about a job's deliveries. The body of a webhook itself is built in `features.webhooks.events`."""

from __future__ import annotations

import uuid

from pydantic import Field

from features.webhooks.models import DeliveryStatus
from shared.web.schemas import Read, UtcTime


class DeliveryAttemptRead(Read):
    """One POST to the webhook."""

    number: int = Field(description="Counted from 1, over all rounds")
    started_at: UtcTime
    duration_ms: int
    status_code: int | None = Field(description="Null if no answer came")
    error: str | None = Field(description="Why no answer came; null if one did", examples=["ConnectError: connection refused"])
    response_excerpt: str | None = Field(description="The first 1,024 bytes of the answer, as text")


class DeliveryRead(Read):
    """One event of a job, and the attempts to deliver it."""

    id: uuid.UUID = Field(description="The webhook-id: the same in every retry and redelivery")
    event: str = Field(examples=["job.completed"])
    url: str
    status: DeliveryStatus
    created_at: UtcTime
    attempts: list[DeliveryAttemptRead]


class DeliveryList(Read):
    """The deliveries of a job, newest first."""

    deliveries: list[DeliveryRead]

"""Internal data types of the slice."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime

from features.webhooks.models import DeliveryStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedDelivery:
    """A delivery that this process is to attempt now."""

    id: uuid.UUID
    url: str
    body: dict[str, object]
    event: str
    round_started_at: datetime
    round_attempt: int
    """Of this attempt, in this round, from 1; one whose process died before it could be recorded does not count."""
    time_left_s: float
    """Until the round is over, on the database's clock; negative where it is over."""


class Failure(enum.StrEnum):
    """Why no answer came."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    """By ourselves: the address may not be called."""
    NOT_FOUND = "not_found"
    """No address belongs to the host's name."""
    CERTIFICATE = "certificate"
    """The receiver's certificate is not one for its name that a known authority signed."""
    CONNECTION = "connection"
    """No connection, or one that ended early, or an answer that is no HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """What came of one POST."""

    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response_excerpt: str | None
    failure: Failure | None = None
    retry_after_s: float | None = None
    """What the receiver asked for, in seconds from its answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What is to be recorded of one claim, each a thing of its own."""

    claimed: ClaimedDelivery
    result: AttemptResult | None
    """None: the attempt was left out, its time is over."""
    status: DeliveryStatus
    delay_s: float | None = None
    """Until the next attempt, where the delivery goes on."""

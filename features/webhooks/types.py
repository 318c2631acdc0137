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
    job_id: uuid.UUID
    url: str
    body: dict[str, object]
    event: str
    submitted_by: str | None = None
    """The name of the API key that sent the job; its deliveries may be signed with a secret of their own."""
    traceparent: str | None = None
    """The span of the request that made the job, if it was traced and the job is not gone."""
    round_started_at: datetime
    round_attempt: int
    """The number of this attempt in its round, from 1; an attempt whose process died before recording it does not count."""
    time_left_s: float
    """Seconds until the round is over, on the database's clock; negative if it is over."""


class Failure(enum.StrEnum):
    """Why no answer came."""

    TIMEOUT = "timeout"
    REFUSED = "refused"
    """Refused by this service: the address may not be called."""
    NOT_FOUND = "not_found"
    """The host's name has no address."""
    CERTIFICATE = "certificate"
    """The receiver's certificate is not valid for its name, or not signed by a known authority."""
    CONNECTION = "connection"
    """No connection could be made, it ended early, or the answer was not HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """The result of one POST."""

    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response_excerpt: str | None
    failure: Failure | None = None
    retry_after_s: float | None = None
    """The delay that the receiver asked for, in seconds from its answer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What to record for one claim; compared by identity, so that equal outcomes stay separate."""

    claimed: ClaimedDelivery
    result: AttemptResult | None
    """None if no attempt was made because the round is over."""
    status: DeliveryStatus
    delay_s: float | None = None
    """Seconds until the next attempt, if the delivery goes on."""

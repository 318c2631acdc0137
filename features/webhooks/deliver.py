"""One round of a delivery: up to four attempts within ten seconds, each recorded before the next."""

from __future__ import annotations

import asyncio
import random
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from features.webhooks import queries
from features.webhooks.client import post
from features.webhooks.models import DeliveryStatus
from features.webhooks.schemas import AttemptResult, ClaimedDelivery

if TYPE_CHECKING:
    from shared.messaging import TaskContext

ROUND_S = 10.0
ATTEMPT_S = 1.5
SHORTEST_ATTEMPT_S = 0.1
BACKOFF_S = (0.5, 1.0, 2.0)
_RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

log = structlog.get_logger(__name__)


async def deliver(context: TaskContext, *, delivery_id: uuid.UUID) -> None:
    """Attempt a delivery that is due until it is over; another process that tries the same finds nothing due."""
    delay_s: float | None = 0.0
    while delay_s is not None:
        await asyncio.sleep(delay_s)
        async with context.database.unit_of_work() as session:
            claimed = await queries.claim_delivery(session, delivery_id=delivery_id, round_s=ROUND_S)
        if claimed is None:
            return
        delay_s = await _attempt(context, claimed)


async def _attempt(context: TaskContext, claimed: ClaimedDelivery) -> float | None:
    """Make one attempt, unless the round is over; how long to wait for the next, None where there is none."""
    # A delivery that could not be tried in its round is still tried once, however late.
    never_tried = claimed.round_attempt == 1
    timeout_s = ATTEMPT_S if never_tried else min(ATTEMPT_S, claimed.time_left_s)
    if timeout_s < SHORTEST_ATTEMPT_S:
        async with context.database.unit_of_work() as session:
            await queries.end_delivery(session, claimed=claimed, status=DeliveryStatus.EXHAUSTED)
        return None
    result = await post(claimed, settings=context.settings, timeout_s=timeout_s)
    outcome = judge(result)
    delay_s = None
    if outcome is DeliveryStatus.PENDING:
        left_s = claimed.time_left_s - result.duration_ms / 1000
        delay_s = choose_delay(claimed.round_attempt, result.retry_after_s, left_s=left_s)
        outcome = DeliveryStatus.EXHAUSTED if delay_s is None else outcome
    async with context.database.unit_of_work() as session:
        await queries.insert_attempt(session, claimed=claimed, result=result)
        if delay_s is None:
            await queries.end_delivery(session, claimed=claimed, status=outcome)
        else:
            await queries.postpone_delivery(session, claimed=claimed, delay_s=delay_s)
    log.info(
        "webhook attempt",
        delivery_id=str(claimed.id),
        round_attempt=claimed.round_attempt,
        status_code=result.status_code,
        error=result.error,
        duration_ms=result.duration_ms,
        outcome=outcome.value,
    )
    return delay_s


def judge(result: AttemptResult) -> DeliveryStatus:
    """What an attempt means: 2xx delivers; no answer, 408, 429 and 5xx may be tried again (PENDING); anything else is the receiver's no."""
    code = result.status_code
    if code is None:
        return DeliveryStatus.REJECTED if (result.error or "").startswith("WebhookAddressRefused") else DeliveryStatus.PENDING
    if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return DeliveryStatus.DELIVERED
    if code in _RETRIED or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DeliveryStatus.PENDING
    return DeliveryStatus.REJECTED


def choose_delay(round_attempt: int, retry_after_s: float | None, *, left_s: float) -> float | None:
    """Seconds until the attempt after the `round_attempt`-th: 0.5, 1, 2, up to a tenth less; None where there is none within `left_s`."""
    if round_attempt > len(BACKOFF_S):
        return None
    delay_s = BACKOFF_S[round_attempt - 1] * random.uniform(0.9, 1.0)  # noqa: S311  # jitter
    delay_s = max(delay_s, retry_after_s or 0.0)
    return delay_s if delay_s + SHORTEST_ATTEMPT_S < left_s else None

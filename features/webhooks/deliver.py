"""Run one round of a delivery: up to four attempts within ten seconds, each made in its turn and recorded before the next."""

from __future__ import annotations

import asyncio
import random
import resource
import uuid
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from features.webhooks import metrics
from features.webhooks.client import post
from features.webhooks.ledger import Ledger
from features.webhooks.models import DeliveryStatus
from features.webhooks.turns import Turns
from features.webhooks.types import AttemptResult, ClaimedDelivery, Failure, Outcome
from shared.observing.tracing import NO_SPAN, Value, is_on, span
from shared.web.webhook_address import WebhookAddressRefused, parse_webhook_url

if TYPE_CHECKING:
    from shared.messages.tasks import TaskContext
    from shared.observing.tracing import Span

ROUND_S = 10.0
ATTEMPT_S = 1.5
SHORTEST_ATTEMPT_S = 0.1
BACKOFF_S = (0.5, 1.0, 2.0)
MAX_ATTEMPTS_AT_ONCE = 2000
"""Most attempts at once in one process, or half the number of files it may open if that is less.

An attempt that waits for its answer costs a socket and some memory.
"""
_RETRIED = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})

log = structlog.get_logger(__name__)


async def deliver(context: TaskContext, *, delivery_id: uuid.UUID) -> None:
    """Attempt a due delivery until it is over; another process that tries the same delivery finds it no longer due."""
    await context.keep(Courier, lambda: Courier(context)).deliver(delivery_id)


class Courier:
    """Makes all delivery attempts of one process."""

    def __init__(self, context: TaskContext) -> None:
        self._settings = context.settings
        self._ledger = Ledger(context.database, round_s=ROUND_S)
        self._turns = Turns(
            at_once=min(MAX_ATTEMPTS_AT_ONCE, allow_files(2 * MAX_ATTEMPTS_AT_ONCE) // 2),
            per_receiver=context.settings.webhook_attempts_per_receiver,
        )
        self._waiting: set[uuid.UUID] = set()

    async def deliver(self, delivery_id: uuid.UUID) -> None:
        """Attempt the delivery until it is over, or no longer belongs to this process."""
        url = await self._ledger.get_url(delivery_id)
        if url is None:
            return
        receiver = name_receiver(url)
        delay_s = await self._attempt_in_turn(delivery_id, receiver, is_retry=False)
        while delay_s is not None:
            await asyncio.sleep(delay_s)
            delay_s = await self._attempt_in_turn(delivery_id, receiver, is_retry=True)

    async def _attempt_in_turn(self, delivery_id: uuid.UUID, receiver: str, *, is_retry: bool) -> float | None:
        """Make one attempt in its turn; return the seconds to wait before the next, or None if there is none or this process may not make it."""
        if delivery_id in self._waiting:  # another message for it has arrived in the meantime
            return None
        self._waiting.add(delivery_id)
        try:
            turn = await self._turns.wait(receiver, is_retry=is_retry)
        finally:
            self._waiting.discard(delivery_id)
        with turn:
            claimed = await self._ledger.claim(delivery_id)
            if claimed is None:
                return None
            structlog.contextvars.bind_contextvars(job_id=str(claimed.job_id), delivery_id=str(delivery_id))
            with _open_span(claimed) as attempt:
                outcome = await self._attempt(claimed)
                _close_span(attempt, outcome)
                if outcome.result is not None:
                    self._turns.note(receiver, hangs=outcome.result.failure is Failure.TIMEOUT)
                await self._ledger.record(outcome)
                _count(outcome)
        return outcome.delay_s

    async def _attempt(self, claimed: ClaimedDelivery) -> Outcome:
        """Make one attempt, unless the round is over."""
        # A delivery that could not be attempted within its round is still attempted once, however late.
        never_tried = claimed.round_attempt == 1
        timeout_s = ATTEMPT_S if never_tried else min(ATTEMPT_S, claimed.time_left_s)
        if timeout_s < SHORTEST_ATTEMPT_S:
            return Outcome(claimed=claimed, result=None, status=DeliveryStatus.EXHAUSTED)
        result = await post(claimed, settings=self._settings, timeout_s=timeout_s)
        status = judge(result)
        if status is not DeliveryStatus.PENDING:
            return Outcome(claimed=claimed, result=result, status=status)
        left_s = claimed.time_left_s - result.duration_ms / 1000
        delay_s = choose_delay(claimed.round_attempt, result.retry_after_s, left_s=left_s)
        return Outcome(claimed=claimed, result=result, status=DeliveryStatus.EXHAUSTED if delay_s is None else status, delay_s=delay_s)


def allow_files(wanted: int) -> int:
    """Raise this process's limit of open files and sockets (often 1,024 at first) to `wanted` if the system allows it.

    Returns how many it may open now; `wanted` if there is no limit.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return wanted if allowed == resource.RLIM_INFINITY else allowed


def name_receiver(url: str) -> str:
    """Return the URL's host and port; deliveries with the same receiver share its place in the line."""
    try:
        target = parse_webhook_url(url)
    except WebhookAddressRefused:
        return url
    return f"{target.host}:{target.port}"


def judge(result: AttemptResult) -> DeliveryStatus:
    """Return the delivery's status after an attempt.

    2xx is DELIVERED. No answer, 408, 429 and 5xx may be tried again (PENDING). Any other answer, or an address that may not be called, is REJECTED.
    """
    code = result.status_code
    if code is None:
        return DeliveryStatus.REJECTED if result.failure is Failure.REFUSED else DeliveryStatus.PENDING
    if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return DeliveryStatus.DELIVERED
    if code in _RETRIED or code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DeliveryStatus.PENDING
    return DeliveryStatus.REJECTED


def choose_delay(round_attempt: int, retry_after_s: float | None, *, left_s: float) -> float | None:
    """Return the seconds to wait after the `round_attempt`-th attempt; None if no further attempt fits within `left_s`.

    The waits are 0.5, 1 and 2 s, each up to a tenth shorter at random, or what `Retry-After` asked for if that is longer.
    """
    if round_attempt > len(BACKOFF_S):
        return None
    delay_s = BACKOFF_S[round_attempt - 1] * random.uniform(0.9, 1.0)  # noqa: S311  # jitter
    delay_s = max(delay_s, retry_after_s or 0.0)
    return delay_s if delay_s + SHORTEST_ATTEMPT_S < left_s else None


def _open_span(claimed: ClaimedDelivery) -> Span:
    """Begin the span of an attempt; the path of its URL may be a secret, and is not told."""
    if not is_on():
        return NO_SPAN
    attributes: dict[str, Value] = {
        "http.request.method": "POST",
        "http.request.resend_count": claimed.round_attempt - 1 or None,
        "rowgate.job.id": str(claimed.job_id),
        "rowgate.delivery.id": str(claimed.id),
        "rowgate.delivery.event": claimed.event,
    }
    with suppress(WebhookAddressRefused):
        target = parse_webhook_url(claimed.url)
        attributes |= {"server.address": target.host, "server.port": target.port, "url.scheme": target.scheme}
    return span("POST webhook", kind="client", parent=claimed.traceparent, attributes=attributes)


def _close_span(attempt: Span, outcome: Outcome) -> None:
    """Tell what the receiver answered; what follows is no time of it."""
    result = outcome.result
    attempt.set({"rowgate.delivery.outcome": outcome.status.value})
    if result is not None:
        attempt.set({"http.response.status_code": result.status_code})
        if result.failure is not None or (result.status_code or 0) >= HTTPStatus.BAD_REQUEST:
            attempt.fail(result.failure or str(result.status_code))
    attempt.end()


def _count(outcome: Outcome) -> None:
    """Log and count the outcome of an attempt and of its delivery."""
    result = outcome.result
    if outcome.status is not DeliveryStatus.PENDING:
        metrics.DELIVERIES.labels(outcome.status.value.lower()).inc()
    if result is None:
        log.warning("webhook given up: its time is over", about=outcome.claimed.event, outcome=outcome.status.value)
        return
    metrics.ATTEMPTS.labels(str(result.failure or f"{(result.status_code or 0) // 100}xx")).inc()
    metrics.ATTEMPT_SECONDS.observe(result.duration_ms / 1000)
    write = log.warning if outcome.status in (DeliveryStatus.EXHAUSTED, DeliveryStatus.REJECTED) else log.info
    write(
        "webhook attempt",
        about=outcome.claimed.event,
        receiver=name_receiver(outcome.claimed.url),
        round_attempt=outcome.claimed.round_attempt,
        status_code=result.status_code,
        error=result.error,
        retry_after_s=result.retry_after_s,
        duration_ms=result.duration_ms,
        outcome=outcome.status.value,
    )

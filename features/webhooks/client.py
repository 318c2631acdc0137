"""Send one webhook POST: signed (Standard Webhooks), to an address that was checked, with a time limit, and without following redirects."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING

import httpx
from standardwebhooks import Webhook

from features.webhooks.types import AttemptResult, ClaimedDelivery, Failure
from shared.web.webhook_address import HostNotFound, WebhookAddressRefused, choose_addresses, parse_webhook_url, require_allowed

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.web.webhook_address import IpAddress, WebhookTarget

MAX_RESPONSE_BYTES = 64 * 1024
EXCERPT_BYTES = 1024
MAX_RETRY_AFTER_S = 86_400.0
"""A longer `Retry-After` is cut to this; it is far beyond any round anyway."""


@cache
def get_tls() -> ssl.SSLContext:
    """Return the process's TLS context, made once: reading the certificates takes longer than most receivers take to answer."""
    return httpx.create_ssl_context(trust_env=False)


def sign(secrets: Sequence[str], *, message_id: str, moment: datetime, body: str) -> str:
    """Return the value of `webhook-signature`: one signature per secret, separated by spaces, so that secrets can be rotated."""
    return " ".join(Webhook(secret).sign(message_id, moment, body) for secret in secrets)


async def post(claimed: ClaimedDelivery, *, settings: Settings, timeout_s: float) -> AttemptResult:
    """Send one delivery once and return the result; every failure is in the result, and only cancellation is raised."""
    tls = get_tls()  # before the clock starts: making it takes a while the first time, and the receiver is not to blame for that
    started_at, start = datetime.now(UTC), time.monotonic()
    answer: Answer | None = None
    failure, error = None, None
    try:
        async with asyncio.timeout(timeout_s):
            target = parse_webhook_url(claimed.url)
            require_allowed(target, allowed_hosts=settings.webhook_hosts)
            addresses = await choose_addresses(target, allow_private=settings.webhook_allow_private_addresses, timeout_s=timeout_s)
            answer = await _send(claimed, target, addresses, settings, tls)
    except TimeoutError:
        failure, error = Failure.TIMEOUT, f"Timeout: no whole answer within {timeout_s:.1f} s"
    except (WebhookAddressRefused, HostNotFound, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failed:
        failure, error = classify(failed), f"{type(failed).__name__}: {failed}"
    return AttemptResult(
        started_at=started_at,
        duration_ms=round((time.monotonic() - start) * 1000),
        status_code=None if answer is None else answer.status_code,
        error=error,
        response_excerpt=None if answer is None else answer.excerpt,
        failure=failure,
        retry_after_s=None if answer is None else answer.retry_after_s,
    )


def classify(error: Exception) -> Failure:
    """Return the kind of failure that `error` is."""
    if isinstance(error, WebhookAddressRefused):
        return Failure.REFUSED
    if isinstance(error, HostNotFound):
        return Failure.NOT_FOUND
    causes: list[BaseException | None] = [error]
    while causes[-1] is not None:
        causes.append(causes[-1].__cause__ or causes[-1].__context__)
    return Failure.CERTIFICATE if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes) else Failure.CONNECTION


@dataclass(frozen=True, slots=True)
class Answer:
    """The receiver's answer."""

    status_code: int
    excerpt: str
    retry_after_s: float | None


async def _send(claimed: ClaimedDelivery, target: WebhookTarget, addresses: Sequence[IpAddress], settings: Settings, tls: ssl.SSLContext) -> Answer:
    """Return the answer from the first address that accepts a connection. Raises httpx's errors."""
    request = _write_request(claimed, target, settings)
    for address in addresses[:-1]:
        try:
            return await _exchange(request, target, address, tls)
        except httpx.ConnectError as error:
            if classify(error) is Failure.CERTIFICATE:
                raise
    return await _exchange(request, target, addresses[-1], tls)


def _write_request(claimed: ClaimedDelivery, target: WebhookTarget, settings: Settings) -> tuple[dict[str, str], bytes]:
    """Return the request's headers and body."""
    now = datetime.now(UTC)
    body = json.dumps(claimed.body, separators=(",", ":"), ensure_ascii=False)
    headers = {
        "host": httpx.URL(scheme=target.scheme, host=target.host, port=target.port).netloc.decode("ascii"),
        "content-type": "application/json",
        "user-agent": "Rowgate-Webhook/1",
        "connection": "close",
        "webhook-id": str(claimed.id),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if settings.webhook_secrets:
        headers["webhook-signature"] = sign(settings.webhook_secrets, message_id=str(claimed.id), moment=now, body=body)
    return headers, body.encode()


async def _exchange(request: tuple[dict[str, str], bytes], target: WebhookTarget, address: IpAddress, tls: ssl.SSLContext) -> Answer:
    """Make one request to one address under the target's own host name: `Host`, SNI and certificate verification use it."""
    headers, body = request
    url = httpx.URL(target.url).copy_with(host=str(address), port=target.port, userinfo=b"")
    # A bare transport instead of a client: it knows no redirects, no cookies, and no proxies from the environment.
    async with httpx.AsyncHTTPTransport(verify=tls, trust_env=False, retries=0) as transport:
        sent = httpx.Request("POST", url, content=body, headers=headers, extensions={"sni_hostname": target.host.rstrip(".")})
        response = await transport.handle_async_request(sent)
        try:
            excerpt = await _read_excerpt(response)
        finally:
            await response.aclose()
    return Answer(response.status_code, excerpt, parse_retry_after(response.headers.get("retry-after"), now=datetime.now(UTC)))


async def _read_excerpt(response: httpx.Response) -> str:
    """Return the first `EXCERPT_BYTES` of the answer as text.

    The rest is read up to `MAX_RESPONSE_BYTES`, so that a well-behaved receiver sees a complete exchange.
    """
    head, read = b"", 0
    async for piece in response.aiter_raw():
        read += len(piece)
        head += piece[: EXCERPT_BYTES - len(head)]
        if read >= MAX_RESPONSE_BYTES:
            break
    return head.decode("utf-8", "replace").replace("\x00", "\\x00")


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds from `now` that a `Retry-After` asks for (RFC 9110 §10.2.3: seconds, or a date); None if it cannot be read."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date without a zone is read as UTC, as all HTTP dates are.
    wanted_s = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(wanted_s, 0.0), MAX_RETRY_AFTER_S)

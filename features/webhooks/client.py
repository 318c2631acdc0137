"""One POST: signed (Standard Webhooks), to the very address that was checked, cut off in time, never followed anywhere else."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import httpx
from standardwebhooks import Webhook

from features.webhooks.schemas import AttemptResult, ClaimedDelivery
from shared.webhook_address import HostNotFound, WebhookAddressRefused, choose_address, parse_webhook_url

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.webhook_address import IpAddress, WebhookTarget

ATTEMPT_TIMEOUT = httpx.Timeout(5.0)
"""Never reached: the attempt as a whole is cut off before."""
MOST_RESPONSE_BYTES = 64 * 1024
EXCERPT_BYTES = 1024


@cache
def _get_tls() -> ssl.SSLContext:
    """One for the process: reading the certificates takes longer than most receivers take to answer."""
    return httpx.create_ssl_context(trust_env=False)


def sign(secrets: Sequence[str], *, message_id: str, moment: datetime, body: str) -> str:
    """The value of `webhook-signature`: one signature for each secret, separated by spaces, so that secrets can be rotated."""
    return " ".join(Webhook(secret).sign(message_id, moment, body) for secret in secrets)


async def post(claimed: ClaimedDelivery, *, settings: Settings, timeout_s: float) -> AttemptResult:
    """Send one delivery once. Whatever happens is in the result; nothing is raised but cancellation."""
    tls = _get_tls()  # before the clock starts: made once, it is not the receiver's fault that it takes a while
    started_at, start = datetime.now(UTC), time.monotonic()
    status_code, error, excerpt, retry_after_s = None, None, None, None
    try:
        async with asyncio.timeout(timeout_s):
            target = parse_webhook_url(claimed.url)
            address = await choose_address(target, allow_private=settings.webhook_allow_private_addresses, timeout_s=timeout_s)
            status_code, excerpt, retry_after_s = await _send(claimed, target, address, settings, tls)
    except TimeoutError:
        error = f"Timeout: no whole answer within {timeout_s:.1f} s"
    except (WebhookAddressRefused, HostNotFound) as refused:
        error = f"{type(refused).__name__}: {refused}"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as failed:
        error = f"{type(failed).__name__}: {failed}"
    return AttemptResult(
        started_at=started_at,
        duration_ms=round((time.monotonic() - start) * 1000),
        status_code=status_code,
        error=error,
        response_excerpt=excerpt,
        retry_after_s=retry_after_s,
    )


async def _send(
    claimed: ClaimedDelivery,
    target: WebhookTarget,
    address: IpAddress,
    settings: Settings,
    tls: ssl.SSLContext,
) -> tuple[int, str, float | None]:
    now = datetime.now(UTC)
    body = json.dumps(claimed.body, separators=(",", ":"), ensure_ascii=False)
    original = httpx.URL(target.url)
    headers = {
        "host": original.netloc.decode("ascii"),
        "content-type": "application/json",
        "user-agent": "Rowgate-Webhook/1",
        "webhook-id": str(claimed.id),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if settings.webhook_secrets:
        headers["webhook-signature"] = sign(settings.webhook_secrets, message_id=str(claimed.id), moment=now, body=body)
    url = original.copy_with(host=str(address))
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=ATTEMPT_TIMEOUT, verify=tls) as client:
        request = client.build_request("POST", url, content=body.encode(), headers=headers, extensions={"sni_hostname": original.host})
        response = await client.send(request, stream=True)
        try:
            excerpt = await _read_excerpt(response)
        finally:
            await response.aclose()
    return response.status_code, excerpt, _parse_retry_after(response.headers.get("retry-after"))


async def _read_excerpt(response: httpx.Response) -> str:
    """The beginning of the answer's bytes as text; what follows is read up to a limit, so that a well-behaved receiver sees a whole exchange."""
    head, read = b"", 0
    async for piece in response.aiter_raw():
        read += len(piece)
        head += piece[: EXCERPT_BYTES - len(head)]
        if read >= MOST_RESPONSE_BYTES:
            break
    return head.decode("utf-8", "replace").replace("\x00", "\\x00")


def _parse_retry_after(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdecimal() and len(value) < len("100000") else None

"""Send one webhook POST: signed (Standard Webhooks), to an address that was checked, with a time limit, and without following redirects.

The answer is read with bounds on its bytes and its parts, because the time that a hostile one takes to parse would delay every other receiver.
"""

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
from http import HTTPStatus
from typing import TYPE_CHECKING

import httptools
import httpx
import structlog
from standardwebhooks import Webhook

from features.webhooks.look_up import HostNotFound, choose_addresses
from features.webhooks.types import AttemptResult, ClaimedDelivery, Failure
from shared.current_secrets import current_secrets
from shared.observing.tracing import get_traceparent
from shared.texts import MAX_TEXT_CHARACTERS, escape_control, shorten
from shared.web.webhook_address import WebhookAddressRefused, parse_webhook_url, require_allowed

if TYPE_CHECKING:
    from shared.settings import Settings
    from shared.web.webhook_address import IpAddress, WebhookTarget

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""Most bytes of everything before the answer's body, interim answers (1xx) included."""
MAX_INTERIM_ANSWERS = 16
MAX_RESPONSE_BYTES = 64 * 1024
"""Most bytes of a body that are read, with the framing of its chunks."""
READ_BYTES = 16 * 1024
"""Read and parsed at a time, before other attempts get their turn."""
MAX_DATE_CHARACTERS = 64
"""Longest `Retry-After` that is read as a date."""
MAX_RETRY_AFTER_S = 86_400.0
"""A longer `Retry-After` is cut to this; it is far beyond any round anyway."""


@cache
def get_tls() -> ssl.SSLContext:
    """Return the process's TLS context, made once: reading the certificates takes longer than most receivers take to answer."""
    context = httpx.create_ssl_context(trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context


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
    except (WebhookAddressRefused, HostNotFound, RemoteProtocolError, httpx.InvalidURL, OSError, ValueError) as failed:
        failure, error = classify(failed), make_printable(f"{type(failed).__name__}: {failed}")
    except Exception as unexpected:  # an attempt that is not recorded would be made again and again
        log.exception("a webhook attempt failed unexpectedly")
        failure, error = Failure.CONNECTION, make_printable(type(unexpected).__name__)
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


class ConnectError(OSError):
    """No connection could be made to the receiver."""


class RemoteProtocolError(Exception):
    """The receiver's answer is not a whole and sensible HTTP answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The receiver's answer."""

    status_code: int
    excerpt: str
    retry_after_s: float | None


class _AnswerParser:
    """Collects one answer from what the receiver sends; interim answers (RFC 9110, section 15.2) come before it."""

    def __init__(self) -> None:
        self.excerpt = bytearray()
        self.retry_after: str | None = None
        self.status_code = 0
        self.has_head = self.has_ended = False
        self._interim_answers = 0
        self._read_bytes = 0
        self._ends_with_connection = True
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Parse what was read, `b""` at the end of the connection; `has_ended` tells when to stop. Raises `RemoteProtocolError`."""
        if not data:
            if not (self.has_head and self._ends_with_connection):
                raise RemoteProtocolError("The receiver closed the connection before its answer was complete.")
            self.has_ended = True
            return
        self._read_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.has_head = self.has_ended = True
            self.status_code = self._parser.get_status_code()
        except httptools.HttpParserError as error:
            if self.has_ended:  # something follows the answer, or it is long enough
                return
            reason = error.__context__ if isinstance(error.__context__, RemoteProtocolError) else f"The receiver's answer is not HTTP: {error}."
            raise RemoteProtocolError(str(reason)) from error
        if not self.has_head and self._read_bytes > MAX_HEAD_BYTES:
            raise RemoteProtocolError(_LARGE_HEAD)
        if self._read_bytes > MAX_HEAD_BYTES + MAX_RESPONSE_BYTES:
            self.has_ended = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note what the headers say of the answer's end, and when to try again."""
        if self.has_head:
            return
        match name.lower():
            case b"retry-after":
                self.retry_after = value.decode("latin-1")
            case b"content-length":
                self._ends_with_connection = False
            case b"transfer-encoding" if value.strip().lower().endswith(b"chunked"):
                self._ends_with_connection = False

    def on_headers_complete(self) -> None:
        """Note the status, unless the answer is an interim one."""
        self.status_code = self._parser.get_status_code()
        if self.status_code < HTTPStatus.OK and self.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._interim_answers += 1
            if self._interim_answers > MAX_INTERIM_ANSWERS:
                raise RemoteProtocolError(f"The receiver sent more than {MAX_INTERIM_ANSWERS} interim answers (1xx) ahead of its answer.")
            return
        self.has_head = True

    def on_body(self, body: bytes) -> None:
        """Keep the beginning of the body."""
        self.excerpt += body[: _EXCERPT_BYTES - len(self.excerpt)]

    def on_message_complete(self) -> None:
        """The answer has ended, or an interim one has and the next begins."""
        if self.has_head:
            self.has_ended = True
            raise _Ended
        self.retry_after, self._ends_with_connection = None, True


class _Ended(Exception):  # raised only to end the parsing
    """The answer has ended; what follows it is not looked at."""


_LARGE_HEAD = f"The receiver's answer begins with more than {MAX_HEAD_BYTES:,} bytes of headers."
_EXCERPT_BYTES = 4 * MAX_TEXT_CHARACTERS
"""A character takes at most four bytes."""


async def _send(claimed: ClaimedDelivery, target: WebhookTarget, addresses: Sequence[IpAddress], settings: Settings, tls: ssl.SSLContext) -> Answer:
    """Return the answer from the first address that accepts a connection. Raises `ConnectError`, `RemoteProtocolError` or `OSError`."""
    request = _write_request(claimed, target, settings)
    for address in addresses[:-1]:
        try:
            return await _exchange(request, target, address, tls)
        except ConnectError as error:
            if classify(error) is Failure.CERTIFICATE:
                raise
    return await _exchange(request, target, addresses[-1], tls)


def _write_request(claimed: ClaimedDelivery, target: WebhookTarget, settings: Settings) -> bytes:
    """Return the whole request, head and body."""
    now = datetime.now(UTC)
    body = json.dumps(claimed.body, separators=(",", ":"), ensure_ascii=False)
    url = httpx.URL(target.url)
    headers = {
        "host": httpx.URL(scheme=target.scheme, host=target.host, port=target.port).netloc.decode("ascii"),
        "content-type": "application/json",
        "content-length": str(len(body.encode())),
        "user-agent": "Rowgate-Webhook/1",
        "connection": "close",
        "webhook-id": str(claimed.id),
        "webhook-timestamp": str(int(now.timestamp())),
    }
    if secrets := current_secrets(settings).webhook_secrets().find(claimed.submitted_by):
        headers["webhook-signature"] = sign(secrets, message_id=str(claimed.id), moment=now, body=body)
    if traceparent := get_traceparent():
        headers["traceparent"] = traceparent
    head = b"".join(b"%s: %s\r\n" % (name.encode(), value.encode("latin-1")) for name, value in headers.items())
    return b"POST %s HTTP/1.1\r\n%s\r\n%s" % (url.raw_path, head, body.encode())


async def _exchange(request: bytes, target: WebhookTarget, address: IpAddress, tls: ssl.SSLContext) -> Answer:
    """Make one request to one address under the target's own host name: `Host`, SNI and certificate verification use it."""
    is_encrypted = target.scheme == "https"
    name = target.host.rstrip(".") if is_encrypted else None
    try:
        reader, writer = await asyncio.open_connection(str(address), target.port, limit=READ_BYTES, ssl=tls if is_encrypted else None, server_hostname=name)
    except OSError as error:
        raise ConnectError(str(error) or type(error).__name__) from error
    answer = _AnswerParser()
    try:
        writer.write(request)
        while not answer.has_ended:
            answer.feed(await reader.read(READ_BYTES))
            await asyncio.sleep(0)  # a read of what is there already does not let others run
    finally:
        writer.transport.abort()  # nothing more is expected, and a receiver that does not let go must not hold the attempt
    text = make_printable(answer.excerpt.decode("utf-8", "replace"))
    return Answer(answer.status_code, text, parse_retry_after(answer.retry_after, now=datetime.now(UTC)))


def make_printable(text: str) -> str:
    """Return `text` with what cannot be printed escaped, cut to `MAX_TEXT_CHARACTERS` with an ellipsis."""
    return shorten(escape_control(text[: MAX_TEXT_CHARACTERS + 1]))


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds from `now` that a `Retry-After` asks for (RFC 9110 §10.2.3: seconds, or a date); None if it cannot be read."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return min(float(value[:MAX_DATE_CHARACTERS]), MAX_RETRY_AFTER_S)
    if len(value) > MAX_DATE_CHARACTERS:
        return None
    try:
        moment = parsedate_to_datetime(value)
        # A date without a zone is read as UTC, as all HTTP dates are.
        wanted_s = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(wanted_s, 0.0), MAX_RETRY_AFTER_S)

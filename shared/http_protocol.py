"""uvicorn's HTTP/1.1 with an end to a request's head: `uvicorn main:app --http shared.http_protocol:GuardedProtocol`.

uvicorn reads a head of any size for any time, and answers what is no HTTP in plain text.
"""

from __future__ import annotations

import json
from asyncio import Transport
from asyncio.events import TimerHandle
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.problems import MEDIA_TYPE, ProblemRead

MOST_HEAD_BYTES = 64 * 1024
"""Of a request line with its headers; proxies allow 8 to 32 KiB."""
HEAD_TIMEOUT_S = 10.0
"""From the connection, or the first byte of the next request on it, to the end of the head."""


class GuardedProtocol(HttpToolsProtocol):
    """Answers 431 to a head that is too large (RFC 6585), 408 to one that does not end, 400 to what is no HTTP; each is a problem (RFC 9457)."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """A head is expected."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and refuse a head that has no end yet and is too large already."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MOST_HEAD_BYTES:
            self._refuse_large_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless its head is too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MOST_HEAD_BYTES:
            self._refuse_large_head()
            raise _HeadRefused
        self._forget_head()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says where it cannot parse, be it a head or, in chunks, a body."""
        self._refuse(HTTPStatus.BAD_REQUEST, "malformed-request", "Malformed request", msg)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late_head)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_large_head(self) -> None:
        detail = f"The request line and its headers are larger than {MOST_HEAD_BYTES:,} bytes; send fewer or shorter headers."
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", "Headers too large", detail)

    def _refuse_late_head(self) -> None:
        self._head_timer = None
        if self._is_answering():
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late_head)
            return
        if self._head_bytes == 0:
            self.transport.close()  # a connection that was opened ahead of its first request
            return
        detail = f"The request's headers did not end within {HEAD_TIMEOUT_S:g} seconds; send it again over a steadier connection."
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "client-too-slow", "Client too slow", detail)

    def _refuse(self, status: HTTPStatus, slug: str, title: str, detail: str) -> None:
        """Answer in the application's place and close; where an answer has begun, or is due to the request before this head, only close."""
        is_due_to_another = self._head_timer is not None and self._is_answering()
        has_begun = self._is_answering() and self.cycle.response_started
        self._forget_head()
        if self.transport.is_closing():
            return
        if not has_begun and not is_due_to_another:
            body = ProblemRead(type=f"/problems/{slug}", title=title, status=status, detail=detail, errors=None)
            content = json.dumps(body.model_dump(exclude_none=True)).encode()
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head.encode() + content)
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether a request before this one has not got its whole answer yet."""
        return self.cycle is not None and not self.cycle.response_complete


class _HeadRefused(Exception):  # it ends the parsing
    """The head was answered with a refusal."""

"""uvicorn's HTTP/1.1 protocol with limits on a request's head, and with large reads.

Used as `uvicorn main:app --http shared.web.http_protocol:GuardedProtocol`. By itself uvicorn reads a head of any size for any time, answers input that
is not HTTP in plain text, and copies a body four times on its way to the application.
"""

from __future__ import annotations

import threading
from asyncio import BufferedProtocol, Transport
from asyncio.events import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared.web.problems import MEDIA_TYPE, ClientTooSlow, HeadersTooLarge, MalformedRequest, Problem

MAX_HEAD_BYTES = 64 * 1024
"""Largest request line plus headers; proxies allow 8 to 32 KiB."""
HEAD_TIMEOUT_S = 10.0
"""Longest time from the connection, or from the first byte of a later request on it, to the end of the head."""
MAX_READ_BYTES = 512 * 1024
MIN_READ_BYTES = 64 * 1024
READ_BYTES_OF_ALL = 12 * 2**20
"""Read size divided among all connections: each holds about as much memory as its last read, and a body in fewer pieces takes less work."""


class _Buffer(threading.local):
    """The read buffer of this thread's event loop; one is enough, because data is handed on before anything else is read."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(MAX_READ_BYTES))


_buffer = _Buffer()


class GuardedProtocol(HttpToolsProtocol):
    """Answers 431 if a head is too large (RFC 6585), 408 if it does not end in time, and 400 if it is not HTTP, each as a problem (RFC 9457)."""

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Expect a head."""
        super().connection_made(transport)
        transport.set_protocol(_BufferedReads(self))
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop expecting a head."""
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse the data, and refuse a head that has not ended yet but is already too large."""
        if self._head_timer is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_large_head()

    def on_message_begin(self) -> None:
        """Expect a head from the first byte of a request on."""
        super().on_message_begin()
        if self._head_timer is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless its head is too large."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._refuse_large_head()
            raise _HeadRefused
        self._forget_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on without a copy if none is waiting; uvicorn would copy it into a buffer, and the buffer into its message."""
        before = self.cycle.body
        if not before and not self.cycle.response_complete:
            self.cycle.body, body = body, b""  # type: ignore[assignment]  # the body becomes bytes, as in a message
        elif isinstance(before, bytes):
            self.cycle.body = bytearray(before)  # so that many small pieces can be appended
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem if uvicorn cannot parse a head or a chunked body."""
        self._refuse(MalformedRequest(msg))

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late_head)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_large_head(self) -> None:
        self._refuse(HeadersTooLarge(f"The request line and its headers are larger than {MAX_HEAD_BYTES:,} bytes; send fewer or shorter headers."))

    def _refuse_late_head(self) -> None:
        self._head_timer = None
        if self._is_answering():
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late_head)
            return
        if self._head_bytes == 0:
            self.transport.close()  # the connection was opened ahead of its first request
            return
        self._refuse(ClientTooSlow(f"The request's headers did not end within {HEAD_TIMEOUT_S:g} seconds; send it again over a more stable connection."))

    def _refuse(self, problem: Problem) -> None:
        """Answer instead of the application and close; only close if an answer has begun, or if the previous request still awaits its answer."""
        is_due_to_another = self._head_timer is not None and self._is_answering()
        has_begun = self._is_answering() and self.cycle.response_started
        self._forget_head()
        if self.transport.is_closing():
            return
        if not has_begun and not is_due_to_another:
            content = bytes(problem.to_response().body)
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[problem.status] + head.encode() + content)
        self.transport.close()

    def _is_answering(self) -> bool:
        """Whether the previous request has not received its whole answer yet."""
        return self.cycle is not None and not self.cycle.response_complete


class _HeadRefused(Exception):  # raised only to end the parsing
    """The head has been refused with an answer."""


class _BufferedReads(BufferedProtocol):
    """Stands between the transport and `protocol` to read into one shared buffer; otherwise the transport would make a copy of every 256 KB."""

    def __init__(self, protocol: GuardedProtocol) -> None:
        self._protocol = protocol

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's own
        """Return the buffer to read into, sized to this connection's share."""
        share = READ_BYTES_OF_ALL // max(1, len(self._protocol.connections))
        return _buffer.view[: min(MAX_READ_BYTES, max(MIN_READ_BYTES, share))]

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that were read; the parser copies what it hands on."""
        self._protocol.data_received(_buffer.view[:nbytes])  # type: ignore[arg-type]  # a memoryview does as well as bytes here

    def eof_received(self) -> None:
        """The client sends nothing more."""
        self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The client has read enough."""
        self._protocol.resume_writing()

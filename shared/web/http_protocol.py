"""uvicorn's HTTP/1.1 protocol with bounds on what a client sends and on how long it may take, and with large reads.

Used as `uvicorn main:app --http shared.web.http_protocol:GuardedProtocol --ws none`. By itself uvicorn reads heads and trailers of any size for any time,
keeps any number of requests and of unread answers, answers input that is not HTTP in plain text, and copies a body four times on its way to the application.
"""

from __future__ import annotations

import fcntl
import os
import resource
import socket
import struct
import termios
import threading
from asyncio import Transport
from asyncio.events import TimerHandle
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from shared.web.api_server import DrainingState
from shared.web.buffered_reads import BufferedReads
from shared.web.event_stream import END_STREAM, IS_STOPPING
from shared.web.problems import MEDIA_TYPE, ClientTooSlow, HeadersTooLarge, MalformedRequest, Problem

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_CONNECTIONS = 4096
"""Most connections of a process, or four fifths of the files that it may open if that is less; one more closes that which has been idle longest."""
MAX_HEAD_BYTES = 64 * 1024
"""Largest request line plus headers, and most bytes between two pieces of a chunked body: sizes, extensions and trailers. Proxies allow 8 to 32 KiB."""
MAX_HEADERS = 1000
"""Most headers of a request, because a short header takes thirty times its size in memory; servers commonly allow 100."""
HEAD_TIMEOUT_S = 10.0
"""Longest time from the connection, or from the first byte of a later request on it, to the end of the head."""
MAX_WAITING_REQUESTS = 16
"""Most requests that wait on one connection for the answer to an earlier one. Nothing is read while requests wait, so they all come from one read."""
BODY_TIMEOUT_S = 30.0
"""Longest time from an answer to the end of its request's body, if the endpoint answered without it."""
WRITE_TIMEOUT_S = 30.0
"""Longest time in which a client reads nothing of what waits to be sent to it."""
STREAM_WRITE_TIMEOUT_S = 12.0
"""The same for an event stream. One can be silent for 15 s; with these 12 s a dead client is gone within 30 s."""
UNREAD_BYTES_OF_ALL = 128 * 2**20
"""Most bytes that wait to be sent on all connections of a process; beyond that, the connection with the most of them is closed."""
LOOK_S = 1.0
"""How often each connection is looked at for the three limits above."""


class _Unread(threading.local):
    """What waits to be sent on all connections of this thread's event loop, as of their last looks."""

    total_bytes = 0


_unread = _Unread()


class GuardedProtocol(HttpToolsProtocol):
    """Answers 431 if a head or trailers are too large (RFC 6585), 408 if a head does not end in time, and 400 if it is not HTTP, as problems (RFC 9457).

    Closes the connection if too many requests wait on it, if a body goes on for too long after its answer, or if the client does not read its answers.
    Requests to change to another protocol are answered as if they had not asked for it (RFC 9110, section 7.8).
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401  # uvicorn's own
        super().__init__(*arguments, **named)
        self.ws_protocol_class = None
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None
        self._has_begun = False
        self._asks_for_upgrade = False
        self._in_body = False
        self._field_bytes = 0
        self._framing_bytes = 0
        self._body_due_at: float | None = None
        self._started: RequestResponseCycle | None = None
        self._look_timer: TimerHandle | None = None
        self._unread_bytes = 0
        self._unsent_bytes = 0
        self._sent_at = 0.0
        self._idle_since = 0.0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as in uvicorn's own
        """Expect a head; if there are too many connections, close one that is idle."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        if len(self.connections) > _max_connections():
            _choose_idle(self).transport.close()
        self.flow = _Flow(transport, self)
        transport.set_protocol(BufferedReads(self))
        self._expect_head()
        self._sent_at = self.loop.time()
        self._look_timer = self.loop.call_later(LOOK_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop every clock, and tell every request on the connection that its client is gone."""
        self._forget_head()
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._note_unread(0)
        self._disconnect()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server begins to stop: an event stream, which would not end by itself, ends now."""
        self.drain()
        super().shutdown()

    def drain(self) -> None:
        """The server will stop soon: event streams end, and the answer to the last request that has come is the last on its connection."""
        for cycle in (self._running, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None:
                self._let_stop(cycle)
                cycle.keep_alive = cycle is not self.cycle

    @staticmethod
    def _let_stop(cycle: RequestResponseCycle) -> None:
        scope = cast("dict[str, Any]", cycle.scope)
        scope[IS_STOPPING] = True
        if END_STREAM in scope:
            scope[END_STREAM]()

    def resume_writing(self) -> None:
        """The client has read enough of what waits to be sent."""
        self._sent_at = self.loop.time()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse the data, and refuse a head or trailers that have not ended yet but are already too large."""
        self._unset_keepalive_if_required()
        if self._in_body:
            self._framing_bytes += len(data)
        else:
            if self._head_timer is None:
                self._expect_head()
            self._head_bytes += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("The request is not HTTP/1.1, or its headers contradict each other.")
            return
        if self._head_timer is not None and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse_large_head()
        elif self._in_body and self._framing_bytes > MAX_HEAD_BYTES:
            self._refuse_large_trailers()

    def on_message_begin(self) -> None:
        """Expect a head from the first byte of a request on."""
        super().on_message_begin()
        self._has_begun, self._field_bytes = True, 0
        if self._head_timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; those of trailers are only counted, because no endpoint expects any (RFC 9110, section 6.5.1)."""
        self._field_bytes += len(name) + len(value)
        if self._in_body:
            if self._field_bytes > MAX_HEAD_BYTES:
                self._refuse_large_trailers()
                raise _Refused
            return
        if self._field_bytes + len(self.url) > MAX_HEAD_BYTES or len(self.headers) >= MAX_HEADERS:
            self._refuse_large_head()
            raise _Refused
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application, unless too many wait already."""
        if len(self.url) > MAX_HEAD_BYTES:
            self._refuse_large_head()
            raise _Refused
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refuse(MalformedRequest("This service is no proxy; send the request without CONNECT."))
                raise _Refused
            self._asks_for_upgrade = True
            return
        if len(self.pipeline) >= MAX_WAITING_REQUESTS:
            self._close_after_answer()
            raise _Refused
        super().on_headers_complete()
        if isinstance(self.server_state, DrainingState) and self.server_state.is_draining:
            self._let_stop(self.cycle)
            self.cycle.keep_alive = False
        self._forget_head()
        self._has_begun, self._in_body = False, True
        self._field_bytes = self._framing_bytes = 0

    def on_body(self, body: bytes) -> None:
        """Hand a piece of the body on without a copy if none is waiting; uvicorn would copy it into a buffer, and the buffer into its message."""
        self._framing_bytes = 0
        before = self.cycle.body
        if not before and not self.cycle.response_complete:
            self.cycle.body, body = body, b""  # type: ignore[assignment]  # the body becomes bytes, as in a message
        elif isinstance(before, bytes):
            self.cycle.body = bytearray(before)  # so that many small pieces can be appended
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request has ended; if it has its answer already, the connection is idle."""
        if self._asks_for_upgrade:
            return
        self._in_body, self._body_due_at = False, None
        super().on_message_complete()
        if self._running is None and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def on_response_complete(self) -> None:
        """Start the next request that waits, and limit the time for the rest of a body that nobody reads any more."""
        if self._started is not None:
            self._started.body = bytearray()
        self._idle_since = self.loop.time()
        if self._in_body and self._started is self.cycle:
            self._body_due_at = self.loop.time() + BODY_TIMEOUT_S
        super().on_response_complete()
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def send_400_response(self, msg: str) -> None:
        """Answer with a problem if a head or a chunked body cannot be parsed."""
        self._refuse(MalformedRequest(msg))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._started = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def _running(self) -> RequestResponseCycle | None:
        """The request that the application is answering."""
        return None if self._started is None or self._started.response_complete else self._started

    def _parse(self, data: bytes) -> None:
        """Parse the data. The parser takes a request for another protocol's first bytes to end at its head, so such a head is parsed again without asking."""
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                first = b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
                lines = [first, *(b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"), b"", b""]
                self._asks_for_upgrade = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
                self.parser.feed_data(b"\r\n".join(lines))
            else:
                return

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late_head)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse_large_head(self) -> None:
        self._refuse(
            HeadersTooLarge(
                f"The request line and its headers are larger than {MAX_HEAD_BYTES:,} bytes or more than {MAX_HEADERS:,}; send fewer or shorter ones."
            )
        )

    def _refuse_large_trailers(self) -> None:
        self._refuse(HeadersTooLarge(f"The body has more than {MAX_HEAD_BYTES:,} bytes of chunk extensions or trailers in one place; send none."))

    def _refuse_late_head(self) -> None:
        self._head_timer = None
        if self._running is not None:
            self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._refuse_late_head)
            return
        if not self._has_begun:
            self.transport.close()  # the connection was opened ahead of its first request
            return
        self._refuse(ClientTooSlow(f"The request's headers did not end within {HEAD_TIMEOUT_S:g} seconds; send it again over a more stable connection."))

    def _look(self) -> None:
        """Close the connection if the client reads nothing of its answers, or does not end a body that has its answer already."""
        now, unsent_bytes = self.loop.time(), _count_unsent(self.transport)
        if unsent_bytes == 0 or unsent_bytes < self._unsent_bytes:
            self._sent_at = now
        self._unsent_bytes = unsent_bytes
        self._note_unread(self.transport.get_write_buffer_size())
        if _unread.total_bytes > UNREAD_BYTES_OF_ALL:
            most = max(self.connections, key=_count_unread)
            _reset(most.transport)
            if isinstance(most, GuardedProtocol):
                most._note_unread(0)  # noqa: SLF001  # another connection of this class
        running = self._running
        if now - self._sent_at >= (STREAM_WRITE_TIMEOUT_S if running is not None and END_STREAM in running.scope else WRITE_TIMEOUT_S):
            _reset(self.transport)
        elif self._body_due_at is not None and now >= self._body_due_at:
            self._close()
        self._look_timer = self.loop.call_later(LOOK_S, self._look)

    def _note_unread(self, unread_bytes: int) -> None:
        _unread.total_bytes += unread_bytes - self._unread_bytes
        self._unread_bytes = unread_bytes

    def _refuse(self, problem: Problem) -> None:
        """Answer instead of the application and close; if an earlier request awaits its answer, close after that, and if this one's has begun, at once."""
        running = self._running
        if self.transport.is_closing():
            return
        if running is not None and not (self._in_body and running is self.cycle):
            self._close_after_answer()
            return
        if not self._in_body or (running is self.cycle and not running.response_started):
            content = bytes(problem.to_response().body)
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
            has_no_body = self.parser.get_method() == b"HEAD"  # RFC 9110, section 9.3.2
            self.transport.write(STATUS_LINE[problem.status] + head.encode() + (b"" if has_no_body else content))
        self._close()

    def _close_after_answer(self) -> None:
        """Read nothing more, and close the connection when the running request has its answer; those that wait get none."""
        running = self._running
        if running is None:
            self._close()
            return
        self._forget_head()
        self.pipeline.clear()
        running.keep_alive = False
        self.flow.pause_reading()

    def _close(self) -> None:
        """Close the connection as soon as what waits to be sent has been sent, and let no request on it add to that."""
        self._forget_head()
        self._disconnect()
        self.transport.close()

    def _disconnect(self) -> None:
        for cycle in (self._started, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, apart from a head that has not ended."""
        return self._running is None and not self._in_body


@cache
def _max_connections() -> int:
    """Return how many connections this process takes at once."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, soft * 4 // 5)


def _choose_idle(newest: GuardedProtocol) -> GuardedProtocol:
    """Return the connection that has been idle longest, or the newest if none is."""
    idle = [other for other in newest.connections if isinstance(other, GuardedProtocol) and other.is_idle and not other.transport.is_closing()]
    return min(idle, key=lambda other: other._idle_since, default=newest)  # noqa: SLF001  # another connection of this class


def _count_unread(connection: object) -> int:
    return connection._unread_bytes if isinstance(connection, GuardedProtocol) else 0  # noqa: SLF001  # as above


class _Refused(Exception):  # raised only to end the parsing
    """The request has been refused, with an answer or without one."""


class _Flow(FlowControl):
    """uvicorn's flow control; nothing is read while requests wait on the connection."""

    def __init__(self, transport: Transport, protocol: GuardedProtocol) -> None:
        super().__init__(transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if not self._protocol.pipeline:
            super().resume_reading()


def _count_unsent(transport: Transport) -> int:
    """Return the bytes that the client has not acknowledged, whether they wait in this process or in the system's buffer.

    That may hold megabytes and takes more only when a third of it is free, so what waits in this process does not tell whether a client reads.
    """
    queued = 0
    with suppress(OSError, ValueError):  # it may be closed already
        (queued,) = struct.unpack("i", fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4)))
    return int(transport.get_write_buffer_size() + queued)


def _reset(transport: Transport) -> None:
    """Close the connection now and drop what waits to be sent, in the system's buffer too; by itself that would be kept for minutes."""
    with suppress(OSError, ValueError), socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as twin:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()

"""Server-sent events (HTML, section 9.2): how they are written, and an answer that goes on until its source, its client or the process ends.

FastAPI's own `fastapi.sse` writes the events. Its endpoints that yield them are not used: they could not be ended when the process stops, could not answer 404
after a look at the database without keeping its session, and would write the same event anew for each client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, format_sse_event

from shared.web.problems import Problem

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

COMMENT_EVERY_S = 15.0
"""A comment is sent if there was nothing to tell for so long, so that proxies keep the connection open and dead clients are noticed."""
RECONNECT_MS = 1000
"""How long a browser waits before it connects again."""
END_STREAM = "rowgate.end_stream"
"""Key in the scope of a request that is answered by a stream: a function that ends it. The server calls it when it begins to stop."""
IS_STOPPING = "rowgate.is_stopping"
"""Key in the scope of each request that had no whole answer when the server began to stop."""


class Source(Protocol):
    """What an event stream sends."""

    def open(self) -> None:
        """Begin; called when the answer begins. Raises `Problem`, which is answered instead."""

    def close(self) -> None:
        """Called however the answer ends, if `open` raised nothing."""

    def end(self) -> None:
        """Stop soon."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return what is sent, in whole events."""
        ...


class EventStream(StreamingResponse):
    """An answer of server-sent events."""

    media_type = EventSourceResponse.media_type

    def __init__(self, source: Source) -> None:
        super().__init__(aiter(source), headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})  # nginx would hold events back
        self._source = source

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the source ends or the client goes away."""
        try:
            self._source.open()
        except Problem as problem:
            await problem.to_response()(scope, receive, send)
            return
        scope[END_STREAM] = self._source.end
        if IS_STOPPING in scope:
            self._source.end()
        try:
            await super().__call__(scope, receive, send)
        finally:
            del scope[END_STREAM]
            self._source.close()


def format_start() -> bytes:
    """Return what a stream begins with, so that a client knows at once that it is open."""
    return format_sse_event(data_str=None, comment="events follow", retry=RECONNECT_MS)


def format_event(event: str, data: str, *, id: str) -> bytes:  # noqa: A002  # the field's name
    """Return one event with its data, a line of JSON. With an empty `id` the client's next `Last-Event-ID` is empty."""
    return format_sse_event(event=event, data_str=data, id=id)


def format_comment(*, id: str | None = None) -> bytes:  # noqa: A002  # as above
    """Return a comment; with an `id`, what the client sends as its next `Last-Event-ID`."""
    return format_sse_event(data_str=None, comment="still here", id=id)

"""Refuse an upload so that the client receives the answer.

If the connection were closed while the client is still sending, the answer could be lost (RFC 9112, section 9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive, Scope, Send

    from shared.web.problems import Problem

LINGER_S = 2.0
LINGER_BYTES = 64 * 2**20


class BodyStream:
    """The request's body, and whether all of it has been read."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.ended:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self.ended = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]


class _LingeringResponse(Response):
    """Sends itself, then reads and discards the rest of the body before it ends, for at most `LINGER_S` seconds and `LINGER_BYTES` bytes."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        last: list[Message] = []

        async def hold_back_the_end(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                last.append({"type": "http.response.body", "body": b"", "more_body": False})
                message = {**message, "more_body": True}
            await send(message)

        await super().__call__(scope, receive, hold_back_the_end)
        if not _waits_for_continue(scope):
            await _drop_the_rest(receive)
        for message in last:
            await send(message)


def _waits_for_continue(scope: Scope) -> bool:
    """Whether the client waits for "100 Continue" before it sends its body: reading would tell it to start (RFC 9110, section 10.1.1)."""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])


async def _drop_the_rest(receive: Receive) -> None:
    left = LINGER_BYTES
    try:
        async with asyncio.timeout(LINGER_S):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return


def refuse(problem: Problem, body: BodyStream) -> Response:
    """Return the problem's response. If the body was not read to its end, the response reads on for a while and then closes the connection."""
    plain = problem.to_response()
    if body.ended:
        return plain
    headers = {name: value for name, value in plain.headers.items() if name != "content-length"}
    return _LingeringResponse(content=bytes(plain.body), status_code=plain.status_code, headers={**headers, "connection": "close"})

"""Limit the size of request bodies: a default for every route, and a declaration for routes that take more.

A route declares its own limit as `max_body_size=` (FastAPI, "Request Body Limits"), which is enforced while the body is read. `Content-Length` is
checked before that, so no byte is requested of a body that announces itself as too large.
"""

from __future__ import annotations

from fastapi import Request

from shared.web.problems import BodyTooLarge

MAX_BODY_BYTES = 64 * 1024
"""The limit of every route that does not declare its own."""
BOUNDED_BY_ROUTE = 2**63 - 1
"""For a route that reads the stream itself and limits it while reading."""


async def require_short_body(request: Request) -> None:  # async, because the framework calls other functions in a thread
    """Refuse a body that announces itself as larger than its route allows, before it is read. Raises `BodyTooLarge`."""
    length = request.headers.get("content-length", "")
    declared: int | None = getattr(request.scope.get("route"), "max_body_size", None)
    if length.isdecimal() and int(length) > (MAX_BODY_BYTES if declared is None else declared):
        raise BodyTooLarge(headers={"Connection": "close"})

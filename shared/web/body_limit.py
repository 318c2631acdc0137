"""How large a request's body may be: a default for every route, and a declaration for the route that takes more.

A route declares its own limit as `max_body_size=` (FastAPI, "Request Body Limits"), which holds while the body is read. What the `Content-Length`
announces is judged before that: no byte of a body that is too large is asked for.
"""

from __future__ import annotations

from fastapi import Request

from shared.web.problems import BodyTooLarge

MAX_BODY_BYTES = 64 * 1024
"""For every route that declares nothing else."""
BOUNDED_BY_ROUTE = 2**63 - 1
"""For a route that reads the stream itself and bounds it on the way."""


async def require_short_body(request: Request) -> None:  # the framework calls what is not async in a thread
    """Refuse a body that announces itself as larger than its route allows, before it is read. Raises `BodyTooLarge`."""
    length = request.headers.get("content-length", "")
    declared: int | None = getattr(request.scope.get("route"), "max_body_size", None)
    if length.isdecimal() and int(length) > (MAX_BODY_BYTES if declared is None else declared):
        raise BodyTooLarge(headers={"Connection": "close"})

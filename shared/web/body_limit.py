"""Limit the size of request bodies and the time they may take: a default for every endpoint, and a declaration for an endpoint that takes more.

FastAPI's own `max_body_size` cannot be used: it answers in plain text, and every failure here is a problem (RFC 9457).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.routing import Match

if TYPE_CHECKING:
    from starlette.types import Scope

MAX_BODY_BYTES = 64 * 1024
"""The limit of every endpoint that does not declare its own, and of paths that do not exist."""
BOUNDED_BY_ENDPOINT = 2**63 - 1
"""For an endpoint that reads the stream itself and limits its size and time while reading."""
_ATTRIBUTE = "max_body_bytes"
_MAX_DIGITS = 20

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def accept_body(max_bytes: int) -> Callable[[Endpoint], Endpoint]:
    """Declare how many bytes of body the decorated endpoint accepts."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, max_bytes)
        return endpoint

    return declare


def takes_body(route: APIRoute) -> bool:
    """Whether an endpoint takes a body: one that the framework parses, or one that it reads itself of the request that it takes."""
    return route.body_field is not None or route.dependant.request_param_name is not None or hasattr(route.endpoint, _ATTRIBUTE)


def parse_length(content_length: str | None) -> int | None:
    """Return the bytes that a Content-Length announces, or 10^19 and more if that is too many to be told; None if there is none.

    It may have thousands of digits (RFC 9110, section 8.6), which `int` refuses to read.
    """
    if content_length is None or not (content_length.isascii() and content_length.isdecimal()):
        return None
    return int(content_length.lstrip("0")[:_MAX_DIGITS] or "0")


class BodyLimits:
    """The limits that `routes` declare, and `timeout_s`, in which any body must have arrived whole unless its endpoint bounds it itself."""

    def __init__(self, routes: Sequence[APIRoute], *, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._declared = [(route, limit) for route in routes if (limit := getattr(route.endpoint, _ATTRIBUTE, None)) is not None]

    def find(self, scope: Scope) -> int:
        """Return the limit, in bytes, of the endpoint that answers this request."""
        return next((limit for route, limit in self._declared if route.matches(scope)[0] is Match.FULL), MAX_BODY_BYTES)

    def is_announced_too_large(self, scope: Scope) -> bool:
        """Whether the request's Content-Length is more than its endpoint takes."""
        length = parse_length(Headers(scope=scope).get("content-length"))
        return length is not None and length > self.find(scope)

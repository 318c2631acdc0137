"""Pages: their query parameters, their arithmetic, and opaque cursors."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import Query

from shared.web.problems import BadRequest, InvalidPart

MAX_ROWS_SKIPPED = 2**53
"""Far beyond any table, and within what PostgreSQL takes for OFFSET."""

PageNumber = Annotated[int, Query(ge=1, description="From 1; a page past the end is an empty list")]
PageSize = Annotated[int, Query(ge=1, le=1000, description="Entries on a page")]


def count_pages(total: int, page_size: int) -> int:
    """How many pages `total` entries take; none for none."""
    return -(-total // page_size)


def count_skipped(page: int, page_size: int) -> int:
    """How many entries come before the page, as PostgreSQL can take it."""
    return min((page - 1) * page_size, MAX_ROWS_SKIPPED)


def encode_cursor(values: list[Any]) -> str:
    """An opaque word for a place in a list, given the sort key of the last entry before it."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """What `encode_cursor` was given. Raises `BadRequest` for anything else."""
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise invalid_cursor() from error
    if not isinstance(values, list):
        raise invalid_cursor()
    return values


def invalid_cursor() -> BadRequest:
    """The problem of a cursor that did not come from this service."""
    message = "This is not a cursor of this list; take it from next_cursor of the page before, as it is."
    return BadRequest(message, errors=[InvalidPart(field="cursor", message=message)])

"""Pagination: its query parameters, its arithmetic, and opaque cursors."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from fastapi import Query

from shared.web.problems import BadRequest, InvalidPart

MAX_ROWS_SKIPPED = 2**53
"""Far more rows than any table has, and still a valid OFFSET for PostgreSQL."""

PageNumber = Annotated[int, Query(ge=1, description="Counted from 1; a page past the end is an empty list")]
PageSize = Annotated[int, Query(ge=1, le=1000, description="Entries on a page")]


def count_pages(total: int, page_size: int) -> int:
    """Return how many pages `total` entries take; 0 for no entries."""
    return -(-total // page_size)


def count_skipped(page: int, page_size: int) -> int:
    """Return how many entries come before the page, at most `MAX_ROWS_SKIPPED`."""
    return min((page - 1) * page_size, MAX_ROWS_SKIPPED)


def encode_cursor(values: list[Any]) -> str:
    """Encode the sort key of the last entry on a page as an opaque cursor (URL-safe base64 of JSON)."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """Decode the values that `encode_cursor` was given. Raises `BadRequest` for anything else."""
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise invalid_cursor() from error
    if not isinstance(values, list):
        raise invalid_cursor()
    return values


def invalid_cursor() -> BadRequest:
    """Return the problem for a cursor that this service did not issue."""
    message = "This is not a cursor of this list; copy next_cursor of the previous page unchanged."
    return BadRequest(message, errors=[InvalidPart(field="cursor", message=message)])

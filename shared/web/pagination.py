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
Cursor = Annotated[str | None, Query(max_length=255, description="`next_cursor` of the previous page; takes precedence over `page`")]


def count_pages(total: int, page_size: int) -> int:
    """Return how many pages `total` entries take; 0 for no entries."""
    return -(-total // page_size)


def count_skipped(page: int, page_size: int) -> int:
    """Return how many entries come before the page, at most `MAX_ROWS_SKIPPED`."""
    return min((page - 1) * page_size, MAX_ROWS_SKIPPED)


def encode_cursor(values: list[Any]) -> str:
    """Encode the sort key of the last entry on a page as an opaque cursor (URL-safe base64 of JSON)."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *types: type[Any]) -> list[Any]:
    """Decode the values that `encode_cursor` was given, one of each of `types` (`int`, `str`).

    Raises `BadRequest` for anything else: `True` is no `int`, a number is within `MAX_ROWS_SKIPPED`, and PostgreSQL can hold a text.
    """
    try:
        values = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise invalid_cursor() from error
    if not isinstance(values, list) or [type(value) for value in values] != list(types) or not all(_is_storable(value) for value in values):
        raise invalid_cursor()
    return values


def _is_storable(value: object) -> bool:
    match value:
        case int():
            return -MAX_ROWS_SKIPPED <= value <= MAX_ROWS_SKIPPED
        case str():
            return "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
        case _:
            return True


def invalid_cursor() -> BadRequest:
    """Return the problem for a cursor that this service did not issue."""
    message = "This is not a cursor of this list; copy next_cursor of the previous page unchanged."
    return BadRequest(message, errors=[InvalidPart(field="cursor", message=message)])

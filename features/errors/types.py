"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPlace:
    """The sort key of an error: where a page ends and the next begins. 0 stands for no column."""

    row_number: int
    column_number: int
    id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFilter:
    """Which errors are listed; None: all of them."""

    error_type: str | None
    column_name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStart:
    """Where a page begins: the piece with this first place, and how many errors of the list are skipped from there on."""

    first_row: int = 0
    first_column: int = 0
    skipped: int = 0

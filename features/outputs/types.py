"""Internal data types of the slice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsWanted:
    """Which rows to show."""

    from_row: int = 1
    around_row: int | None = None
    """If given, the rows around this one are shown, and `from_row` counts for nothing."""
    count: int
    """How many rows; with `around_row`, how many on each side of it."""
    only_failed: bool = False

"""The types that cells have in a file by themselves, whatever text they show. Uses the standard library only."""

from __future__ import annotations

from enum import IntEnum


class NativeType(IntEnum):
    """The type of a cell in a workbook. Cells of text formats are all `TEXT`, and so are empty cells."""

    TEXT = 0
    NUMBER = 1
    BOOLEAN = 2
    DATE = 3
    TIME = 4
    DATETIME = 5
    DURATION = 6

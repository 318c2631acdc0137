"""Choose the sheet of a workbook whose table is read, in workbooks of both formats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from features.processing.readers.excel.sheet_rows import SheetRow


class SheetName(NamedTuple):
    """A sheet as the workbook lists it."""

    name: str
    is_visible: bool
    has_rows: bool
    """False for charts, dialogs and macros, which count as sheets."""


class SheetPeeker(Protocol):
    """A workbook whose sheets can be looked at before one of them is read."""

    sheets: Sequence[SheetName]
    """In the order of the workbook."""

    def peek(self, index: int) -> Sequence[SheetRow]:
        """Return the first rows of a sheet that have content, at most 200, out of a bounded piece of it. Raises `FileUnreadable` if that is damaged."""
        ...

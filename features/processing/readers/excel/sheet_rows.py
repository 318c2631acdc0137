"""The rows of a sheet as the readers of both workbook formats give them. Uses the standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

MAX_SHEET_ROWS, MAX_SHEET_COLUMNS = 1_048_576, 16_384
"""The most rows and columns that a sheet can have."""
MAX_GAP_CELLS = 256
"""A row is filled with empty cells up to a cell that stands no more than so far beyond the ones before it; else the cell is kept by its place."""
UNKNOWN_WIDTH = MAX_SHEET_COLUMNS + 1
_MAX_HEADER_MERGES = 100_000
MAX_MERGES = 10_000
"""How many merged ranges of a sheet are kept; all are counted."""


class CellTrouble(IntEnum):
    """Why a cell that is not empty has no value."""

    ERROR_VALUE = 0
    """It holds an error, such as `#N/A`, which is its text."""
    NOT_COMPUTED = 1
    """It holds a formula without a stored value; its text is the formula with its `=`, or `""` if the file does not tell it."""
    PICTURE = 2
    """It holds a picture; its text is what is stored beside that, mostly `#VALUE!`."""


class FarCell(NamedTuple):
    """A cell that is kept by its place: to the right of the table, or far from the other cells of its row."""

    column: int
    """From 0."""
    text: str
    native_type: int
    """A `NativeType`."""


class BadCell(NamedTuple):
    """A cell, inside or outside the table, that is not empty and has no value."""

    column: int
    """From 0."""
    text: str
    trouble: CellTrouble


@dataclass(slots=True)
class SheetRow:
    """One row of a sheet that has content, or a part of it: a row may come in several parts, one after the other, and rows may be out of order."""

    number: int
    """Row number in the sheet, from 1."""
    cells: list[str]
    """Texts from column A on; `""` for cells that are empty or bad; not more than the table has columns."""
    types: bytearray
    """The `NativeType` of each of `cells`."""
    beyond: list[FarCell] | None = None
    bad: list[BadCell] | None = None
    is_too_long: bool = False


class MergedRange(NamedTuple):
    """A range of cells that are merged into one; all bounds are part of it."""

    first_row: int
    """Row numbers are from 1, columns from 0."""
    last_row: int
    first_column: int
    last_column: int


@dataclass(slots=True)
class SheetFacts:
    """What a reader learns of a sheet besides its rows. It is complete when the rows have been read to their end."""

    merged: list[MergedRange] = field(default_factory=list)
    """At most `MAX_MERGES`."""
    merged_count: int = 0
    long_numbers: dict[int, int] = field(default_factory=dict)
    """Columns (from 0) with whole numbers of more than 15 digits, each with the first row that has one."""
    doubtful_zeros: dict[int, int] = field(default_factory=dict)
    """Columns (from 0) with formulas whose value 0 was probably never computed, each with the first row that has one."""
    has_results: bool = False
    """A formula has another result than 0, so that whatever wrote the file computes formulas, and no 0 is doubtful."""
    header_rows: int = 0
    """Of merged ranges that begin in so many first rows, more than `MAX_MERGES` are kept."""

    def add_merge(self, merged: MergedRange) -> None:
        """Count a merged range, and keep it if there are not too many."""
        self.merged_count += 1
        most = _MAX_HEADER_MERGES if merged.first_row <= self.header_rows else MAX_MERGES
        if len(self.merged) < most:
            self.merged.append(merged)


def is_blank(row: SheetRow) -> bool:
    """Whether a row holds nothing but white space."""
    for text in row.cells:
        if text and not text.isspace():
            return False
    return not (row.is_too_long or row.bad or any(cell.text.strip() for cell in row.beyond or ()))


def list_texts(row: SheetRow) -> list[str | None]:
    """Return the texts of a row by place, those of bad cells included; None for cells between far ones that are not there."""
    texts: list[str | None] = list(row.cells)
    others = [(cell.column, cell.text) for cell in row.beyond or ()] + [(cell.column, cell.text) for cell in row.bad or ()]
    for column, text in sorted(others):
        if column >= len(texts):
            texts += [None] * (column + 1 - len(texts))
        texts[column] = text
    return texts


def column_letters(column: int) -> str:
    """Return the name of a column (from 0) as a spreadsheet shows it: `A` to `XFD`."""
    letters = ""
    column += 1
    while column:
        column, place = divmod(column - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters

"""Checked rows one by one, for formats that are written cell by cell: the cells as they stand in the file, and the errors of each row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from features.processing.engine import CheckedRows
from features.processing.exporting.writer import OpenedTable


@dataclass(frozen=True, slots=True)
class RowError:
    """One error of a row."""

    column_number: int | None
    """As in the file, from 1; None for an error of the whole row."""
    column_name: str | None
    error_type: str
    message: str


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of the file."""

    row_number: int
    cells: Sequence[str | None]
    """By place in the file, columns that are left out of the table and cells beyond it included; None for a cell that is absent."""
    types: Sequence[int] | None
    """The `NativeType` of each cell; None: all cells are text."""
    errors: Sequence[RowError]
    """By column, those of the whole row first."""


def iterate_rows(rows: CheckedRows, table: OpenedTable, *, only_failed: bool = False) -> Iterator[FileRow]:
    """Yield the rows in file order, also those that have no cells: each blank row of a run, rows that are too long, and rows with an unclosed quote.

    Blank rows have no cells, a row that is too long has none either, and a row with an unclosed quote has its text as one cell.
    """
    raise NotImplementedError

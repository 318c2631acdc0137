"""Findings about the structure of rows: undecodable bytes, stray quotes, and rows with too few or too many cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.readers.base import Finding, RowNumbers
from shared.texts import MAX_TEXT_CHARACTERS, quote_briefly

_OUTSIDE_TABLE = "This cell is outside the table"
_SHOWN_BYTES = {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(256)}


@dataclass(frozen=True, slots=True)
class ExactRow:
    """A row that was split cell by cell."""

    index: int
    """Index of the row in its block, from 0."""
    cells: list[str | None]
    """All cells of the row; None for a cell that was already reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureFindings:
    """Creates the findings for one table."""

    width: int
    """The number of columns of the table."""
    labels: Sequence[str] | None
    encoding: str
    most_characters: int = MAX_TEXT_CHARACTERS
    """How much of a cell's text is kept."""

    def of_stray_quotes(self, cells: Mapping[int, Sequence[tuple[int, str]]]) -> list[Finding]:
        """Return one finding for each column of `cells`, which maps a column index (from 0) to row numbers and texts as they stand in the file."""
        message = "Text follows the quotation mark that closes this cell; a quotation mark inside a quoted cell must be doubled."
        return [self._of_cells("stray-quote", message, column, cells[column]) for column in sorted(cells)]

    def of_undecodable(self, cells: Mapping[int, Sequence[tuple[int, str]]]) -> list[Finding]:
        """Return one finding for each column of `cells`, which maps a column index (from 0) to row numbers and texts to display."""
        encoding = quote_briefly(self.encoding.upper())
        message = f"This cell holds characters that cannot be read as {encoding} text; they are shown as \\x and two digits each."
        return [self._of_cells("encoding-error", message, column, cells[column]) for column in sorted(cells)]

    def of_missing_cells(self, rows: Sequence[ExactRow], first_row: int) -> list[Finding]:
        """Return one finding for each column that is missing in some rows."""
        short = [row for row in rows if len(row.cells) < self.width]
        findings: list[Finding] = []
        counts = np.searchsorted(np.sort([len(row.cells) for row in short]), np.arange(self.width), side="right").tolist()
        for column in range(min((len(row.cells) for row in short), default=self.width), self.width):
            if findings and counts[column] == counts[column - 1]:
                # The same rows as in the previous column: their messages are kept in memory once.
                findings.append(replace(findings[-1], column_number=column + 1, column_name=self._name(column)))
                continue
            at_fault = [row for row in short if len(row.cells) <= column]
            messages = [f"This row ends before this column: {self._measure} has {_columns(self.width)}, this row has {len(row.cells)}." for row in at_fault]
            findings.append(
                Finding(
                    error_type="missing-cell",
                    row_numbers=np.array([row.index + first_row for row in at_fault], dtype=np.int64),
                    message=pa.array(messages, type=pa.string()),
                    raw_values=pa.nulls(len(at_fault), type=pa.string()),
                    column_number=column + 1,
                    column_name=self._name(column),
                    params={"expected_cells": self.width},
                )
            )
        return findings

    def of_short_rows(self, row_numbers: RowNumbers, cells: int) -> list[Finding]:
        """Return one finding for each column that rows of so many cells lack."""
        first = Finding(
            error_type="missing-cell",
            row_numbers=row_numbers,
            message=f"This row ends before this column: {self._measure} has {_columns(self.width)}, this row has {cells}.",
            raw_values=pa.nulls(len(row_numbers), type=pa.string()),
            params={"expected_cells": self.width},
        )
        return [replace(first, column_number=column + 1, column_name=self._name(column)) for column in range(cells, self.width)]

    def of_long_rows(self, row_numbers: RowNumbers, beyond: Sequence[pa.StringArray]) -> list[Finding]:
        """Return one finding for each array of cells that stand beyond the last column, in rows that all have as many of them."""
        message = f"{_OUTSIDE_TABLE}: {self._measure} has only {_columns(self.width)}."
        return [
            Finding(
                error_type="extra-cell",
                row_numbers=row_numbers,
                message=message,
                raw_values=pc.utf8_slice_codeunits(texts, start=0, stop=self.most_characters),
                column_number=self.width + place + 1,
                params={"expected_cells": self.width},
            )
            for place, texts in enumerate(beyond)
        ]

    def of_cells_outside(self, cells: Mapping[int, Sequence[tuple[int, str]]]) -> list[Finding]:
        """Return one finding for each column of the file that was left out and has cells; `cells` maps its index in the file to row numbers and texts."""
        message = f"{_OUTSIDE_TABLE}: its column has no name in the header."
        return [replace(self._of_cells("extra-cell", message, column, cells[column]), column_name=None) for column in sorted(cells)]

    def of_extra_cells(self, rows: Sequence[ExactRow], first_row: int) -> list[Finding]:
        """Return one finding for each column position after the last column; cells that were already reported are left out."""
        long = [row for row in rows if len(row.cells) > self.width]
        findings = []
        for column in range(self.width, max((len(row.cells) for row in long), default=self.width)):
            at_fault = [row for row in long if len(row.cells) > column and row.cells[column] is not None]
            if at_fault:
                findings.append(
                    Finding(
                        error_type="extra-cell",
                        row_numbers=np.array([row.index + first_row for row in at_fault], dtype=np.int64),
                        message=f"{_OUTSIDE_TABLE}: {self._measure} has only {_columns(self.width)}.",
                        raw_values=pa.array([(row.cells[column] or "")[: self.most_characters] for row in at_fault], type=pa.string()),
                        column_number=column + 1,
                        params={"expected_cells": self.width},
                    )
                )
        return findings

    def _of_cells(self, error_type: str, message: str, column: int, cells: Sequence[tuple[int, str]]) -> Finding:
        return Finding(
            error_type=error_type,
            row_numbers=np.array([row_number for row_number, _ in cells], dtype=np.int64),
            message=message,
            raw_values=pa.array([text[: self.most_characters] for _, text in cells], type=pa.string()),
            column_number=column + 1,
            column_name=self._name(column),
        )

    def _name(self, column: int) -> str | None:
        return self.labels[column] if self.labels is not None and column < len(self.labels) else None

    @property
    def _measure(self) -> str:
        return "the first row" if self.labels is None else "the header"


def show_undecodable(text: str) -> str:
    r"""Return `text` with each undecodable byte, a lone surrogate so far, written as `\x81`."""
    return text.translate(_SHOWN_BYTES)


def is_encodable(text: str) -> bool:
    """Whether `text` contains no undecodable bytes."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"

"""Turn the rows of a sheet into chunks: read the header and the width, and report errors in rows. Shared by both workbook formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Chunk, FileUnreadable, Finding, ReadLimits
from features.processing.readers.cell_block import CellBlock, RowKind
from features.processing.readers.chunk_builder import ChunkBuilder
from features.processing.readers.excel.cell_text import SheetRow
from features.processing.readers.header import check_header_size, join_labels
from features.processing.readers.structure_findings import ExactRow, StructureFindings
from shared.descriptors.table_dialect import TableDialect

_BLOCK_CELLS = 400_000
_BLOCK_BYTES = 2**22
_CELL_BYTES = 24
"""Assumed memory of a cell besides its text while its row waits: an empty cell takes little, others up to twice as much."""
_PLACE_BYTES = 8
"""Memory of a place in the rows that wait, each of which is made as long as the longest."""
_BEYOND_BYTES = 200
"""Assumed memory of a cell to the right of the table."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows that were read together."""

    rows: list[SheetRow]
    """In sheet order; empty rows may be left out."""
    bytes_read: int
    """Position of the reader in its input."""


class SheetReader:
    """Reads one sheet from `batches` of rows: the header when it is created, then chunks. `width` is the number of columns of the table."""

    def __init__(self, batches: Iterator[RowBatch], *, dialect: TableDialect | None, limits: ReadLimits) -> None:
        self._batches, self._limits = batches, limits
        self._comment_char = dialect.comment_char if dialect else None
        self._comment_rows = frozenset(dialect.comment_rows) if dialect else frozenset[int]()
        self.labels: Sequence[str] | None = None
        self.header_row: int | None = None
        self._last_row = 0
        if dialect is None or dialect.header:
            wanted = dialect.header_rows if dialect is not None and "headerRows" in dialect.descriptor else None
            self.labels, self.header_row = self._read_header(wanted, " " if dialect is None else dialect.header_join)
            self._last_row = self.header_row
        self.width = len(self.labels) if self.labels is not None else self._measure_first_row()
        structure = StructureFindings(width=self.width, labels=self.labels, encoding="")
        self._extra_message = structure.of_extra_cells([ExactRow(0, [None] * self.width + [""])], 0)[0].message

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows after the header; can be called only once.

        If the sheet breaks off, raises `FileUnreadable` after the rows before that place.
        """
        builder = ChunkBuilder(self._limits, width=self.width)
        max_row_bytes = self._limits.max_row_bytes
        waiting: list[SheetRow] = []
        longest = 1
        size_bytes = bytes_read = 0
        broken: FileUnreadable | None = None
        try:
            for batch in self._batches:
                bytes_read = batch.bytes_read
                for row in batch.rows:
                    row_bytes = sum(map(len, row.cells))
                    if row.beyond:
                        row_bytes += sum(len(text) + _BEYOND_BYTES for _, text in row.beyond)
                    if row_bytes > max_row_bytes:
                        row.is_too_long = True
                    waiting.append(row)
                    longest = max(longest, self._count_places(row))
                    size_bytes += row_bytes + _CELL_BYTES * len(row.cells)
                    places = longest * len(waiting)
                    if len(waiting) >= self._limits.chunk_rows or places >= _BLOCK_CELLS or size_bytes + _PLACE_BYTES * places >= _BLOCK_BYTES:
                        yield from builder.add(self._build_block(waiting, bytes_read))
                        waiting, longest, size_bytes = [], 1, 0
        except FileUnreadable as error:
            broken = error
        if waiting:
            yield from builder.add(self._build_block(waiting, bytes_read))
        yield from builder.finish()
        if broken is not None:
            raise broken

    def _read_header(self, wanted: Sequence[int] | None, separator: str) -> tuple[list[str], int]:
        """Return the labels and the row number of the header; the rows after it stay in `_batches`."""
        found: dict[int, list[str]] = {}
        for batch in self._batches:
            for index, row in enumerate(batch.rows):
                if wanted is not None and row.number > wanted[-1]:
                    return self._end_header(found, wanted, separator, RowBatch(batch.rows[index:], batch.bytes_read))
                if row.number in wanted if wanted is not None else not self._is_skipped(row):
                    found[row.number] = self._read_labels(row)
                    check_header_size(list(found.values()), max_chars=self._limits.max_row_bytes)
                    if wanted is None:
                        return self._end_header(found, [row.number], separator, RowBatch(batch.rows[index + 1 :], batch.bytes_read))
        if wanted is not None:
            return self._end_header(found, wanted, separator, None)
        raise FileUnreadable("The sheet has no header: there is no row with column names in it.")

    def _end_header(self, found: dict[int, list[str]], wanted: Sequence[int], separator: str, rest: RowBatch | None) -> tuple[list[str], int]:
        labels = join_labels([found.get(number, []) for number in wanted], separator, max_chars=self._limits.max_row_bytes)
        if not any(label.strip() for label in labels):
            raise FileUnreadable("The sheet has no header: there are no column names in the rows that the dialect names as headerRows.")
        if rest is not None:
            self._batches = chain([rest], self._batches)
        return labels, wanted[-1]

    def _read_labels(self, row: SheetRow) -> list[str]:
        if row.is_too_long:
            raise FileUnreadable(f"The header cannot be read: row {row.number} is longer than {self._limits.max_row_bytes} bytes.")
        cells = dict(enumerate(row.cells))
        cells.update(row.beyond or ())
        cells.update(row.errors or ())
        width = max((column + 1 for column, text in cells.items() if text.strip()), default=0)
        return [cells.get(column, "") for column in range(width)]

    def _measure_first_row(self) -> int:
        """Count the cells of the first row that is neither blank nor a comment; the row stays in `_batches`."""
        passed: list[RowBatch] = []
        for batch in self._batches:
            passed.append(RowBatch([row for row in batch.rows if not _is_blank(row)], batch.bytes_read))
            for row in batch.rows:
                if not (row.is_too_long or self._is_skipped(row)):
                    self._batches = chain(passed, [batch], self._batches)
                    passed.pop()
                    return len(self._read_labels(row))
        raise FileUnreadable("The sheet has no rows: there is nothing in it but empty cells and comments.")

    def _is_skipped(self, row: SheetRow) -> bool:
        return self._is_comment(row) or _is_blank(row)

    def _is_comment(self, row: SheetRow) -> bool:
        if self._comment_rows and row.number in self._comment_rows:
            return True
        return self._comment_char is not None and bool(row.cells) and row.cells[0].startswith(self._comment_char)

    def _build_block(self, rows: Sequence[SheetRow], bytes_read: int) -> CellBlock:
        """Build a block from `rows`; all other rows of the sheet since the previous block count as blank."""
        first_row = self._last_row + 1
        kinds = np.full(rows[-1].number - self._last_row, RowKind.BLANK, dtype=np.uint8)
        self._last_row = rows[-1].number
        for number in self._comment_rows:
            if first_row <= number <= self._last_row:
                kinds[number - first_row] = RowKind.COMMENT
        kept: list[SheetRow] = []
        for row in rows:
            if self._is_comment(row):
                kinds[row.number - first_row] = RowKind.COMMENT
            elif row.is_too_long:
                kinds[row.number - first_row] = RowKind.TOO_LONG
            elif not _is_blank(row):
                kept.append(row)
        row_numbers = np.array([row.number for row in kept], dtype=np.int64)
        kinds[row_numbers - first_row] = RowKind.ROW
        findings = [*self._find_errors(kept), *self._find_extra_cells(kept)]
        return CellBlock(columns=self._read_columns(kept), row_numbers=row_numbers, findings=findings, kinds=kinds, first_row=first_row, bytes_read=bytes_read)

    def _count_places(self, row: SheetRow) -> int:
        """Count the columns of the table up to the last one in which the row has anything."""
        if not row.errors:
            return min(self.width, len(row.cells))
        return min(self.width, max(len(row.cells), 1 + max(column for column, _ in row.errors)))

    def _read_columns(self, rows: Sequence[SheetRow]) -> list[pa.StringArray]:
        longest = max(map(self._count_places, rows), default=0)
        table: list[Sequence[str | None]] = []
        for row in rows:
            if len(row.cells) == longest and not row.errors:
                table.append(row.cells)
                continue
            cells: list[str | None] = [*row.cells[:longest], *[""] * (longest - len(row.cells))]
            for column, _ in row.errors or ():
                if column < longest:
                    cells[column] = None
            table.append(cells)
        # One array for all cells, column by column, and one for all columns that no row reaches: in a table of thousands of columns, creating an array
        # for each takes longer than its cells do.
        count = len(rows)
        everything = pa.array(list(chain.from_iterable(zip(*table, strict=True))), type=pa.string())
        columns = [everything.slice(first, count) for first in range(0, longest * count, count)] if count else []
        return columns + [pa.array([""] * count, type=pa.string())] * (self.width - len(columns))

    def _find_errors(self, rows: Sequence[SheetRow]) -> list[Finding]:
        """Return one finding for each column with error values."""
        places: dict[int, list[tuple[int, str]]] = {}
        for row in rows:
            for column, text in row.errors or ():
                places.setdefault(column, []).append((row.number, text))
        return [
            Finding(
                error_type="formula-error",
                row_numbers=np.array([number for number, _ in places[column]], dtype=np.int64),
                message=pa.array([_describe_error(text) for _, text in places[column]], type=pa.string()),
                raw_values=pa.array([text for _, text in places[column]], type=pa.string()),
                column_number=column + 1,
                column_name=self.labels[column] if self.labels is not None and column < self.width else None,
            )
            for column in sorted(places)
        ]

    def _find_extra_cells(self, rows: Sequence[SheetRow]) -> list[Finding]:
        """Return one finding for each column with content to the right of the table; error values are reported elsewhere."""
        places: dict[int, list[tuple[int, str]]] = {}
        for row in rows:
            for column, text in enumerate(row.cells[self.width :], self.width):
                if text.strip():
                    places.setdefault(column, []).append((row.number, text))
            for column, text in row.beyond or ():
                if text.strip():
                    places.setdefault(column, []).append((row.number, text))
        return [
            Finding(
                error_type="extra-cell",
                row_numbers=np.array([number for number, _ in places[column]], dtype=np.int64),
                message=self._extra_message,
                raw_values=pa.array([text for _, text in places[column]], type=pa.string()),
                column_number=column + 1,
            )
            for column in sorted(places)
        ]


def _is_blank(row: SheetRow) -> bool:
    for text in row.cells:
        if text and not text.isspace():
            return False
    return not (row.is_too_long or row.errors or any(text.strip() for _, text in row.beyond or ()))


_ERRORS = {
    "#DIV/0!": "it divides by zero",
    "#N/A": "a value that it looks for is missing",
    "#NAME?": "it uses a name that Excel does not know",
    "#NULL!": "it uses two ranges that do not meet",
    "#NUM!": "its result is not a number that Excel can hold",
    "#REF!": "it refers to a cell that no longer exists",
    "#VALUE!": "it was given a value of the wrong kind",
}


def _describe_error(text: str) -> str:
    reason = _ERRORS.get(text)
    return f"The formula in this cell has no result: {reason} ({text})." if reason else f"The formula in this cell has no result, only the error {text[:40]}."

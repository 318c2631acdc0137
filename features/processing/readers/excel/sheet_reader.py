"""Turn the rows of a sheet into chunks: find the header and the columns, and report errors in rows. Shared by both workbook formats."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Chunk, FileUnreadable, Finding, Note, ReadLimits
from features.processing.readers.chunk_builder import ChunkBuilder
from features.processing.readers.column_layout import note_empty_columns
from features.processing.readers.excel.header_rows import NO_LABEL, read_labels
from features.processing.readers.excel.row_block import BlockMaker
from features.processing.readers.excel.row_order import Batch, RowBatch, put_in_order
from features.processing.readers.excel.sheet_grid import SheetGrid
from features.processing.readers.excel.sheet_layout import SheetLayout, find_table, find_table_below, is_nearly_empty, make_grid
from features.processing.readers.excel.sheet_notes import describe_other_tables, describe_trouble, make_notes
from features.processing.readers.excel.sheet_rows import MAX_GAP_CELLS, SheetFacts, SheetRow, column_letters, is_blank, list_texts
from features.processing.readers.find_header import SAMPLE_ROWS
from features.processing.readers.header import check_header_size, note_no_header, note_rows_above
from shared.descriptors.table_dialect import TableDialect

_SAMPLE_CELLS = 200_000
_BLOCK_CELLS = 400_000
_BLOCK_BYTES = 2**22
_CELL_BYTES = 24
"""Assumed memory of a cell besides its text while its row waits: an empty cell takes little, others up to twice as much."""
_PLACE_BYTES = 8
"""Memory of a place in the rows that wait, each of which is made as long as the longest."""
_FIRST_ROWS_BYTES = 2**22
"""So much is kept of the rows above the header."""
_FAR_CELL_BYTES = 200
"""Assumed memory of a cell to the right of the table."""


def needs_merges(dialect: TableDialect | None) -> bool:
    """Whether the merged ranges of the sheet must be known before its rows are read: they spread labels over the columns of a header of several rows."""
    return dialect is not None and dialect.header and "headerRows" in dialect.descriptor and len(dialect.header_rows) > 1


class SheetReader:
    """Reads one sheet from `batches` of rows: the header when it is created, then chunks. `width` is the number of leading columns that are read as a whole."""

    def __init__(
        self, batches: Iterator[Batch], *, facts: SheetFacts, dialect: TableDialect | None, limits: ReadLimits, field_names: Sequence[str] | None
    ) -> None:
        self._batches: Iterator[Batch] = put_in_order(batches)
        self._facts, self._limits = facts, limits
        self._comment_char = dialect.comment_char if dialect else None
        self._comment_rows = frozenset(dialect.comment_rows) if dialect else frozenset[int]()
        self.labels: Sequence[str] | None = None
        self.header_row: int | None = None
        self.header_findings: Sequence[Finding] = ()
        self._opening_notes: list[Note] = []
        self._first_rows: dict[int, list[str | None]] = {}
        if dialect is not None and not dialect.header:
            layout = self._measure(len(field_names or ()))
        elif dialect is not None and "headerRows" in dialect.descriptor:
            layout = self._take_named_header(dialect.header_rows, dialect.header_join, field_names)
        else:
            layout = self._take_found_header(field_names)
        self._layout = layout
        self.width = layout.width
        columns = list(layout.columns)
        self.column_numbers: Sequence[int] | None = None if columns == list(range(len(columns))) else [column + 1 for column in columns]
        if layout.own is not None:
            self._opening_notes.append(layout.own.make_note())
        if layout.left_out:
            self._opening_notes.append(note_empty_columns([column_letters(column) for column in sorted(layout.left_out)]))
        if layout.others:
            self._opening_notes.append(describe_other_tables(layout.others))

    @property
    def notes(self) -> Sequence[Note]:
        """How the sheet was read; more are known when `chunks` has been read to its end."""
        names = dict(zip(self._layout.columns, self.labels or (), strict=False))
        first_row = (self.header_row or 0) + 1
        return [*self._opening_notes, *make_notes(self._facts, column_name=names.get, kept=frozenset(self._layout.columns), first_row=first_row)]

    @property
    def table_width(self) -> int:
        """How many columns the table has."""
        return len(self._layout.columns)

    def first_rows(self) -> Iterator[tuple[int, Sequence[str | None]]]:
        """Yield the number and the cells of every row up to and including the header; of very large ones above it only the number."""
        for number in range(1, (self.header_row or 0) + 1):
            yield number, self._first_rows.get(number, ())

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows after the header; can be called only once.

        If the sheet breaks off, raises `FileUnreadable` after the rows before that place.
        """
        builder = ChunkBuilder(self._limits, width=len(self._layout.columns))
        blocks = BlockMaker(
            self._layout,
            labels=self.labels,
            is_comment=self._is_comment,
            comment_rows=self._comment_rows,
            last_row=self.header_row or 0,
            keeps_comments=self._limits.keep_rows,
        )
        max_row_bytes = self._limits.max_row_bytes
        waiting: list[SheetRow] = []
        longest = 1
        size_bytes = bytes_read = 0
        broken: FileUnreadable | None = None
        try:
            for batch in self._batches:
                bytes_read = batch.bytes_read
                if isinstance(batch, SheetGrid) and self._takes(batch):
                    if waiting:
                        yield from builder.add(blocks.make(waiting, bytes_read))
                        waiting, longest, size_bytes = [], 1, 0
                    yield from builder.add(blocks.make_columns(batch))
                    continue
                for row in batch.rows:
                    row_bytes = _count_bytes(row) if row.beyond else sum(map(len, row.cells))
                    if row_bytes > max_row_bytes:
                        row.is_too_long = True
                    waiting.append(row)
                    longest = max(longest, len(row.cells), _find_reach(row, self.width) if row.beyond else 0)
                    size_bytes += row_bytes + _CELL_BYTES * len(row.cells)
                    places = longest * len(waiting)
                    if len(waiting) >= self._limits.chunk_rows or places >= _BLOCK_CELLS or size_bytes + _PLACE_BYTES * places >= _BLOCK_BYTES:
                        yield from builder.add(blocks.make(waiting, bytes_read))
                        waiting, longest, size_bytes = [], 1, 0
        except FileUnreadable as error:
            broken = error
        if waiting:
            yield from builder.add(blocks.make(waiting, bytes_read))
        yield from builder.finish()
        if broken is not None:
            raise broken

    def _takes(self, grid: SheetGrid) -> bool:
        """Whether a grid can be taken as it is, and not row by row: it is no wider than the table, and nothing in it has to be looked for in its rows."""
        layout = self._layout
        return (
            self._comment_char is None
            and not layout.ignored
            and len(grid.types) <= layout.width == max(layout.columns, default=-1) + 1
            and not any(_find_reach(row, layout.width) for row in grid.exact.values() if row.beyond)
            and int(grid.measure_rows().max(initial=0)) <= self._limits.max_row_bytes
        )

    def _take_found_header(self, field_names: Sequence[str] | None) -> SheetLayout:
        """Find the header among the first rows, and take it. Raises `FileUnreadable` if there is none."""
        collected = self._collect()
        rows = [row for row in collected if not row.is_too_long]
        starts = [row.number > before + 1 for row, before in zip(rows, [0, *(row.number for row in rows)], strict=False)]
        layout = find_table(make_grid(rows), starts_section=starts, field_names=field_names)
        if layout is None:
            if collected:
                raise self._too_long(collected[0])
            # Damage before the first row is what is wrong with the sheet.
            deque(self._batches, maxlen=0)
            raise FileUnreadable("The sheet has no header: there is no cell with content in it.")
        assert layout.header is not None
        header = rows[layout.header]
        too_long = next((row for row in collected if row.is_too_long and row.number < header.number), None)
        if too_long is not None and not field_names:
            # It may have been the header, unless a schema says that it is another row.
            raise self._too_long(too_long)
        check_header_size([layout.labels], max_chars=self._limits.max_row_bytes)
        if layout.header:
            self._opening_notes.append(note_rows_above(header.number, layout.header))
        if layout.is_record:
            self._opening_notes.append(note_no_header(header.number))
        self._take_labels(layout, [header], header.number)
        self._take_through(header.number)
        return layout

    def _take_named_header(self, wanted: Sequence[int], separator: str, field_names: Sequence[str] | None) -> SheetLayout:
        """Take the rows with the numbers in `wanted` as the header. Raises `FileUnreadable` if there are no labels in them."""
        found: dict[int, SheetRow] = {}
        for row in self._take_through(wanted[-1]):
            if row.number in wanted:
                if row.is_too_long:
                    raise self._too_long(row)
                found[row.number] = row
        below = make_grid(self._collect())
        columns = frozenset[int]().union(*below)
        max_chars = self._limits.max_row_bytes
        by_column = read_labels(found, wanted, merged=self._facts.merged, below=columns, separator=separator, max_chars=max_chars)
        if not by_column:
            raise FileUnreadable("The sheet has no header: there are no column names in the rows that the dialect names as headerRows.")
        layout = find_table_below([by_column, *below], field_names=field_names)
        self._take_labels(layout, list(found.values()), wanted[-1])
        return layout

    def _take_labels(self, layout: SheetLayout, rows: Sequence[SheetRow], header_row: int) -> None:
        """Keep the labels; one that is a formula without a value, or a picture, is reported and counts as blank."""
        labels = list(layout.labels)
        places = {column: place for place, column in enumerate(layout.columns)}
        findings: list[Finding] = []
        for row in rows:
            for cell in row.bad or ():
                place = places.get(cell.column)
                if place is None or any(finding.column_number == place + 1 for finding in findings):
                    continue
                if len(rows) == 1 or labels[place] == NO_LABEL:
                    labels[place] = ""
                findings.append(
                    Finding(
                        error_type="formula-error",
                        row_numbers=np.array([row.number], dtype=np.int64),
                        message=describe_trouble(cell),
                        raw_values=pa.array([cell.text], type=pa.string()),
                        column_number=place + 1,
                    )
                )
        self.labels, self.header_row, self.header_findings = labels, header_row, findings

    def _measure(self, fields: int) -> SheetLayout:
        """Return the columns of a table without a header: those in which the first rows have cells, or as many as the schema has fields."""
        rows = [row for row in self._collect() if not row.is_too_long]
        if not rows:
            raise FileUnreadable("The sheet has no rows: there is nothing in it but empty cells and comments.")
        grid = make_grid(rows)
        near = max(len(row.cells) for row in rows) + MAX_GAP_CELLS
        width = max([fields, 1, *(column + 1 for column in set().union(*grid) if column < near and not is_nearly_empty(column, grid))])
        return SheetLayout(header=None, is_record=False, columns=range(width), labels=[""] * width, left_out=frozenset())

    def _collect(self) -> list[SheetRow]:
        """Return the first rows that are neither blank nor comments; all rows stay to be read."""
        passed: list[Batch] = []
        rows: list[SheetRow] = []
        cells = 0
        try:
            for batch in self._batches:
                passed.append(batch)
                for row in batch.rows:
                    if not self._is_comment(row) and not is_blank(row) and len(rows) < SAMPLE_ROWS and cells < _SAMPLE_CELLS:
                        row.is_too_long |= _count_bytes(row) > self._limits.max_row_bytes
                        rows.append(row)
                        cells += len(row.cells) + len(row.beyond or ())
                if len(rows) >= SAMPLE_ROWS or cells >= _SAMPLE_CELLS:
                    break
        except FileUnreadable as error:
            # The rows before this place are still read.
            self._batches = _raise(error)
        self._batches = chain(passed, self._batches)
        return rows

    def _take_through(self, number: int) -> list[SheetRow]:
        """Take all rows up to the one with this number."""
        taken: list[SheetRow] = []
        for batch in self._batches:
            rest = [row for row in batch.rows if row.number > number]
            taken += batch.rows[: len(batch.rows) - len(rest)]
            if rest:
                self._batches = chain([RowBatch(rest, batch.bytes_read)], self._batches)
                break
        if self._limits.keep_rows:
            size_bytes = 0
            for row in reversed(taken):
                size_bytes += _count_bytes(row)
                if row.number != number and size_bytes > _FIRST_ROWS_BYTES:
                    break
                self._first_rows[row.number] = list_texts(row)
        return taken

    def _is_comment(self, row: SheetRow) -> bool:
        if self._comment_rows and row.number in self._comment_rows:
            return True
        if self._comment_char is None:
            return False
        # A table need not begin in column A.
        return next((text for text in row.cells if text), "").startswith(self._comment_char)

    def _too_long(self, row: SheetRow) -> FileUnreadable:
        return FileUnreadable(f"The header cannot be read: row {row.number} is longer than {self._limits.max_row_bytes} bytes.")


def _count_bytes(row: SheetRow) -> int:
    """Count the characters of a row, and for cells that are kept by their place what they take besides."""
    count = sum(map(len, row.cells))
    return count + sum(len(cell.text) + _FAR_CELL_BYTES for cell in row.beyond) if row.beyond else count


def _find_reach(row: SheetRow, width: int) -> int:
    """Count the columns up to the last cell of the table that is kept by its place."""
    return max((cell.column + 1 for cell in row.beyond or () if cell.column < width), default=0)


def _raise(error: FileUnreadable) -> Iterator[Batch]:
    raise error
    yield  # makes this a generator

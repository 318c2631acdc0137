"""Read the first rows of a CSV file to find its header; the rows below the header are read again as records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from features.processing.readers.base import FileUnreadable, Note
from features.processing.readers.cell_block import MAX_COLUMNS
from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter, is_blank
from features.processing.readers.csv.parser import find_comments
from features.processing.readers.csv.raw_blocks import RawBlock, RowTrouble
from features.processing.readers.find_header import SAMPLE_ROWS, FoundHeader, find_header
from features.processing.readers.header import check_header_size, join_labels, note_no_header, note_rows_above
from features.processing.readers.own_columns import find_own_columns
from features.processing.readers.structure_findings import show_undecodable

_SAMPLE_CELLS = 200_000
_SAMPLE_BYTES = 2**16
_MOST_TROUBLED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The labels of a table, and what was found around them."""

    labels: Sequence[str]
    row: int
    """Row number of the header, of its last row if it has several."""
    notes: Sequence[Note]
    sample: Sequence[Sequence[str]]
    """Some rows below the header."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that is neither blank nor a comment, and where it stands."""

    block: int
    index: int
    number: int
    cells: list[str] | None
    """None if the row cannot be split."""
    starts_section: bool
    """Blank rows stand above it."""


class FirstRows:
    """The first rows of one file. `blocks` yields what is still to be read after the header was taken."""

    def __init__(self, blocks: Iterator[RawBlock], grammar: CsvGrammar, *, undecodable: str, comment_rows: frozenset[int], max_row_bytes: int) -> None:
        self.blocks = blocks
        self._grammar, self._undecodable = grammar, undecodable
        self._comment_rows, self._max_row_bytes = comment_rows, max_row_bytes
        self._splitter = RowSplitter(grammar, max_cells=MAX_COLUMNS)

    def take_named(self, wanted: Sequence[int], separator: str) -> Header:
        """Take the rows with the numbers `wanted` as the header. Raises `FileUnreadable` if there are none."""
        found: list[list[str]] = []
        row = 0
        for block in self.blocks:
            for index in range(len(block)):
                row += 1
                if row not in wanted:
                    continue
                found.append([show_undecodable(cell) for cell in self._split(block, index, row)])
                if row == wanted[-1]:
                    labels = join_labels(found, separator, max_chars=self._max_row_bytes)
                    self.blocks = chain([block.part(index + 1, len(block))], self.blocks)
                    sample, passed = self._collect(first_row=row + 1)
                    self.blocks = chain(passed, self.blocks)
                    return Header(labels=labels, row=row, notes=(), sample=[each.cells for each in sample if each.cells is not None])
                check_header_size(found, max_chars=self._max_row_bytes)
        raise FileUnreadable(_NO_HEADER)

    def take_found(self, field_names: Sequence[str] | None) -> Header:
        """Find the header, with the names of the schema's fields if there is one, and take it. Raises `FileUnreadable` if there is none."""
        rows, passed = self._collect(first_row=1)
        if not rows:
            raise FileUnreadable(_NO_HEADER)
        found = find_header([row.cells or [] for row in rows], starts_section=[row.starts_section for row in rows], field_names=field_names)
        assert found is not None
        if rows[0].cells is not None and find_own_columns(rows[0].cells, field_names) is not None:
            # Above the header of an output nothing stands.
            found = FoundHeader(index=0, is_record=False)
        header = rows[found.index]
        # A row that cannot be split may have been the header, unless a schema says that it is another.
        troubled = next((row for row in rows[: found.index + 1] if row.cells is None), None)
        if troubled is not None and (header.cells is None or not field_names):
            self._split(passed[troubled.block], troubled.index, troubled.number)
        assert header.cells is not None
        notes = []
        if found.index:
            notes.append(note_rows_above(header.number, found.index))
        if found.is_record:
            notes.append(note_no_header(header.number))
        block = passed[header.block]
        self.blocks = chain([block.part(header.index + 1, len(block))], passed[header.block + 1 :], self.blocks)
        labels = [show_undecodable(cell) for cell in header.cells]
        return Header(labels=labels, row=header.number, notes=notes, sample=[row.cells for row in rows[found.index + 1 :] if row.cells is not None])

    def measure_first(self) -> int:
        """Count the cells of the first row that is neither blank nor a comment, for a table without a header; the row stays in `blocks`."""
        passed: list[RawBlock] = []
        row = 0
        for block in self.blocks:
            passed.append(block)
            comments = set(find_comments(block, self._grammar))
            for index in range(len(block)):
                row += 1
                if index in comments or row in self._comment_rows or block.spans.trouble[index]:
                    continue
                cells = self._split(block, index, row)
                if not is_blank(cells):
                    self.blocks = chain(passed, self.blocks)
                    return len(cells)
        raise FileUnreadable("The file has no rows: there is nothing in it but blank lines and comments.")

    def _collect(self, *, first_row: int) -> tuple[list[_Row], list[RawBlock]]:
        """Return the first rows and the blocks that were read for them; which rows these are does not depend on where blocks end."""
        rows: list[_Row] = []
        passed: list[RawBlock] = []
        number = first_row - 1
        is_after_blank = False
        cells = size_bytes = troubled = 0
        for block in self.blocks:
            passed.append(block)
            comments = set(find_comments(block, self._grammar))
            for index in range(len(block)):
                number += 1
                if index in comments or number in self._comment_rows:
                    continue
                split = self._try_split(block, index)
                if split is not None and is_blank(split):
                    is_after_blank = True
                    continue
                rows.append(_Row(len(passed) - 1, index, number, split, is_after_blank))
                is_after_blank = False
                troubled += split is None
                cells += len(split or ())
                size_bytes += int(block.spans.stops[index] - block.spans.starts[index])
                if len(rows) >= SAMPLE_ROWS or cells >= _SAMPLE_CELLS or troubled >= _MOST_TROUBLED or (len(rows) > 1 and size_bytes >= _SAMPLE_BYTES):
                    return rows, passed
        return rows, passed

    def _try_split(self, block: RawBlock, index: int) -> list[str] | None:
        if block.spans.trouble[index]:
            return None
        cells = self._splitter.split(block.row(index).decode("utf-8", self._undecodable))
        return cells if len(cells) <= MAX_COLUMNS else None

    def _split(self, block: RawBlock, index: int, row: int) -> list[str]:
        """Split a row of the header. Raises `FileUnreadable` if that cannot be done."""
        trouble = block.spans.trouble[index]
        if trouble == RowTrouble.UNCLOSED_QUOTE:
            raise FileUnreadable(f"The header cannot be read: a quotation mark opens in row {row} and is never closed.")
        if trouble == RowTrouble.TOO_LONG:
            raise FileUnreadable(f"The header cannot be read: row {row} is longer than {self._max_row_bytes} bytes.")
        cells = self._try_split(block, index)
        if cells is None:
            raise FileUnreadable(f"The header has more than {MAX_COLUMNS} columns, the most that can be read.")
        return cells


_NO_HEADER = "The file has no header: there is no row with column names in it."

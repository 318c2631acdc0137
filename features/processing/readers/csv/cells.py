"""Turn parsed blocks into cell blocks: split the rows that are still text, take out blank rows, and restore the file order."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, zip_longest

import numpy as np
import pyarrow as pa

from features.processing.column import Column, Indices
from features.processing.readers.base import Finding
from features.processing.readers.cell_block import MAX_COLUMNS, CellBlock
from features.processing.readers.column_layout import ColumnLayout
from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter, is_blank
from features.processing.readers.csv.parser import ParsedBlock
from features.processing.readers.csv.ragged_rows import RaggedRows
from features.processing.readers.csv.scan import Positions
from features.processing.readers.own_columns import OwnColumns, read_mark
from features.processing.readers.row_spans import Offsets, RowKind
from features.processing.readers.structure_findings import ExactRow, StructureFindings, is_encodable, show_undecodable
from shared.texts import MAX_TEXT_CHARACTERS

_NOWHERE: Positions = np.empty(0, dtype=np.int64)


class CellReader:
    """Turns the parsed blocks of one file into cell blocks, in file order."""

    def __init__(
        self,
        grammar: CsvGrammar,
        *,
        layout: ColumnLayout,
        labels: Sequence[str] | None,
        encoding: str,
        keeps_whole: bool = False,
        own: OwnColumns | None = None,
    ) -> None:
        """`keeps_whole`: the texts of reported cells are not cut. `layout` is that of the table without its `own` columns."""
        self._own = own
        self._most = sys.maxsize if keeps_whole else MAX_TEXT_CHARACTERS
        self._layout = layout
        self._width = len(layout.kept)
        self._structure = StructureFindings(width=self._width, labels=labels, encoding=encoding, most_characters=self._most)
        self._splitter = RowSplitter(grammar, max_cells=MAX_COLUMNS)

    def read(self, block: ParsedBlock) -> CellBlock:
        """Return the rows of one block as cells; writes the kinds of its rows into `block.kinds`."""
        if self._own is not None:
            block = replace(block, columns=list(block.columns))
        marks = self._take_own(block) if self._own is not None else None
        kinds, columns = block.kinds, block.columns
        blank = _find_blank(columns)
        kinds[block.plain[blank]] = RowKind.BLANK
        for group in block.ragged:
            kinds[group.indices[_find_blank(group.columns)]] = RowKind.BLANK
        rows, findings = self._split(block, marks)
        findings += self._report_ragged(block)
        if self._layout.left_out:
            columns = list(columns)
            findings += self._find_outside(columns, block)
            columns = [columns[index] for index in self._layout.kept]
        others: list[list[pa.StringArray]] = []
        order: Indices | None = None
        if rows or len(blank) or block.ragged:
            indices = np.concatenate([block.plain, np.array([row.index for row in rows], dtype=np.int64), *(group.indices for group in block.ragged)])
            order = np.argsort(indices, kind="stable")
            order = order[kinds[indices[order]] == RowKind.ROW]
            others = [*([self._place(rows)] if rows else []), *map(self._fit, block.ragged)]
            if len(others) == 1 and not len(columns[0]):
                # They are in order already, and a row of many megabytes is not copied twice more.
                columns, others, order = others[0], [], order if block.ragged else None
        if self._own is not None:
            findings = [self._place_extra(finding) for finding in findings]
        row_numbers = (np.flatnonzero(kinds == RowKind.ROW) if kinds.any() else np.arange(len(kinds))) + block.first_row
        return CellBlock(
            columns=columns,
            others=others,
            order=order,
            row_numbers=row_numbers,
            findings=findings,
            kinds=kinds,
            first_row=block.first_row,
            bytes_read=block.bytes_read,
            raw=block.raw,
            raw_index=block.raw_index,
            marks=marks,
        )

    def _take_own(self, block: ParsedBlock) -> Offsets:
        """Take our own columns out of the parsed rows, and return the numbers of the blank ones among them."""
        assert self._own is not None
        marks = np.zeros(len(block.kinds), dtype=np.int64)
        for indices, columns in ((block.plain, block.columns), *((group.indices, group.columns) for group in block.ragged)):
            assert isinstance(columns, list)
            rest = self._own.take_out(columns)
            if self._own.row < len(columns) and len(indices):
                blank = _find_blank(rest)
                marks[indices[blank]] = [read_mark(text) for text in columns[self._own.row].take(pa.array(blank)).to_pylist()]
            columns[:] = rest
        return marks

    def _split_row(self, text: str, index: int, marks: Offsets | None, *, is_regular: bool) -> tuple[list[str], list[tuple[int, str]]]:
        """Split a row into the cells that are not our own, and those of them with a stray quote."""
        cells, strays = (self._splitter.split_regular(text), []) if is_regular else self._splitter.split_marked(text)
        if self._own is None or marks is None or len(cells) > MAX_COLUMNS:
            return cells, strays
        rest = self._own.take_out(cells)
        if self._own.row < len(cells) and is_blank(rest):
            marks[index] = read_mark(cells[self._own.row])
        places = ((self._own.find_index(place), raw) for place, raw in strays)
        return rest, [(place, raw) for place, raw in places if place is not None]

    def _split(self, block: ParsedBlock, marks: Offsets | None) -> tuple[list[ExactRow], list[Finding]]:
        """Split the rows that are still text into cells; writes into `block.kinds` which of them are blank or too long."""
        rows: list[ExactRow] = []
        undecodable: dict[int, list[tuple[int, str]]] = {}
        stray: dict[int, list[tuple[int, str]]] = {}
        outside: dict[int, list[tuple[int, str]]] = {}
        for index, text in block.unparsed:
            cells, strays = self._split_row(text, index, marks, is_regular=block.is_regular)
            row_number = index + block.first_row
            if len(cells) > MAX_COLUMNS:
                block.kinds[index] = RowKind.TOO_LONG
                continue
            if is_blank(cells):
                block.kinds[index] = RowKind.BLANK
                continue
            if self._layout.left_out:
                cells, strays = self._take_kept(cells, strays, row_number, outside)
            row = ExactRow(index, list(cells))
            if not is_encodable(text):
                for column, cell in enumerate(cells):
                    if not is_encodable(cell):
                        row.cells[column] = None
                        undecodable.setdefault(column, []).append((row_number, show_undecodable(cell[: self._most])))
            for column, raw in strays:
                if row.cells[column] is not None:
                    row.cells[column] = None
                    stray.setdefault(column, []).append((row_number, raw))
            rows.append(row)
        findings = self._structure.of_undecodable(undecodable)
        findings += self._structure.of_stray_quotes(stray)
        findings += self._structure.of_cells_outside(outside)
        findings += self._structure.of_missing_cells(rows, block.first_row)
        findings += self._structure.of_extra_cells(rows, block.first_row)
        return rows, findings

    def _take_kept(
        self, cells: Sequence[str], strays: Sequence[tuple[int, str]], row_number: int, outside: dict[int, list[tuple[int, str]]]
    ) -> tuple[list[str], list[tuple[int, str]]]:
        """Return the cells of the table's columns, and those of them with a stray quote; the others that are not empty are added to `outside`."""
        kept = self._layout.kept
        for column, cell in enumerate(cells):
            if (column in self._layout.left_out and cell.strip()) or (column > kept[-1] and column not in self._layout.left_out):
                outside.setdefault(column, []).append((row_number, show_undecodable(cell[: self._most])))
        places = {column: place for place, column in enumerate(kept)}
        return [cells[column] for column in kept if column < len(cells)], [(places[column], raw) for column, raw in strays if column in places]

    def _find_outside(self, columns: Sequence[pa.StringArray], block: ParsedBlock) -> list[Finding]:
        """Report the cells of parsed rows in columns that were left out."""
        outside: dict[int, list[tuple[int, str]]] = {}
        for index in sorted(self._layout.left_out):
            if index < len(columns) and len(columns[index]):
                column = Column(columns[index])
                rows = np.flatnonzero(~column.blank)
                if len(rows):
                    numbers = (block.plain[rows] + block.first_row).tolist()
                    outside[index] = list(zip(numbers, self._take(column, rows).to_pylist(), strict=True))
        return self._structure.of_cells_outside(outside)

    def _place_extra(self, finding: Finding) -> Finding:
        """Return a finding of cells outside the table with the place that they have in the file."""
        if self._own is None or finding.error_type != "extra-cell" or finding.column_number is None:
            return finding
        return replace(finding, column_number=self._own.find_place(finding.column_number - 1) + 1)

    def _take(self, column: Column, rows: Indices) -> pa.StringArray:
        return column.take_beginnings(rows) if self._most == MAX_TEXT_CHARACTERS else column.text.take(pa.array(rows))

    def _report_ragged(self, block: ParsedBlock) -> list[Finding]:
        """Report the missing and extra cells of the rows that were parsed by their width, except for blank ones."""
        findings: list[Finding] = []
        for group in block.ragged:
            is_row = block.kinds[group.indices] == RowKind.ROW
            row_numbers = group.indices[is_row] + block.first_row
            if len(row_numbers):
                findings += self._structure.of_short_rows(row_numbers, len(group.columns))
                findings += self._structure.of_long_rows(row_numbers, [column.filter(pa.array(is_row)) for column in group.columns[self._width :]])
        return findings

    def _place(self, rows: Sequence[ExactRow]) -> list[pa.StringArray]:
        """Return the columns of rows that were split one by one."""
        # One array for all cells, column by column, and one for all columns that no row reaches: of a wide table, each array takes longer than its cells.
        count, longest = len(rows), min(self._width, max((len(row.cells) for row in rows), default=0))
        in_one = pa.array(list(chain.from_iterable(zip_longest(*(row.cells[:longest] for row in rows)))), type=pa.string())
        return [in_one.slice(first, count) for first in range(0, longest * count, count)] + [pa.nulls(count, pa.string())] * (self._width - longest)

    def _fit(self, group: RaggedRows) -> list[pa.StringArray]:
        """Return the columns of rows of another width than the table's."""
        return group.columns[: self._width] + [pa.nulls(len(group.indices), pa.string())] * (self._width - len(group.columns))


def _find_blank(columns: Sequence[pa.StringArray]) -> Positions:
    """Find the indices of rows in which every cell is empty or white space."""
    rows: Positions | None = None
    for number in range(len(columns)):  # one by one: of a wide table, most are not needed
        column = columns[number]
        cells = column if rows is None else column.take(pa.array(rows))
        blank = np.flatnonzero(Column(cells).blank)
        rows = blank if rows is None else rows[blank]
        if not len(rows):
            break
    return _NOWHERE if rows is None else rows

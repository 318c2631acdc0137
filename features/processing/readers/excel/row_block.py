"""Turn rows of a sheet into a block of columns, with the errors of its cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Finding, NativeTypes
from features.processing.readers.cell_block import CellBlock
from features.processing.readers.excel.sheet_grid import SheetGrid
from features.processing.readers.excel.sheet_layout import SheetLayout
from features.processing.readers.excel.sheet_notes import describe_trouble, restore_bad
from features.processing.readers.excel.sheet_rows import BadCell, SheetRow, is_blank, list_texts
from features.processing.readers.native_types import NativeType
from features.processing.readers.own_columns import read_mark
from features.processing.readers.row_spans import RowKind
from features.processing.readers.structure_findings import ExactRow, StructureFindings
from shared.texts import MAX_TEXT_CHARACTERS

_Places = dict[int, list[tuple[int, str]]]
"""For each column of the sheet (from 0) row numbers and texts."""


class BlockMaker:
    """Makes the blocks of one sheet, in row order."""

    def __init__(
        self,
        layout: SheetLayout,
        *,
        labels: Sequence[str] | None,
        is_comment: Callable[[SheetRow], bool],
        comment_rows: frozenset[int],
        last_row: int,
        keeps_comments: bool = False,
    ) -> None:
        self._keeps_comments = keeps_comments
        self._columns, self._labels = list(layout.columns), labels
        self._dense = layout.width
        self._far = {column: place for place, column in enumerate(self._columns) if column >= self._dense}
        """The columns of the table whose cells are kept by their place."""
        self._places = {column: place for place, column in enumerate(self._columns)}
        self._left_out_dense = sorted(column for column in layout.left_out if column < self._dense)
        self._ignored = layout.ignored
        self._own = layout.own
        self._labels_by_column = dict(zip(self._columns, labels or (), strict=False))
        self._is_comment, self._comment_rows, self._last_row = is_comment, comment_rows, last_row
        self._structure = StructureFindings(width=len(self._columns), labels=labels, encoding="")
        self._extra_message = self._structure.of_extra_cells([ExactRow(0, [None] * len(self._columns) + [""])], 0)[0].message

    def make(self, rows: Sequence[SheetRow], bytes_read: int) -> CellBlock:
        """Return the block of `rows`; all other rows of the sheet since the previous block count as blank."""
        first_row = self._last_row + 1
        kinds = np.full(rows[-1].number - self._last_row, RowKind.BLANK, dtype=np.uint8)
        self._last_row = rows[-1].number
        for number in self._comment_rows:
            if first_row <= number <= self._last_row:
                kinds[number - first_row] = RowKind.COMMENT
        kept: list[SheetRow] = []
        comment_cells: dict[int, Sequence[str | None]] = {}
        marks = np.zeros(len(kinds), dtype=np.int64) if self._own is not None else None
        for given in rows:
            row = self._bring_near(given) if given.beyond else given
            kind = kinds[row.number - first_row] = self._find_kind(row)
            if kind == RowKind.ROW:
                kept.append(row)
            elif kind == RowKind.COMMENT and self._keeps_comments:
                comment_cells[row.number] = [text and text[:MAX_TEXT_CHARACTERS] for text in list_texts(row)]
            elif kind == RowKind.BLANK and marks is not None and self._own is not None and self._own.row < len(row.cells):
                marks[row.number - first_row] = read_mark(row.cells[self._own.row])
        if self._own is not None:
            for row in kept:
                restore_bad(row, self._labels_by_column, self._own)
        row_numbers = np.array([row.number for row in kept], dtype=np.int64)
        columns, native_types = self._read_columns(kept)
        return CellBlock(
            columns=columns,
            native_types=native_types,
            row_numbers=row_numbers,
            findings=[*self._find_bad(kept), *self._find_outside(kept)],
            kinds=kinds,
            first_row=first_row,
            bytes_read=bytes_read,
            comment_cells=comment_cells or None,
            marks=marks,
        )

    def _bring_near(self, row: SheetRow) -> SheetRow:
        """Return a row with the cells of the table that were kept by their place, since they stand far from the others, among those.

        The row that is given stays small: others that were read with it may still hold it when this block is gone.
        """
        near = [cell for cell in row.beyond or () if cell.column < self._dense]
        if not near:
            return row
        missing = max(0, max(cell.column for cell in near) + 1 - len(row.cells))
        cells, types = [*row.cells, *[""] * missing], bytearray(row.types) + bytes(missing)
        for cell in near:
            cells[cell.column], types[cell.column] = cell.text, cell.native_type
        return replace(row, cells=cells, types=types, beyond=[cell for cell in row.beyond or () if cell.column >= self._dense] or None)

    def make_columns(self, grid: SheetGrid) -> CellBlock:
        """Do the same as `make` for rows that are columns already, in a table without columns that are far from the others, or not its own."""
        first_row = self._last_row + 1
        self._last_row = grid.last_number
        kinds = np.full(self._last_row - first_row + 1, RowKind.BLANK, dtype=np.uint8)
        found = np.where(grid.find_content(), np.uint8(RowKind.ROW), np.uint8(RowKind.BLANK))
        for index, row in grid.exact.items():
            found[index] = self._find_kind(row)
        is_comment = np.isin(grid.numbers, list(self._comment_rows)) if self._comment_rows else None
        if is_comment is not None:
            found[is_comment] = RowKind.COMMENT
        kinds[grid.numbers - first_row] = found
        for number in self._comment_rows:
            if first_row <= number <= self._last_row:
                kinds[number - first_row] = RowKind.COMMENT
        comment_cells: dict[int, Sequence[str | None]] = {}
        if self._keeps_comments and is_comment is not None and bool(is_comment.any()):
            comments = [grid.take_row(index) for index in np.flatnonzero(is_comment).tolist()]
            comment_cells = {row.number: [text and text[:MAX_TEXT_CHARACTERS] for text in list_texts(row)] for row in comments}
        kept = np.flatnonzero(found == RowKind.ROW)
        is_whole = len(kept) == len(grid)
        empty = pa.array([""] * len(kept), type=pa.string())
        columns: list[pa.StringArray] = []
        native_types: list[NativeTypes | None] = []
        is_native = (grid.types != NativeType.TEXT).any(axis=1).tolist()
        for column in self._columns:
            if column >= len(grid.types):
                columns.append(empty)
                native_types.append(None)
                continue
            texts, types = grid.column(column), grid.column_types(column)
            columns.append(texts if is_whole else texts.take(pa.array(kept)))
            native_types.append((types if is_whole else types[kept]) if is_native[column] else None)
        exact = [grid.exact[index] for index in kept.tolist() if index in grid.exact] if grid.exact else []
        outside = exact
        if self._left_out_dense:
            # Columns without a label that turn out to have cells further down.
            left_out = [column for column in self._left_out_dense if column < len(grid.types)]
            has_outside = np.zeros(len(grid), np.bool_)
            has_outside[list(grid.exact)] = True
            for column in left_out:
                has_outside |= grid.lengths_of(column) > 0
            outside = [grid.take_row(index) for index in kept[has_outside[kept]].tolist()]
        return CellBlock(
            columns=columns,
            native_types=native_types if any(each is not None for each in native_types) else None,
            row_numbers=grid.numbers[kept],
            findings=[*self._find_bad(exact), *self._find_outside(outside)],
            kinds=kinds,
            first_row=first_row,
            bytes_read=grid.bytes_read,
            comment_cells=comment_cells or None,
        )

    def _find_kind(self, row: SheetRow) -> RowKind:
        if self._is_comment(row):
            return RowKind.COMMENT
        if row.is_too_long:
            return RowKind.TOO_LONG
        return RowKind.BLANK if is_blank(row) or (self._ignored and self._is_beside(row)) else RowKind.ROW

    def _read_columns(self, rows: Sequence[SheetRow]) -> tuple[list[pa.StringArray], list[NativeTypes | None] | None]:
        count = len(rows)
        longest = min(self._dense, max((self._count_places(row) for row in rows), default=0))
        table: list[Sequence[str | None]] = []
        types: list[bytes | bytearray] = []
        for row in rows:
            if len(row.cells) == longest and not row.bad:
                table.append(row.cells)
                types.append(row.types)
                continue
            missing = longest - len(row.cells)
            cells: list[str | None] = [*row.cells[:longest], *[""] * missing]
            for bad in row.bad or ():
                if bad.column < longest:
                    cells[bad.column] = None
            table.append(cells)
            types.append(bytes(row.types[:longest]).ljust(longest, b"\0"))
        # One array for all cells, column by column, and one for all columns that no row reaches: in a table of thousands of columns, creating an array
        # for each takes longer than its cells do.
        everything = pa.array(list(chain.from_iterable(zip(*table, strict=True))), type=pa.string())
        empty = pa.array([""] * count, type=pa.string())
        columns = [everything.slice(column * count, count) if column < longest else empty for column in self._columns]
        joined = np.frombuffer(b"".join(types), dtype=np.uint8).reshape(count, longest)
        is_native = np.logical_or.reduce(joined, axis=0, dtype=np.bool_).tolist()
        native_types = [np.ascontiguousarray(joined[:, column]) if column < longest and is_native[column] else None for column in self._columns]
        if self._far:
            self._read_far(rows, columns, native_types)
        return columns, native_types if any(each is not None for each in native_types) else None

    def _read_far(self, rows: Sequence[SheetRow], columns: list[pa.StringArray], native_types: list[NativeTypes | None]) -> None:
        """Put the cells of far columns that are kept by their place into `columns`."""
        found: dict[int, dict[int, tuple[str | None, int]]] = {}
        for index, row in enumerate(rows):
            # Rows that were read before the width was known have far cells among the others.
            for column in self._far if len(row.cells) > self._dense else ():
                if column < len(row.cells) and row.cells[column]:
                    found.setdefault(column, {})[index] = (row.cells[column], row.types[column])
            for cell in row.beyond or ():
                if cell.column in self._far:
                    found.setdefault(cell.column, {})[index] = (cell.text, cell.native_type)
            for bad in row.bad or ():
                if bad.column in self._far:
                    found.setdefault(bad.column, {})[index] = (None, NativeType.TEXT)
        for column, cells in found.items():
            texts: list[str | None] = [""] * len(rows)
            types = np.zeros(len(rows), np.uint8)
            for index, (text, native_type) in cells.items():
                texts[index], types[index] = text, native_type
            columns[self._far[column]] = pa.array(texts, type=pa.string())
            native_types[self._far[column]] = types if types.any() else None

    def _count_places(self, row: SheetRow) -> int:
        """Count the columns up to the last one in which the row has anything."""
        return max(len(row.cells), 1 + max(cell.column for cell in row.bad)) if row.bad else len(row.cells)

    def _find_bad(self, rows: Sequence[SheetRow]) -> list[Finding]:
        """Return one finding for each column of the table with cells that have no value."""
        found: dict[int, list[tuple[int, BadCell]]] = {}
        for row in rows:
            for cell in row.bad or ():
                if cell.column in self._places:
                    found.setdefault(self._places[cell.column], []).append((row.number, cell))
        return [
            Finding(
                error_type="formula-error",
                row_numbers=np.array([number for number, _ in found[place]], dtype=np.int64),
                message=pa.array([describe_trouble(cell) for _, cell in found[place]], type=pa.string()),
                raw_values=pa.array([cell.text for _, cell in found[place]], type=pa.string()),
                column_number=place + 1,
                column_name=self._labels[place] if self._labels is not None else None,
            )
            for place in sorted(found)
        ]

    def _find_outside(self, rows: Sequence[SheetRow]) -> list[Finding]:
        """Return one finding for each column of the sheet that is none of the table and has cells, except those of other tables."""
        inside: _Places = {}
        beyond: _Places = {}
        end = self._columns[-1] + 1 if self._columns else 0
        dense = self._dense if not self._left_out_dense else 0
        for row in rows:
            if len(row.cells) > dense or row.beyond or row.bad:
                for column, text in self._list_outside(row):
                    (beyond if column >= end else inside).setdefault(column, []).append((row.number, text))
        findings = self._structure.of_cells_outside(inside)
        return findings + [
            Finding(
                error_type="extra-cell",
                row_numbers=np.array([number for number, _ in beyond[column]], dtype=np.int64),
                message=self._extra_message,
                raw_values=pa.array([text for _, text in beyond[column]], type=pa.string()),
                column_number=column + 1,
            )
            for column in sorted(beyond)
        ]

    def _list_outside(self, row: SheetRow) -> list[tuple[int, str]]:
        """Return the cells of a row that stand in no column of the table, nor of another table."""
        cells = row.cells
        found = [(column, cells[column]) for column in self._left_out_dense if column < len(cells)]
        if len(cells) > self._dense:
            found += list(enumerate(cells[self._dense :], self._dense))
        if row.beyond:
            found += [(cell.column, cell.text) for cell in row.beyond]
        outside = [(column, text) for column, text in found if text and not text.isspace()]
        if row.bad:
            outside += [(cell.column, cell.text) for cell in row.bad]
        return [each for each in outside if each[0] not in self._places and not self._is_ignored(each[0])] if outside else []

    def _is_ignored(self, column: int) -> bool:
        return any(first <= column <= last for first, last in self._ignored)

    def _is_beside(self, row: SheetRow) -> bool:
        """Whether all cells of a row are those of other tables."""
        return (
            all(self._is_ignored(column) for column, text in enumerate(row.cells) if text and not text.isspace())
            and all(self._is_ignored(cell.column) for cell in row.beyond or () if cell.text.strip())
            and all(self._is_ignored(cell.column) for cell in row.bad or ())
        )

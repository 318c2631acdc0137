"""Workbooks of the rows of a table: the good rows, the bad rows with their errors, or all of them with their errors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.processing.column import Indices
from features.processing.engine import CheckedRows
from features.processing.exporting.error_sentences import NO_HEADER, note_cut, say_errors
from features.processing.exporting.rows import FileRow, iterate_rows
from features.processing.exporting.workbooks.cell_xml import MAX_UNITS, NO_CELL, blank_cell, cut_text, needs_cut, number_cell, text_cell
from features.processing.exporting.workbooks.native_values import native_cell
from features.processing.exporting.workbooks.workbook import MAX_COMMENTS, MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, Layout, Workbook
from features.processing.exporting.writer import CheckRoom, OpenedTable, OutputUnmakeable, Written
from features.processing.readers.base import Finding
from features.processing.readers.own_columns import ANNOTATED_SHEET, ERRORS_LABEL, OWN_LABELS, REJECTED_SHEET, VALID_SHEET

_OWN_COLUMNS = len(OWN_LABELS)
_OWN_WIDTHS = (9.0, 60.0)
_MIN_WIDTH, _MAX_WIDTH = 9, 50
_ROWS_MEASURED = 200
_BAD, _HEADER = "bad", "header"
_CELLS_AT_ONCE, _BYTES_AT_ONCE = 200_000, 4 * 2**20
_Error = tuple[int, str]
"""The column of a cell, from 1, and a sentence."""


class _RowsWorkbook(ABC):
    """What the writers have in common: how a workbook is begun, completed and closed."""

    def __init__(self, path: Path, *, kind: str, check_room: CheckRoom, max_sheet_rows: int = MAX_SHEET_ROWS) -> None:
        self._path, self._check_room, self._max_sheet_rows = path, check_room, max_sheet_rows
        self._instead = f"{kind}.csv"
        """The output that has whatever does not fit into a workbook."""
        self._workbook: Workbook | None = None
        self._table: OpenedTable | None = None
        self._rows = 0

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self.close()
        self._table, self._rows = table, 0
        self._workbook = Workbook(self._path, check_room=self._check_room)

    def finish(self) -> Written:
        """See `OutputWriter`."""
        book, table = self._begun(None)
        book.finish()
        return Written(self._rows, self._make_notes(book, table))

    def close(self) -> None:
        """See `OutputWriter`."""
        if self._workbook is not None:
            self._workbook.close()

    def _begun(self, rows: CheckedRows | None) -> tuple[Workbook, OpenedTable]:
        """Return the workbook and the table; the first sheet is begun when the first rows tell how wide its columns are."""
        book, table = self._workbook, self._table
        assert book is not None
        assert table is not None
        if book.sheet_count == 0:
            book.begin(self._lay_out(book, table, rows))
        return book, table

    @abstractmethod
    def _lay_out(self, book: Workbook, table: OpenedTable, rows: CheckedRows | None) -> Layout:
        """Return how the sheets look; `rows` are the first ones, None if there are none."""

    def _make_notes(self, book: Workbook, table: OpenedTable) -> list[str]:
        del table
        notes = []
        if book.sheet_count > 1:
            sheets = f"they are on {book.sheet_count:,} sheets, one after the other"
            notes.append(f"The rows do not fit on one sheet of at most {self._max_sheet_rows:,} rows: {sheets}.")
        if book.cells_cut:
            cells = "1 cell was" if book.cells_cut == 1 else f"{book.cells_cut:,} cells were"
            notes.append(f"{cells} cut, because a cell of a workbook holds at most {MAX_UNITS:,} characters: {self._instead} has the whole text.")
        return notes

    def _require_room(self, width: int, own_columns: int = 0) -> None:
        """Raise `OutputUnmakeable` if a sheet has too few columns for the `width` ones of the file and our own."""
        if width + own_columns > MAX_SHEET_COLUMNS:
            raise OutputUnmakeable(f"This table has {width:,} columns, more than fit on a sheet of a workbook: take {self._instead} instead.")


class ValidWorkbook(_RowsWorkbook):
    """Writes the rows that have no error, as they would be in a workbook of their own."""

    def __init__(self, path: Path, *, check_room: CheckRoom, max_sheet_rows: int = MAX_SHEET_ROWS) -> None:
        super().__init__(path, kind="valid", check_room=check_room, max_sheet_rows=max_sheet_rows)

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self._require_room(table.width)
        super().begin(table)

    def write(self, rows: CheckedRows) -> None:
        """See `OutputWriter`."""
        book, _ = self._begun(rows)
        good = np.flatnonzero(~rows.failed)
        self._rows += len(good)
        # Cells as Python's text take much more memory than those of the chunk.
        columns = rows.chunk.columns
        row_bytes = sum(column.nbytes for column in columns) // max(1, len(rows.failed)) + 1
        step = max(1, min(_CELLS_AT_ONCE // max(1, len(columns)), _BYTES_AT_ONCE // row_bytes))
        for start in range(0, len(good), step):
            self._write_some(book, rows, good[start : start + step])

    def _write_some(self, book: Workbook, rows: CheckedRows, places: Indices) -> None:
        chosen = pa.array(places)
        types = rows.chunk.native_types or [None] * len(rows.chunk.columns)
        columns = [
            _make_cells(book, column.take(chosen).to_pylist(), None if own is None else own[places].tolist())
            for column, own in zip(rows.chunk.columns, types, strict=True)
        ]
        for cells in zip(*columns, strict=True):
            book.add_row(cells)

    def _lay_out(self, book: Workbook, table: OpenedTable, rows: CheckedRows | None) -> Layout:
        style = book.styles.attribute(fill=_HEADER)
        header = None if table.labels is None else [book.text(label, style) for label in table.labels]
        return Layout(title=VALID_SHEET, header=header, widths=_measure(table, rows), has_filter=header is not None, max_rows=self._max_sheet_rows)


class MarkedWorkbook(_RowsWorkbook):
    """Writes the rows that have errors, or all rows, with `_row` and `_errors` before the columns of the file."""

    def __init__(self, path: Path, *, kind: str, check_room: CheckRoom, max_sheet_rows: int = MAX_SHEET_ROWS) -> None:
        """`kind` is `rejected` or `annotated`; only an annotated workbook has colours and comments."""
        super().__init__(path, kind=kind, check_room=check_room, max_sheet_rows=max_sheet_rows)
        self._is_annotated = kind == "annotated"
        self._left_out = self._errors_cut = 0

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self._require_room(table.file_width, _OWN_COLUMNS)
        super().begin(table)
        self._left_out = self._errors_cut = 0

    def write(self, rows: CheckedRows) -> None:
        """See `OutputWriter`."""
        book, table = self._begun(rows)
        put = self._put_marked if self._is_annotated else self._put_plain
        for row in iterate_rows(rows, table, only_failed=not self._is_annotated):
            put(book, row)
            self._rows += 1

    def _make_notes(self, book: Workbook, table: OpenedTable) -> list[str]:
        notes = super()._make_notes(book, table)
        if self._left_out:
            notes.append(f"Cells beyond the last column of a sheet were left out: {self._left_out:,} in all. {self._instead} has them.")
        if self._errors_cut:
            notes.append(note_cut(self._errors_cut, f"because a cell of a workbook holds at most {MAX_UNITS:,} characters"))
        if table.labels is None:
            notes.append(NO_HEADER)
        if book.comments_left_out:
            notes.append(f"Only the first {MAX_COMMENTS:,} errors are comments; the column {ERRORS_LABEL} has all of them.")
        return notes

    def _lay_out(self, book: Workbook, table: OpenedTable, rows: CheckedRows | None) -> Layout:
        errors = list(_list_header_errors(table.header_findings)) if self._is_annotated and table.labels is not None else []
        return Layout(
            title=ANNOTATED_SHEET if self._is_annotated else REJECTED_SHEET,
            header=None if table.labels is None else self._make_header(book, table, table.labels, {column for column, _ in errors}),
            widths=[*_OWN_WIDTHS, *table.place(_measure(table, rows), _MIN_WIDTH)],
            frozen_columns=_OWN_COLUMNS,
            has_filter=True,
            header_comments=_join_by_column(errors),
            max_rows=self._max_sheet_rows,
        )

    def _make_header(self, book: Workbook, table: OpenedTable, labels: Sequence[str], bad: set[int]) -> Sequence[str]:
        fine, wrong = book.styles.attribute(fill=_HEADER), book.styles.attribute(fill=_BAD)
        cells = [text_cell(label, fine) for label in OWN_LABELS]
        for column, label in enumerate(table.place(labels, ""), len(cells) + 1):
            style = wrong if column in bad else fine
            cells.append(book.text(label, style) if label else blank_cell(style))
        cells += [blank_cell(wrong) if column in bad else NO_CELL for column in range(len(cells) + 1, max(bad, default=0) + 1)]
        return cells

    def _put_plain(self, book: Workbook, row: FileRow) -> None:
        book.add_row([number_cell(row.row_number), self._make_errors_cell(row), *self._make_cells(book, row)])

    def _put_marked(self, book: Workbook, row: FileRow) -> None:
        if not row.errors:
            book.add_row([number_cell(row.row_number), NO_CELL, *self._make_cells(book, row)])
            return
        cells = self._make_cells(book, row)
        errors = [(error.column_number + _OWN_COLUMNS, error.message) for error in row.errors if error.column_number is not None]
        bad = {column for column, _ in errors if column <= MAX_SHEET_COLUMNS}
        missing = max(bad, default=0) - _OWN_COLUMNS - len(cells)
        cells += [NO_CELL] * missing
        style = book.styles.attribute(fill=_BAD)
        for column in bad:
            cells[column - _OWN_COLUMNS - 1] = self._make_bad_cell(book, row, column - _OWN_COLUMNS - 1, style)
        is_bad_row = any(error.column_number is None for error in row.errors)
        number = number_cell(row.row_number, style if is_bad_row else "")
        book.add_row([number, self._make_errors_cell(row), *cells], _join_by_column([error for error in errors if error[0] in bad]))

    def _make_errors_cell(self, row: FileRow) -> str:
        said = say_errors(row.errors)
        if needs_cut(said):
            self._errors_cut += 1
            said = cut_text(said)
        return text_cell(said) if said else NO_CELL

    def _make_cells(self, book: Workbook, row: FileRow) -> list[str]:
        cells: Sequence[str | None] = row.cells
        most = MAX_SHEET_COLUMNS - _OWN_COLUMNS
        if len(cells) > most:
            self._left_out += sum(cell is not None for cell in cells[most:])
            cells = cells[:most]
        return _make_cells(book, cells, row.types)

    def _make_bad_cell(self, book: Workbook, row: FileRow, index: int, style: str) -> str:
        text = row.cells[index] if index < len(row.cells) else None
        if not text:
            return blank_cell(style)
        native_type = row.types[index] if row.types is not None and index < len(row.types) else 0
        native = native_cell(text, native_type) if native_type else None
        if native is not None:
            return book.styles.attribute(native.number_format, _BAD) + native.xml
        return text_cell(cut_text(text) if needs_cut(text) else text, style)


def _make_cells(book: Workbook, texts: Sequence[str | None], types: Sequence[int] | None) -> list[str]:
    """Return the cells of some texts; those that are natively typed keep their type. Empty texts are no cells."""
    if types is None:
        text = book.text
        return [text(each) if each else NO_CELL for each in texts]
    cells = []
    # Cells beyond the end of `types` are text.
    for each, native_type in zip(texts, chain(types, repeat(0)), strict=False):
        native = native_cell(each, native_type) if native_type and each else None
        if native is not None:
            cells.append(book.styles.attribute(native.number_format) + native.xml)
        else:
            cells.append(book.text(each) if each else NO_CELL)
    return cells


def _list_header_errors(findings: Sequence[Finding]) -> Iterator[_Error]:
    for finding in findings:
        column = (finding.column_number or 0) + _OWN_COLUMNS
        for index in range(len(finding)):
            if finding.column_number is not None and column <= MAX_SHEET_COLUMNS:
                yield column, finding.message if isinstance(finding.message, str) else finding.message[index].as_py()


def _join_by_column(errors: Sequence[_Error]) -> Sequence[_Error]:
    """Return the errors with all sentences of a column in one, since a cell has one comment."""
    if len(errors) <= 1:
        return errors
    joined: dict[int, str] = {}
    for column, message in errors:
        joined[column] = f"{joined[column]}\n{message}" if column in joined else message
    return sorted(joined.items())


def _measure(table: OpenedTable, rows: CheckedRows | None) -> list[float]:
    """Return widths in which most of the first cells of each column can be read, in characters."""
    lengths = [[len(label) + 3] for label in table.labels] if table.labels is not None else [[] for _ in range(table.width)]
    for found, column in zip(lengths, rows.chunk.columns if rows is not None else (), strict=False):
        texts = column.slice(0, _ROWS_MEASURED).to_pylist()
        found.append(int(np.quantile([len(text or "") for text in texts] or [0], 0.95)) + 1)
    return [float(min(_MAX_WIDTH, max(_MIN_WIDTH, *found))) if found else float(_MIN_WIDTH) for found in lengths]

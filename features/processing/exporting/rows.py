"""Checked rows one by one, for formats that are written cell by cell: the cells as they stand in the file, and the errors of each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import pyarrow as pa

from features.processing.column import Indices
from features.processing.engine import CheckedRows
from features.processing.exporting.writer import OpenedTable
from features.processing.readers.base import Chunk, Finding
from features.processing.readers.row_spans import RowKind, iterate_lost

_CELLS_AT_ONCE = 200_000
_BYTES_AT_ONCE = 4 * 2**20
_COMMENT_BYTES = 16_000
"""So much of a comment is read."""
_REPORTED_BY_READER = ("encoding-error", "stray-quote", "formula-error", "extra-cell")
"""Errors of cells that are in no column of a chunk, or are null in it."""


@dataclass(frozen=True, slots=True)
class RowError:
    """One error of a row."""

    column_number: int | None
    """As in the file, from 1; None for an error of the whole row."""
    column_name: str | None
    error_type: str
    message: str


IN_BLANK_RUN = (RowError(None, None, "blank-row", "This row is empty."),)
"""What is said of each row of a run of blank rows but the first, whose error counts them."""


@dataclass(slots=True)
class FileRow:
    """One row of the file."""

    row_number: int
    cells: Sequence[str | None]
    """By place in the file, columns that are left out of the table and cells beyond it included; None for a cell that is absent."""
    types: Sequence[int] | None
    """The `NativeType` of each of the table's cells; None: all cells are text. Cells beyond the end of `types` are text too."""
    errors: Sequence[RowError]
    """By column, those of the whole row first."""


def iterate_rows(rows: CheckedRows, table: OpenedTable, *, only_failed: bool = False, with_comments: bool = False) -> Iterator[FileRow]:
    """Yield the rows in file order, also those that have no cells: each blank row of a run, rows that are too long, and rows with an unclosed quote.

    Blank rows have no cells, a row that is too long has none either, and a row with an unclosed quote has its text as one cell. Comments, with their text
    as one cell or as the cells of a workbook, are only yielded `with_comments`. Unless the file was opened with `ReadLimits.keep_rows`, the text of rows and
    cells that the reader reported is cut at 1,000 characters or missing.
    """
    errors = list_errors(rows.findings)
    lost = _iterate_lost(rows.chunk, errors, with_comments=with_comments and not only_failed)
    waiting = next(lost, None)
    for row in _iterate_table(rows, table, errors, only_failed=only_failed):
        while waiting is not None and waiting.row_number < row.row_number:
            yield waiting
            waiting = next(lost, None)
        yield row
    if waiting is not None:
        yield waiting
        yield from lost


def list_errors(findings: Sequence[Finding]) -> dict[int, list[RowError]]:
    """Return the errors of each row that has any, by its number: those of the whole row first, then by column."""
    errors: dict[int, list[RowError]] = {}
    for finding in sorted(findings, key=lambda each: each.column_number or 0):
        number, name, error_type = finding.column_number, finding.column_name, finding.error_type
        if isinstance(finding.message, str):
            shared = RowError(number, name, error_type, finding.message)
            for row_number in finding.row_numbers.tolist():
                errors.setdefault(row_number, []).append(shared)
            continue
        for row_number, message in zip(finding.row_numbers.tolist(), finding.message.to_pylist(), strict=True):
            errors.setdefault(row_number, []).append(RowError(number, name, error_type, message))
    return errors


def _iterate_lost(chunk: Chunk, errors: Mapping[int, Sequence[RowError]], *, with_comments: bool) -> Iterator[FileRow]:
    for row_number, kind, span in iterate_lost(chunk.spans):
        found = errors.get(row_number, IN_BLANK_RUN if kind is RowKind.BLANK else ())
        cells: Sequence[str | None] = ()
        if kind is RowKind.COMMENT:
            if not with_comments:
                continue
            if span.raw is not None:
                cells = (span.raw.read_text(span.index + row_number - span.first_row, max_bytes=_COMMENT_BYTES),)
            elif span.cells is not None:
                cells = span.cells.get(row_number, ())
        elif kind is RowKind.UNCLOSED_QUOTE and span.raw is not None:
            cells = (span.raw.read_text(span.index + row_number - span.first_row),)
        yield FileRow(row_number, cells, None, found)


def _iterate_table(rows: CheckedRows, table: OpenedTable, errors: Mapping[int, Sequence[RowError]], *, only_failed: bool) -> Iterator[FileRow]:
    """Yield the rows that were split into cells."""
    chunk = rows.chunk
    chosen = np.flatnonzero(rows.failed) if only_failed else np.arange(len(chunk.row_numbers))
    if not len(chosen):
        return
    reported = _list_reported(rows.findings)
    places = [number - 1 for number in table.column_numbers] if table.column_numbers is not None else None
    width = max(1, len(chunk.columns))
    row_bytes = sum(column.nbytes for column in chunk.columns) // len(chunk.row_numbers) + 1
    step = max(1, min(_CELLS_AT_ONCE // width, _BYTES_AT_ONCE // row_bytes))
    for first in range(0, len(chosen), step):
        part = chosen[first : first + step]
        numbers = chunk.row_numbers[part].tolist()
        types = _list_types(chunk, part, places)
        for index, (row_number, cells) in enumerate(zip(numbers, _list_cells(chunk, part, places), strict=True)):
            texts = reported.get(row_number)
            yield FileRow(
                row_number,
                cells if texts is None else _put_in(cells, texts),
                None if types is None else types[index],
                errors.get(row_number, ()),
            )


def _list_cells(chunk: Chunk, rows: Indices, places: Sequence[int] | None) -> Iterator[Sequence[str | None]]:
    """Return the cells of some rows, by place in the file."""
    is_run = int(rows[-1]) - int(rows[0]) + 1 == len(rows)
    indices = pa.array(rows)
    columns = [column.slice(int(rows[0]), len(rows)) if is_run else column.take(indices) for column in chunk.columns]
    texts: list[list[str | None]] = [column.to_pylist() for column in columns]
    if not texts:
        return iter([()] * len(rows))
    if places is not None:
        nothing: list[str | None] = [None] * len(rows)
        by_place = dict(zip(places, texts, strict=False))
        texts = [by_place.get(place, nothing) for place in range(places[-1] + 1)]
    return zip(*texts, strict=True)


def _list_types(chunk: Chunk, rows: Indices, places: Sequence[int] | None) -> list[bytes] | None:
    """Return the native types of the cells of some rows, by place in the file; None if all cells are text."""
    if chunk.native_types is None:
        return None
    width = len(chunk.columns) if places is None else places[-1] + 1
    types = np.zeros((len(rows), width), dtype=np.uint8)
    for index, column in enumerate(chunk.native_types):
        if column is not None:
            types[:, index if places is None else places[index]] = column[rows]
    return [row.tobytes() for row in types]


def _list_reported(findings: Sequence[Finding]) -> dict[int, list[tuple[int, str]]]:
    """Return for each row the places and texts of the cells that are in no column of the chunk."""
    reported: dict[int, list[tuple[int, str]]] = {}
    for finding in findings:
        if finding.error_type not in _REPORTED_BY_READER or finding.column_number is None or finding.raw_values is None:
            continue
        place = finding.column_number - 1
        for row_number, text in zip(finding.row_numbers.tolist(), finding.raw_values.to_pylist(), strict=True):
            if text is not None:
                reported.setdefault(row_number, []).append((place, text))
    return reported


def _put_in(cells: Sequence[str | None], texts: Sequence[tuple[int, str]]) -> list[str | None]:
    """Return the cells with texts at places where nothing is known yet, which may be beyond their end."""
    width = max(len(cells), *(place + 1 for place, _ in texts))
    filled = list(chain(cells, [None] * (width - len(cells))))
    for place, text in texts:
        if filled[place] is None:
            filled[place] = text
    return filled

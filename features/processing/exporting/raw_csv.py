"""Write the rows of a CSV file as the very bytes that they are in it: the good ones as a table, or bad ones and all of them with their errors in front."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.processing.engine import CheckedRows
from features.processing.exporting.csv_text import MAX_ERRORS, MAX_ERRORS_CHARACTERS, RowPrefixes
from features.processing.exporting.error_sentences import NO_HEADER, note_cut
from features.processing.exporting.rows import IN_BLANK_RUN, RowError, list_errors
from features.processing.exporting.writer import CheckRoom, OpenedTable, Written
from features.processing.readers.base import ReadLimits
from features.processing.readers.own_columns import OWN_LABELS
from features.processing.readers.row_spans import Offsets, RawRows, RawTable, RowKind, RowSpan

_BYTES_PER_CHECK = 4 * 2**20
_BUFFER_BYTES = 2**20
_GROUP_BYTES, _GROUP_ROWS = 4 * 2**20, 20_000
"""So much of a block is taken into memory at once."""

_KINDS = list(RowKind)
_Indices = npt.NDArray[np.int64]


def open_valid_csv(path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> ValidRowsWriter:
    """Return the writer of the good rows; see `writer.OpenWriter`."""
    del limits
    return ValidRowsWriter(path, check_room)


def open_rejected_csv(path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> MarkedRowsWriter:
    """Return the writer of the rows with an error; see `writer.OpenWriter`."""
    del limits
    return MarkedRowsWriter(path, check_room, only_failed=True)


def open_annotated_csv(path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> MarkedRowsWriter:
    """Return the writer of the whole table; see `writer.OpenWriter`."""
    del limits
    return MarkedRowsWriter(path, check_room, only_failed=False)


class _Target:
    """The file that is written."""

    def __init__(self, path: Path, check_room: CheckRoom) -> None:
        self._check_room = check_room
        self._unchecked_bytes = 0
        check_room()
        self._raw = io.FileIO(path, "wb")
        self._file = io.BufferedWriter(self._raw, _BUFFER_BYTES)

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Write some bytes, of which there are no more than a group has."""
        self._count(sum(map(len, parts)))
        self._file.writelines(parts)

    def copy(self, table: RawTable, begin: int, end: int) -> None:
        """Write the bytes between two positions in the file that is read."""
        self._file.flush()
        while begin < end:
            stop = min(end, begin + _BYTES_PER_CHECK)
            self._count(stop - begin)
            table.copy(begin, stop, self._file.fileno())
            begin = stop

    def finish(self) -> None:
        """Make the file durable and close it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        # What is still in the buffer need not find room any more.
        self._raw.close()

    def _count(self, size_bytes: int) -> None:
        self._unchecked_bytes += size_bytes
        if self._unchecked_bytes >= _BYTES_PER_CHECK:
            self._check_room()
            self._unchecked_bytes = 0


class ValidRowsWriter:
    """Writes the header and the rows without an error, byte for byte; see `writer.OutputWriter`."""

    def __init__(self, path: Path, check_room: CheckRoom) -> None:
        self._path, self._check_room = path, check_room
        self._target: _Target | None = None
        self._rows = 0
        self._waiting: tuple[RawRows, int, int] | None = None
        """Consecutive good rows of one block: if they are all of its rows, no row of it has to be found."""
        self._begin = self._end = 0
        """Positions in the file of what is to be copied next."""

    def begin(self, table: OpenedTable) -> None:
        """See `writer.OutputWriter`."""
        self.close()
        self._table = _require_raw(table)
        self._target = _Target(self._path, self._check_room)
        self._rows, self._waiting = 0, None
        self._begin = self._end = 0
        self._target.write([self._table.mark, self._table.sep_line, *self._table.header])

    def write(self, rows: CheckedRows) -> None:
        """See `writer.OutputWriter`."""
        good = rows.chunk.row_numbers[~rows.failed]
        self._rows += len(good)
        for span in rows.chunk.spans:
            inside = _take_inside(good, span)
            if len(inside) == span.count:
                self._add_run(span, span.index, span.index + span.count)
            elif len(inside):
                self._add_runs(span, inside)

    def _add_run(self, span: RowSpan, first: int, last: int) -> None:
        raw = _require_rows(span)
        if self._waiting is not None:
            if self._waiting[0] is raw and self._waiting[2] == first:
                self._waiting = (raw, self._waiting[1], last)
                return
            self._give_waiting()
        self._waiting = (raw, first, last)

    def _add_runs(self, span: RowSpan, indices: _Indices) -> None:
        """Write rows of a span that are not all good."""
        self._give_waiting()
        raw = _require_rows(span)
        offsets = raw.find_offsets()
        breaks = np.flatnonzero(np.diff(indices) > 1)
        begins = offsets[indices[np.concatenate([[0], breaks + 1])]]
        ends = offsets[indices[np.append(breaks, len(indices) - 1)] + 1]
        for first in range(0, len(begins), _GROUP_ROWS):
            self._add_pieces(raw, begins[first : first + _GROUP_ROWS], ends[first : first + _GROUP_ROWS])

    def _add_pieces(self, raw: RawRows, begins: Offsets, ends: Offsets) -> None:
        assert self._target is not None
        begin, end = int(begins[0]), int(ends[-1])
        if len(begins) == 1 or end - begin > _GROUP_BYTES:
            for start, stop in zip(begins.tolist(), ends.tolist(), strict=True):
                self._copy(start, stop)
            return
        self._give_copy()
        view = memoryview(raw.read(begin, end))
        self._target.write([view[start:stop] for start, stop in zip((begins - begin).tolist(), (ends - begin).tolist(), strict=True)])

    def _give_waiting(self) -> None:
        if self._waiting is None:
            return
        (raw, first, last), self._waiting = self._waiting, None
        if first == 0 and last == raw.count:
            self._copy(raw.begin, raw.end)
        else:
            offsets = raw.find_offsets()
            self._copy(int(offsets[first]), int(offsets[last]))

    def _copy(self, begin: int, end: int) -> None:
        """Copy bytes of the file, together with those before them if nothing lies between."""
        if begin != self._end or self._end - self._begin >= _BYTES_PER_CHECK:
            self._give_copy()
            self._begin = begin
        self._end = end

    def _give_copy(self) -> None:
        assert self._target is not None
        if self._begin < self._end:
            self._target.copy(self._table, self._begin, self._end)
        self._begin = self._end = 0

    def finish(self) -> Written:
        """See `writer.OutputWriter`."""
        assert self._target is not None
        self._give_waiting()
        self._give_copy()
        self._target.finish()
        return Written(row_count=self._rows)

    def close(self) -> None:
        """See `writer.OutputWriter`."""
        if self._target is not None:
            self._target.close()


class MarkedRowsWriter:
    """Writes the header and rows with their numbers and errors in front; see `writer.OutputWriter`."""

    def __init__(self, path: Path, check_room: CheckRoom, *, only_failed: bool) -> None:
        self._path, self._check_room, self._only_failed = path, check_room, only_failed
        self._target: _Target | None = None
        self._rows = 0

    def begin(self, table: OpenedTable) -> None:
        """See `writer.OutputWriter`."""
        self.close()
        self._table = raw = _require_raw(table)
        self._prefixes = RowPrefixes(raw)
        self._target = _Target(self._path, self._check_room)
        self._rows = 0
        labels = [OWN_LABELS, *[("", "")] * (len(raw.header) - 1)]
        self._target.write(
            [raw.mark, raw.sep_line, *(self._prefixes.put_before(pair, row) for pair, row in zip(labels, raw.header, strict=False))],
        )

    def write(self, rows: CheckedRows) -> None:
        """See `writer.OutputWriter`."""
        errors = list_errors(rows.findings)
        chunk = rows.chunk
        numbers = chunk.row_numbers[rows.failed] if self._only_failed else chunk.row_numbers
        for span in chunk.spans:
            indices = _take_inside(numbers, span)
            if not span.are_all_rows:
                kinds = span.kinds
                indices = np.union1d(indices, np.flatnonzero((kinds != RowKind.ROW) & (kinds != RowKind.COMMENT)) + span.index)
            if len(indices):
                self._rows += len(indices)
                for group in _group(indices, _require_rows(span).find_offsets()):
                    self._write_group(span, group, errors)

    def _write_group(self, span: RowSpan, indices: _Indices, errors: Mapping[int, Sequence[RowError]]) -> None:
        """Write some rows of a span, which are not far from each other unless they are a single one."""
        assert self._target is not None
        raw = _require_rows(span)
        offsets = raw.find_offsets()
        kinds = [RowKind.ROW] * len(indices) if span.are_all_rows else [_KINDS[kind] for kind in span.kinds[indices - span.index].tolist()]
        begins, ends = offsets[indices], offsets[indices + 1]
        begin, end = int(begins[0]), int(ends[-1])
        # A row that is too long is not read; it is a group of its own unless it is small.
        view = memoryview(b"" if kinds == [RowKind.TOO_LONG] else raw.read(begin, end))
        row_numbers = (indices - span.index + span.first_row).tolist()
        rows = [view[start:stop] for start, stop in zip((begins - begin).tolist(), (ends - begin).tolist(), strict=True)]
        write = self._write_wrapped if self._prefixes.may_be_wrapped else self._write_plain
        parts: list[bytes | memoryview] = []
        for row_number, kind, row in zip(row_numbers, kinds, rows, strict=True):
            write(parts, row_number, kind, errors.get(row_number, ()), row)
        self._target.write(parts)

    def _write_plain(self, parts: list[bytes | memoryview], row_number: int, kind: RowKind, found: Sequence[RowError], row: memoryview) -> None:
        if kind is RowKind.ROW:
            parts += (self._prefixes.of_row(row_number, found), row)
        elif kind is RowKind.BLANK:
            parts += (self._prefixes.of_row(row_number, found or IN_BLANK_RUN), row)
        else:
            parts.append(self._prefixes.make_row(row_number, found, bytes(row) if kind is RowKind.UNCLOSED_QUOTE else None))

    def _write_wrapped(self, parts: list[bytes | memoryview], row_number: int, kind: RowKind, found: Sequence[RowError], row: memoryview) -> None:
        if kind in (RowKind.ROW, RowKind.BLANK):
            parts.append(self._prefixes.put_before_row(row_number, found or (IN_BLANK_RUN if kind is RowKind.BLANK else ()), bytes(row)))
        else:
            self._write_plain(parts, row_number, kind, found, row)

    def finish(self) -> Written:
        """See `writer.OutputWriter`."""
        assert self._target is not None
        self._target.finish()
        notes = [] if self._table.header else [NO_HEADER]
        if self._prefixes.rows_cut:
            notes.append(note_cut(self._prefixes.rows_cut, f"which has at most {MAX_ERRORS:,} errors and {MAX_ERRORS_CHARACTERS:,} characters of a row"))
        return Written(row_count=self._rows, notes=notes)

    def close(self) -> None:
        """See `writer.OutputWriter`."""
        if self._target is not None:
            self._target.close()


def _group(indices: _Indices, offsets: Offsets) -> Iterator[_Indices]:
    """Yield row indices in groups of bounded size; a row that is larger than that is a group of its own."""
    begins, ends = offsets[indices], offsets[indices + 1]
    first = 0
    while first < len(indices):
        last = max(first + 1, min(first + _GROUP_ROWS, int(np.searchsorted(ends, begins[first] + _GROUP_BYTES, side="right"))))
        yield indices[first:last]
        first = last


def _take_inside(numbers: npt.NDArray[np.int64], span: RowSpan) -> _Indices:
    """Return those of some row numbers that are in a span, as indices of its block."""
    first, last = np.searchsorted(numbers, [span.first_row, span.first_row + span.count])
    return numbers[first:last] - (span.first_row - span.index)


def _require_raw(table: OpenedTable) -> RawTable:
    if table.raw is None:
        raise ValueError("the file is no CSV file, or was not opened with ReadLimits.keep_rows")
    return table.raw


def _require_rows(span: RowSpan) -> RawRows:
    assert span.raw is not None
    return span.raw

"""CSV of a workbook's rows: UTF-8, commas, CRLF, cells as they are. What a cell says comes back unchanged, so no formula is guarded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from features.processing.engine import CheckedRows
from features.processing.exporting.csv_lines import csv_line, csv_lines
from features.processing.exporting.error_sentences import NO_HEADER, say_errors
from features.processing.exporting.output_file import OutputFile
from features.processing.exporting.rows import FileRow, iterate_rows
from features.processing.exporting.writer import CheckRoom, OpenedTable, Written
from features.processing.readers.own_columns import OWN_LABELS


class ValidCsv:
    """Writes the rows that have no error, with the columns of the table."""

    def __init__(self, path: Path, *, check_room: CheckRoom) -> None:
        self._path, self._check_room = path, check_room
        self._file: OutputFile | None = None
        self._rows = 0

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self.close()
        self._file, self._rows = OutputFile(self._path, self._check_room), 0
        if table.labels is not None:
            self._file.write(csv_line(table.labels))

    def write(self, rows: CheckedRows) -> None:
        """See `OutputWriter`."""
        assert self._file is not None
        good = pa.array(~rows.failed)
        columns = [column.filter(good) for column in rows.chunk.columns] if bool(rows.failed.any()) else rows.chunk.columns
        for line in csv_lines(columns):
            self._file.write(line)
        self._rows += len(rows.failed) - int(rows.failed.sum())

    def finish(self) -> Written:
        """See `OutputWriter`."""
        assert self._file is not None
        self._file.finish()
        return Written(self._rows)

    def close(self) -> None:
        """See `OutputWriter`."""
        if self._file is not None:
            self._file.discard()


class MarkedCsv:
    """Writes the rows that have errors, or all rows, with `_row` and `_errors` before the columns of the file."""

    def __init__(self, path: Path, *, only_failed: bool, check_room: CheckRoom) -> None:
        self._path, self._only_failed, self._check_room = path, only_failed, check_room
        self._file: OutputFile | None = None
        self._table: OpenedTable | None = None
        self._rows = 0

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self.close()
        self._file, self._table, self._rows = OutputFile(self._path, self._check_room), table, 0
        if table.labels is not None:
            self._file.write(csv_line([*OWN_LABELS, *table.place(table.labels, "")]))

    def write(self, rows: CheckedRows) -> None:
        """See `OutputWriter`."""
        assert self._file is not None
        assert self._table is not None
        # The file has a buffer.
        for row in iterate_rows(rows, self._table, only_failed=self._only_failed):
            self._file.write(_make_line(row).encode())
            self._rows += 1

    def finish(self) -> Written:
        """See `OutputWriter`."""
        assert self._file is not None
        self._file.finish()
        return Written(self._rows, [NO_HEADER] if self._table is not None and self._table.labels is None else [])

    def close(self) -> None:
        """See `OutputWriter`."""
        if self._file is not None:
            self._file.discard()


def _make_line(row: FileRow) -> str:
    cells = [_quote(cell) if cell else "" for cell in row.cells]
    return ",".join([str(row.row_number), _quote(say_errors(row.errors)), *cells]) + "\r\n"


def _quote(text: str) -> str:
    if '"' in text or "," in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text

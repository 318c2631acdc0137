"""Write what `GET …/rows` is answered from: every row of the file with its errors, also those above the header, blank ones and comments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from features.processing.engine import CheckedRows
from features.processing.exporting.rows import RowError, iterate_rows, list_errors
from features.processing.exporting.writer import CheckRoom, OpenedTable, Written
from features.processing.readers.base import ReadLimits
from shared.rows_index import RowsIndexWriter
from shared.texts import make_storable


class RowsWriter:
    """Writes the index of one file's rows."""

    def __init__(self, path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> None:
        del limits
        self._path, self._check_room = path, check_room
        self._writer: RowsIndexWriter | None = None
        self._table: OpenedTable | None = None

    def begin(self, table: OpenedTable) -> None:
        """Begin the file with the rows up to the header."""
        self.close()
        self._path.unlink(missing_ok=True)
        self._table = table
        self._writer = RowsIndexWriter(self._path, columns=_place_labels(table), check_room=self._check_room)
        errors = list_errors(table.header_findings)
        for row_number, cells in table.first_rows():
            self._add(row_number, cells, errors.get(row_number, ()))

    def write(self, rows: CheckedRows) -> None:
        """Write some rows."""
        assert self._table is not None
        for row in iterate_rows(rows, self._table, with_comments=True):
            self._add(row.row_number, row.cells, row.errors)

    def finish(self) -> Written:
        """Complete the file and make it durable."""
        assert self._writer is not None
        self._writer.finish()
        return Written(row_count=self._writer.row_count)

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._writer is not None:
            self._writer.close()

    def _add(self, row_number: int, cells: Sequence[str | None], errors: Sequence[RowError]) -> None:
        assert self._writer is not None
        self._writer.add(row_number, cells, [(error.column_number, error.error_type, make_storable(error.message)) for error in errors])


def _place_labels(table: OpenedTable) -> list[str | None]:
    """Return the labels by the place of their columns in the file."""
    return table.place([None] * table.width if table.labels is None else [make_storable(label) for label in table.labels], None)

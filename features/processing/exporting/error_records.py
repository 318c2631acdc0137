"""Write error records, as the API shows them, in each of their formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from features.processing.exporting.csv_lines import csv_line, csv_lines
from features.processing.exporting.formula_guard import guard_formulas
from features.processing.exporting.json_lines import json_lines, quote_texts
from features.processing.exporting.output_file import OutputFile
from features.processing.exporting.workbooks.cell_xml import NO_CELL, number_cell, text_cell
from features.processing.exporting.workbooks.workbook import MAX_SHEET_ROWS, Layout, Workbook
from features.processing.exporting.writer import CheckRoom, Written

ERROR_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("job_id", pa.string()),
        ("row_number", pa.int64()),
        ("column_number", pa.int64()),
        ("column_name", pa.string()),
        ("cell", pa.string()),
        ("error_type", pa.string()),
        ("error_message", pa.string()),
        ("params", pa.string()),
        ("raw_value", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""Error records as `GET …/errors` shows them; `params` is JSON text. The command line has no `id`, `job_id` and `created_at`."""


class ErrorRecordsWriter(Protocol):
    """Writes error records to one file."""

    def write(self, records: pa.Table) -> None:
        """Write some records, by row and column; columns are those of `ERROR_SCHEMA` or, in every call the same, some of them."""
        ...

    def finish(self) -> Written:
        """Complete the file and make it durable."""
        ...

    def close(self) -> None:
        """Release files; may be called twice."""
        ...


def open_error_records(format_name: str, path: Path, *, names: list[str], check_room: CheckRoom) -> ErrorRecordsWriter:
    """Return the writer of the file at `path` in the format `csv`, `ndjson`, `parquet` or `xlsx`, with the columns `names` of `ERROR_SCHEMA`."""
    return _WRITERS[format_name](path, names=names, check_room=check_room)


class _LineRecords(ABC):
    """Writes one or more lines of text for each record."""

    def __init__(self, path: Path, *, names: Sequence[str], check_room: CheckRoom) -> None:
        self._names, self._written = names, Written()
        self._file = OutputFile(path, check_room)

    def write(self, records: pa.Table) -> None:
        """See `ErrorRecordsWriter`."""
        self._written.row_count += len(records)
        for batch in _list_batches(records, self._names):
            for lines in self._make_lines(batch):
                self._file.write(lines)

    def finish(self) -> Written:
        """See `ErrorRecordsWriter`."""
        self._file.finish()
        return self._written

    def close(self) -> None:
        """See `ErrorRecordsWriter`."""
        self._file.discard()

    @abstractmethod
    def _make_lines(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        """Yield the lines of these records."""


class CsvRecords(_LineRecords):
    """Writes UTF-8 with commas and CRLF. What a spreadsheet would run as a formula gets a quote before it."""

    def __init__(self, path: Path, *, names: Sequence[str], check_room: CheckRoom) -> None:
        super().__init__(path, names=names, check_room=check_room)
        self._file.write(csv_line(names))

    def _make_lines(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        columns = {name: _to_text(column) for name, column in zip(self._names, batch.columns, strict=True)}
        return csv_lines([guard_formulas(column) if name in _FOREIGN_TEXTS else column for name, column in columns.items()])


class NdjsonRecords(_LineRecords):
    """Writes an object for each record, `params` as an object within it."""

    def _make_lines(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        return json_lines(self._names, [_to_json(name, column) for name, column in zip(self._names, batch.columns, strict=True)])


class ParquetRecords:
    """Writes the columns with their types; `params` as JSON text."""

    def __init__(self, path: Path, *, names: Sequence[str], check_room: CheckRoom) -> None:
        import pyarrow.parquet as pq  # noqa: PLC0415  # as in `parquet_writer`

        self._names, self._written = names, Written()
        self._schema = pa.schema([ERROR_SCHEMA.field(name) for name in names])
        self._file = OutputFile(path, check_room)
        self._writer = pq.ParquetWriter(self._file, self._schema)
        self._waiting: list[pa.Table] = []

    def write(self, records: pa.Table) -> None:
        """See `ErrorRecordsWriter`."""
        self._written.row_count += len(records)
        self._waiting.append(records.select(self._names).cast(self._schema))
        if sum(map(len, self._waiting)) >= _GROUP_ROWS or sum(each.nbytes for each in self._waiting) >= _GROUP_BYTES:
            self._write_group()

    def finish(self) -> Written:
        """See `ErrorRecordsWriter`."""
        self._write_group()
        self._writer.close()
        self._file.finish()
        return self._written

    def close(self) -> None:
        """See `ErrorRecordsWriter`."""
        self._waiting = []
        self._file.drop()
        if self._writer.is_open:
            self._writer.close()
        self._file.close()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=_GROUP_ROWS)
            self._waiting = []


class WorkbookRecords:
    """Writes sheets with text and row numbers, the first row in view, and a filter over it."""

    def __init__(self, path: Path, *, names: Sequence[str], check_room: CheckRoom, max_sheet_rows: int = MAX_SHEET_ROWS) -> None:
        self._names, self._written, self._max_sheet_rows = names, Written(), max_sheet_rows
        self._book = Workbook(path, check_room=check_room)
        header = [text_cell(name, self._book.styles.attribute(fill="header")) for name in names]
        widths = [_WIDTHS.get(name, _WIDTH) for name in names]
        self._book.begin(Layout(title="Errors", header=header, widths=widths, has_filter=True, max_rows=max_sheet_rows))

    def write(self, records: pa.Table) -> None:
        """See `ErrorRecordsWriter`."""
        self._written.row_count += len(records)
        for batch in _list_batches(records, self._names):
            for start in range(0, len(batch), _ROWS_AT_ONCE):
                part = batch.slice(start, _ROWS_AT_ONCE)
                for cells in zip(*(self._make_cells(column) for column in part.columns), strict=True):
                    self._book.add_row(cells)

    def finish(self) -> Written:
        """See `ErrorRecordsWriter`."""
        self._book.finish()
        if self._book.sheet_count > 1:
            self._written.notes.append(
                f"The errors do not fit on one sheet of at most {self._max_sheet_rows:,} rows: they are on {self._book.sheet_count:,} sheets."
            )
        return self._written

    def close(self) -> None:
        """See `ErrorRecordsWriter`."""
        self._book.close()

    def _make_cells(self, column: pa.Array) -> list[str]:
        if pa.types.is_integer(column.type):
            return [NO_CELL if value is None else number_cell(value) for value in column.to_pylist()]
        return [self._book.text(text) if text else NO_CELL for text in _to_text(column).to_pylist()]


def _list_batches(records: pa.Table, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    yield from records.select(list(names)).to_batches()


def _to_text(column: pa.Array) -> pa.StringArray:
    if pa.types.is_timestamp(column.type):
        return pc.replace_substring(column.cast(pa.string()), " ", "T")
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _to_json(name: str, column: pa.Array) -> pa.StringArray:
    if name == "params" or pa.types.is_integer(column.type):
        return _to_text(column)
    return quote_texts(_to_text(column))


_FOREIGN_TEXTS = ("column_name", "error_message", "raw_value")
"""They come from the file, or from whoever wrote its schema."""
_GROUP_ROWS, _GROUP_BYTES = 100_000, 16 * 2**20
_ROWS_AT_ONCE = 2_000
_WIDTH = 14.0
_WIDTHS: Mapping[str, float] = {"id": 38.0, "job_id": 38.0, "error_message": 60.0, "raw_value": 30.0, "params": 30.0, "column_name": 20.0, "created_at": 28.0}
_WRITERS: Mapping[str, Callable[..., ErrorRecordsWriter]] = {"csv": CsvRecords, "ndjson": NdjsonRecords, "parquet": ParquetRecords, "xlsx": WorkbookRecords}

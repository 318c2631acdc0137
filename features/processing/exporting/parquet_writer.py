"""Parquet of a table's good rows, typed by the schema; see `parquet_columns` for the types. A missing value is null."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from features.processing.engine import CheckedRows
from features.processing.exporting.output_file import OutputFile
from features.processing.exporting.parquet_columns import ParquetColumn, make_column
from features.processing.exporting.typed_cells import name_columns
from features.processing.exporting.writer import CheckRoom, MustStartAgain, OpenedTable, Written

if TYPE_CHECKING:
    import pyarrow.parquet as pq

GROUP_ROWS = 100_000
_GROUP_BYTES = 48 * 2**20
_MAX_ARRAYS = 50_000
"""If the columns of the waiting rows are in more arrays, they are joined: each array takes some hundred bytes, and a table may have 16,384 columns."""


class ParquetWriter:
    """Writes one file. What the rows say of the types outlives `begin`, so that a second pass is the last."""

    def __init__(self, path: Path, *, check_room: CheckRoom) -> None:
        self._path, self._check_room = path, check_room
        self._columns: Mapping[int, ParquetColumn] = {}
        self._names: list[str] = []
        self._file: OutputFile | None = None
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._is_wrong = False

    def begin(self, table: OpenedTable) -> None:
        """See `OutputWriter`."""
        self.close()
        self._names = name_columns(table)
        if not self._columns:
            self._columns = {index: make_column(field) for index, field in table.fields.items()}
        self._file = OutputFile(self._path, self._check_room)
        self._writer, self._schema, self._waiting, self._rows, self._is_wrong = None, None, [], 0, False

    def write(self, rows: CheckedRows) -> None:
        """See `OutputWriter`."""
        good = ~rows.failed
        if not bool(good.any()):
            return
        for index, judged in rows.judged.items():
            self._columns[index].learn(judged, good)
        schema = self._make_schema()
        if self._schema is None:
            self._schema = schema
        if self._is_wrong or schema != self._schema:
            # The rest is only looked at, so that one more pass is enough.
            self._is_wrong, self._waiting = True, []
            return
        self._rows += int(good.sum())
        mask = None if bool(good.all()) else pa.array(good)
        arrays = []
        for index, text in enumerate(rows.chunk.columns):
            if index in self._columns and index in rows.judged:
                arrays.append(self._columns[index].make(rows.judged[index], good))
            else:
                kept = text if mask is None else text.filter(mask)
                arrays.append(pc.if_else(pc.equal(kept, ""), pa.scalar(None, pa.string()), kept))
        self._waiting.append(pa.Table.from_arrays(arrays, schema=self._schema))
        self._write_groups()

    def finish(self) -> Written:
        """See `OutputWriter`."""
        assert self._file is not None
        if self._is_wrong:
            raise MustStartAgain
        if self._schema is None:
            self._schema = self._make_schema()
        self._write_groups(is_last=True)
        self._open().close()
        self._file.finish()
        return Written(self._rows)

    def close(self) -> None:
        """See `OutputWriter`."""
        self._waiting = []
        if self._file is not None:
            self._file.drop()
            if self._writer is not None and self._writer.is_open:
                self._writer.close()
            self._file.close()

    def _make_schema(self) -> pa.Schema:
        types = {index: column.arrow_type for index, column in self._columns.items()}
        return pa.schema([(name, types.get(index, pa.string())) for index, name in enumerate(self._names)])

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            import pyarrow.parquet as pq  # noqa: PLC0415  # 14 ms, and 3 MiB in every child of a worker; few of them write Parquet

            self._writer = pq.ParquetWriter(self._file, self._schema)
        return self._writer

    def _write_groups(self, *, is_last: bool = False) -> None:
        """Write the waiting rows as groups of `GROUP_ROWS`, or of fewer if they are large; a rest waits unless it is the last."""
        if not self._waiting:
            return
        if len(self._waiting) > 1 and len(self._waiting) * len(self._names) >= _MAX_ARRAYS:
            self._waiting = [pa.concat_tables(self._waiting).combine_chunks()]
        rows = sum(map(len, self._waiting))
        is_large = sum(table.nbytes for table in self._waiting) >= _GROUP_BYTES
        if rows < GROUP_ROWS and not is_large and not is_last:
            return
        table = pa.concat_tables(self._waiting)
        count = rows if is_last or is_large else rows - rows % GROUP_ROWS
        self._open().write_table(table.slice(0, count), row_group_size=GROUP_ROWS)
        self._waiting = [table.slice(count)] if count < rows else []

"""Bring all errors of a file into the order of rows and columns, however many there are: they wait in temporary files, each of which is in order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BufferedRandom
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from features.processing.readers.base import Finding
from features.processing.recording.findings import findings_to_table, split_rows
from shared.cell_names import name_column

_RECORDS_AT_ONCE = 25_000


class ErrorSpool:
    """Takes the errors of one file; those that are only known after the last row may belong anywhere before."""

    def __init__(self, folder: Path) -> None:
        """The temporary files, which have no name, go to `folder`."""
        self._folder = folder
        self._runs: list[_Run] = []

    def add(self, findings: Sequence[Finding]) -> None:
        """Take the errors of some rows. Raises `OSError`."""
        for part in split_rows(findings, _RECORDS_AT_ONCE):
            records = _sort(findings_to_table(part))
            if len(records):
                first = records["row_number"][0].as_py()
                run = next((run for run in self._runs if run.last_row < first), None)
                if run is None:
                    run = _Run.open(self._folder, records.schema)
                    self._runs.append(run)
                run.add(records)

    def read(self) -> Iterator[pa.Table]:
        """Yield all records by row and column, with the column `cell` besides those of `findings_to_table`; can be called once, after the last `add`."""
        waiting = [(run, records) for run in self._runs if (records := run.read()) is not None]
        while waiting:
            # No row is in two tables of a run, so all that is known of the rows up to here is in these tables.
            end = min(records["row_number"][-1].as_py() for _, records in waiting)
            parts: list[pa.Table] = []
            later: list[tuple[_Run, pa.Table]] = []
            for run, records in waiting:
                count = pc.sum(pc.less_equal(records["row_number"], end)).as_py()
                parts.append(records.slice(0, count))
                rest = records.slice(count) if count < len(records) else run.read()
                if rest is not None:
                    later.append((run, rest))
            waiting = later
            yield _with_cells(parts[0] if len(parts) == 1 else _sort(pa.concat_tables(parts)))

    def close(self) -> None:
        """Remove the temporary files; may be called twice."""
        for run in self._runs:
            # What is still in its buffer may find no room on the disk.
            run.file.raw.close()


@dataclass(slots=True)
class _Run:
    """A temporary file of records in order."""

    file: BufferedRandom
    writer: pa.RecordBatchStreamWriter
    last_row: int = 0
    reader: pa.RecordBatchStreamReader | None = field(default=None)

    @classmethod
    def open(cls, folder: Path, schema: pa.Schema) -> _Run:
        file = tempfile.TemporaryFile(dir=folder, prefix=".errors-")  # noqa: SIM115  # closed by `ErrorSpool.close`
        return cls(file, pa.ipc.new_stream(file, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")))

    def add(self, records: pa.Table) -> None:
        """Write a table as one batch."""
        for batch in records.combine_chunks().to_batches():
            self.writer.write_batch(batch)
        self.last_row = records["row_number"][-1].as_py()

    def read(self) -> pa.Table | None:
        """Return the next table; None after the last."""
        if self.reader is None:
            self.writer.close()
            self.file.seek(0)
            self.reader = pa.ipc.open_stream(self.file)
        try:
            return pa.Table.from_batches([self.reader.read_next_batch()])
        except StopIteration:
            return None


def _sort(records: pa.Table) -> pa.Table:
    """Sort by row and column, whole rows first; records of the same place stay in their order."""
    keys = pa.table({"row": records["row_number"], "column": pc.fill_null(records["column_number"], 0)})
    return records.take(pc.sort_indices(keys, sort_keys=[("row", "ascending"), ("column", "ascending")]))


def _with_cells(records: pa.Table) -> pa.Table:
    encoded = records["column_number"].combine_chunks().dictionary_encode()
    letters = pa.array([name_column(number) for number in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
    cells = pc.binary_join_element_wise(letters, records["row_number"].combine_chunks().cast(pa.string()), "")
    return records.append_column("cell", cells)

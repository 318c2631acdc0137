"""Which writer an output needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from features.processing.exporting.csv_writer import MarkedCsv, ValidCsv
from features.processing.exporting.ndjson_writer import NdjsonWriter
from features.processing.exporting.parquet_writer import ParquetWriter
from features.processing.exporting.raw_csv import open_annotated_csv, open_rejected_csv, open_valid_csv
from features.processing.exporting.rows_index_writer import RowsWriter
from features.processing.exporting.workbooks.writers import MarkedWorkbook, ValidWorkbook
from features.processing.exporting.writer import CheckRoom, OpenWriter, OutputWriter
from features.processing.readers.base import ReadLimits
from shared.output_names import ROWS, OutputName


def open_writer(name: OutputName, *, is_csv: bool) -> OpenWriter:
    """Return what opens the writer of an output of a CSV file or of a workbook. Raises `KeyError` if it is not made of rows."""
    return _OF_CSV.get(str(name), _OF_ANY[str(name)]) if is_csv else _OF_ANY[str(name)]


def _opener(make: Callable[[Path, CheckRoom], OutputWriter]) -> OpenWriter:
    def open_path(path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> OutputWriter:
        del limits
        return make(path, check_room)

    return open_path


_OF_CSV: Mapping[str, OpenWriter] = {"valid.csv": open_valid_csv, "rejected.csv": open_rejected_csv, "annotated.csv": open_annotated_csv}
"""Copy the bytes of a CSV file."""
_OF_ANY: Mapping[str, OpenWriter] = {
    "valid.csv": _opener(lambda path, check_room: ValidCsv(path, check_room=check_room)),
    "valid.xlsx": _opener(lambda path, check_room: ValidWorkbook(path, check_room=check_room)),
    "valid.parquet": _opener(lambda path, check_room: ParquetWriter(path, check_room=check_room)),
    "valid.ndjson": _opener(lambda path, check_room: NdjsonWriter(path, check_room=check_room)),
    "rejected.csv": _opener(lambda path, check_room: MarkedCsv(path, only_failed=True, check_room=check_room)),
    "rejected.xlsx": _opener(lambda path, check_room: MarkedWorkbook(path, kind="rejected", check_room=check_room)),
    "annotated.csv": _opener(lambda path, check_room: MarkedCsv(path, only_failed=False, check_room=check_room)),
    "annotated.xlsx": _opener(lambda path, check_room: MarkedWorkbook(path, kind="annotated", check_room=check_room)),
    ROWS: RowsWriter,
}
"""Write the rows of any file anew."""

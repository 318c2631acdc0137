"""Find the writer of an output by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from features.processing.exporting.csv_writer import MarkedCsv, ValidCsv
from features.processing.exporting.ndjson_writer import NdjsonWriter
from features.processing.exporting.parquet_writer import ParquetWriter
from features.processing.exporting.workbooks.writers import MarkedWorkbook, ValidWorkbook
from features.processing.exporting.writer import CheckRoom, OpenWriter, OutputWriter
from features.processing.readers.base import ReadLimits
from shared.output_names import OutputName

_Make = Callable[[Path, CheckRoom], OutputWriter]


def open_writer(name: OutputName, *, is_csv: bool) -> OpenWriter:
    """Return what opens the writer of an output with rows of the table; `is_csv` says that the file is a CSV. Raises `KeyError` for other outputs."""
    make = _WRITERS[str(name)]

    def open_path(path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> OutputWriter:  # noqa: ARG001  # only writers that read the file need limits
        return make(path, check_room)

    return open_path


_WRITERS: dict[str, _Make] = {
    "valid.csv": lambda path, check_room: ValidCsv(path, check_room=check_room),
    "valid.xlsx": lambda path, check_room: ValidWorkbook(path, check_room=check_room),
    "valid.parquet": lambda path, check_room: ParquetWriter(path, check_room=check_room),
    "valid.ndjson": lambda path, check_room: NdjsonWriter(path, check_room=check_room),
    "rejected.csv": lambda path, check_room: MarkedCsv(path, only_failed=True, check_room=check_room),
    "rejected.xlsx": lambda path, check_room: MarkedWorkbook(path, kind="rejected", check_room=check_room),
    "annotated.csv": lambda path, check_room: MarkedCsv(path, only_failed=False, check_room=check_room),
    "annotated.xlsx": lambda path, check_room: MarkedWorkbook(path, kind="annotated", check_room=check_room),
}

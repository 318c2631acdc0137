"""Write error records, as the API shows them, in each of their formats."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pyarrow as pa

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
    raise NotImplementedError

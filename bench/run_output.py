"""Make one output of a file with the engine alone: `python -m bench.run_output FILE NAME [PATH]`; it is kept at PATH if that is given."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.files import TABLE_SCHEMA
from bench.probe import report_run
from features.processing.engine import Inspection, inspect_file
from features.processing.exporting.export import Export
from features.processing.readers.base import ReadLimits
from shared.descriptors.table_schema import parse_table_schema
from shared.output_names import parse_output_name


def make(file: Path, name: str, kept: Path | None) -> Mapping[str, Any]:
    """Make the output beside the file, and hash it as the service does."""
    limits = ReadLimits(keep_rows=True)
    schema = parse_table_schema(dict(TABLE_SCHEMA))

    def open_inspection() -> Inspection:
        return inspect_file(file, table_schema=schema, limits=limits)

    with tempfile.TemporaryDirectory(prefix="outputs-", dir=file.parent) as folder:
        output, path = parse_output_name(name), Path(folder) / name
        if output is None:
            raise SystemExit(f"There is no output {name}.")
        export = Export(open_inspection, {output: path}, limits=limits, check_room=lambda: None)
        try:
            for _ in export.run():
                continue
        finally:
            export.close()
        with path.open("rb") as made:
            hashlib.file_digest(made, "sha256")
        if kept is not None:
            path.replace(kept)
        return {"rows": sum(written.row_count for written in export.written)}


if __name__ == "__main__":
    report_run(lambda: make(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]) if len(sys.argv) > 3 else None))

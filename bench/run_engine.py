"""Run the engine alone, in a separate process: `python -m bench.run_engine FILE [TIMES]`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.files import TABLE_SCHEMA
from bench.probe import report_run
from features.processing.engine import inspect_file
from shared.descriptors.table_schema import parse_table_schema


def inspect(path: Path, schema: Mapping[str, Any], *, times: int = 1) -> Mapping[str, Any]:
    """Count the rows and errors that the engine finds in all runs together."""
    rows = errors = 0
    for _ in range(times):
        inspection = inspect_file(path, table_schema=parse_table_schema(dict(schema)))
        for report in inspection.reports():
            rows += report.rows_processed
            errors += sum(map(len, report.findings))
        inspection.close()
    return {"rows": rows, "errors": errors}


if __name__ == "__main__":
    report_run(lambda: inspect(Path(sys.argv[1]), TABLE_SCHEMA, times=int(sys.argv[2]) if len(sys.argv) > 2 else 1))

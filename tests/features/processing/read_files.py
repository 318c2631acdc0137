"""Read files with the engine, in a process that does nothing else: `python -m tests.features.processing.read_files FILE…`.

Prints as JSON the outcome of each file, and the peak memory of the process.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from bench.probe import peak_memory_mib
from features.processing.engine import inspect_file
from features.processing.readers.base import FileUnreadable


def read(path: Path) -> dict[str, object]:
    """Return the outcome of a file: the message for the uploader, or the number of rows and the errors by type."""
    rows, errors = 0, Counter[str]()
    try:
        inspection = inspect_file(path)
        try:
            for report in inspection.reports():
                rows += report.rows_processed
                for finding in report.findings:
                    errors[finding.error_type] += len(finding)
        finally:
            inspection.close()
    except FileUnreadable as unreadable:
        return {"sentence": str(unreadable)}
    return {"sentence": "", "rows": rows, "errors": dict(errors)}


def main(paths: list[str]) -> None:
    """Read all files, one after the other, and print the result."""
    ends = [read(Path(path)) for path in paths]
    json.dump({"ends": ends, "peak_mib": peak_memory_mib()}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Run openpyxl's read-only loop once over a workbook: `python -m bench.run_openpyxl FILE`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import openpyxl

from bench.probe import report_run


def walk(path: str) -> Mapping[str, Any]:
    """Count the rows."""
    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True)
    sheet = workbook.worksheets[0]
    sheet.reset_dimensions()
    rows = sum(1 for _ in sheet.iter_rows(values_only=True))
    workbook.close()
    return {"rows": rows}


if __name__ == "__main__":
    report_run(lambda: walk(sys.argv[1]))

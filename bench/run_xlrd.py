"""Run xlrd's bare loop once over a workbook: `python -m bench.run_xlrd FILE`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import xlrd

from bench.probe import report_run


def walk(path: str) -> Mapping[str, Any]:
    """Take the values of every row."""
    with xlrd.open_workbook(path, on_demand=True) as workbook:
        sheet = workbook.sheet_by_index(0)
        for row in range(sheet.nrows):
            sheet.row_values(row)
        return {"rows": sheet.nrows}


if __name__ == "__main__":
    report_run(lambda: walk(sys.argv[1]))

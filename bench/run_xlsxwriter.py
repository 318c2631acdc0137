"""Write the cells and comments of a workbook again with XlsxWriter alone, in a separate process: `python -m bench.run_xlsxwriter WORKBOOK`.

The workbook is an `annotated.xlsx`; what is measured is a bare loop over cells that are in memory, with constant memory, as XlsxWriter's documentation has it.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import xlsxwriter

from bench.probe import report_run

Cells = Sequence[Sequence[Any]]


def read(path: Path) -> tuple[Cells, Mapping[tuple[int, int], str]]:
    """Return the cells of the first sheet, and its comments by row and column, from 0."""
    sheet = openpyxl.load_workbook(path).worksheets[0]
    rows = [list(row) for row in sheet.iter_rows()]
    comments = {(r, c): cell.comment.text for r, row in enumerate(rows) for c, cell in enumerate(row) if cell.comment is not None}
    return [[cell.value for cell in row] for row in rows], comments


def write(cells: Cells, comments: Mapping[tuple[int, int], str]) -> Mapping[str, Any]:
    """Write the cells, coloured if they have a comment, and the comments."""
    with tempfile.TemporaryDirectory() as folder:
        book = xlsxwriter.Workbook(f"{folder}/book.xlsx", {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "tmpdir": folder})
        sheet, bad = book.add_worksheet(), book.add_format({"bg_color": "#FFC7CE"})
        for row_number, row in enumerate(cells):
            for column, value in enumerate(row):
                form = bad if (row_number, column) in comments else None
                if isinstance(value, str):
                    sheet.write_string(row_number, column, value, form)
                elif value is not None:  # `_row`, the only number
                    sheet.write_number(row_number, column, value, form)
                if form is not None:
                    sheet.write_comment(row_number, column, comments[row_number, column])
        book.close()
    return {"rows": len(cells)}


if __name__ == "__main__":
    found = read(Path(sys.argv[1]))
    report_run(lambda: write(*found))

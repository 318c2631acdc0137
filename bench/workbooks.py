"""Write the measured table as workbooks: good cells with their own types, bad ones as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import xlsxwriter
import xlwt

from bench.files import COLUMNS, Batch, BenchFile, load, make_batches, save

MAX_RECORDS = 1_048_575
"""Rows that an XLSX sheet holds besides its header (ECMA-376 limits of SpreadsheetML applications)."""
MAX_XLS_RECORDS = 65_535
_DATE_FORMAT = "yyyy-mm-dd"
_VALUES: dict[str, Callable[[str], Any]] = {
    "id": int,
    "joined": date.fromisoformat,
    "balance": float,
    "score": float,
    "active": lambda text: text == "true",
}
"""Converts the text of a good cell to its value; other columns hold text."""


def make_xlsx(folder: Path, *, rows: int, bad_share: float) -> BenchFile:
    """Make an XLSX workbook; its rows have no width, so none is ragged. Strings are shared up to `MAX_XLS_RECORDS` rows, and inline beyond that."""
    path = folder / f"{rows}x{bad_share:g}.xlsx"
    return load(path) or save(path, _write_xlsx(path, rows, bad_share), keep_truth=True)


def make_xls(folder: Path, *, rows: int, bad_share: float) -> BenchFile:
    """Make an XLS (BIFF8) workbook of at most `MAX_XLS_RECORDS` rows."""
    path = folder / f"{rows}x{bad_share:g}.xls"
    return load(path) or save(path, _write_xls(path, rows, bad_share), keep_truth=True)


def _write_xlsx(path: Path, rows: int, bad_share: float) -> Iterator[Batch]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # With constant memory strings are written inline, row by row; a long table would need gigabytes otherwise.
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": rows > MAX_XLS_RECORDS})
    sheet = workbook.add_worksheet("people")
    day = workbook.add_format({"num_format": _DATE_FORMAT})
    sheet.write_row(0, 0, COLUMNS)
    write = {bool: sheet.write_boolean, int: sheet.write_number, float: sheet.write_number, str: sheet.write_string}
    for batch in make_batches(rows, bad_share, ragged=False):
        for row, cells in _cells(batch):
            for column, value in enumerate(cells):
                if isinstance(value, date):
                    sheet.write_datetime(row, column, value, day)
                elif value != "":
                    write[type(value)](row, column, value)
        yield batch
    workbook.close()


def _write_xls(path: Path, rows: int, bad_share: float) -> Iterator[Batch]:
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook = xlwt.Workbook(encoding="utf-8")
    sheet = workbook.add_sheet("people")
    day = xlwt.easyxf(num_format_str=_DATE_FORMAT)
    for column, name in enumerate(COLUMNS):
        sheet.write(0, column, name)
    for batch in make_batches(rows, bad_share, ragged=False):
        for row, cells in _cells(batch):
            for column, value in enumerate(cells):
                if isinstance(value, date):
                    sheet.write(row, column, value, day)
                elif value != "":
                    sheet.write(row, column, value)
        sheet.flush_row_data()
        yield batch
    workbook.save(str(path))
    sheet.row_tempfile.close()  # xlwt leaves that to whoever collects garbage


def _cells(batch: Batch) -> Iterator[tuple[int, list[Any]]]:
    """Yield each row's index from 0, and the values of its cells."""
    columns = [
        [text if bad else _VALUES[name](text) for text, bad in zip(column.to_pylist(), is_bad.tolist(), strict=True)] if name in _VALUES else column.to_pylist()
        for name, column, is_bad in zip(COLUMNS, batch.columns, batch.bad, strict=True)
    ]
    for row_number, *cells in zip((batch.row_numbers - 1).tolist(), *columns, strict=True):
        yield row_number, cells

"""Cells of workbooks that programs write have the values that calamine, a reader in Rust, finds in them.

What is different on purpose:
- calamine gives numbers with all their digits, this project with the 15 that Excel shows;
- a formula without a stored value is nothing for calamine, and a trouble here;
- an error is its text for calamine, and a trouble here;
- calamine gives a date-time for every date, and a time or a duration of more than a day as a number of days or a timedelta;
- calamine knows no format of zeros only (`00000`): it gives the number.
"""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from features.processing.readers.excel.sheet_rows import CellTrouble
from features.processing.readers.native_types import NativeType
from tests.features.processing.readers.excel.workbooks import read_rows, save_openpyxl

ERRORS = ["#N/A", "#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!"]


def make_table(chooser: random.Random) -> list[list[Any]]:
    start = datetime(1901, 1, 1)  # noqa: DTZ001 - workbooks have no time zones

    def value() -> Any:  # noqa: PLR0911 - one for each kind of value
        kind = chooser.randrange(12)
        moment = start + timedelta(seconds=chooser.randrange(10**10 // 2))
        if kind == 0:
            return None
        if kind == 1:
            return chooser.random() < 0.5
        if kind == 2:
            return moment
        if kind == 3:
            return moment.date()
        if kind == 4:
            return moment.time()
        if kind == 5:
            return timedelta(hours=chooser.randrange(200), minutes=30)
        if kind == 6:
            return chooser.choice([chooser.random(), chooser.uniform(-1e9, 1e9), round(chooser.random() * 1000, 2), 0.1 + 0.2])
        if kind == 7:
            return chooser.randrange(-(10**9), 10**9)
        if kind == 8:
            return chooser.choice(ERRORS)
        return chooser.choice([" a ", "ä€😀", "line\nbreak", "0012", "<&>\"'", "_x0041_", "\u00a0x", "long " * 50])

    return [[value() for _ in range(8)] for _ in range(200)]


def save_xlsxwriter(path: Path, rows: list[list[Any]], **options: Any) -> None:
    with xlsxwriter.Workbook(path, options) as book:
        formats = {
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            date: book.add_format({"num_format": "dd/mm/yyyy"}),
            time: book.add_format({"num_format": "hh:mm:ss"}),
            timedelta: book.add_format({"num_format": "[h]:mm:ss"}),
        }
        sheet = book.add_worksheet()
        for place, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, str) and value in ERRORS:
                    sheet.write_formula(place, column, "=1+1", None, value)
                elif isinstance(value, str):
                    sheet.write_string(place, column, value)
                elif value is not None:
                    sheet.write(place, column, value, formats.get(type(value)))


def save_inline(path: Path, rows: list[list[Any]]) -> None:
    save_xlsxwriter(path, rows, constant_memory=True)


def save_1904(path: Path, rows: list[list[Any]]) -> None:
    after_1904 = [[value if not isinstance(value, date) or value.year > 1904 else None for value in row] for row in rows]
    save_xlsxwriter(path, after_1904, date_1904=True)


def show(value: Any) -> str:
    """Return a value of calamine as this project shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float | int):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        rounded = value + timedelta(microseconds=500_000)
        return rounded.replace(microsecond=0).isoformat()
    if isinstance(value, timedelta):
        return str(round(value.total_seconds()))
    return value.isoformat() if isinstance(value, date | time) else str(value)


def show_ours(text: str, native_type: int, theirs: Any) -> str:
    """Return a text of this project in the form that `show` gives to the same value of calamine."""
    if native_type == NativeType.DATE:
        return f"{text}T00:00:00" if isinstance(theirs, datetime) else text
    if native_type == NativeType.NUMBER:
        return f"{float(text):.15g}"
    if native_type in (NativeType.DURATION, NativeType.TIME) and isinstance(theirs, timedelta):
        hours, minutes, seconds = (int(part or 0) for part in split_time(text))
        return str(hours * 3600 + minutes * 60 + seconds)
    return text


def split_time(text: str) -> list[str]:
    if not text.startswith("PT"):
        return text.split(":")
    rest = text.removeprefix("PT")
    parts = []
    for unit in "HMS":
        before, found, after = rest.partition(unit)
        parts.append(before if found else "0")
        rest = after if found else rest
    return parts


@pytest.mark.parametrize("reader", ["fast", "openpyxl"])
@pytest.mark.parametrize("save", [save_openpyxl, save_xlsxwriter, save_inline, save_1904])
@pytest.mark.parametrize("seed", [1, 2])
def test_cells_have_the_values_that_calamine_finds(tmp_path: Path, reader: str, save: Any, seed: int) -> None:
    save(tmp_path / "a.xlsx", make_table(random.Random(seed)))
    theirs = CalamineWorkbook.from_path(tmp_path / "a.xlsx").get_sheet_by_index(0).to_python(skip_empty_area=False)
    rows, _ = read_rows(tmp_path / "a.xlsx", excel_reader=reader)
    compared = 0
    for row in rows:
        for column, text in enumerate(row.cells):
            their = theirs[row.number - 1][column]
            if text:
                compared += 1
                assert show_ours(text, row.types[column], their) == show(their), (row.number, column, their)
        for cell in row.bad or ():
            assert cell.trouble == CellTrouble.ERROR_VALUE
            assert theirs[row.number - 1][cell.column] in ("", cell.text)
    ours = sum(bool(text) for row in rows for text in row.cells) + sum(len(row.bad or ()) for row in rows)
    assert compared > 1000
    assert ours >= sum(their != "" for row in theirs for their in row)

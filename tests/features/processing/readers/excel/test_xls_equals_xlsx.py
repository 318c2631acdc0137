"""The same table written as XLS and as XLSX gives the same cells, native types, errors and notes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.readers.base import ReadLimits, Table
from features.processing.readers.excel.xls.table import open_xls
from features.processing.readers.excel.xlsx.table import open_xlsx
from shared.descriptors.table_dialect import parse_table_dialect

Cell = tuple[Any, str | None]
"""A value and its number format."""
Merges = Sequence[tuple[int, int, int, int]]
DATE, MOMENT, TIME, SPAN = "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "hh:mm:ss", "[h]:mm:ss"


def save_xls(path: Path, rows: Sequence[Sequence[Cell]], merges: Merges = ()) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Data")
    styles: dict[str | None, Any] = {None: xlwt.Style.default_style}
    for row, cells in enumerate(rows):
        for column, (value, code) in enumerate(cells):
            if code not in styles:
                styles[code] = xlwt.easyxf(num_format_str=code)
            if value is not None:
                sheet.write(row, column, value, styles[code])
    for first_row, last_row, first_column, last_column in merges:
        sheet.merge(first_row, last_row, first_column, last_column)
    book.save(str(path))
    return path


def save_xlsx(path: Path, rows: Sequence[Sequence[Cell]], merges: Merges = ()) -> Path:
    with xlsxwriter.Workbook(str(path), {"strings_to_numbers": False, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet("Data")
        for bounds in merges:
            first_row, last_row, first_column, last_column = bounds
            sheet.merge_range(first_row, first_column, last_row, last_column, None)
        for row, cells in enumerate(rows):
            for column, (value, code) in enumerate(cells):
                style = None if code is None else book.add_format({"num_format": code})
                if isinstance(value, str):
                    sheet.write_string(row, column, value, style)
                elif isinstance(value, date | time):
                    sheet.write_datetime(row, column, value, style)
                elif value is not None:
                    sheet.write(row, column, value, style)
    return path


def read(table: Table) -> dict[str, Any]:
    """Return everything that a table tells."""
    found: dict[str, Any] = {"labels": table.labels, "columns": table.column_numbers, "source": table.source, "rows": {}, "types": {}, "errors": []}
    try:
        for chunk in table.chunks():
            columns = [column.to_pylist() for column in chunk.columns]
            types = [None if kinds is None else kinds.tolist() for kinds in chunk.native_types or [None] * len(columns)]
            for place, number in enumerate(chunk.row_numbers.tolist()):
                found["rows"][number] = [column[place] for column in columns]
                found["types"][number] = [0 if kinds is None else kinds[place] for kinds in types]
            for finding in [*chunk.findings, *table.header_findings]:
                found["errors"] += [(finding.error_type, number, finding.column_number) for number in finding.row_numbers.tolist()]
    finally:
        table.close()
    found["notes"] = [note.to_json() for note in table.notes]
    return found


def both(tmp_path: Path, rows: Sequence[Sequence[Cell]], merges: Merges = (), dialect: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    given_dialect = None if dialect is None else parse_table_dialect(dialect)
    xls = open_xls(save_xls(tmp_path / "a.xls", rows, merges), dialect=given_dialect, limits=ReadLimits())
    found = [read(xls)]
    found.append(read(open_xlsx(save_xlsx(tmp_path / "a.xlsx", rows, merges), dialect=given_dialect, limits=ReadLimits())))
    return found


def make_rows() -> list[list[Cell]]:
    chance = random.Random(3)
    rows: list[list[Cell]] = [[(name, None) for name in ("id", "name", "price", "on", "at", "time", "span", "zip", "ok", "mixed")]]
    for number in range(1, 300):
        moment = datetime(2020, 1, 1) + timedelta(seconds=chance.randrange(10**8))  # noqa: DTZ001 - workbooks have no time zones
        mixed: Cell = chance.choice([(f" {number}", None), (number, None), (moment.date(), DATE), (True, None), (None, None)])
        rows.append(
            [
                (number, None),
                (f"näme {number} 😀", None),
                (round(chance.choice([number / 7, chance.random() * 10**6, -0.1 - 0.2]), 6), "0.00"),
                (moment.date(), DATE),
                (moment, MOMENT),
                (moment.time(), TIME),
                (round(chance.random() * 40, 9), SPAN),
                (chance.randrange(10**5), "00000"),
                (chance.random() < 0.5, None),
                mixed,
            ]
        )
    return rows


def test_same_table_gives_the_same_in_both_formats(tmp_path: Path) -> None:
    xls, xlsx = both(tmp_path, make_rows())
    assert len(xls["rows"]) == 299
    assert xls == xlsx


@pytest.mark.parametrize("code", [DATE, MOMENT, TIME, SPAN, "hh:mm:ss.000", "mm:ss.0", "00000", "0", "General", "@", "d/m", '"x"', "[$-407]d. mmm", "h AM/PM"])
def test_same_numbers_are_shown_alike_in_every_format(tmp_path: Path, code: str) -> None:
    values = [0, 1, 59, 60, 61, 0.5, 0.999999, 1.25, 41551.9999999998, 45000.123456, 2958465.9, 2958466, 1e10, -1, -0.5, 1e15, 1234567890123456.0, 1e-7, 1e300]
    rows: list[list[Cell]] = [[("a", None), ("b", None)], *([("x", None), (value, code)] for value in values)]
    xls, xlsx = both(tmp_path, rows)
    assert xls == xlsx


@pytest.mark.parametrize(
    ("merges", "dialect"), [([(2, 4, 0, 0)], None), ([(0, 0, 1, 2)], {"headerRows": [1, 2]}), ([(0, 1, 0, 0), (0, 0, 1, 2)], {"headerRows": [1, 2]})]
)
def test_merged_cells_are_told_alike(tmp_path: Path, merges: Merges, dialect: dict[str, Any] | None) -> None:
    texts: list[list[str | None]] = [["id", "sold", None], [None, "2025", "2026"], ["a", "1", "2"], [None, "2", "3"], [None, "3", "4"]]
    if dialect is None:
        texts.pop(0)
    rows: list[list[Cell]] = [[(text, None) for text in row] for row in texts]
    xls, xlsx = both(tmp_path, rows, merges, dialect)
    assert xls == xlsx


@pytest.mark.parametrize(
    "make", [lambda rows: [[], [], *rows], lambda rows: [[("Report", None)], [], *rows], lambda rows: [[(None, None), *row] for row in rows]]
)
def test_table_that_begins_elsewhere_is_found_alike(tmp_path: Path, make: Callable[[Any], Any]) -> None:
    xls, xlsx = both(tmp_path, make(make_rows()[:50]))
    assert xls == xlsx


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\0", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
CELLS = st.one_of(
    st.just((None, None)),
    st.tuples(TEXT, st.none()),
    st.tuples(st.integers(-(10**14), 10**14), st.sampled_from([None, "00000", DATE, SPAN])),
    # The writer of XLSX keeps 16 digits, which may round to other 15 ones.
    st.tuples(st.floats(-1e6, 1e6).map(lambda value: float(f"{value:.15g}")), st.sampled_from([None, DATE, MOMENT, TIME, SPAN, "0.00"])),
    st.tuples(st.booleans(), st.none()),
    st.tuples(st.dates(date(1901, 1, 1), date(9999, 1, 1)), st.just(DATE)),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(CELLS, max_size=4), min_size=1, max_size=8))
def test_any_table_gives_the_same_in_both_formats(tmp_path: Path, rows: list[list[Cell]]) -> None:
    xls, xlsx = both(tmp_path, [[("a", None), ("b", None), ("c", None)], *rows], dialect={"headerRows": [1]})
    assert xls == xlsx

"""The same table saved as CSV, XLSX and XLS gives the same errors, and the two XLSX readers give the same cells."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.engine import inspect_file
from features.processing.readers.base import ReadLimits
from features.processing.readers.excel.sheet_rows import CellTrouble, MergedRange
from features.processing.recording.findings import findings_to_table
from shared.descriptors.table_schema import parse_table_schema
from tests.features.processing.readers.excel.workbooks import read_rows, read_xlsx, save_openpyxl


def at(*parts: int) -> datetime:
    """Return a datetime without a zone, as workbooks hold them."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


SCHEMA: dict[str, Any] = {
    "fields": [
        {"name": "id", "type": "integer", "constraints": {"required": True, "unique": True}},
        {"name": "name", "type": "string", "constraints": {"maxLength": 20, "required": True}},
        {"name": "amount", "type": "number", "constraints": {"minimum": 0}},
        {"name": "on", "type": "date"},
        {"name": "at", "type": "datetime", "format": "%Y-%m-%dT%H:%M:%S"},
        {"name": "when", "type": "time"},
        {"name": "active", "type": "boolean"},
        {"name": "code", "type": "string", "constraints": {"pattern": "[A-Z]{2}[0-9]{3}"}},
    ]
}
BAD: list[list[Any]] = [
    ["", "x", 1.5, date(2026, 1, 1), at(2026, 1, 1, 10), time(9, 30), True, "AB123"],
    [1.5, "x" * 30, -0.001, "soon", "2026-13-01T00:00:00", "25:00", "maybe", "ab123"],
    ["x", None, "n/a", date(1999, 12, 31), at(2026, 1, 1), 7, 1, 12345],
    [None] * 8,
    [None] * 8,
    [True, 'long\ntext, "quoted"', 1e-7, 45000, at(2026, 1, 1, 23, 59, 59), None, False, "AB123"],
    [3, " ", 12345678901.25, None, None, None, None, None],
]


def make_rows() -> list[list[Any]]:
    chooser = random.Random(7)
    rows: list[list[Any]] = [[field["name"] for field in SCHEMA["fields"]]]
    for number in range(1, 400):
        moment = at(2020, 1, 1) + timedelta(seconds=chooser.randrange(10**8))
        amount = chooser.choice([number, round(chooser.random() * 1000, 2), chooser.random()])
        rows.append([number + 100, f"name {number}", amount, moment.date(), moment, moment.time(), chooser.random() < 0.5, f"AB{number % 1000:03}"])
    for place, row in enumerate(BAD):
        rows.insert(20 + 40 * place, row)
    rows[21:21] = [[None] * 8, [None] * 8]
    return rows


def save_csv(path: Path, rows: list[list[Any]]) -> None:
    def show(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, datetime | date | time):
            return value.isoformat()
        return f"{value:.10f}".rstrip("0") if isinstance(value, float) and abs(value) < 1e-4 else str(value)

    with path.open("w", newline="") as file:
        csv.writer(file).writerows([show(value) for value in row] for row in rows)


def save_xlsxwriter(path: Path, rows: list[list[Any]], **options: Any) -> None:
    with xlsxwriter.Workbook(path, options) as book:
        sheet = book.add_worksheet()
        formats = [
            (datetime, book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})),
            (date, book.add_format({"num_format": "yyyy-mm-dd"})),
            (time, book.add_format({"num_format": "hh:mm:ss"})),
        ]
        for place, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write(place, column, value, next((shown for kind, shown in formats if isinstance(value, kind)), None))


def save_xlsxwriter_inline(path: Path, rows: list[list[Any]]) -> None:
    save_xlsxwriter(path, rows, constant_memory=True)


def save_xlwt(path: Path, rows: list[list[Any]]) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("s")
    styles = {
        datetime: xlwt.easyxf(num_format_str="yyyy-mm-dd hh:mm:ss"),
        date: xlwt.easyxf(num_format_str="yyyy-mm-dd"),
        time: xlwt.easyxf(num_format_str="hh:mm:ss"),
    }
    for place, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(place, column, value, styles.get(type(value), xlwt.Style.default_style))
    book.save(str(path))


WRITERS: dict[str, Callable[[Path, list[list[Any]]], None]] = {
    "a.csv": save_csv,
    "openpyxl.xlsx": save_openpyxl,
    "xlsxwriter.xlsx": save_xlsxwriter,
    "inline.xlsx": save_xlsxwriter_inline,
    "xlwt.xls": save_xlwt,
}


def errors_of(path: Path, *, with_schema: bool = True, **limits: Any) -> tuple[int, int, list[tuple[Any, ...]]]:
    inspection = inspect_file(path, table_schema=parse_table_schema(SCHEMA) if with_schema else None, limits=ReadLimits(**limits))
    processed = failed = 0
    errors: list[tuple[Any, ...]] = []
    for report in inspection.reports():
        processed += report.rows_processed
        failed += report.rows_failed
        records = findings_to_table(report.findings).to_pylist()
        for record in records:
            raw_value = None if record["raw_value"] is None else record["raw_value"].strip()
            errors.append((record["row_number"], record["column_number"] or 0, record["error_type"], raw_value, record["error_message"]))
    inspection.close()
    return processed, failed, sorted(errors)


@pytest.mark.parametrize("with_schema", [True, False])
def test_same_table_gives_the_same_errors_in_every_format(tmp_path: Path, with_schema: bool) -> None:
    found = {}
    for name, save in WRITERS.items():
        save(tmp_path / name, make_rows())
        found[name] = errors_of(tmp_path / name, with_schema=with_schema)
    expected = found["a.csv"]
    assert len(expected[2]) > 15
    for name, errors in found.items():
        assert errors[:2] == expected[:2], name
        # A workbook tells more of a cell than text does: why it is of another type. Cells of blanks only are empty there, unless they say that these count.
        assert [error[:4] for error in errors[2]] == [error[:4] for error in expected[2]], name
        for mine, of_text in zip(errors[2], expected[2], strict=True):
            assert mine[4].partition(":")[0].rstrip(".") == of_text[4].partition(":")[0].rstrip("."), name


@pytest.mark.parametrize("name", [name for name in WRITERS if name.endswith(".xlsx")])
def test_openpyxls_own_rows_give_the_same_errors(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, make_rows())
    assert errors_of(tmp_path / name, excel_reader="openpyxl") == errors_of(tmp_path / name)


def test_cells_are_those_that_openpyxl_alone_gives(tmp_path: Path) -> None:
    rows = [row for row in make_rows() if any(value is not None for value in row)]
    save_xlsxwriter(tmp_path / "a.xlsx", rows)
    book = openpyxl.load_workbook(tmp_path / "a.xlsx", read_only=True)
    sheet = book.worksheets[0]
    shown = [
        [
            ""
            if value is None
            else str(value).lower()
            if isinstance(value, bool)
            else value.strftime("%Y-%m-%d")
            if isinstance(value, datetime) and column == 3
            else value.isoformat()
            if isinstance(value, datetime | time)
            else f"{value:.10f}".rstrip("0")
            if isinstance(value, float) and abs(value) < 1e-4
            else f"{value:.15g}"
            if isinstance(value, float)
            else str(value)
            for column, value in enumerate(row)
        ]
        for row in sheet.iter_rows(min_row=2, values_only=True)
    ]
    read = list(read_xlsx(tmp_path / "a.xlsx").rows.values())
    assert len(read) == len(shown)
    different = [(mine, theirs) for mine, theirs in zip(read, shown, strict=True) if mine != [*theirs, *[""] * (8 - len(theirs))]]
    assert different == []
    book.close()


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r", exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: all(character.isprintable() or character in "\n\t " for character in text)
)
VALUES = st.one_of(
    st.none(),
    TEXT,
    st.integers(-(10**14), 10**14),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.booleans(),
    st.dates(date(1901, 1, 1), date(9999, 1, 1)),
    st.datetimes(at(1901, 1, 1), at(9000, 1, 1)).map(lambda moment: moment.replace(microsecond=0)),
    st.sampled_from(["#N/A", "#REF!", "_x000D_", "_x0041_", "=1+1", "&amp;", "]]>", "<v>"]),
)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(VALUES, max_size=5), min_size=1, max_size=8),
    st.sampled_from(["openpyxl.xlsx", "xlsxwriter.xlsx", "inline.xlsx"]),
    st.sampled_from([1, 2, 3, 10_000]),
)
def test_both_readers_give_the_same_for_any_table(tmp_path: Path, rows: list[list[Any]], name: str, chunk_rows: int) -> None:
    path = tmp_path / name
    WRITERS[name](path, [["a", "b", "c"], *rows])
    fast = read_xlsx(path, chunk_rows=chunk_rows)
    slow = read_xlsx(path, excel_reader="openpyxl")
    assert (fast.labels, fast.rows, fast.errors, fast.rows_lost) == (slow.labels, slow.rows, slow.errors, slow.rows_lost)
    assert read_rows(path) == read_rows(path, excel_reader="openpyxl")


@pytest.mark.parametrize("reader", ["fast", "openpyxl"])
def test_formulas_dates_and_merges_of_a_writer_are_the_same_with_both_readers(tmp_path: Path, reader: str) -> None:
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.merge_range("A1:B1", "title")
        sheet.write_row("A2", ["id", "total", "when", "text", "none"])
        for row in range(2, 300):
            sheet.write_number(row, 0, row)
            sheet.write_formula(row, 1, f"=A{row}*2", None, row * 2)
            sheet.write_datetime(row, 2, at(2024, 1, 1) + timedelta(hours=row), book.add_format({"num_format": "dd.mm.yyyy hh:mm"}))
            sheet.write_formula(row, 3, f'="n"&A{row}', None, f" n{row} ")
            sheet.write_formula(row, 4, f'="n"&A{row}')
    rows, facts = read_rows(tmp_path / "a.xlsx", excel_reader=reader)
    assert rows[2].cells[:4] == ["2", "4", "2024-01-01T02:00:00", "n2"]
    assert [cell.trouble for row in rows[2:] for cell in row.bad or ()] == [CellTrouble.NOT_COMPUTED] * 298
    assert (facts.merged, facts.doubtful_zeros) == ([MergedRange(1, 1, 0, 1)], {})

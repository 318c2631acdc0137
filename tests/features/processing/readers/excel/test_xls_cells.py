"""What the cells of XLS workbooks are: native types, number formats, formulas without a result, merged ranges; and which sheet is read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import xlwt

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.xls.table import XlsTable, open_xls
from features.processing.readers.native_types import NativeType
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.excel.biff import (
    BOUND_SHEET,
    FORMULA,
    MERGED,
    RECALC_ID,
    Records,
    fill_rows,
    insert_global,
    insert_in_sheet,
    read_records,
    replace,
    write_book,
    write_records,
)
from tests.features.processing.readers.excel.workbooks import Reading, read_table


def open_table(path: Path, *, dialect: Mapping[str, Any] | None = None, field_names: list[str] | None = None) -> XlsTable:
    given = None if dialect is None else parse_table_dialect(dict(dialect))
    return open_xls(path, dialect=given, limits=ReadLimits(), field_names=field_names)


def read(path: Path, *, dialect: Mapping[str, Any] | None = None) -> tuple[Reading, dict[str, str]]:
    """Read everything; return the notes too, by their code."""
    table = open_table(path, dialect=dialect)
    reading = read_table(table)
    return reading, {note.code: note.message for note in table.notes}


def types_of(path: Path) -> list[list[NativeType]]:
    """Return the native types of the cells of the first chunk, column by column."""
    table = open_table(path)
    try:
        chunk = next(table.chunks())
    finally:
        table.close()
    assert chunk.native_types is not None
    return [[NativeType(0)] * len(chunk.row_numbers) if types is None else [NativeType(kind) for kind in types.tolist()] for types in chunk.native_types]


def fill_formatted(cells: list[tuple[Any, str | None]]) -> Callable[[Any], None]:
    """Return a function that fills a sheet with a header and two rows of `cells`, each a value and its number format."""

    def fill(sheet: Any) -> None:
        for column, (value, code) in enumerate(cells):
            sheet.write(0, column, f"c{column}")
            for row in (1, 2):
                sheet.write(row, column, value, xlwt.easyxf(num_format_str=code) if code else xlwt.Style.default_style)

    return fill


CELLS: list[tuple[Any, str | None, str, NativeType]] = [
    ("007", None, "007", NativeType.TEXT),
    (7, None, "7", NativeType.NUMBER),
    (434.99999999999994, None, "435", NativeType.NUMBER),
    (0.1 + 0.2, None, "0.3", NativeType.NUMBER),
    (1.5e20, None, "150000000000000000000", NativeType.NUMBER),
    (True, None, "true", NativeType.BOOLEAN),
    (1234, "00000", "01234", NativeType.NUMBER),
    (1.5, "00000", "1.5", NativeType.NUMBER),
    (date(2026, 11, 23), "dd/mm/yy", "2026-11-23", NativeType.DATE),
    (41551.9999999998, "yyyy-mm-dd", "2013-10-05", NativeType.DATE),
    (datetime(2026, 11, 23, 10), "yyyy-mm-dd hh:mm", "2026-11-23T10:00:00", NativeType.DATETIME),  # noqa: DTZ001 - workbooks have no time zones
    (time(10, 30), "hh:mm", "10:30:00", NativeType.TIME),
    (0.5 + 0.25 / 86400, "hh:mm:ss.00", "12:00:00.250", NativeType.TIME),
    (1.25, "[h]:mm", "PT30H", NativeType.DURATION),
    (-1, "yyyy-mm-dd", "-1", NativeType.NUMBER),
    (9e9, "yyyy-mm-dd", "9000000000", NativeType.NUMBER),
]


def test_cells_have_the_text_and_the_type_that_excel_shows(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.xls", fill_formatted([(value, code) for value, code, _, _ in CELLS]))
    assert read(path)[0].rows == {row: [text for _, _, text, _ in CELLS] for row in (2, 3)}
    assert types_of(path) == [[kind, kind] for _, _, _, kind in CELLS]


def test_numbers_with_too_many_digits_are_noted(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["id", "card", "n"], [1, 1234567890123456.0, 5], [2, 4, 999999999999999.0], [3, 9999567890123456.0, 1e25]]
    notes = read(write_book(tmp_path / "a.xls", fill_rows(rows)))[1]
    assert "B2" in notes["digits-lost"]


def fill_formulas(sheet: Any) -> None:
    fill_rows([["id", "total"], [1], [2], [3]])(sheet)
    for row in (1, 2, 3):
        sheet.write(row, 1, xlwt.Formula(f"A{row + 1}*2"))


EMPTY = b"\3\0\0\0\0\0\xff\xff"


def with_results(*results: bytes) -> Callable[[Records], Records]:
    left = list(results)
    return replace(FORMULA, lambda data: data[:6] + left.pop(0) + data[14:])


def recalc_id(engine: int) -> tuple[int, bytes]:
    return (RECALC_ID, struct.pack("<HHI", RECALC_ID, 0, engine))


def test_formulas_that_were_never_computed_are_errors(tmp_path: Path) -> None:
    reading, _ = read(write_book(tmp_path / "a.xls", fill_formulas))
    assert reading.rows == {2: ["1", None], 3: ["2", None], 4: ["3", None]}
    assert [(row, column, kind) for row, column, kind, _ in reading.errors] == [(row, 2, "formula-error") for row in (2, 3, 4)]


def test_formula_that_was_never_computed_is_an_error_in_the_header_too(tmp_path: Path) -> None:
    def fill(sheet: Any) -> None:
        fill_rows([["id", None, "c"], [1, 2, 3], [2, 3, 4]])(sheet)
        sheet.write(0, 1, xlwt.Formula('"to"&"tal"'))

    table = open_table(write_book(tmp_path / "a.xls", fill))
    table.close()
    assert [(finding.error_type, finding.column_number) for finding in table.header_findings] == [("formula-error", 2)]


@pytest.mark.parametrize(
    ("results", "added"),
    [
        ((EMPTY, EMPTY, struct.pack("<d", 6)), []),
        ((EMPTY, EMPTY, b"\1\0\1\0\0\0\xff\xff"), []),
        ((EMPTY, EMPTY, EMPTY), [recalc_id(0x1E667)]),
        ((EMPTY, EMPTY, b"\2\0\x07\0\0\0\xff\xff"), [recalc_id(0)]),
    ],
)
def test_empty_text_as_the_result_of_a_formula_is_one_where_formulas_are_computed(tmp_path: Path, results: tuple[bytes, ...], added: Records) -> None:
    """Excel 97 and OpenOffice do not say that they compute, and a formula such as `IF(A1>9,"x","")` has an empty result in any workbook."""
    path = write_book(tmp_path / "a.xls", fill_formulas, lambda records: insert_global(*added)(with_results(*results)(records)))
    rows = read(path)[0].rows
    assert (rows[2], rows[3]) == (["1", ""], ["2", ""])


def test_results_in_another_sheet_tell_too_that_formulas_are_computed(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    fill_formulas(book.add_sheet("first"))
    fill_formulas(book.add_sheet("second"))
    book.save(str(tmp_path / "a.xls"))
    write_records(tmp_path / "a.xls", with_results(*[EMPTY] * 5, struct.pack("<d", 2))(read_records(tmp_path / "a.xls")))
    assert read(tmp_path / "a.xls")[0].errors == []


@pytest.mark.parametrize(
    ("results", "added", "is_doubtful"),
    [
        ((bytes(8), bytes(8), bytes(8)), [], True),
        ((bytes(8), EMPTY, bytes(8)), [], True),
        ((bytes(8), bytes(8), struct.pack("<d", 6)), [], False),
        ((bytes(8), bytes(8), bytes(8)), [recalc_id(0x1E667)], False),
        ((bytes(8), bytes(8), struct.pack("<d", 6)), [recalc_id(0)], True),
    ],
)
def test_zeros_that_were_probably_never_computed_are_noted(tmp_path: Path, results: tuple[bytes, ...], added: Records, is_doubtful: bool) -> None:
    path = write_book(tmp_path / "a.xls", fill_formulas, lambda records: insert_global(*added)(with_results(*results)(records)))
    notes = read(path)[1]
    assert ("B2" in notes.get("formulas-not-computed", "")) == is_doubtful


def merged(*ranges: tuple[int, int, int, int]) -> tuple[int, bytes]:
    return (MERGED, struct.pack("<H", len(ranges)) + b"".join(struct.pack("<HHHH", *bounds) for bounds in ranges))


def test_merged_cells_of_the_body_are_noted(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.xls", fill_rows([["a", "b"], ["x", 1], [None, 2], [None, 3]]), insert_in_sheet(merged((1, 3, 0, 0))))
    assert "A2:A4" in read(path)[1]["merged-cells"]


def test_merged_label_is_that_of_every_column(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["id", "sold", None], [None, "2025", "2026"], [1, 2, 3], [2, 3, 4]]
    path = write_book(tmp_path / "a.xls", fill_rows(rows), insert_in_sheet(merged((0, 0, 1, 2))))
    assert read(path, dialect={"headerRows": [1, 2]})[0].labels == ["id", "sold 2025", "sold 2026"]


def test_malformed_merged_ranges_do_not_matter(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.xls", fill_rows([["a", "b"], [1, 2]]), insert_in_sheet((MERGED, b"\xff\xff\1\2\3"), (MERGED, b"")))
    assert read(path)[0].rows == {2: ["1", "2"]}


def save_sheets(path: Path, sheets: Mapping[str, list[list[Any]]], *, hidden: tuple[str, ...] = ()) -> Path:
    book = xlwt.Workbook()
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        fill_rows(rows)(sheet)
        sheet.visibility = int(name in hidden)
    book.active_sheet = next(index for index, name in enumerate(sheets) if name not in hidden)
    book.save(str(path))
    return path


TABLE: list[list[Any]] = [["id", "name", "amount"], [1, "Ann", 5], [2, "Bob", 6], [3, "Cleo", 7]]
COVER: list[list[Any]] = [["Report of the year"], [], ["see the next sheet"]]


def test_first_sheet_with_a_table_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    path = save_sheets(tmp_path / "a.xls", {"Cover": COVER, "Data": TABLE, "More": TABLE, "Empty": []})
    reading, notes = read(path)
    assert reading.labels == ["id", "name", "amount"]
    assert "Data" in notes["other-sheets"]
    assert "Cover, More" in notes["other-sheets"]


def test_sheet_that_fits_the_schema_is_read(tmp_path: Path) -> None:
    path = save_sheets(tmp_path / "a.xls", {"Wrong": [["x", "y"], [1, 2], [3, 4]], "Right": TABLE})
    table = open_table(path, field_names=["id", "name", "amount"])
    table.close()
    assert table.source.sheet == "Right"


def test_sheet_after_a_large_one_is_found_without_reading_all_of_that(tmp_path: Path) -> None:
    large: list[list[Any]] = [["just one column"], *([number] for number in range(60_000))]
    path = save_sheets(tmp_path / "a.xls", {"Large": large, "Right": TABLE})
    table = open_table(path, field_names=["id", "name", "amount"])
    assert read_table(table).rows == {2: ["1", "Ann", "5"], 3: ["2", "Bob", "6"], 4: ["3", "Cleo", "7"]}


def as_chart(records: Records) -> Records:
    """Make the first sheet a chart."""
    seen = 0

    def change(data: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return data[:5] + b"\x02" + data[6:] if seen == 1 else data

    return replace(BOUND_SHEET, change)(records)


def test_charts_count_and_hold_no_rows(tmp_path: Path) -> None:
    path = save_sheets(tmp_path / "a.xls", {"Chart": [], "Data": TABLE})
    write_records(path, as_chart(read_records(path)))
    assert read(path, dialect={"sheetNumber": 2})[0].labels == ["id", "name", "amount"]
    with pytest.raises(FileUnreadable, match=r"Chart.*chart"):
        read(path, dialect={"sheetNumber": 1})
    assert read(path)[1] == {}


def test_damaged_sheet_does_not_matter_to_another_one(tmp_path: Path) -> None:
    path = save_sheets(tmp_path / "a.xls", {"Data": TABLE, "Broken": [["x", "y"], [1, 2]]})
    records = read_records(path)
    last = max(index for index, (code, _) in enumerate(records) if code == 0x809)
    write_records(path, [*records[:last], (0x809, b"\0\0"), *records[last + 1 :]])
    assert read(path)[0].labels == ["id", "name", "amount"]
    with pytest.raises(FileUnreadable, match="damaged"):
        read(path, dialect={"sheetName": "Broken"})

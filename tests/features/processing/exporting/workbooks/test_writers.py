"""Workbooks of good, bad and all rows, made of CSV files and workbooks, and read by openpyxl and by our own reader."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.engine import inspect_file
from features.processing.exporting.workbooks.writers import MarkedWorkbook, ValidWorkbook
from features.processing.exporting.writer import OutputUnmakeable
from features.processing.readers.native_types import NativeType
from tests.features.processing.exporting.outputs import check_nothing, make_csv, make_output, read_comments, read_sheets, write_rows

SCHEMA = {
    "fields": [
        {"name": "id", "type": "integer", "constraints": {"required": True, "unique": True}},
        {"name": "name", "type": "string", "constraints": {"maxLength": 40}},
    ]
}
HEADER = ["_row", "_errors", "id", "name"]


def test_valid_holds_the_good_rows_as_text(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,name", "0012,=1+1", "x,bad", '1234567890123456789,"two\nlines"', "3,https://example.com", "4,_x0041_")
    target, written = make_output(path, "valid.xlsx", schema=SCHEMA)
    assert (written.row_count, written.notes) == (4, [])
    rows = [["id", "name"], ["0012", "=1+1"], ["1234567890123456789", "two\nlines"], ["3", "https://example.com"], ["4", "_x005F_x0041_"]]
    assert read_sheets(target) == {"Valid rows": rows}
    book = openpyxl.load_workbook(target)
    assert {cell.data_type for row in book.worksheets[0].iter_rows() for cell in row} == {"s"}
    assert not any(cell.hyperlink for row in book.worksheets[0].iter_rows() for cell in row)
    book.close()


def test_rejected_holds_only_rows_with_errors_and_what_is_wrong_with_them(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,name", "1,Ann", "x,Bob", "", "3", "4,Dan,more", "5,Eve")
    target, written = make_output(path, "rejected.xlsx", schema=SCHEMA)
    assert written.row_count == 4
    short = "name: This row ends before this column: the header has 2 columns, this row has 1."
    assert read_sheets(target)["Rejected rows"] == [
        [*HEADER, None],
        [3, "id: This value must be a whole number.", "x", "Bob", None],
        [4, "This row is empty.", None, None, None],
        [5, short, "3", None, None],
        [6, "Column E (extra-cell): This cell is outside the table: the header has only 2 columns.", "4", "Dan", "more"],
    ]
    assert read_comments(target) == {}


def test_annotated_holds_all_rows_and_marks_what_is_bad(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,Name", "1,Ann", "x,", "", "3", "4,Dan,more", "1,Eve")
    target, written = make_output(path, "annotated.xlsx", schema=SCHEMA)
    assert written.row_count == 6
    assert [row[0] for row in read_sheets(target)["Annotated rows"]] == ["_row", 2, 3, 4, 5, 6, 7]
    comments = read_comments(target)
    assert list(comments) == ["D1", "C3", "D5", "E6", "C7"]
    assert comments["C3"] == "This value must be a whole number."
    book = openpyxl.load_workbook(target)
    sheet = book.worksheets[0]
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("C2", "A1:D7")
    # The blank row is wrong as a whole, which its number shows.
    assert [sheet[f"A{row}"].fill.fgColor.rgb == "FFFFC7CE" for row in range(1, 8)] == [False, False, False, True, False, False, False]
    assert 60 <= sheet.column_dimensions["B"].width <= 61
    book.close()


def test_several_errors_of_a_row_are_all_said(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,name", f"x,{'n' * 41}")
    target, _ = make_output(path, "annotated.xlsx", schema=SCHEMA)
    said = read_sheets(target)["Annotated rows"][1][1]
    assert said == "id: This value must be a whole number. name: This value must have at most 40 characters."


def test_letters_are_those_of_the_file_plus_two(tmp_path: Path) -> None:
    path = make_csv(tmp_path, ",id,,name,", ",1,,Ann,", ",x,,Bob,", "stray,2,,Eve,")
    target, _ = make_output(path, "annotated.xlsx", schema=SCHEMA)
    rows = read_sheets(target)["Annotated rows"]
    assert rows[0][:6] == ["_row", "_errors", None, "id", None, "name"]
    assert rows[1][:6] == [2, None, None, "1", None, "Ann"]
    assert rows[3][2] == "stray"
    assert list(read_comments(target)) == ["D3", "C4"]


def test_table_without_header_has_no_labels(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "1,Ann", "x,Bob")
    target, written = make_output(path, "annotated.xlsx", schema=SCHEMA, dialect={"header": False})
    assert [row[0] for row in read_sheets(target)["Annotated rows"]] == [1, 2]
    assert "no header" in written.notes[0]
    valid, _ = make_output(path, "valid.xlsx", schema=SCHEMA, dialect={"header": False})
    assert read_sheets(valid) == {"Valid rows": [["1", "Ann"]]}


def test_errors_that_are_known_after_the_last_row_are_there(tmp_path: Path) -> None:
    schema = {**SCHEMA, "foreignKeys": [{"fields": "name", "reference": {"resource": "", "fields": "id"}}]}
    fields = [{"name": "id", "type": "string"}, {"name": "name", "type": "string"}]
    path = make_csv(tmp_path, "id,name", "a,c", "b,zzz", "c,a")
    target, written = make_output(path, "rejected.xlsx", schema={**schema, "fields": fields})
    assert written.row_count == 1
    assert read_sheets(target)["Rejected rows"][1][0] == 3


@pytest.mark.parametrize("name", ["valid.xlsx", "rejected.xlsx", "annotated.xlsx"])
def test_nothing_to_write_makes_a_workbook_with_a_header(tmp_path: Path, name: str) -> None:
    target, written = make_output(make_csv(tmp_path, "id,name"), name, schema=SCHEMA)
    assert written.row_count == 0
    assert [rows[0][-2:] for rows in read_sheets(target).values()] == [["id", "name"]]


def test_rows_past_a_sheet_go_on_and_a_note_says_so(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,name", *(f"{number},n" for number in range(10)), "x,y")
    target = tmp_path / "a.xlsx"
    written = write_rows(path, lambda: ValidWorkbook(target, check_room=check_nothing, max_sheet_rows=5), schema=SCHEMA, chunk_rows=3)
    sheets = read_sheets(target)
    assert list(sheets) == ["Valid rows", "Valid rows 2", "Valid rows 3"]
    assert [row[0] for rows in sheets.values() for row in rows[1:]] == [str(number) for number in range(10)]
    assert "3 sheets" in written.notes[0]
    marked = write_rows(path, lambda: MarkedWorkbook(target, kind="annotated", check_room=check_nothing, max_sheet_rows=5), schema=SCHEMA)
    assert "3 sheets" in marked.notes[0]


def test_long_cells_are_cut_and_counted_in_a_note_that_names_the_way_out(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,name", f"1,{'é' * 32_767}", f"2,{'é' * 32_768}", f"3,{'😀' * 20_000}")
    target, written = make_output(path, "valid.xlsx", schema={"fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "string"}]})
    cells = [row[1] for row in read_sheets(target)["Valid rows"][1:]]
    assert cells == ["é" * 32_767, "é" * 32_766 + "…", "😀" * 16_383 + "…"]
    assert written.notes == ["2 cells were cut, because a cell of a workbook holds at most 32,767 characters: valid.csv has the whole text."]


@pytest.mark.parametrize(
    ("name", "rows", "note"),
    [
        ("annotated.xlsx", ["1"], "The errors of 1 row were"),
        ("rejected.xlsx", ["1", "2"], "The errors of 2 rows were"),
    ],
)
def test_errors_of_a_very_wide_row_are_cut_to_what_a_cell_holds_and_a_note_says_so(tmp_path: Path, name: str, rows: Sequence[str], note: str) -> None:
    path = make_csv(tmp_path, ",".join(f"column{number}" for number in range(1000)), *rows)
    target, written = make_output(path, name, schema={"fields": [{"name": f"column{number}", "type": "integer"} for number in range(1000)]})
    (read,) = read_sheets(target).values()
    assert {len(row[1]) for row in read[1:]} == {32_767}
    assert all(row[1].endswith("…") for row in read[1:])
    assert written.notes == [f"{note} cut in the column _errors, because a cell of a workbook holds at most 32,767 characters: errors.csv lists each of them."]


def test_table_that_fills_a_sheet_has_no_room_for_our_columns(tmp_path: Path) -> None:
    # Without a row, which takes seconds to be judged by so many columns.
    path = make_csv(tmp_path, ",".join(f"c{number}" for number in range(16_384)))
    target, written = make_output(path, "valid.xlsx")
    assert written.row_count == 0
    assert len(read_sheets(target)["Valid rows"][0]) == 16_384
    with pytest.raises(OutputUnmakeable, match=r"16,384 columns.*annotated\.csv"):
        make_output(path, "annotated.xlsx")


def test_cells_beyond_the_last_column_are_left_out_with_a_note(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,name", ",".join(["1"] * 16_384))
    target, written = make_output(path, "rejected.xlsx", schema=SCHEMA)
    assert len(read_sheets(target)["Rejected rows"][1]) == 16_384
    assert any("2 in all" in note and "rejected.csv" in note for note in written.notes)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12), min_size=1, max_size=4))
def test_any_text_comes_back_through_our_reader(tmp_path: Path, texts: Sequence[str]) -> None:
    path = tmp_path / "table.csv"
    quoted = ["".join(f'"{text.replace(chr(34), chr(34) * 2)}",0\r\n') for text in texts]
    path.write_bytes(("name,zero\r\n" + "".join(quoted)).encode())
    schema = {"fields": [{"name": "name", "type": "string"}, {"name": "zero", "type": "string"}]}
    dialect = {"delimiter": ",", "quoteChar": '"', "headerRows": [1]}
    target, written = make_output(path, "valid.xlsx", schema=schema, dialect=dialect)
    assert written.row_count == len(texts)
    inspection = inspect_file(target, table_schema=None)
    cells = [text for rows in inspection.checked_rows() for text in rows.chunk.columns[0].to_pylist()]
    inspection.close()
    assert cells == texts


def write_workbook(path: Path, rows: Sequence[Sequence[Any]]) -> Path:
    with xlsxwriter.Workbook(str(path), {"remove_timezone": True}) as book:
        sheet = book.add_worksheet()
        formats = {
            name: book.add_format({"num_format": code})
            for name, code in {"date": "dd.mm.yyyy", "moment": "d/m/yy h:mm", "time": "h:mm", "zeros": "00000", "duration": "[h]:mm"}.items()
        }
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if isinstance(cell, tuple):
                    sheet.write_number(row, column, cell[1], formats[cell[0]])
                elif isinstance(cell, str):
                    sheet.write_string(row, column, cell)
                elif cell is not None:
                    sheet.write(row, column, cell)
    return path


def read_native(path: Path) -> list[list[tuple[str, int]]]:
    inspection = inspect_file(path)
    rows: list[list[tuple[str, int]]] = []
    for checked in inspection.checked_rows():
        chunk = checked.chunk
        columns = [
            list(
                zip(
                    column.to_pylist(),
                    [0] * len(column) if chunk.native_types is None or (own := chunk.native_types[index]) is None else own.tolist(),
                    strict=True,
                )
            )
            for index, column in enumerate(chunk.columns)
        ]
        rows += [list(row) for row in zip(*columns, strict=True)]
    inspection.close()
    return rows


ROWS: list[list[Any]] = [
    ["day", "moment", "time", "number", "zeros", "flag", "length", "text"],
    [("date", 45322), ("moment", 45322.5), ("time", 0.25), 0.1, ("zeros", 42), True, ("duration", 1.25), "00123"],
    [("date", 1), ("moment", 2.75), ("time", 0.999), -1234567.125, ("zeros", 123456), False, ("duration", -0.25), "45322"],
    [("date", 60), ("moment", 45323), ("time", 0), 1e15, ("zeros", -7), True, ("duration", 0), "2024-01-31"],
]


def test_native_cells_of_a_workbook_are_the_same_when_they_come_back(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", ROWS)
    schema = {"fields": [{"name": name, "type": "any"} for name in ROWS[0]]}
    target, written = make_output(path, "annotated.xlsx", schema=schema)
    assert written.row_count == 3
    before = read_native(path)
    assert {native for row in before for _, native in row} == set(range(len(NativeType)))
    assert read_native(target) == before
    valid, _ = make_output(path, "valid.xlsx", schema=schema)
    assert read_native(valid) == before
    cell = openpyxl.load_workbook(target).worksheets[0]["C2"]
    assert (cell.value, cell.number_format) == (dt.datetime(2024, 1, 31), "yyyy-mm-dd")  # noqa: DTZ001  # cells have no zone


def test_bad_native_cell_is_coloured_and_keeps_its_type(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", ROWS)
    fields: list[dict[str, Any]] = [{"name": name, "type": "any"} for name in ROWS[0]]
    fields[0] = {"name": "day", "type": "date", "constraints": {"minimum": "2000-01-01"}}
    target, _ = make_output(path, "annotated.xlsx", schema={"fields": fields})
    assert list(read_comments(target)) == ["C3", "C4"]
    assert read_native(target) == read_native(path)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.text(min_size=1, max_size=5).filter(str.strip),
            st.integers(-(10**9), 10**9),
            st.floats(-1e9, 1e9, allow_subnormal=False),
            st.booleans(),
            st.tuples(st.sampled_from(["date", "moment", "time", "zeros", "duration"]), st.integers(0, 100_000) | st.floats(0, 100_000)),
        ),
        min_size=2,
        max_size=5,
    )
)
def test_any_cell_of_a_workbook_is_the_same_when_it_comes_back(tmp_path: Path, cells: Sequence[Any]) -> None:
    path = write_workbook(tmp_path / "table.xlsx", [["a"], *([cell] for cell in cells)])
    schema = {"fields": [{"name": "a", "type": "any"}]}
    target, written = make_output(path, "valid.xlsx", schema=schema)
    assert written.row_count == len(cells)
    assert read_native(target) == read_native(path)


def test_old_workbook_keeps_its_types_too(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("a")
    for column, (label, cell, code) in enumerate([("day", 45322, "dd.mm.yyyy"), ("zeros", 42, "00000"), ("flag", True, "General"), ("text", "007", "General")]):
        sheet.write(0, column, label)
        sheet.write(1, column, cell, xlwt.easyxf(num_format_str=code))
    book.save(str(tmp_path / "table.xls"))
    target, _ = make_output(tmp_path / "table.xls", "valid.xlsx")
    assert read_native(target) == [[("2024-01-31", 3), ("00042", 1), ("true", 2), ("007", 0)]] == read_native(tmp_path / "table.xls")

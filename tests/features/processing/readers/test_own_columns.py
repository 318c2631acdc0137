"""Files that come back with the columns `_row` and `_errors`: what is found in them is what was found in the table alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from features.processing.engine import Inspection, inspect_file
from features.processing.exporting.export import Export
from features.processing.readers import structure_findings
from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.own_columns import find_own_columns, read_mark
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.output_names import OutputName

SCHEMA = {
    "fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "string", "constraints": {"required": True}}, {"name": "size", "type": "number"}]
}
Row = Sequence[Any]


def _write(path: Path, rows: Sequence[Row]) -> Path:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for number, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            if value is not None:
                sheet.cell(number, column, value)
    workbook.save(path)
    return path


def _list(inspection: Inspection) -> list[tuple[int, int | None, str | None, str, str, str | None]]:
    found = []
    for report in inspection.reports():
        for finding in report.findings:
            for index, row in enumerate(finding.row_numbers.tolist()):
                message = finding.message if isinstance(finding.message, str) else finding.message[index].as_py()
                raw = None if finding.raw_values is None else finding.raw_values[index].as_py()
                found.append((row, finding.column_number, finding.column_name, finding.error_type, message, raw))
    inspection.close()
    return sorted(found, key=lambda each: (each[0], each[1] or 0))


_CELLS = st.sampled_from([1, 2.5, "x", None, "", "#N/A"])


@given(rows=st.lists(st.lists(_CELLS, min_size=0, max_size=5), max_size=8), at=st.integers(0, 3))
def test_a_workbook_has_the_errors_that_it_has_without_these_columns(tmp_path_factory: pytest.TempPathFactory, rows: list[list[Any]], at: int) -> None:
    folder = tmp_path_factory.mktemp("own")
    last: Row = [5, "last", 6]
    plain: list[Row] = [["id", "name", "size"], *rows, last]
    marked: list[Row] = []
    for number, row in enumerate(plain, 1):
        padded = [*row, *[None] * (3 - len(row))]
        cells = ["_row", "_errors"] if number == 1 else [number, "wrong"]
        marked.append([*padded[:at], *cells, *padded[at:]])
    schema = parse_table_schema(SCHEMA)
    without = inspect_file(_write(folder / "plain.xlsx", plain), table_schema=schema)
    expected = _list(without)
    inspection = inspect_file(_write(folder / "marked.xlsx", marked), table_schema=schema)
    found = _list(inspection)
    assert [note.code for note in inspection.notes] == ["returned-file", *(note.code for note in without.notes)]
    assert found == [(row, None if column is None else column + 2 * (column > at), *rest) for row, column, *rest in expected]


def test_cells_without_a_value_are_still_that_when_an_output_comes_back(tmp_path: Path) -> None:
    rows: list[Row] = [["id", "name", "size"], [1, "a", 2], ["#N/A", "#N/A", "#N/A"], [], [2, "=1+1", -1], [3, "b", 1, "extra"], ["#REF!", None, "x"]]
    _write(tmp_path / "plain.xlsx", rows)
    workbook = openpyxl.load_workbook(tmp_path / "plain.xlsx")
    sheet = workbook.active
    assert sheet is not None
    sheet["B3"].data_type = "s"
    workbook.save(tmp_path / "plain.xlsx")
    schema, limits = parse_table_schema(SCHEMA), ReadLimits(keep_rows=True)
    expected = _list(inspect_file(tmp_path / "plain.xlsx", table_schema=schema))
    assert [each[1] for each in expected if each[0] == 3] == [1, 3]
    targets = {OutputName("rejected", "xlsx"): tmp_path / "rejected.xlsx", OutputName("annotated", "xlsx"): tmp_path / "annotated.xlsx"}
    export = Export(lambda: inspect_file(tmp_path / "plain.xlsx", table_schema=schema, limits=limits), targets, limits=limits, check_room=lambda: None)
    list(export.run())
    export.close()
    bad_rows = sorted({each[0] for each in expected})
    found = _list(inspect_file(tmp_path / "annotated.xlsx", table_schema=schema))
    assert found == [(row, None if column is None else column + 2, *rest) for row, column, *rest in expected]
    found = _list(inspect_file(tmp_path / "rejected.xlsx", table_schema=schema))
    assert found == [(2 + bad_rows.index(row), None if column is None else column + 2, *rest) for row, column, *rest in expected]


@pytest.mark.parametrize("format_name", ["csv", "xlsx"])
def test_blank_rows_at_the_end_are_errors_only_if_an_output_has_named_them(tmp_path: Path, format_name: str) -> None:
    rows: list[Row] = [
        ["_row", "_errors", "id", "name"],
        [7, "", 1, "a"],
        [9, "b", None, None],
        [10, "b", None, None],
        [15, "b", None, None],
        [None, " ", None, None],
    ]
    path = tmp_path / f"file.{format_name}"
    if format_name == "csv":
        path.write_text("".join(",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows))
    else:
        _write(path, rows)
    found = _list(inspect_file(path))
    assert [(row, message) for row, _, _, error_type, message, _ in found if error_type == "blank-row"] == [
        (3, "This row and the rows after it, 2 in all, are empty."),
        (5, "This row is empty."),
    ]


def test_blank_rows_are_counted_wherever_blocks_and_chunks_end(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text(
        "_row,_errors,id\n2,,1\n"
        + "".join(f"{number},b,\n" for number in range(10, 250_010))
        + "".join(f"{2 * number},b,\n" for number in range(200_000, 200_003))
    )
    inspection = inspect_file(path, limits=ReadLimits(chunk_rows=1_000))
    reports = list(inspection.reports())
    inspection.close()
    assert sum(report.rows_processed for report in reports) == 250_004
    assert sum(report.rows_failed for report in reports) == 250_003
    rows = [row for report in reports for finding in report.findings for row in finding.row_numbers.tolist()]
    assert sorted(rows) == [3, 250_003, 250_004, 250_005]


def test_the_header_of_an_output_is_its_first_row_whatever_stands_below(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("_row,_errors,2024,2025\n5,,a,b\n6,,1,2\n7,,id,name\n" + "8,,3,4\n" * 20)
    inspection = inspect_file(path)
    assert (inspection.labels, inspection.column_numbers, inspection.source.header_row) == (["2024", "2025"], [3, 4], 1)
    inspection.close()


def test_header_errors_are_at_their_places_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("id,_row,_errors,id,size\n1,5,,2,3\n")
    found = _list(inspect_file(path, table_schema=parse_table_schema(SCHEMA)))
    assert [(row, column, name, error_type) for row, column, name, error_type, _, _ in found] == [(1, 4, "id", "duplicate-label")]
    assert found[0][4] == "The column name id is used more than once; it is first used in column 1."


def test_named_header_rows_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("_row,_errors,na,id\n,,me,\n5,,x,1\n")
    inspection = inspect_file(path, dialect=parse_table_dialect({"headerRows": [1, 2], "headerJoin": ""}))
    assert inspection.labels == ["name", "id"]
    inspection.close()


@pytest.mark.parametrize(
    ("labels", "field_names", "columns"),
    [
        (["_row", "_errors", "id"], None, {0, 1}),
        (["id", "_errors", "x", "_row"], ["id"], {1, 3}),
        (["_row", "_errors", "_row", "_errors", "id"], None, {0, 1, 2, 3}),
        (["_row", "id"], None, None),
        (["_errors", "id"], None, None),
        (["_row", "_errors"], None, None),
        (["_row", "_errors", "id"], ["_row", "id"], None),
        (["_Row", "_errors", "id"], None, None),
    ],
)
def test_both_columns_must_be_there_and_none_of_the_schema(labels: list[str], field_names: list[str] | None, columns: set[int] | None) -> None:
    own = find_own_columns(labels, field_names)
    assert (None if own is None else own.columns) == columns


@given(st.sets(st.integers(0, 12), min_size=1), st.integers(0, 20))
def test_places_and_indices_are_each_other_s_inverse(columns: set[int], index: int) -> None:
    own = find_own_columns(["_row" if place == min(columns) else "_errors" if place in columns else "x" for place in range(40)], None)
    if own is None:
        assert len(columns) == 1
        return
    place = [place for place in range(40) if place not in columns][index]
    assert own.find_place(index) == place
    assert own.find_index(place) == index
    assert own.find_index(min(columns)) is None


@pytest.mark.parametrize(("text", "mark"), [("12", 12), (" 12 ", 12), ("", 0), (None, 0), ("x", 0), ("-1", 0), ("1.5", 0), ("²", 0), ("9" * 400, 0)])
def test_a_mark_is_a_row_number_or_none(text: str | None, mark: int) -> None:
    assert read_mark(text) == mark


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", ":", "^", "~", " "])
def test_delimiter_of_a_file_that_comes_back_is_known_by_its_labels(tmp_path: Path, delimiter: str) -> None:
    rows = [["_row", "_errors", "id", "x"], ["3", '"id: This value, here; is | no: number."', "a", "b"]]
    path = tmp_path / "rejected.csv"
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows))
    inspection = inspect_file(path)
    inspection.close()
    assert (inspection.source.delimiter, inspection.labels) == (delimiter, ["id", "x"])


@pytest.mark.parametrize("beyond", ["", "more"])
def test_rows_with_a_cell_outside_the_table_are_known_by_a_mark_and_not_by_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beyond: str) -> None:
    monkeypatch.setattr(structure_findings, "_OUTSIDE_TABLE", "A sentence that no reader knows")
    path = tmp_path / "file.csv"
    path.write_text("id,name\n" + "1,a\n" * 20 + f"2,b,{beyond}\n" * 3)
    expected = _list(inspect_file(path))
    assert [(row, column, error_type) for row, column, _, error_type, _, _ in expected] == [(row, 3, "extra-cell") for row in (22, 23, 24)]
    limits = ReadLimits(keep_rows=True)
    export = Export(
        lambda: inspect_file(path, limits=limits), {OutputName("rejected", "csv"): tmp_path / "rejected.csv"}, limits=limits, check_room=lambda: None
    )
    list(export.run())
    export.close()
    found = _list(inspect_file(tmp_path / "rejected.csv"))
    assert found == [(row - 20, 5, *rest) for row, _, *rest in expected]


def test_output_that_goes_on_on_another_sheet_is_not_read_as_if_it_were_whole(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "annotated.xlsx")
    for name in ("Annotated rows", "Annotated rows 2"):
        sheet = book.add_worksheet(name)
        for number, row in enumerate([["_row", "_errors", "id"], ["2", "", "1"], ["3", "", "2"]]):
            sheet.write_row(number, 0, row)
    book.close()
    with pytest.raises(FileUnreadable, match="Annotated rows 2, and only one sheet of a file is read"):
        inspect_file(tmp_path / "annotated.xlsx")
    inspection = inspect_file(tmp_path / "annotated.xlsx", dialect=parse_table_dialect({"sheetName": "Annotated rows 2"}))
    inspection.close()
    assert inspection.labels == ["id"]

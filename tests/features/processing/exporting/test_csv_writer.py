"""CSV of workbooks, read by Python's csv."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.exporting.csv_lines import csv_lines
from tests.features.processing.exporting.outputs import make_output
from tests.features.processing.exporting.workbooks.test_writers import ROWS, write_workbook
from tests.features.processing.readers.excel.workbooks import sheet_xml, write_package

HOSTILE = ["=1+1", 'say "hi"', "two\nlines", "a,b", " padded ", "@x", "\u202eabc", "_x0041_", "-5"]


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_valid_has_cells_as_they_are(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", [["name", "n"], *([text, number] for number, text in enumerate(HOSTILE, 1))])
    target, written = make_output(path, "valid.csv")
    assert written.row_count == len(HOSTILE)
    assert read(target) == [["name", "n"], *([text, str(number)] for number, text in enumerate(HOSTILE, 1))]
    assert target.read_bytes().startswith(b"name,n\r\n=1+1,1\r\n")


def test_typed_cells_are_iso_text(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", ROWS)
    target, _ = make_output(path, "annotated.csv", schema={"fields": [{"name": name, "type": "any"} for name in ROWS[0]]})
    assert read(target)[1] == ["2", "", "2024-01-31", "2024-01-31T12:00:00", "06:00:00", "0.1", "00042", "true", "PT30H", "00123"]


def test_rejected_has_row_number_and_sentences_in_front(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", [["id", "name"], [1, "Ann"], ["x", "Bob"], [], [4, "Dan", "more"]])
    schema = {"fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "string"}]}
    target, written = make_output(path, "rejected.csv", schema=schema)
    assert written.row_count == 3
    rows = read(target)
    assert rows[0] == ["_row", "_errors", "id", "name"]
    assert [row[0] for row in rows[1:]] == ["3", "4", "5"]
    assert rows[1] == ["3", "id: This value must be a whole number.", "x", "Bob"]
    assert rows[3][2:] == ["4", "Dan", "more"]


def test_columns_that_are_left_out_keep_their_place(tmp_path: Path) -> None:
    path = write_package(tmp_path / "table.xlsx", sheet=sheet_xml('<row r="2"><c r="C2"><v>1</v></c><c r="E2"><v>2</v></c></row>', header=_HEADER))
    annotated, _ = make_output(path, "annotated.csv")
    assert read(annotated) == [["_row", "_errors", "", "", "a", "", "b"], ["2", "", "", "", "1", "", "2"]]
    valid, _ = make_output(path, "valid.csv")
    assert read(valid) == [["a", "b"], ["1", "2"]]


_HEADER = '<row r="1"><c r="C1" t="inlineStr"><is><t>a</t></is></c><c r="E1" t="inlineStr"><is><t>b</t></is></c></row>'
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('",\r\n'), max_size=6)


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), min_size=1, max_size=5)))
def test_any_cells_come_back_through_csv(rows: list[list[str]]) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    text = b"".join(bytes(line) for line in csv_lines(columns)).decode()
    assert text.count("\r\n") >= len(rows)
    if "\x00" not in text:
        assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows


@pytest.mark.parametrize("extra_rows", [0, 1, 50_000])
def test_blocks_of_any_size_give_every_row_once(extra_rows: int) -> None:
    column = pa.array([f"{number},{'x' * 200}" for number in range(extra_rows + 2)], pa.string())
    text = b"".join(bytes(line) for line in csv_lines([column, column])).decode()
    assert [row[0] for row in csv.reader(text.splitlines())] == column.to_pylist()

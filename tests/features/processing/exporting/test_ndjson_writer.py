"""NDJSON, read by Python's json and by DuckDB."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.features.processing.exporting.outputs import make_csv, make_output
from tests.features.processing.exporting.test_parquet_writer import DIALECT
from tests.features.processing.exporting.typed_tables import COLUMNS, csv_of, schema_of


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line, parse_float=Decimal) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def as_exact(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(repr(value))
    return list(map(as_exact, value)) if isinstance(value, list) else value


def say(folder: Path, cell: str, field: dict[str, Any]) -> str:
    path = make_csv(folder, "row,n", f'1,"{cell}"')
    schema = {"fields": [{"name": "row", "type": "integer"}, {"name": "n", **field}]}
    target, _ = make_output(path, "valid.ndjson", schema=schema, dialect=DIALECT)
    return target.read_text().removeprefix('{"row":1,"n":').removesuffix("}\n")


def test_every_type_has_its_values(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(csv_of(COLUMNS))
    target, written = make_output(path, "valid.ndjson", schema=schema_of(COLUMNS), dialect=DIALECT)
    assert (written.row_count, written.notes) == (3, [])
    rows = read(target)
    for column in COLUMNS:
        assert [row[column.field["name"]] for row in rows] == [as_exact(value) for value in column.json], column.field
    assert list(rows[0]) == [column.field["name"] for column in COLUMNS]


def test_duckdb_reads_it_with_its_types(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "id,day,flag,text", '1,2024-01-31,true,"=""1"', "2,2024-02-01,false,x")
    target, _ = make_output(path, "valid.ndjson")
    connection = duckdb.connect()
    try:
        rows = connection.execute("SELECT id, day::VARCHAR, flag, text FROM read_json(?, format = 'newline_delimited')", [str(target)]).fetchall()
    finally:
        connection.close()
    assert rows == [(1, "2024-01-31", True, '="1'), (2, "2024-02-01", False, "x")]


@pytest.mark.parametrize(
    ("cell", "kind", "said"),
    [
        ("1234567890123456789", "integer", "1234567890123456789"),
        ("007", "integer", "7"),
        ("+5", "integer", "5"),
        ("-0", "integer", "0"),
        ("1.50", "number", "1.50"),
        ("1e3", "number", "1000"),
        ("1e-7", "number", "0.0000001"),
        ("1e400", "number", "1E+400"),
        (".5", "number", "0.5"),
        ("5.", "number", "5"),
    ],
)
def test_number_is_written_out_exactly(tmp_path: Path, cell: str, kind: str, said: str) -> None:
    found = say(tmp_path, cell, {"type": kind})
    assert json.loads(found, parse_float=Decimal) == Decimal(cell)
    assert found in (said, f"-{said}")


def test_nan_and_infinite_numbers_are_null_and_a_note_says_so(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "n,row", "NaN,1", "1.5,2", "-INF,3", "x,4")
    schema = {"fields": [{"name": "n", "type": "number"}, {"name": "row", "type": "integer"}]}
    target, written = make_output(path, "valid.ndjson", schema=schema)
    assert [row["n"] for row in read(target)] == [None, Decimal("1.5"), None]
    assert written.notes == ["2 cells are null, because JSON has no NaN and no infinite numbers: valid.parquet and valid.csv have them."]


def test_only_good_rows_are_in_it(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "n,row", "1,1", "x,2", ",3", "4,4,5")
    target, written = make_output(path, "valid.ndjson", schema={"fields": [{"name": "n", "type": "integer"}, {"name": "row", "type": "integer"}]})
    assert read(target) == [{"n": 1, "row": 1}, {"n": None, "row": 3}]
    assert written.row_count == 2


def test_hostile_names_and_cells_are_escaped(tmp_path: Path) -> None:
    path = make_csv(tmp_path, '"a""b","c\nd"', '"a\\b ""x""","\u202e\x01"')
    target, _ = make_output(path, "valid.ndjson", dialect=DIALECT)
    assert read(target) == [{'a"b': 'a\\b "x"', "c\nd": "\u202e\x01"}]

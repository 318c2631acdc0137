"""Parquet, read by pyarrow, pandas, DuckDB and polars."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.features.processing.exporting.outputs import make_csv, make_output
from tests.features.processing.exporting.typed_tables import COLUMNS, csv_of, schema_of
from tests.features.processing.exporting.workbooks.test_writers import ROWS, write_workbook

DIALECT = {"delimiter": ",", "quoteChar": '"', "headerRows": [1]}
TYPES = {
    "integer": pa.int64(),
    "large": pa.decimal128(20, 0),
    "number": pa.float64(),
    "exact": pa.decimal128(19, 2),
    "double": pa.float64(),
    "flag": pa.bool_(),
    "day": pa.date32(),
    "clock": pa.time64("us"),
    "moment": pa.timestamp("us"),
    "zoned": pa.timestamp("us", tz="UTC"),
    "year": pa.int64(),
    "text": pa.string(),
    "items": pa.string(),
}


@pytest.fixture
def every_type(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_bytes(csv_of(COLUMNS))
    target, written = make_output(path, "valid.parquet", schema=schema_of(COLUMNS), dialect=DIALECT)
    assert (written.row_count, written.notes) == (3, [])
    return target


def write_numbers(folder: Path, cells: Sequence[str], kind: str, *, chunk_rows: int = 10_000) -> pa.Table:
    path = make_csv(folder, "n,row", *(f'"{cell}",{row}' for row, cell in enumerate(cells)))
    schema = {"fields": [{"name": "n", "type": kind}, {"name": "row", "type": "integer"}]}
    target, written = make_output(path, "valid.parquet", schema=schema, dialect=DIALECT, chunk_rows=chunk_rows)
    table = pq.read_table(target)
    assert len(table) == written.row_count
    return table


def test_every_type_has_its_values_for_pyarrow(every_type: Path) -> None:
    table = pq.read_table(every_type)
    assert table.schema.names == [column.field["name"] for column in COLUMNS]
    for column in COLUMNS:
        assert table[column.field["name"]].to_pylist() == list(column.values), column.field
    assert {name: table.schema.field(name).type for name in TYPES} == TYPES


def test_every_type_is_what_it_should_be_for_pandas(every_type: Path) -> None:
    frame = pd.read_parquet(every_type)
    types = {name: str(frame[name].dtype) for name in ("integer", "number", "moment", "zoned")}
    assert types == {"integer": "int64", "number": "float64", "moment": "datetime64[us]", "zoned": "datetime64[us, UTC]"}
    assert frame["integer"].tolist() == [1, -(2**63), 7]


def test_every_type_is_what_it_should_be_for_duckdb(every_type: Path) -> None:
    connection = duckdb.connect()
    try:
        found = dict(connection.execute("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet(?))", [str(every_type)]).fetchall())
        (exact,) = connection.execute("SELECT exact FROM read_parquet(?) LIMIT 1", [str(every_type)]).fetchone() or ()
    finally:
        connection.close()
    wanted = {
        "integer": "BIGINT",
        "large": "DECIMAL(20,0)",
        "number": "DOUBLE",
        "exact": "DECIMAL(19,2)",
        "flag": "BOOLEAN",
        "day": "DATE",
        "clock": "TIME",
        "moment": "TIMESTAMP",
        "zoned": "TIMESTAMP WITH TIME ZONE",
        "text": "VARCHAR",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert exact == Decimal("12345678901234567.25")


def test_every_type_is_what_it_should_be_for_polars(every_type: Path) -> None:
    # In a process of its own: polars starts threads, and other tests fork.
    code = "import sys, json, polars; print(json.dumps({name: str(kind) for name, kind in polars.read_parquet(sys.argv[1]).schema.items()}))"
    done = subprocess.run([sys.executable, "-c", code, str(every_type)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    wanted = {"integer": "Int64", "number": "Float64", "flag": "Boolean", "day": "Date", "clock": "Time", "text": "String"}
    assert {name: found[name] for name in wanted} == wanted
    assert "Decimal" in found["exact"]
    assert "UTC" in found["zoned"]


def test_value_that_needs_another_type_after_the_first_rows_starts_again_once(tmp_path: Path) -> None:
    cells = ["1", "2", "3", "4", "5" * 30, "6", "7.125"]
    table = write_numbers(tmp_path, cells, "number", chunk_rows=2)
    assert table.schema.field("n").type == pa.decimal128(33, 3)
    assert table["n"].to_pylist() == [Decimal(cell) for cell in cells]
    assert table["row"].to_pylist() == list(range(7))


def test_zone_after_the_first_rows_makes_the_column_utc(tmp_path: Path) -> None:
    table = write_numbers(tmp_path, ["2024-01-01T00:00:00", "2024-01-01T00:00:00", "2024-01-01T00:00:00+01:00"], "datetime", chunk_rows=1)
    assert table.schema.field("n").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize(
    ("cells", "kind", "arrow_type"),
    [
        (["1", "2"], "integer", pa.int64()),
        (["9223372036854775807"], "integer", pa.int64()),
        (["9223372036854775808"], "integer", pa.decimal128(19, 0)),
        (["1" * 38], "integer", pa.decimal128(38, 0)),
        (["1" * 39], "integer", pa.decimal256(39, 0)),
        (["1" * 77, "5"], "integer", pa.string()),
        (["1" * 5000], "integer", pa.string()),
        (["123456789012345", "0.1"], "number", pa.float64()),
        (["0.1234567890123456789"], "number", pa.decimal128(20, 19)),
        (["12345678901234567890", "0.5"], "number", pa.decimal128(21, 1)),
        (["1e300", "1e-300", "5"], "number", pa.float64()),
        (["1e400"], "number", pa.string()),
        (["NaN", "INF", "-INF", "1.5"], "number", pa.float64()),
        (["NaN", "0.1234567890123456789"], "number", pa.string()),
        (["0", "0.0", "-0"], "number", pa.float64()),
        (["1e25", "1"], "number", pa.float64()),
        (["0.1234567890123456789", "1e20"], "number", pa.decimal256(40, 19)),
    ],
)
def test_type_of_a_column_is_the_narrowest_that_loses_nothing(tmp_path: Path, cells: list[str], kind: str, arrow_type: pa.DataType) -> None:
    table = write_numbers(tmp_path, cells, kind)
    assert table.schema.field("n").type == arrow_type
    if pa.types.is_string(arrow_type):
        assert table["n"].to_pylist() == cells


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20).map(lambda value: format(value, "f")[:30])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NUMBERS | st.floats(-1e15, 1e15).map(repr) | st.integers(-(2**70), 2**70).map(str), min_size=1, max_size=8), st.integers(1, 4))
def test_any_numbers_are_exact(tmp_path: Path, cells: list[str], chunk_rows: int) -> None:
    cells = [cell for cell in cells if cell.strip("-.")] or ["1"]
    table = write_numbers(tmp_path, cells, "number", chunk_rows=chunk_rows)
    values: list[Any] = table["n"].to_pylist()
    if pa.types.is_string(table.schema.field("n").type):
        assert values == cells
        return
    exact = [Decimal(repr(value)) if isinstance(value, float) else value for value in values]
    assert exact == [Decimal(cell) for cell in cells]


def test_names_are_those_of_the_fields_and_all_different(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "a,a,b,c", "1,2,3,4")
    schema = {"fields": [{"name": "x", "type": "integer"}, {"name": "x_2", "type": "integer"}, {"name": "a", "type": "integer"}], "fieldsMatch": ["exact"]}
    target, _ = make_output(path, "valid.parquet", schema=schema, dialect=DIALECT)
    names = pq.read_schema(target).names
    assert len(names) == len(set(names)) == 4


def test_groups_have_a_hundred_thousand_rows(tmp_path: Path) -> None:
    path = make_csv(tmp_path, "n", *map(str, range(250_000)))
    target, _ = make_output(path, "valid.parquet")
    with pq.ParquetFile(target) as file:
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [100_000, 100_000, 50_000]
        assert file.read()["n"].to_pylist() == list(range(250_000))


def test_only_good_rows_are_in_it(tmp_path: Path) -> None:
    table = write_numbers(tmp_path, ["1", "x", "", "4", "1.5"], "integer")
    assert table["n"].to_pylist() == [1, None, 4]
    assert table["row"].to_pylist() == [0, 2, 3]


def test_native_cells_of_a_workbook_have_their_values(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", ROWS[:2])
    target, _ = make_output(path, "valid.parquet", schema={"fields": [{"name": "day", "type": "date", "format": "%d/%m/%Y"}, *_ANY]})
    assert pq.read_table(target)["day"].to_pylist()[0].isoformat() == "2024-01-31"


_ANY = [{"name": str(name), "type": "any"} for name in ROWS[0][1:]]


def test_no_good_row_makes_a_file_with_the_columns(tmp_path: Path) -> None:
    assert write_numbers(tmp_path, ["x"], "integer").schema.names == ["n", "row"]

"""Error records in every format, read by other programs."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.processing.exporting.error_records import ERROR_SCHEMA, WorkbookRecords, open_error_records
from features.processing.exporting.writer import Written
from tests.features.processing.exporting.outputs import check_nothing, read_sheets

NAMES = ERROR_SCHEMA.names
MOMENT = dt.datetime(2026, 11, 30, 10, 0, 0, 123456, tzinfo=dt.UTC)
HOSTILE = ["=1+1", "-5", 'say "hi"', "a\r\nb", "\x01", "@x", "", None, "\u202e", "x" * 1000]


def make_records(first: int, count: int) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "id": f"id-{number}",
            "job_id": "job",
            "row_number": number,
            "column_number": None if number % 5 == 0 else number % 5,
            "column_name": None if number % 5 == 0 else "=name",
            "cell": None if number % 5 == 0 else f"A{number}",
            "error_type": "type-error",
            "error_message": "+This value must be 'x'.",
            "params": None if number % 2 else '{"minimum":1}',
            "raw_value": HOSTILE[number % len(HOSTILE)],
            "created_at": MOMENT,
        }
        for number in range(first, first + count)
    ]
    return pa.Table.from_pylist(rows, schema=ERROR_SCHEMA)


def write(path: Path, *tables: pa.Table, names: list[str] | None = None) -> Written:
    writer = open_error_records(path.suffix[1:], path, names=names or NAMES, check_room=check_nothing)
    try:
        for table in tables:
            writer.write(table)
        return writer.finish()
    finally:
        writer.close()


TABLES = [make_records(1, 10), make_records(11, 0), make_records(11, 10)]
RECORDS = pa.concat_tables(TABLES).to_pylist()


def test_csv_is_read_by_python_with_formulas_guarded(tmp_path: Path) -> None:
    path = tmp_path / "errors.csv"
    assert write(path, *TABLES).row_count == 20
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [row["raw_value"] for row in rows[:10]] == ["-5", 'say "hi"', "a\r\nb", "\x01", "'@x", "", "", "\u202e", "x" * 1000, "'=1+1"]
    assert {row["column_name"] for row in rows} == {"'=name", ""}
    assert {row["error_message"] for row in rows} == {"'+This value must be 'x'."}
    assert rows[1]["params"] == '{"minimum":1}'
    assert rows[0]["created_at"] == "2026-11-30T10:00:00.123456Z"
    assert path.read_bytes().startswith((",".join(NAMES) + "\r\n").encode())


def test_ndjson_is_read_by_python_with_params_as_an_object(tmp_path: Path) -> None:
    path = tmp_path / "errors.ndjson"
    assert write(path, *TABLES).row_count == 20
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    wanted = [{**record, "created_at": "2026-11-30T10:00:00.123456Z", "params": None if record["params"] is None else {"minimum": 1}} for record in RECORDS]
    assert rows == wanted
    assert list(rows[0]) == NAMES


def test_parquet_is_read_by_pandas_with_its_types(tmp_path: Path) -> None:
    path = tmp_path / "errors.parquet"
    assert write(path, *TABLES).row_count == 20
    assert pq.read_schema(path).equals(ERROR_SCHEMA)
    assert pq.read_table(path).to_pylist() == RECORDS
    assert pd.read_parquet(path)["row_number"].tolist() == list(range(1, 21))


def test_parquet_has_groups_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "errors.parquet"
    table = make_records(1, 30_000)
    assert write(path, *[table] * 7).row_count == 210_000
    file = pq.ParquetFile(path)
    assert max(file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)) <= 100_000
    assert file.metadata.num_rows == 210_000
    file.close()


def test_workbook_is_read_by_openpyxl_as_text_with_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "errors.xlsx"
    assert write(path, *TABLES, names=["row_number", "column_name", "raw_value"]) == Written(20)
    rows = read_sheets(path)["Errors"]
    assert rows[0] == ["row_number", "column_name", "raw_value"]
    assert rows[10] == [10, None, "=1+1"]
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    assert sheet["C11"].data_type == "s"
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:C21")
    book.close()


def test_errors_past_a_sheet_go_on_with_the_next(tmp_path: Path) -> None:
    writer = WorkbookRecords(tmp_path / "errors.xlsx", names=["row_number"], check_room=check_nothing, max_sheet_rows=11)
    writer.write(make_records(1, 25))
    written = writer.finish()
    writer.close()
    sheets = read_sheets(tmp_path / "errors.xlsx")
    assert [len(rows) for rows in sheets.values()] == [11, 11, 6]
    assert "3 sheets" in written.notes[0]


@pytest.mark.parametrize("format_name", ["csv", "ndjson", "parquet", "xlsx"])
def test_no_errors_make_a_whole_file(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / f"errors.{format_name}"
    assert write(path).row_count == 0
    assert path.exists()
    if format_name == "parquet":
        assert pq.read_table(path).num_rows == 0
    elif format_name == "xlsx":
        assert read_sheets(path) == {"Errors": [NAMES]}


@pytest.mark.parametrize("format_name", ["csv", "ndjson", "parquet", "xlsx"])
def test_full_disk_ends_it_and_it_can_be_closed(tmp_path: Path, format_name: str) -> None:
    calls = 0

    def check_room() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(28, "No space left on device")

    path = tmp_path / f"errors.{format_name}"
    writer = open_error_records(format_name, path, names=["id", "raw_value"], check_room=check_room)
    with pytest.raises(OSError, match="No space left"):
        for first in range(0, 10_000_000, 50_000):
            ids = pa.array([f"{hash((first, number)):x}{hash((number, first)):x}" for number in range(50_000)])
            writer.write(pa.table({"id": ids, "raw_value": ids}))
    writer.close()
    writer.close()
    assert path.stat().st_size < 12 * 2**20

"""Outputs of the command line."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from features.processing.__main__ import main
from shared.output_names import OUTPUT_NAMES
from tests.paths import ROOT


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("id,name\n1,Ann\nx,Bob\n3\n4,Eve\n5,Joe\n6,Sue\n7,Tom\n8,Una\n9,Vic\n10,Wim\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def output_options(folder: Path, *names: str) -> list[str]:
    return [option for name in names for option in ("--output", str(folder / name))]


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_output_is_made_in_one_run_beside_the_report(table: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(table), "--format", "json", *output_options(folder, *OUTPUT_NAMES)]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rows_failed"] == 2
    assert list_names(folder) == sorted(OUTPUT_NAMES)
    assert f"Written: {folder / 'valid.parquet'} (8 rows)" in captured.err
    assert f"Written: {folder / 'errors.csv'} (2 errors)" in captured.err
    assert pd.read_parquet(folder / "valid.parquet")["id"].tolist() == [1, 4, 5, 6, 7, 8, 9, 10]
    assert (folder / "valid.csv").read_text() == table.read_text().replace("x,Bob\n3\n", "")
    assert openpyxl.load_workbook(folder / "rejected.xlsx").worksheets[0]["A2"].value == 3
    with (folder / "errors.csv").open(newline="") as file:
        assert [(row["row_number"], row["cell"], row["error_type"]) for row in csv.DictReader(file)] == [("3", "A3", "type-error"), ("4", "B4", "missing-cell")]


def test_good_file_still_exits_with_0(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "good.csv"
    path.write_text("id\n1\n")
    assert main([str(path), *output_options(folder, "rejected.xlsx")]) == 0
    assert list_names(folder) == ["rejected.xlsx"]


def test_workbook_gives_a_csv_of_its_own_form(tmp_path: Path, folder: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "name"], [1, "a,b"], [2, "c"]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "table.xlsx")
    assert main([str(tmp_path / "table.xlsx"), *output_options(folder, "valid.csv")]) == 0
    assert (folder / "valid.csv").read_bytes() == b'id,name\r\n1,"a,b"\r\n2,c\r\n'


def test_errors_known_after_the_last_row_stand_among_the_others(tmp_path: Path, folder: Path) -> None:
    path, schema = tmp_path / "table.csv", tmp_path / "schema.json"
    path.write_text("id,parent\na,\nb,nobody\nc,a\nd,e\n,a\n")
    fields = [{"name": "id", "type": "string", "constraints": {"required": True}}, {"name": "parent", "type": "string"}]
    schema.write_text(json.dumps({"fields": fields, "foreignKeys": [{"fields": "parent", "reference": {"resource": "", "fields": "id"}}]}))
    assert main([str(path), "--schema", str(schema), *output_options(folder, "errors.ndjson", "rejected.csv")]) == 1
    records = [json.loads(line) for line in (folder / "errors.ndjson").read_text().splitlines()]
    assert [(record["row_number"], record["error_type"]) for record in records] == [
        (3, "foreign-key-error"),
        (5, "foreign-key-error"),
        (6, "required-error"),
    ]
    assert [line.split(",")[0] for line in (folder / "rejected.csv").read_text().splitlines()] == ["_row", "3", "5", "6"]


def test_wrong_name_is_a_usage_error_that_lists_the_names(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(table), "--output", "out/rejected.xls"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert all(name in error for name in OUTPUT_NAMES)


def test_same_name_twice_is_a_usage_error(table: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(table), *output_options(folder, "valid.csv"), *output_options(folder.parent, "valid.csv")])
    assert "valid.csv is given twice" in capsys.readouterr().err


def test_folder_that_is_not_there_is_a_usage_error(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(table), *output_options(tmp_path / "nowhere", "valid.csv")])
    assert "there is no folder" in capsys.readouterr().err


def test_file_itself_is_not_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "valid.csv").write_text("id\n1\n")
    with pytest.raises(SystemExit):
        main([str(folder / "valid.csv"), *output_options(folder, "valid.csv")])
    assert "is the file that is to be read" in capsys.readouterr().err
    assert (folder / "valid.csv").read_text() == "id\n1\n"


def test_output_that_cannot_be_made_leaves_what_was_there(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{number}" for number in range(16_384)) + "\n" + ",".join(["1"] * 16_384) + "\n")
    (folder / "rejected.csv").write_text("before")
    assert main([str(path), *output_options(folder, "rejected.csv", "rejected.xlsx", "errors.csv")]) == 2
    assert "take rejected.csv instead" in capsys.readouterr().err
    assert list_names(folder) == ["rejected.csv"]
    assert (folder / "rejected.csv").read_text() == "before"


def test_unreadable_file_makes_nothing(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(b"\n")
    assert main([str(path), *output_options(folder, "valid.csv", "errors.csv")]) == 2
    assert list_names(folder) == []


def run_module(*arguments: str, stderr: int = subprocess.PIPE, limit_bytes: int | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "features.processing", *arguments]
    environment = {**os.environ, "TERM": "xterm"}
    if limit_bytes is not None:
        # What coverage writes at the end would be cut as well, and spoil what it has measured elsewhere.
        environment = {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
        # A limit on the size of files ends a write as a full disk does: with an error, since Python ignores the signal.
        command = ["prlimit", f"--fsize={limit_bytes}", *command]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, check=False, env=environment)


@pytest.mark.parametrize("name", ["valid.csv", "valid.xlsx", "valid.parquet", "valid.ndjson", "rejected.xlsx", "annotated.csv", "errors.ndjson", "errors.xlsx"])
def test_disk_that_takes_no_more_ends_with_a_sentence_and_leaves_nothing(tmp_path: Path, folder: Path, name: str) -> None:
    path = tmp_path / "large.csv"
    path.write_text("id,name\n" + "".join(f"{number},{hash(str(number)):x}{hash(number):x}\nx,{hash(str(number)):x}\n" for number in range(40_000)))
    schema = tmp_path / "schema.json"
    schema.write_text('{"fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "string"}]}')
    done = run_module(str(path), "--schema", str(schema), *output_options(folder, name), limit_bytes=200_000)
    assert done.returncode == 2
    assert done.stderr.decode().strip() == "The outputs could not be made: File too large."
    assert list_names(folder) == []


def test_progress_is_drawn_on_a_terminal(table: Path, folder: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        assert run_module(str(table), *output_options(folder, "valid.xlsx"), stderr=theirs).returncode == 1
        drawn = os.read(ours, 65536)
        assert b"Checking" in drawn
        assert b"Writing" in drawn
    finally:
        os.close(ours)
        os.close(theirs)

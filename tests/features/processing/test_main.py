"""The command line of the engine."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from features.processing.__main__ import main
from tests.paths import ROOT


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.csv"
    path.write_text("id,name\n1,Ann\n2,Bob\n")
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "bad.csv"
    path.write_text("id,name\n1,Ann\nx,Bob\n3\n4,[red]Eve\x1b\n")
    return path


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text('{"fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "string", "constraints": {"maxLength": 3}}]}')
    return path


def test_good_rows_exit_with_0(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(good)]) == 0
    assert "2 rows, 0 failed, 0 errors" in capsys.readouterr().out


def test_failed_rows_exit_with_1_and_are_shown(bad: Path, schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(bad), "--schema", str(schema)]) == 1
    out = capsys.readouterr().out
    assert "4 rows, 3 failed, 3 errors" in out
    assert "[red]Eve\\x1b" in out
    assert "\x1b" not in out


def test_header_error_alone_exits_with_1(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "schema.json"
    path.write_text('{"fields": [{"name": "id", "type": "integer"}, {"name": "surname", "type": "string"}]}')
    for output in ("table", "json", "csv"):
        assert main([str(good), "--schema", str(path), "--format", output]) == 1
        assert "incorrect-label" in capsys.readouterr().out


def test_causes_are_shown_with_their_sentence_first_row_and_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n" + "1\n" * 30 + "x\ny\n")
    main([str(path), "--format", "json"])
    assert json.loads(capsys.readouterr().out)["by_column"] == [
        {
            "column_name": "n",
            "error_type": "type-error",
            "error_message": "This value must be a whole number.",
            "count": 2,
            "first_row_number": 32,
            "examples": ["x", "y"],
        }
    ]
    main([str(path)])
    assert '"x", "y"' in capsys.readouterr().out


def test_json_holds_summary_source_schema_and_errors(bad: Path, schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(bad), "--schema", str(schema), "--format", "json", "--errors", "1"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert list(result) == ["rows_processed", "rows_failed", "error_count", "errors_truncated", "by_type", "by_column", "source", "notes", "schema", "errors"]
    assert (result["rows_processed"], result["rows_failed"], result["error_count"], result["errors_truncated"]) == (4, 3, 3, True)
    assert result["source"] == {"encoding": "utf-8", "delimiter": ",", "quote_char": '"', "sheet": None, "header_row": 1}
    assert result["schema"] == json.loads(schema.read_text())
    assert result["errors"] == [
        {
            "row_number": 3,
            "column_number": 1,
            "column_name": "id",
            "error_type": "type-error",
            "error_message": "This value must be a whole number.",
            "raw_value": "x",
            "params": {"type": "integer"},
        }
    ]


def test_csv_lists_the_errors(bad: Path, schema: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(bad), "--schema", str(schema), "--format", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["row_number"], row["error_type"]) for row in rows] == [("3", "type-error"), ("4", "missing-cell"), ("5", "max-length-error")]


def test_no_errors_listed_still_counts_them(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(bad), "--format", "json", "--errors", "0"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["errors"] == []
    assert result["error_count"] > 0


def test_dialect_and_encoding_are_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, dialect = tmp_path / "a.csv", tmp_path / "d.json"
    path.write_bytes("id~name\n1~Łódź\n".encode("cp1250"))
    dialect.write_text('{"delimiter": "~"}')
    assert main([str(path), "--dialect", str(dialect), "--encoding", "cp1250", "--format", "json"]) == 0
    source = json.loads(capsys.readouterr().out)["source"]
    assert (source["delimiter"], source["encoding"]) == ("~", "cp1250")


def test_unreadable_file_exits_with_2_and_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "empty.csv"
    path.write_bytes(b"\n")
    assert main([str(path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no header" in captured.err


def test_absent_file_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.csv")]) == 2
    assert "No such file" in capsys.readouterr().err


def test_wrong_schema_exits_with_2_and_points_at_it(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"fields": [{"name": "id", "type": "whole"}]}')
    assert main([str(good), "--schema", str(schema)]) == 2
    assert "/schema/fields/0/type" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["-1", "x", "1.5"])
def test_wrong_number_of_errors_is_refused(good: Path, count: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(good), f"--errors={count}"])
    assert ended.value.code == 2


def run_module(path: Path, stderr: int) -> int:
    command = [sys.executable, "-m", "features.processing", str(path), "--format", "json"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=stderr, check=False, env={**os.environ, "TERM": "xterm"}).returncode


def test_progress_is_drawn_on_a_terminal(bad: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        assert run_module(bad, theirs) == 1
        assert b"Checking" in os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)

"""What comes from a file, a path or a schema controls no terminal, and no spreadsheet runs it."""

from __future__ import annotations

import csv
import io
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from features.processing.__main__ import main
from shared.observing.logging import configure_logging
from shared.settings import Settings
from tests.features.processing.readers.excel.workbooks import MAIN, RELATIONSHIPS, sheet_xml, write_package

ESCAPE, BIDI, C1 = "\x1b[31m\x07", "\u202eoverride", "\x9b31m"
NASTY = f"{ESCAPE}{BIDI}{C1}"


def is_harmless(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_labels_cells_and_messages_are_escaped(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"id{NASTY}\n1\n2\n{NASTY}\n", encoding="utf-8")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"fields": [{"name": "id", "type": "integer"}, {"name": f"{NASTY} of another kind altogether"}]}))
    assert main([str(path), "--schema", str(schema), "--format", form]) == 1
    written = capsys.readouterr()
    assert is_harmless(written.out)
    assert "u202e" in written.out
    if form == "json":
        assert json.loads(written.out)["errors"][-1]["raw_value"].endswith(C1)


def test_sentences_and_paths_are_escaped_and_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workbook = f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheets><sheet name="{BIDI}{C1}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    path = write_package(tmp_path / "a.xlsx", {"xl/workbook.xml": workbook}, sheet=sheet_xml('<row r="2"><c r="A2"><v>1</v></c></row>'))
    dialect = tmp_path / "dialect.json"
    dialect.write_text('{"sheetNumber": 2}')
    assert main([str(path), "--dialect", str(dialect)]) == 2
    assert main([str(path)]) == 0
    assert main([str(tmp_path / f"gone{NASTY}.csv")]) == 2
    bad = tmp_path / "schema.json"
    bad.write_text(json.dumps({"fields": [{"name": "a", "type": NASTY + "x" * 5_000}]}))
    assert main([str(path), "--schema", str(bad)]) == 2
    written = capsys.readouterr()
    assert is_harmless(written.out)
    assert is_harmless(written.err)
    assert "u202e" in written.err
    assert max(map(len, written.err.splitlines())) <= 6_000


def test_csv_holds_no_formula(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["=1+1", "+cmd", "-x", "@SUM(1)", "\tx", "\rx", "-1.5", "+7", "-1e5", "text", "=-1"]
    path = tmp_path / "a.csv"
    path.write_text('=label\n"' + '"\n"'.join(cells) + '"\n', newline="")
    schema = tmp_path / "schema.json"
    schema.write_text('{"fields": [{"name": "=label", "constraints": {"enum": ["x"]}}]}')
    assert main([str(path), "--schema", str(schema), "--format", "csv"]) == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["raw_value"] for row in rows] == ["'=1+1", "'+cmd", "'-x", "'@SUM(1)", "'\\tx", "'\\rx", "-1.5", "+7", "-1e5", "text", "'=-1"]
    assert {row["column_name"] for row in rows} == {"'=label"}


@pytest.fixture
def text_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    with logging_to_text(monkeypatch, "text") as stream:
        yield stream


@contextmanager
def logging_to_text(monkeypatch: pytest.MonkeyPatch, form: str) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(Settings(database_url="postgresql+asyncpg://x/x", redis_url="redis://x", upload_dir=Path("/tmp"), log_format=form))
    try:
        yield stream
    finally:
        root.handlers = handlers
        root.setLevel(level)


def test_text_log_escapes_what_it_is_given(text_log: io.StringIO) -> None:
    log = structlog.get_logger("test")
    event = f"event {NASTY}\nforged line"
    log.warning(event, path=NASTY, listed=[NASTY], described=f"frame{NASTY}")
    logging.getLogger("library").warning("from %s", NASTY)
    try:
        int(NASTY)
    except ValueError as error:
        error.add_note(NASTY)
        log.exception("failed")
    written = text_log.getvalue()
    assert is_harmless(written)
    assert "forged line" in written
    assert "\nforged line" not in written
    assert "ValueError" in written


def test_log_cuts_long_texts(text_log: io.StringIO) -> None:
    structlog.get_logger("test").warning("event " + "x" * 5_000, path="y" * 5_000)
    assert len(text_log.getvalue()) < 3_000


def refuse(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("form", ["text", "json"])
def test_log_cuts_what_exceptions_and_nested_values_say(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with logging_to_text(monkeypatch, form) as stream:
        log = structlog.get_logger("test")
        log.warning("listed", values=["x" * 500_000], named={"y" * 500_000: 1}, **{"z" * 500_000: 1})
        try:
            refuse("v" * 500_000 + "\n2026-01-01 [info     ] forged line")
        except ValueError:
            log.exception("failed")
        written = stream.getvalue()
    assert len(written) < 20_000
    assert "ValueError" in written
    assert not any(line.startswith("2026-01-01 [info") for line in written.splitlines())

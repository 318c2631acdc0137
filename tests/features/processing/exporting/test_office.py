"""Workbooks, opened by LibreOffice: cells and comments are compared with what they were made of. `make office-test` installs it."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from features.processing.exporting.error_records import open_error_records
from features.processing.exporting.workbooks.writers import ValidWorkbook
from tests.features.processing.exporting.outputs import check_nothing, make_output, write_rows
from tests.features.processing.exporting.test_error_records import RECORDS, TABLES
from tests.features.processing.exporting.workbooks.test_writers import ROWS, write_workbook

OFFICE = shutil.which("soffice")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(OFFICE is None, reason="LibreOffice (soffice) is not installed; as root on Debian 'make office-test' installs it"),
]
# All sheets, each as a CSV file of its own: commas, quotes, UTF-8, cells as they are shown.
CSV_FILTER = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
SCHEMA = {
    "fields": [
        {"name": "id", "type": "integer", "constraints": {"required": True}},
        {"name": "na\"me\n'x'", "type": "string", "constraints": {"maxLength": 40_000}},
    ]
}
HOSTILE = [
    "=1+1",
    "+1+1",
    "@SUM(A1)",
    'say "hi"',
    "two\nlines",
    "<b>&amp;</b>",
    "\u202eright to left\u200f",
    "  padded  ",
    "_x0041_",
    "_x0041_x0042_",
    "1234567890123456789",
    "00123",
    "1e5",
    "2024-01-31",
    "TRUE",
    "https://example.com",
    "mailto:a@example.com",
    "😀" * 10,
    "x" * 32_767,
    "#N/A",
]


def convert(path: Path, kind: str) -> Path:
    """Return the folder with what LibreOffice makes of a workbook."""
    assert OFFICE is not None
    folder = path.parent / "office"
    profile = f"-env:UserInstallation=file://{path.parent / 'profile'}"
    command = [OFFICE, profile, "--headless", "--convert-to", kind, "--outdir", str(folder), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr
    return folder


def read_sheet(path: Path, title: str) -> list[list[str]]:
    folder = convert(path, CSV_FILTER)
    with (folder / f"{path.stem}-{title}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def read_content(path: Path, element: str) -> list[str]:
    """Return the texts of all elements of this name in what LibreOffice saves."""
    with zipfile.ZipFile(convert(path, "ods") / f"{path.stem}.ods") as archive:
        root = ET.fromstring(archive.read("content.xml"))
    names = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
    return [
        "\n".join("".join(each.itertext()) for each in found.iter(f"{names % 'text'}p"))
        for found in root.iter(names % element.partition(":")[0] + element.partition(":")[2])
    ]


def write_csv(path: Path, cells: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(cells)
    return path


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    rows = [["id", "na\"me\n'x'"], *([str(number), text] for number, text in enumerate(HOSTILE, 1)), ["x", "=bad"], ["", "none"], ["7"]]
    return write_csv(tmp_path / "table.csv", rows)


DIALECT = {"delimiter": ",", "quoteChar": '"', "headerRows": [1]}


def test_hostile_cells_are_text(hostile: Path) -> None:
    target, _ = make_output(hostile, "valid.xlsx", schema=SCHEMA, dialect=DIALECT)
    rows = read_sheet(target, "Valid rows")
    assert rows[0] == ["id", "na\"me\n'x'"]
    assert [row[1] for row in rows[1:]] == HOSTILE
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(1, len(HOSTILE) + 1)]


def test_characters_that_xml_forbids_break_nothing(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", [["a"], ["x\x01y"], ["z\x1f"], ["\ufffe"], ["next"]])
    target, written = make_output(path, "valid.xlsx", schema={"fields": [{"name": "a", "type": "string"}]}, dialect=DIALECT)
    rows = read_sheet(target, "Valid rows")
    assert len(rows) == written.row_count + 1 == 5
    assert rows[4] == ["next"]


def test_annotated_has_the_comments_and_sentences(hostile: Path) -> None:
    target, written = make_output(hostile, "annotated.xlsx", schema=SCHEMA, dialect=DIALECT)
    rows = read_sheet(target, "Annotated rows")
    assert len(rows) == written.row_count + 1 == len(HOSTILE) + 4
    sentences = ["This value must be a whole number.", "This cell must not be empty."]
    assert [row[1] for row in rows[-3:-1]] == [f"id: {sentence}" for sentence in sentences]
    comments = read_content(target, "office:annotation")
    assert comments[:2] == sentences
    assert "This row ends before this column" in comments[2]
    assert len(comments) == 3


def test_rejected_has_the_bad_rows(hostile: Path) -> None:
    target, _ = make_output(hostile, "rejected.xlsx", schema=SCHEMA, dialect=DIALECT)
    rows = read_sheet(target, "Rejected rows")
    assert [row[0] for row in rows[1:]] == [str(number) for number in range(len(HOSTILE) + 2, len(HOSTILE) + 5)]
    assert rows[1][3] == "=bad"


def test_native_cells_show_their_iso_text(tmp_path: Path) -> None:
    path = write_workbook(tmp_path / "table.xlsx", ROWS[:2])
    target, _ = make_output(path, "valid.xlsx", schema={"fields": [{"name": name, "type": "any"} for name in ROWS[0]]})
    # As CSV, LibreOffice writes times by the form of its language.
    shown = [text for text in read_content(target, "table:table-cell") if text][len(ROWS[0]) :]
    assert shown == ["2024-01-31", "2024-01-31T12:00:00", "06:00:00", "0.1", "00042", "TRUE", "30:00:00", "00123"]


def test_further_sheets_are_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "table.csv", [["n"], *([str(number)] for number in range(10))])
    target = tmp_path / "sheets.xlsx"
    write_rows(path, lambda: ValidWorkbook(target, check_room=check_nothing, max_sheet_rows=5), schema={"fields": [{"name": "n", "type": "integer"}]})
    convert(target, CSV_FILTER)
    names = sorted(each.name for each in (tmp_path / "office").iterdir())
    assert names == ["sheets-Valid rows 2.csv", "sheets-Valid rows 3.csv", "sheets-Valid rows.csv"]


def test_error_records_are_text(tmp_path: Path) -> None:
    path = tmp_path / "errors.xlsx"
    writer = open_error_records("xlsx", path, names=["row_number", "raw_value"], check_room=check_nothing)
    for table in TABLES:
        writer.write(table)
    writer.finish()
    writer.close()
    rows = read_sheet(path, "Errors")
    assert [row[0] for row in rows[1:]] == [str(record["row_number"]) for record in RECORDS]
    plain = [(row[1], record["raw_value"] or "") for row, record in zip(rows[1:], RECORDS, strict=True)]
    assert all(re.sub(r"[\r\x01]", "", shown) == re.sub(r"[\r\x01]", "", text) for shown, text in plain)

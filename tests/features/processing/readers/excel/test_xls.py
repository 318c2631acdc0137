"""XLS workbooks: cells that xlrd reads in its own process become the same text, and workbooks that break it are refused with a sentence."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time as clock
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
import xlwt

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.damage import open_guarded, read_guarded
from features.processing.readers.excel.xls import table as xls
from features.processing.readers.excel.xls.table import XlsTable, open_xls
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.excel.biff import biff, ole2
from tests.features.processing.readers.excel.workbooks import Reading, read_table
from tests.paths import ROOT

MOMENT = datetime(2026, 11, 23, 10)  # noqa: DTZ001 - workbooks have no time zones
FORMATS: list[tuple[type, str]] = [(datetime, "yyyy-mm-dd hh:mm:ss"), (date, "yyyy-mm-dd"), (time, "hh:mm:ss")]


def save(path: Path, rows: list[list[Any]], *, is_1904: bool = False, name: str = "Sheet") -> Path:
    book = xlwt.Workbook()
    book.dates_1904 = is_1904
    fill(book.add_sheet(name), rows)
    book.save(str(path))
    return path


def fill(sheet: Any, rows: list[list[Any]]) -> None:
    for row, cells in enumerate(rows):
        for column, value in enumerate(cells):
            code = next((code for kind, code in FORMATS if isinstance(value, kind)), None)
            if code is not None:
                sheet.write(row, column, value, xlwt.easyxf(num_format_str=code))
            elif value is not None:
                sheet.write(row, column, value)


def read_xls(path: Path, *, dialect: Mapping[str, Any] | None = None, **limits: Any) -> Reading:
    given = None if dialect is None else parse_table_dialect(dict(dialect))
    return read_table(open_xls(path, dialect=given, limits=ReadLimits(**limits)))


@pytest.mark.parametrize("is_1904", [False, True])
def test_values_become_text(tmp_path: Path, is_1904: bool) -> None:
    values = [7, -3, 1.5, 1e-7, True, False, date(2026, 11, 23), MOMENT, time(10), " x ", "007", "Ü😀", None, "last"]
    expected = ["7", "-3", "1.5", "0.0000001", "true", "false", "2026-11-23", "2026-11-23T10:00:00", "10:00:00", " x ", "007", "Ü😀", "", "last"]
    path = save(tmp_path / "a.xls", [[f"c{i}" for i in range(len(values))], values], is_1904=is_1904)
    assert read_xls(path).rows == {2: expected}


def test_error_values_are_reported_and_not_checked(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("s")
    fill(sheet, [["a", "b"], [1], [None, 2]])
    sheet.row(1).set_cell_error(1, 0x2A)
    sheet.row(2).set_cell_error(0, 0x07)
    sheet.row(2).set_cell_error(3, 0x17)
    book.save(str(tmp_path / "a.xls"))
    reading = read_xls(tmp_path / "a.xls")
    assert reading.rows == {2: ["1", None], 3: [None, "2"]}
    assert reading.errors == [(2, 2, "formula-error", "#N/A"), (3, 1, "formula-error", "#DIV/0!"), (3, 4, "extra-cell", "#REF!")]


def test_blank_rows_and_cells_outside_the_table_are_reported(tmp_path: Path) -> None:
    reading = read_xls(save(tmp_path / "a.xls", [["a"], [], [], [1, None, "x"], [], [" "]]), dialect={"headerRows": [1]})
    assert reading.rows == {4: ["1"]}
    assert reading.errors == [(2, None, "blank-row", None), (4, 3, "extra-cell", "x")]
    assert reading.rows_lost == 2


def make_sheets(path: Path) -> Path:
    book = xlwt.Workbook()
    for name in ("hidden", "one", "two"):
        sheet = book.add_sheet(name)
        fill(sheet, [[name]])
        sheet.visibility = int(name == "hidden")
    book.active_sheet = 1
    book.save(str(path))
    return path


@pytest.mark.parametrize(("dialect", "label"), [(None, "one"), ({"sheetNumber": 1}, "hidden"), ({"sheetNumber": 3}, "two"), ({"sheetName": "two"}, "two")])
def test_sheet_is_the_first_visible_or_the_one_named(tmp_path: Path, dialect: dict[str, Any] | None, label: str) -> None:
    given = parse_table_dialect(dialect) if dialect is not None else None
    table = open_xls(make_sheets(tmp_path / "a.xls"), dialect=given, limits=ReadLimits())
    table.close()
    assert (table.labels, table.source.sheet, table.source.header_row) == ([label], label, 1)


@pytest.mark.parametrize(("dialect", "named"), [({"sheetNumber": 4}, "4"), ({"sheetName": "three"}, "three")])
def test_sheet_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, dialect: dict[str, Any], named: str) -> None:
    with pytest.raises(FileUnreadable, match=named) as raised:
        read_xls(make_sheets(tmp_path / "a.xls"), dialect=dialect)
    assert "hidden, one, two" in str(raised.value)


@pytest.mark.parametrize("chunk_rows", [1, 3, 10_000])
def test_chunks_differ_in_size_only(tmp_path: Path, chunk_rows: int) -> None:
    rows: list[list[Any]] = [["a", "b"], *([number, "x" * number] for number in range(1, 20))]
    reading = read_xls(save(tmp_path / "a.xls", rows), chunk_rows=chunk_rows)
    assert max(reading.chunk_sizes) <= chunk_rows
    assert reading.rows == {number + 1: [str(number), "x" * number] for number in range(1, 20)}


def test_text_that_is_cut_within_a_character_is_whole_again(tmp_path: Path) -> None:
    text = "x" + "😀" * 16_000
    assert read_xls(save(tmp_path / "a.xls", [["a"], [text], ["y" + text[:-2]]])).rows == {2: [text], 3: ["y" + text[:-2]]}


GARBAGE = bytes(range(256)) * 40
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "damaged"),
    "text": (lambda: b"a,b\n1,2\n", "damaged"),
    "a container of nothing": (lambda: ole2({}), "damaged"),
    "an encrypted XLSX workbook": (lambda: ole2({"EncryptionInfo": b"", "EncryptedPackage": b"x"}), "password"),
    "an encrypted XLS workbook": (lambda: ole2({"Workbook": biff((0x2F, struct.pack("<HHH", 0, 1, 1)))}), "password"),
    "a workbook encrypted in an unknown way": (lambda: ole2({"Workbook": biff((0x2F, b"\x07"))}), "password"),
    "a workbook under rights management": (lambda: ole2({"Workbook": biff(), "\tDRMContent": b"x"}), "rights management"),
    "a package under rights management": (lambda: ole2({"EncryptedPackage": b"x", "DRMEncryptedDataSpace": b"x"}), "rights management"),
    "a Word document": (lambda: ole2({"WordDocument": b"x"}), "Word"),
    "a workbook of garbage": (lambda: ole2({"Workbook": GARBAGE}), "damaged"),
    "a workbook without sheets": (lambda: ole2({"Workbook": biff()}), "no visible sheet"),
    "half a header": (lambda: ole2({})[:100], "damaged"),
    "a container with a loop": (lambda: ole2({"Workbook": GARBAGE}).replace(struct.pack("<ii", 3, 4), struct.pack("<ii", 3, 2), 1), "damaged"),
    "a bare old workbook of garbage": (lambda: b"\x09\x08\x10\x00" + GARBAGE, "damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_workbook_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    make, sentence = REFUSED[name]
    path = tmp_path / "a.xls"
    path.write_bytes(make())
    with pytest.raises(FileUnreadable, match=sentence) as raised:
        read_xls(path)
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_workbook_that_was_cut_off_is_refused(tmp_path: Path, cut: float) -> None:
    path = save(tmp_path / "a.xls", [["a"], *([f"text {number}"] for number in range(5000))])
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(FileUnreadable):
        read_xls(path)


def use_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> Path:
    """Replace xlrd by `code`, which runs in a child with the limits of the real one."""
    (tmp_path / "stand_in.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from features.processing.readers.excel.xls import child as xls_child\nxls_child.CPU_S = 1\nxls_child.MEMORY_BYTES = 2**28\n"
        "def read(_, commands):\n    yield {'sheets': [['s', True, True]]}\n    commands.get()\n    yield {'rows': 9, 'merged': [], 'merged_count': 0}\n"
        f"    yield [[1, ['a'], ''], [2, ['1'], '1']]\n    {code}\n"
        "xls_child._read_workbook = read\nxls_child.main(sys.argv[1:])\n"
    )
    monkeypatch.setattr("shared.child_process._ROOT", tmp_path)
    monkeypatch.setattr(xls, "_CHILD", "stand_in")
    return save(tmp_path / "a.xls", [["a"]])


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("while True: pass", "longer than any real workbook"),
        ("x = [0] * 2**40", "more memory"),
        ("import os; os.kill(os.getpid(), 11)", "damaged"),
        ("import os; os.write(1, b'[[3, [' ); os.abort()", "damaged"),
    ],
)
def test_child_that_breaks_ends_the_reading_after_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str) -> None:
    table = open_xls(use_child(monkeypatch, tmp_path, code + "\n    yield"), dialect=None, limits=ReadLimits())
    rows: list[int] = []
    with pytest.raises(FileUnreadable, match=sentence):
        for chunk in table.chunks():
            rows += chunk.row_numbers.tolist()
    table.close()
    assert rows == [2]


@pytest.mark.parametrize("code", ["import os; os.kill(os.getpid(), 9)", "import os; os.write(1, b'[[3, [' ); os._exit(1)"])
def test_child_that_the_machine_ends_says_nothing_about_the_workbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    path = use_child(monkeypatch, tmp_path, code + "\n    yield")
    with pytest.raises(ChildProcessError):
        list(read_guarded(open_guarded(lambda: open_xls(path, dialect=None, limits=ReadLimits()))))


def test_child_goes_on_when_the_processes_of_its_service_are_told_to_stop(tmp_path: Path) -> None:
    table = open_xls(save(tmp_path / "a.xls", [["a", "b"], *([number, "x" * 200] for number in range(12_000))]), dialect=None, limits=ReadLimits())
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            child_of(table).send_signal(number)
        assert sum(len(chunk.row_numbers) for chunk in table.chunks()) == 12_000
    finally:
        table.close()


def child_of(table: XlsTable) -> subprocess.Popen[bytes]:
    return table._workbook.child.process


def test_closing_half_way_and_twice_ends_the_child(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xls", [["a", "b"], *([number, "x" * 200] for number in range(12_000))])
    table = open_xls(path, dialect=None, limits=ReadLimits(chunk_rows=10))
    next(table.chunks())
    table.close()
    table.close()
    assert child_of(table).returncode is not None


def test_child_ends_with_its_parent(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xls", [["a", "b"], *([number, "x" * 200] for number in range(12_000))])
    code = (
        "import os, sys; from pathlib import Path\n"
        "from features.processing.readers.base import ReadLimits; from features.processing.readers.excel.xls.table import open_xls\n"
        f"table = open_xls(Path({str(path)!r}), dialect=None, limits=ReadLimits())\n"
        "print(table._workbook.child.process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    parent = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    child = int(parent.stdout)
    deadline = clock.monotonic() + 10
    while clock.monotonic() < deadline and is_running(child):
        clock.sleep(0.05)
    assert not is_running(child)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def test_child_knows_nothing_of_the_parents_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "secret")
    table = open_xls(save(tmp_path / "a.xls", [["a", "b"], *([number, "x" * 200] for number in range(12_000))]), dialect=None, limits=ReadLimits())
    environment = Path(f"/proc/{child_of(table).pid}/environ").read_text()
    table.close()
    assert "MALLOC_ARENA_MAX" in environment
    assert "secret" not in environment

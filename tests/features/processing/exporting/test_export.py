"""Outputs in one pass over a file or in several."""

from __future__ import annotations

import errno
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from features.processing.engine import CheckedRows, Inspection, inspect_file
from features.processing.exporting import export as export_module
from features.processing.exporting.export import MAX_PASSES, Export
from features.processing.exporting.rows import iterate_rows
from features.processing.exporting.writer import CheckRoom, MustStartAgain, OpenedTable, OutputUnmakeable, Written
from features.processing.exporting.writers import open_writer
from features.processing.readers.base import FileUnreadable, ReadLimits
from shared.descriptors.table_schema import parse_table_schema
from shared.output_names import OutputName

VALID, REJECTED, ANNOTATED = (OutputName(kind, "csv") for kind in ("valid", "rejected", "annotated"))
PARENTS: Mapping[str, Any] = {
    "fields": [{"name": "id", "type": "integer"}, {"name": "parent", "type": "integer"}],
    "foreignKeys": [{"fields": ["parent"], "reference": {"fields": ["id"]}}],
}


class RowList:
    """A writer that keeps the rows in memory, and may refuse a row a number of times."""

    made: list[RowList]

    def __init__(self, path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> None:
        del path, limits, check_room
        self.rows: list[tuple[int, list[str]]] = []
        self.begun = 0
        self.refusals = 0
        self.made.append(self)

    def begin(self, table: OpenedTable) -> None:
        self._table = table
        self.rows = []
        self.begun += 1

    def write(self, rows: CheckedRows) -> None:
        for row in iterate_rows(rows, self._table):
            self.rows.append((row.row_number, [error.error_type for error in row.errors]))
        if self.refusals and len(self.rows) > 2:
            self.refusals -= 1
            raise MustStartAgain

    def finish(self) -> Written:
        return Written(row_count=len(self.rows))

    def close(self) -> None:
        pass


@pytest.fixture
def row_lists(monkeypatch: pytest.MonkeyPatch) -> list[RowList]:
    """Let the output `annotated` be kept in a list."""
    made: list[RowList] = []
    kept = type("Kept", (RowList,), {"made": made})
    monkeypatch.setattr(export_module, "open_writer", lambda name, *, is_csv: kept if name == ANNOTATED else open_writer(name, is_csv=is_csv))
    return made


def _open(path: Path, limits: ReadLimits, schema: Mapping[str, Any] | None) -> Inspection:
    return inspect_file(path, table_schema=None if schema is None else parse_table_schema(dict(schema)), limits=limits)


def _export(path: Path, names: tuple[OutputName, ...], schema: Mapping[str, Any] | None = None, *, chunk_rows: int = 2) -> Export:
    limits = ReadLimits(keep_rows=True, chunk_rows=chunk_rows, spill_dir=path.parent)
    return Export(lambda: _open(path, limits, schema), {name: path.parent / f"{name}" for name in names}, limits=limits, check_room=lambda: None)


def test_an_error_that_is_known_after_the_last_row_makes_its_row_a_bad_one(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("id,parent\n1,9\n2,1\n3,\n4,8\nx,5\n5,7\n6,6\n7,1\n")
    export = _export(path, (VALID, REJECTED), PARENTS)
    fractions = list(export.run())
    export.close()
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert [written.row_count for written in export.written] == [5, 3]
    assert (tmp_path / "valid.csv").read_text() == "id,parent\n2,1\n3,\n5,7\n6,6\n7,1\n"
    sentence = "The value in parent must also occur in id of this file."
    assert (tmp_path / "rejected.csv").read_text() == (
        f'_row,_errors,id,parent\n2,"{sentence}",1,9\n5,"{sentence}",4,8\n6,"id: This value must be a whole number.",x,5\n'
    )


def test_errors_are_those_of_the_job_for_many_rows_that_fail_late(tmp_path: Path, row_lists: list[RowList]) -> None:
    path = tmp_path / "file.csv"
    path.write_text("id,parent\n" + "".join(f"{number},{number + (300_000 if number % 3 else 0)}\n" for number in range(100_000)))
    export = _export(path, (VALID, ANNOTATED), PARENTS, chunk_rows=7_000)
    for _ in export.run():
        pass
    export.close()
    (rows,) = row_lists
    assert [number for number, errors in rows.rows if errors] == [number + 2 for number in range(100_000) if number % 3]
    assert {tuple(errors) for _, errors in rows.rows} == {(), ("foreign-key-error",)}
    assert export.written[0].row_count == 33_334


def test_only_the_writer_that_must_start_again_reads_the_file_again(tmp_path: Path, row_lists: list[RowList], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.csv"
    path.write_text("id,parent\n" + "1,1\n" * 10)
    opened: list[Inspection] = []

    def open_inspection() -> Inspection:
        opened.append(_open(path, ReadLimits(keep_rows=True, chunk_rows=2), None))
        return opened[-1]

    export = Export(open_inspection, {VALID: tmp_path / "valid.csv", ANNOTATED: tmp_path / "annotated.csv"}, limits=ReadLimits(), check_room=lambda: None)
    original = RowList.__init__

    def refuse_twice(self: RowList, path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> None:
        original(self, path, limits=limits, check_room=check_room)
        self.refusals = 2

    monkeypatch.setattr(RowList, "__init__", refuse_twice)
    fractions = list(export.run())
    export.close()
    assert fractions == sorted(fractions)
    assert len(opened) == 3
    assert row_lists[0].begun == 3
    assert [written.row_count for written in export.written] == [10, 10]
    assert (tmp_path / "valid.csv").read_bytes() == path.read_bytes()


def test_rules_that_find_their_errors_at_once_take_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("id,parent\n1,1\n1,2\n2,2\n2,2\n")
    schema = parse_table_schema({"fields": PARENTS["fields"], "primaryKey": ["id"], "uniqueKeys": [["id", "parent"]]})
    limits = ReadLimits(keep_rows=True)
    opened: list[Inspection] = []

    def open_inspection() -> Inspection:
        opened.append(inspect_file(path, table_schema=schema, limits=limits))
        return opened[-1]

    export = Export(open_inspection, {VALID: tmp_path / "valid.csv"}, limits=limits, check_room=lambda: None)
    list(export.run())
    export.close()
    assert len(opened) == 1
    assert (tmp_path / "valid.csv").read_text() == "id,parent\n1,1\n2,2\n"


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    before = len(list(Path("/proc/self/fd").iterdir()))
    for text in ("\n\n", "a,b\n1,2\n", "a,b\n1,x\n" * 20):
        path.write_text(text)
        export = _export(path, (VALID, REJECTED), PARENTS)
        with suppress(FileUnreadable):
            next(export.run(), None)
        export.close()
        export.close()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # what was left to the collector may have been closed meanwhile


def test_a_writer_that_starts_again_for_ever_is_given_up(tmp_path: Path, row_lists: list[RowList], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.csv"
    path.write_text("id,parent\n" + "1,1\n" * 10)
    opened: list[Inspection] = []

    def open_inspection() -> Inspection:
        opened.append(_open(path, ReadLimits(keep_rows=True), None))
        return opened[-1]

    export = Export(open_inspection, {ANNOTATED: tmp_path / "annotated.csv"}, limits=ReadLimits(), check_room=lambda: None)

    def refuse(self: RowList, rows: CheckedRows) -> None:
        del rows
        raise MustStartAgain

    monkeypatch.setattr(RowList, "write", refuse)
    with pytest.raises(OutputUnmakeable, match="another one"):
        list(export.run())
    export.close()
    assert row_lists[0].begun == len(opened) == MAX_PASSES


def _make_workbook(path: Path, rows: int) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    sheet.append(["id", "parent"])
    for number in range(rows):
        sheet.append([number, number])
    workbook.save(path)


def _make_broken_workbook(path: Path, rows: int) -> None:
    _make_workbook(path, rows)
    with zipfile.ZipFile(path) as package:
        parts = {info.filename: package.read(info) for info in package.infolist()}
    parts["xl/worksheets/sheet1.xml"] = parts["xl/worksheets/sheet1.xml"].split(f'<row r="{rows}"'.encode())[0] + b"<row <<"
    with zipfile.ZipFile(path, "w") as package:
        for name, data in parts.items():
            package.writestr(name, data)


@pytest.mark.parametrize("schema", [None, PARENTS])
def test_a_file_that_breaks_off_gives_its_first_rows_and_a_note(tmp_path: Path, row_lists: list[RowList], schema: Mapping[str, Any] | None) -> None:
    path = tmp_path / "file.xlsx"
    _make_broken_workbook(path, 30_000)
    export = _export(path, (ANNOTATED,), schema, chunk_rows=1_000)
    list(export.run())
    export.close()
    (written,) = export.written
    assert 0 < written.row_count == row_lists[0].rows[-1][0] - 1
    assert len(written.notes) == 1
    assert written.notes[0].startswith(f"The file breaks off after row {row_lists[0].rows[-1][0]:,}, and only the rows up to there are in this output: ")


def test_a_writer_may_start_again_where_a_file_breaks_off(tmp_path: Path, row_lists: list[RowList], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.xlsx"
    _make_broken_workbook(path, 3_000)
    export = _export(path, (ANNOTATED,), PARENTS, chunk_rows=1_000)
    begin = RowList.begin

    def refuse_once(self: RowList, table: OpenedTable) -> None:
        begin(self, table)
        self.refusals = int(self.begun == 1)

    monkeypatch.setattr(RowList, "begin", refuse_once)
    list(export.run())
    export.close()
    assert row_lists[0].begun == 2
    assert "breaks off" in export.written[0].notes[0]


def test_a_file_that_breaks_off_only_at_first_gives_nothing(tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken.xlsx", tmp_path / "whole.xlsx"
    _make_broken_workbook(broken, 3_000)
    _make_workbook(whole, 3_000)
    paths = iter((broken, whole))
    limits = ReadLimits(keep_rows=True, chunk_rows=1_000)
    export = Export(lambda: _open(next(paths), limits, PARENTS), {VALID: tmp_path / "valid.csv"}, limits=limits, check_room=lambda: None)
    with pytest.raises(FileUnreadable):
        list(export.run())
    export.close()
    assert not export.written


def test_all_files_are_closed_even_if_closing_one_fails(tmp_path: Path, row_lists: list[RowList], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: RowList) -> None:
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(RowList, "close", fail)
    path = tmp_path / "file.csv"
    path.write_text("id,parent\n1,9\n" + "2,1\n" * 10)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for names in ((ANNOTATED, VALID), (VALID, ANNOTATED)):
        export = _export(path, names, PARENTS)
        next(fraction for fraction in export.run() if fraction > 0.6)
        with pytest.raises(OSError, match="the disk is gone"):
            export.close()
    assert len(row_lists) == 2
    assert len(list(Path("/proc/self/fd").iterdir())) <= before  # what was left to the collector may have been closed meanwhile


def test_a_file_that_cannot_be_opened_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("\n\n")
    export = _export(path, (VALID,))
    with pytest.raises(FileUnreadable):
        list(export.run())
    export.close()
    assert not (tmp_path / "valid.csv").exists()


def test_a_schema_that_was_inferred_before_finds_the_same_errors_in_the_same_table(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("Report,of,2024\n\nid,name,size\n" + "".join(f"{number},n{number},{number}.5\n" for number in range(50)) + "x,y,z\n")
    first = _open(path, ReadLimits(), None)
    found = [(finding.row_numbers.tolist(), finding.error_type) for report in first.reports() for finding in report.findings]
    first.close()
    assert found
    again = inspect_file(path, known_schema=first.table_schema)
    assert again.source == first.source
    assert [(finding.row_numbers.tolist(), finding.error_type) for report in again.reports() for finding in report.findings] == found
    again.close()

"""What a file can make grow: time, memory, and what is stored of it; and how a damaged file ends."""

from __future__ import annotations

import errno
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError, errors

import pytest
from structlog.testing import capture_logs

from features.processing import tasks
from features.processing.checking.labels import usable_names
from features.processing.engine import inspect_file
from features.processing.readers import damage
from features.processing.readers.base import Chunk, FileUnreadable, ReadLimits, Table
from features.processing.readers.csv.table import CsvTable
from features.processing.readers.excel.xlsx.package import raise_damaged, unpacking
from features.processing.readers.excel.xlsx.part_parser import PartParser
from features.processing.recording.tally import ErrorTally
from shared.contracts import ProcessJob
from shared.db.models import JobStatus
from shared.descriptors.problems import MAX_DESCRIPTOR_BYTES
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.messages.tasks import TaskContext
from shared.texts import MAX_TEXT_CHARACTERS
from tests.factories import Factory
from tests.features.processing.readers.excel.workbooks import MAIN, RELATIONSHIPS, WORKBOOK, sheet_xml, write_package
from tests.hostile.damage import damaged_files, make_xls, make_xlsx, read_to_end
from tests.hostile.files import KINDS, measure

SLOW_ONCE = {
    300_000: [
        "quotes that are never closed",
        "quotes that are never closed, after a delimiter",
        "doubled quotes in lines",
        "rows of quoted line breaks",
        "comments with quotes after rows",
        "only escapes",
    ],
    80_000: [
        "any datetimes",
        "any datetimes of wrong days",
        "unique objects",
        "arrays of quotes",
        "a wide table with a full row now and then",
        "a header of labels that look like made names",
    ],
}
"""By size in bytes, kinds of files that once took much more time per byte than others, or that are the next of their kind."""
SMALL_BYTES = 15_000
MAX_RATIO = 20
CONSTANT_S = 6.0
"""What a table of thousands of columns takes without any row, and what a busy machine adds to any file."""
MAX_GROWTH, NOISE_S = 10, 1.5
"""Four times the bytes take up to so many times as long: 4 times if time is in proportion to the size, 16 times if it is to its square."""
MAX_PEAK_MIB = 400


@pytest.mark.parametrize("size", SLOW_ONCE)
def test_no_file_takes_much_more_time_per_byte_than_a_clean_one_or_a_quarter_of_itself(size: int) -> None:
    quarter_s, whole_s = ({name: facts["cpu_s"] for name, facts in measure([".csv", ".csv", *SLOW_ONCE[size]], size_bytes)} for size_bytes in (size // 4, size))
    clean_s = whole_s.pop(".csv")
    assert set(whole_s) == set(SLOW_ONCE[size])
    assert {name: cpu_s for name, cpu_s in whole_s.items() if cpu_s > MAX_RATIO * clean_s + CONSTANT_S} == {}
    assert {name: cpu_s for name, cpu_s in whole_s.items() if cpu_s > MAX_GROWTH * quarter_s[name] + NOISE_S} == {}


def test_every_kind_of_file_is_read_in_little_memory() -> None:
    known = {name for names in SLOW_ONCE.values() for name in names}
    names = [name for name in KINDS if name not in known and not name.startswith("a wide table")]
    facts = dict(measure(names, SMALL_BYTES))
    assert set(facts) == set(names)
    assert max(each["peak_mib"] for each in facts.values()) < MAX_PEAK_MIB
    assert {each["sentence"][:12] for each in facts.values()} == {"", "The encoding"}


def test_rows_of_a_very_wide_table_may_be_short(tmp_path: Path) -> None:
    """With a chunk for every few dozen rows, these 300 rows took as long as many megabytes."""
    path = tmp_path / "wide.csv"
    path.write_bytes(b",".join(b"c%d" % number for number in range(8_000)) + b"\n" + b"x\n" * 300)
    inspection = inspect_file(path)
    try:
        reports = list(inspection.reports())
    finally:
        inspection.close()
    assert sum(report.rows_processed for report in reports) == 300
    assert sum(len(finding) for report in reports for finding in report.findings if finding.error_type == "missing-cell") == 300 * 7_999
    assert len(reports) <= 2


def test_damaged_file_is_read_or_refused_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (suffix, data) in enumerate(damaged_files(120, seed=14)):
        path = tmp_path / f"{number}{suffix}"
        path.write_bytes(data)
        sentence = read_to_end(path)
        assert sentence is None or sentence.endswith(".")
        path.unlink()
    # Readers know the exceptions of damaged files; what they do not know is logged.
    assert "a file broke its reader" not in capsys.readouterr().out


@pytest.mark.parametrize("encoding", ["hex", "zlib", "idna", "undefined", "rot13", "utf-7", "big5", "iso2022_jp", "punycode", "x" * 100, ""])
@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml", "xl/_rels/workbook.xml.rels"])
def test_any_encoding_in_an_xml_declaration_is_read_or_refused(tmp_path: Path, part: str, encoding: str) -> None:
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml('<row r="2"><c r="A2"><v>1</v></c></row>'))
    write_package(path, {part: _read_part(path, part).replace("UTF-8", encoding, 1)})
    sentence = read_to_end(path)
    assert sentence is None or sentence.endswith(".")


def _read_part(path: Path, part: str) -> str:

    with zipfile.ZipFile(path) as archive:
        return archive.read(part).decode()


class _Breaking(CsvTable):
    """A table whose reader raises an exception after its first chunk."""

    error: Exception

    def chunks(self) -> Iterator[Chunk]:
        """Yield one chunk, then raise."""
        yield from super().chunks()
        raise self.error


def raise_error(error: Exception) -> Table:
    raise error


def open_breaking(path: Path, error: Exception) -> _Breaking:
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    table = _Breaking(path, dialect=None, encoding=None, limits=ReadLimits())
    table.error = error
    return table


@pytest.mark.parametrize(
    "error", [ValueError("cell: secret"), LookupError(), OverflowError(), RecursionError(), OSError(errno.EINVAL, "x"), OSError("no errno"), AssertionError()]
)
def test_exception_of_a_reader_says_where_the_file_is_damaged(tmp_path: Path, error: Exception) -> None:
    table = open_breaking(tmp_path / "a.csv", error)
    try:
        with capture_logs() as lines, pytest.raises(FileUnreadable, match="damaged and cannot be read after row 3") as raised:
            list(damage.read_guarded(table))
    finally:
        table.close()
    assert raised.value.__cause__ is error
    [line] = lines
    assert line["event"] == "a file broke its reader"
    assert "secret" not in str(line)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        *(OSError(code, os.strerror(code)) for code in (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ESTALE)),
        RuntimeError("can't start new thread"),
    ],
)
def test_fault_of_the_machine_is_no_damage(tmp_path: Path, error: Exception) -> None:
    table = open_breaking(tmp_path / "a.csv", error)
    try:
        with pytest.raises(type(error)) as raised:
            list(damage.read_guarded(table))
        with pytest.raises(type(error)):
            damage.open_guarded(partial(raise_error, error))
    finally:
        table.close()
    assert raised.value is error


def make_xml_error(kind: type[ExpatError | ParseError], name: str) -> Exception:
    error = kind(name)
    error.code = errors.codes[name]
    return error


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (make_xml_error(ExpatError, errors.XML_ERROR_NO_MEMORY), MemoryError),
        (make_xml_error(ParseError, errors.XML_ERROR_NO_MEMORY), MemoryError),
        (zlib.error("Error -4 while decompressing data"), MemoryError),
        (RuntimeError("can't start new thread"), RuntimeError),
        (OSError(errno.EIO, "x"), OSError),
        (make_xml_error(ExpatError, errors.XML_ERROR_SYNTAX), FileUnreadable),
        (zlib.error("Error -3 while decompressing data: invalid block type"), FileUnreadable),
        (OSError(errno.EINVAL, "x"), FileUnreadable),
    ],
)
def test_want_of_memory_in_a_workbook_is_no_damage(error: Exception, raised: type[Exception]) -> None:
    def fail(*_: object) -> None:
        raise error

    with pytest.raises(raised):
        raise_damaged(error)
    if isinstance(error, ExpatError):
        with pytest.raises(raised):
            PartParser(fail).feed(b"<a>")
    elif not isinstance(error, ParseError):
        with pytest.raises(raised), unpacking():
            fail()


def test_missing_directory_for_shared_strings_is_no_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(make_xlsx())
    with pytest.raises(FileNotFoundError):
        inspect_file(path, limits=ReadLimits(spill_dir=tmp_path / "gone", spill_threshold_bytes=0))


def test_names_of_sheets_are_cut_wherever_they_are_shown(tmp_path: Path) -> None:
    sheets = "".join(f'<sheet name="{"x" * 50_000}{number}" sheetId="{number}" r:id="rId1"/>' for number in range(1, 40))
    workbook = f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheets>{sheets}</sheets></workbook>'
    assert workbook.count("<sheet ") > WORKBOOK.count("<sheet ")
    path = write_package(tmp_path / "a.xlsx", {"xl/workbook.xml": workbook})
    inspection = inspect_file(path)
    inspection.close()
    assert inspection.source.sheet is not None
    assert len(inspection.source.sheet) == MAX_TEXT_CHARACTERS
    for dialect in ({"sheetName": "y" * 200}, {"sheetNumber": 1_000}):
        with pytest.raises(FileUnreadable) as refused:
            inspect_file(path, dialect=parse_table_dialect(dialect))
        assert len(str(refused.value)) < 4_000


def test_job_of_a_workbook_with_long_names_is_small(tmp_path: Path) -> None:
    part = "worksheets/" + "p" * 60_000 + ".xml"
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{RELATIONSHIPS}/worksheet" Target="{part}"/></Relationships>'
    )
    sentence = read_to_end(write_package(tmp_path / "a.xlsx", {"xl/_rels/workbook.xml.rels": rels}))
    assert sentence is not None
    assert len(sentence) < 2 * MAX_TEXT_CHARACTERS


def test_long_labels_that_begin_alike_are_columns_of_their_own(tmp_path: Path) -> None:
    labels = [f"{'x' * 3_000}{number}" for number in range(3)]
    path = tmp_path / "a.csv"
    path.write_text(",".join(labels) + "\n1,a,2024-01-31\n2,b,2024-02-29\n")
    inferred = inspect_file(path)
    assert [field.type for field in inferred.table_schema.fields] == ["integer", "string", "date"]
    names = [field.name for field in inferred.table_schema.fields]
    assert len(set(names)) == 3
    assert max(map(len, names)) <= MAX_TEXT_CHARACTERS
    inferred.close()
    # Sent again, the schema fits the header; so does one with the labels as they are, and neither takes one column for another.
    for fields in (names, labels):
        for match in ("exact", "equal"):
            schema = parse_table_schema(
                {"fields": [{"name": name, "type": kind} for name, kind in zip(fields, ("integer", "string", "integer"), strict=True)], "fieldsMatch": match}
            )
            inspection = inspect_file(path, table_schema=schema)
            try:
                found = [(finding.error_type, finding.column_number, len(finding)) for report in inspection.reports() for finding in report.findings]
            finally:
                inspection.close()
            assert found == [("type-error", 3, 2)]


def test_schema_inferred_of_many_long_labels_can_be_sent_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"{'x' * 900}{number}" for number in range(2_000)) + "\n1\n")
    inspection = inspect_file(path)
    inspection.close()
    assert len(json.dumps(inspection.table_schema.descriptor)) < MAX_DESCRIPTOR_BYTES
    assert len({field.name for field in inspection.table_schema.fields}) == 2_000


def test_names_are_made_in_time_in_proportion_to_their_number() -> None:
    labels = [name for number in range(5_000) for name in ("b~1", f"b~1_{3 * number + 3}", "b~1")]
    names = usable_names(labels)
    assert len(set(names)) == len(labels)


def test_labels_joined_of_many_rows_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join(f"{'x' * 10_000}{number},b\n" for number in range(100)))
    with pytest.raises(FileUnreadable, match="labels have more than 500,000 characters"):
        inspect_file(path, dialect=parse_table_dialect({"headerRows": list(range(1, 100))}), limits=ReadLimits(max_row_bytes=500_000))


def test_counts_of_errors_in_many_long_labels_are_small(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"{'x' * 900}{number}" for number in range(2_000)) + "\n1\n")
    schema = parse_table_schema({"fields": [{"name": "a"}]})
    inspection = inspect_file(path, table_schema=schema)
    tally = ErrorTally()
    try:
        for report in inspection.reports():
            tally.add(report.findings)
    finally:
        inspection.close()
    assert tally.error_count == 2 * 2_000 - 1
    assert len(json.dumps(tally.to_json())) < 2 * MAX_DESCRIPTOR_BYTES


def test_nul_in_the_name_of_a_sheet_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    path.write_bytes(make_xls().replace(b"Table", b"T\0ble"))
    inspection = inspect_file(path)
    inspection.close()
    assert inspection.source.sheet == "T\\x00ble"


async def test_what_is_stored_of_a_job_is_short(context: TaskContext, factory: Factory) -> None:
    label = "x" * 5_000
    schema = {"fields": [{"name": label, "type": "string", "constraints": {"enum": ["y" * 50_000, "z" * 50_000]}}]}
    job = await factory.job(content=f"{label}\n{'w' * 20_000}\n{'v' * 20_000}\n".encode(), schema_given=schema)
    await tasks.process_job(context, ProcessJob(job_id=job.id))
    errors = await factory.list_errors(job.id)
    assert [error.error_type for error in errors] == ["enum-error"] * 2
    for error in errors:
        assert error.column_name == "x" * 999 + "…"
        assert len(error.error_message) <= MAX_TEXT_CHARACTERS
        assert error.raw_value is not None
        assert len(error.raw_value) == MAX_TEXT_CHARACTERS


async def test_sentence_of_a_failed_job_is_short(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    def inspect(*_: object, **__: object) -> None:
        raise FileUnreadable("The sheet " + "x" * 5_000 + "\0 is not there.")

    monkeypatch.setattr("features.processing.run.inspect_file", inspect)
    job = await factory.job(content=b"a\n1\n")
    await tasks.process_job(context, ProcessJob(job_id=job.id))
    failed = await factory.get(job.id)
    assert failed is not None
    assert failed.status == JobStatus.FAILED
    assert failed.error_message is not None
    assert len(failed.error_message) == MAX_TEXT_CHARACTERS
    assert failed.error_message.endswith("…")

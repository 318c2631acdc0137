"""Outputs of CSV files in their own bytes, compared with files whose rows are known because they were put together row by row."""

from __future__ import annotations

import csv
import errno
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from features.processing.engine import inspect_file
from features.processing.exporting.export import Export
from features.processing.readers.base import ReadLimits
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.output_names import OutputName
from tests.features.processing.exporting.csv_tables import CsvFile, FoundError, csv_files, list_errors, make_outputs, open_file
from tests.features.processing.exporting.outputs import make_csv, make_output


def _codec(file: CsvFile) -> str:
    return {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(file.encoding, file.encoding)


def _blank_at_end(file: CsvFile) -> int:
    """Return the number of the first of the blank rows with which the file ends, comments among them."""
    row = file.first_row + len(file.records)
    for record in reversed(file.records):
        text = record.decode(_codec(file), "replace")
        is_comment = "commentChar" in file.dialect and text.startswith("#")
        quote = file.dialect["quoteChar"]
        is_blank = (
            not text.replace(file.dialect["delimiter"], "").replace(quote, "").strip() if quote else not text.replace(file.dialect["delimiter"], "").strip()
        )
        if not is_comment and not is_blank:
            break
        row -= 1
    return row


def _split_rows(file: CsvFile, failed: set[int]) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
    """Return the good rows and the bad ones, with their numbers: blank rows before another row are bad, comments are neither."""
    good: list[tuple[int, bytes]] = []
    bad: list[tuple[int, bytes]] = []
    end = _blank_at_end(file)
    for number, record in enumerate(file.records, file.first_row):
        text = record.decode(_codec(file), "replace")
        if number >= end or ("commentChar" in file.dialect and text.startswith("#")):
            continue
        stripped = text.replace(file.dialect["delimiter"], "").replace(file.dialect["quoteChar"] or "\0", "").strip()
        (bad if number in failed or not stripped else good).append((number, record))
    return good, bad


def _start(file: CsvFile) -> bytes:
    sep = b"".join(file.above) if file.above and file.above[0].decode(_codec(file)).startswith("sep=") else b""
    return file.mark + sep


def _unmark(file: CsvFile, row: str) -> tuple[str, str]:
    """Return the row number and the record of a marked row."""
    delimiter, quote = re.escape(file.dialect["delimiter"]), re.escape(file.dialect["quoteChar"])
    said = f"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|)" if quote else f"[^{delimiter}]*"
    found = re.match(f"(\\d*|_row){delimiter}({said}|_errors|{quote}_errors{quote}){delimiter}", row, re.DOTALL)
    assert found, row
    return found[1], row[found.end() :]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(file=csv_files())
def test_valid_and_rejected_partition_the_rows_byte_for_byte(file: CsvFile) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(file.data)
        failed = {number for number in list_errors(open_file(path, file, limits=ReadLimits())) if number >= file.first_row}
        outputs = make_outputs(path, file, ["valid", "rejected", "annotated"], limits=ReadLimits(keep_rows=True, chunk_rows=3))
    good, bad = _split_rows(file, failed)
    assert outputs["valid"] == _start(file) + b"".join(file.header) + b"".join(record for _, record in good)
    unclosed = [record for record in file.records if _is_open(file, record)]
    for kind, rows in (("rejected", bad), ("annotated", sorted(good + bad))):
        output = outputs[kind]
        assert output.startswith(_start(file))
        rest = output.removeprefix(_start(file))
        # Row by row: each begins with its number, and its record is that of the file.
        for index, header in enumerate(file.header):
            cells = ("_row", "_errors") if index == 0 else ("", "")
            delimiter = file.dialect["delimiter"]
            mine = f"{cells[0]}{delimiter}{cells[1]}{delimiter}".encode(_codec(file)) + header
            assert rest.startswith(mine)
            rest = rest.removeprefix(mine)
        for number, record in rows:
            text = rest.decode(_codec(file), "surrogateescape" if _codec(file) == "utf-8" else "replace")
            found, _ = _unmark(file, text)
            assert found == str(number)
            if record in unclosed:
                end = text.index("open")
                line = text[end:].splitlines(keepends=True)[0]
                rest = rest[len((text[:end] + line).encode(_codec(file))) :]
                continue
            prefix_length = len(text) - len(_unmark(file, text)[1])
            prefix = text[:prefix_length].encode(_codec(file))
            assert rest.startswith(prefix + record)
            rest = rest.removeprefix(prefix + record)
        assert not rest


def _is_open(file: CsvFile, record: bytes) -> bool:
    quote = file.dialect["quoteChar"]
    return bool(quote) and f"{quote}open" in record.decode(_codec(file), "replace") and record.decode(_codec(file), "replace").count(quote) == 1


def _returned_dialect(file: CsvFile) -> dict[str, Any]:
    """Return the dialect of an output of the file: nothing stands above its header but a line `sep=`."""
    above = 1 if _start(file) != file.mark else 0
    return file.dialect | ({"headerRows": list(range(above + 1, above + 1 + len(file.header)))} if "headerRows" in file.dialect else {})


def _without_place(errors: Sequence[FoundError]) -> list[tuple[str | None, str, str, str | None]]:
    """Return the errors of a row without the numbers of their columns, which are two more in an output."""
    return [each[1:] for each in errors]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
@given(file=csv_files())
def test_an_output_that_comes_back_unmended_has_the_same_errors(file: CsvFile) -> None:
    assume(file.header)
    assume(not any(_is_open(file, record) for record in file.records))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(file.data)
        errors = list_errors(open_file(path, file, limits=ReadLimits()))
        outputs = make_outputs(path, file, ["rejected", "annotated"])
        good, bad = _split_rows(file, {number for number in errors if number >= file.first_row})
        first_row = 1 + len(file.header) + (_start(file) != file.mark)
        for kind, rows in (("rejected", bad), ("annotated", sorted(good + bad))):
            path.write_bytes(outputs[kind])
            inspection = open_file(path, file, limits=ReadLimits(), dialect=_returned_dialect(file))
            assert "returned-file" in [note.code for note in inspection.notes]
            found = list_errors(inspection)
            expected = {first_row + index: _without_place(errors[number]) for index, (number, _) in enumerate(rows) if number in errors}
            # A comment within a run of blank rows cuts it, since it is in no output.
            if "commentChar" not in file.dialect:
                assert {number: _without_place(each) for number, each in found.items() if number >= first_row} == expected
            assert {number - first_row for number in found if number >= first_row} >= {number - first_row for number in expected}
            assert all(
                back[0] == (None if there[0] is None else there[0] + 2)
                for number, each in errors.items()
                if "commentChar" not in file.dialect and number in dict(rows)
                for back, there in zip(found[first_row + [row for row, _ in rows].index(number)], each, strict=True)
            )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much])
@given(file=csv_files())
def test_an_output_that_comes_back_mended_has_no_errors(file: CsvFile) -> None:
    assume(file.header)
    assume(not any(_is_open(file, record) for record in file.records))
    delimiter, codec = file.dialect["delimiter"], _codec(file)
    line_end = next(end for end in ("\r\n", "\n", "\r") if file.header[0].decode(codec).endswith(end))
    good_record = f"7{delimiter}mended{delimiter}8.5{line_end}".encode(codec)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(file.data)
        failed = {number for number in list_errors(open_file(path, file, limits=ReadLimits())) if number >= file.first_row}
        output = make_outputs(path, file, ["rejected"])["rejected"]
        _, bad = _split_rows(file, failed)
        records = [record for _, record in bad]
        mended = output
        for record in reversed(records):
            assert output.endswith(record)
            rest = output[: len(output) - len(record)]
            mended = mended[: len(rest)] + good_record + mended[len(output) :]
            # What is in front of the record ends the same way for the row above.
            output = rest[: rest.rindex(line_end.encode(codec)) + len(line_end.encode(codec))]
        path.write_bytes(mended)
        inspection = open_file(path, file, limits=ReadLimits(), dialect=_returned_dialect(file))
        assert inspection.header_findings == []
        assert [report.rows_processed for report in inspection.reports() if report.findings] == []
        inspection.close()


def _make(path: Path, data: bytes, **options: Any) -> dict[str, bytes]:
    """Make the outputs of a file that is read without a schema, or with the given options of `inspect_file`."""
    path.write_bytes(data)
    limits = options.pop("limits", None) or ReadLimits(keep_rows=True)
    targets = {OutputName(kind, "csv"): path.parent / f"{kind}.csv" for kind in ("valid", "rejected", "annotated")}
    export = Export(lambda: inspect_file(path, limits=limits, **options), targets, limits=limits, check_room=lambda: None)
    list(export.run())
    export.close()
    return {name.kind: target.read_bytes() for name, target in targets.items()}


ROWS = [b"1,Ann,2.5", b"2,Bob,3.5", b"3,Cy,4.5", b"4,Di,5.5", b"5,Ed,many", b"6,Fay,7.5", b"7,Gus,8.5", b"8,Hal,9.5", b"9,Ida,1.5", b"10,Jo,2.5", b"11,Kit,3.5"]
SAID = b'"size: This value must be a number."'


def test_line_ends_that_were_doubled_stay_as_they_are(tmp_path: Path) -> None:
    header, rows = b"id,name,size\r\r\n", [row + b"\r\r\n" for row in ROWS]
    outputs = _make(tmp_path / "file.csv", header + b"".join(rows))
    assert outputs["valid"] == header + b"".join(rows[:4] + rows[5:])
    assert outputs["rejected"] == b"_row,_errors," + header + b"6," + SAID + b"," + rows[4]
    back = _make(tmp_path / "file.csv", outputs["annotated"])
    assert back["valid"].count(b"\r\r\n") == len(ROWS)


def test_rows_that_are_quoted_as_one_cell_stay_so(tmp_path: Path) -> None:
    def wrap(row: bytes) -> bytes:
        return b'"' + row.replace(b'"', b'""') + b'"\r\n'

    header, rows = wrap(b"id,name,size"), [wrap(row.replace(b"Gus", b'"Gus, sr"')) for row in ROWS]
    outputs = _make(tmp_path / "file.csv", header + b"".join(rows))
    assert outputs["valid"] == header + b"".join(rows[:4] + rows[5:])
    assert outputs["rejected"] == wrap(b"_row,_errors,id,name,size") + wrap(b"6," + SAID + b"," + ROWS[4])
    inspection = inspect_file(tmp_path / "annotated.csv")
    assert inspection.labels == ["id", "name", "size"]
    assert list(list_errors(inspection)) == [6]


def test_a_line_that_names_the_delimiter_stays_first(tmp_path: Path) -> None:
    rows = [row.replace(b",", b";") + b"\n" for row in ROWS]
    outputs = _make(tmp_path / "file.csv", b"sep=;\nid;name;size\n" + b"".join(rows))
    assert outputs["valid"] == b"sep=;\nid;name;size\n" + b"".join(rows[:4] + rows[5:])
    assert outputs["rejected"] == b"sep=;\n_row;_errors;id;name;size\n7;" + SAID + b";" + rows[4]


def test_a_row_with_an_unclosed_quote_swallows_nothing(tmp_path: Path) -> None:
    rows = [row + b"\n" for row in ROWS]
    rows[2] = b'3,"Cy,4.5\n'
    outputs = _make(tmp_path / "file.csv", b"id,name,size\n" + b"".join(rows))
    assert outputs["valid"] == b"id,name,size\n" + b"".join([*rows[:2], rows[3], *rows[5:]])
    assert [row[0] for row in csv.reader(outputs["annotated"].decode().splitlines())] == ["_row", *(str(number) for number in range(2, 13))]
    marked = list(csv.reader(outputs["rejected"].decode().splitlines()))[1]
    assert (marked[0], marked[2]) == ("4", '3,"Cy,4.5')


def test_a_row_that_is_too_long_has_only_its_number_and_its_error(tmp_path: Path) -> None:
    rows = [row + b"\n" for row in ROWS]
    rows[6] = b"7," + b"G" * 3_000_000 + b",8.5\n"
    outputs = _make(tmp_path / "file.csv", b"id,name,size\n" + b"".join(rows), limits=ReadLimits(keep_rows=True, max_row_bytes=2_000_000))
    assert outputs["valid"] == b"id,name,size\n" + b"".join([*rows[:4], rows[5], *rows[7:]])
    assert outputs["rejected"] == (
        b"_row,_errors,id,name,size\n6," + SAID + b",5,Ed,many\n" + b'8,"This row is too long to be read: more than 2000000 bytes or 16,384 cells."\n'
    )


def test_without_a_quote_character_the_columns_in_front_can_still_be_read(tmp_path: Path) -> None:
    dialect = parse_table_dialect({"delimiter": ",", "quoteChar": ""})
    schema = parse_table_schema({"fields": [{"name": "id", "type": "integer"}, {"name": "a,b", "type": "string"}], "fieldsMatch": "partial"})
    data = b'id,x\n1,2\nq,"3\n4\n'
    outputs = _make(tmp_path / "file.csv", data, dialect=dialect, table_schema=schema)
    assert outputs["rejected"].splitlines()[0] == b"_row,_errors,id,x"
    assert [line.count(b",") for line in outputs["rejected"].splitlines()] == [3, 3, 2]
    assert outputs["valid"] == b"id,x\n1,2\n"


def test_a_sentence_that_a_spreadsheet_would_run_begins_with_an_apostrophe(tmp_path: Path) -> None:
    outputs = _make(tmp_path / "file.csv", b"=1+1,b\n" + b"1,2\n" * 20 + b"x,2\n")
    assert outputs["rejected"].splitlines()[1] == b'22,"\'=1+1: This value must be a whole number.",x,2'


@pytest.mark.parametrize(("row", "length"), [("," * 299, 200 * len("c000: This cell must not be empty. ")), ("1,2,3", 10_000)])
def test_errors_of_a_very_wide_row_are_cut_and_a_note_says_so(tmp_path: Path, row: str, length: int) -> None:
    names = [f"c{number:03}" for number in range(300)]
    schema = {"fields": [{"name": name, "type": "string", "constraints": {"required": True}} for name in names]}
    path = make_csv(tmp_path, ",".join(names), ",".join("1" * 300), row + "1", f"1{row}")
    target, written = make_output(path, "rejected.csv", schema=schema, dialect={"delimiter": ",", "headerRows": [1]})
    said = [cells[1] for cells in csv.reader(target.read_text().splitlines())][1:]
    assert [len(each) for each in said] == [length, length]
    assert all(each.endswith("…") for each in said)
    assert written.notes == [
        "The errors of 2 rows were cut in the column _errors, which has at most 200 errors and 10,000 characters of a row: errors.csv lists each of them."
    ]


def test_a_table_of_one_column_gets_columns_in_front(tmp_path: Path) -> None:
    data = b"Weight\n" + b"1,5\n" * 30 + b"heavy\n"
    outputs = _make(tmp_path / "file.csv", data)
    assert outputs["valid"] == data.removesuffix(b"heavy\n")
    inspection = inspect_file(tmp_path / "rejected.csv")
    assert inspection.labels == ["Weight"]
    inspection.close()


def test_disk_space_is_asked_for_before_it_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"id,name\n" + b"1,some text of a row that is good\n" * 1_500_000)
    sizes: list[int] = []

    def check_room() -> None:
        sizes.append((tmp_path / "valid.csv").stat().st_size if (tmp_path / "valid.csv").exists() else -1)
        if len(sizes) == 5:
            raise OSError(errno.ENOSPC, "no room")

    limits = ReadLimits(keep_rows=True)
    export = Export(lambda: inspect_file(path, limits=limits), {OutputName("valid", "csv"): tmp_path / "valid.csv"}, limits=limits, check_room=check_room)
    with pytest.raises(OSError, match="no room"):
        list(export.run())
    export.close()
    assert sizes[0] == -1
    assert all(later - earlier <= 8 * 2**20 for earlier, later in itertools.pairwise([0, *sizes[1:]]))


def test_runs_of_blank_rows_that_were_apart_stay_apart(tmp_path: Path) -> None:
    data = b"id,name\n" + b"1,a\n" * 5 + b"\n\n2,b\n,\n" + b"3,c\n" * 5 + b"x,d\n\n\n\n4,d\n\n"
    outputs = _make(tmp_path / "file.csv", data)
    assert outputs["rejected"].splitlines()[1:] == [
        b'7,"This row and the rows after it, 2 in all, are empty.",',
        b'8,"This row is empty.",',
        b'10,"This row is empty.",,',
        b'16,"id: This value must be a whole number.",x,d',
        b'17,"This row and the rows after it, 3 in all, are empty.",',
        b'18,"This row is empty.",',
        b'19,"This row is empty.",',
    ]
    inspection = inspect_file(tmp_path / "rejected.csv", known_schema=inspect_file(tmp_path / "file.csv").table_schema)
    assert {number: [(each[2], each[3]) for each in found] for number, found in list_errors(inspection).items()} == {
        2: [("blank-row", "This row and the rows after it, 2 in all, are empty.")],
        4: [("blank-row", "This row is empty.")],
        5: [("type-error", "This value must be a whole number.")],
        6: [("blank-row", "This row and the rows after it, 3 in all, are empty.")],
    }


def test_columns_that_the_schema_names_are_read_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"_row,_errors,id\nx,y,1\n")
    schema = parse_table_schema({"fields": [{"name": "_row", "type": "integer"}, {"name": "_errors", "type": "string"}, {"name": "id", "type": "integer"}]})
    inspection = inspect_file(path, table_schema=schema)
    assert inspection.labels == ["_row", "_errors", "id"]
    assert [each[1:3] for each in list_errors(inspection)[2]] == [("_row", "type-error")]


def test_a_file_that_comes_back_again_is_still_understood(tmp_path: Path) -> None:
    rows = [row + b"\n" for row in ROWS]
    first = _make(tmp_path / "file.csv", b"id,name,size\n" + b"".join(rows))["annotated"]
    second = _make(tmp_path / "file.csv", first)["annotated"]
    assert second.splitlines()[0] == b"_row,_errors,_row,_errors,id,name,size"
    inspection = inspect_file(tmp_path / "annotated.csv")
    assert inspection.labels == ["id", "name", "size"]
    assert inspection.column_numbers == [5, 6, 7]
    (found,) = list_errors(inspection).items()
    assert found == (6, [(7, "size", "type-error", "This value must be a number.", "many")])

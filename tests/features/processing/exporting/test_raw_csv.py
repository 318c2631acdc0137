"""Outputs of CSV files in their own bytes, compared with files whose rows are known because they were put together row by row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, assume, given, settings

from features.processing.readers.base import ReadLimits
from tests.features.processing.exporting.csv_tables import CsvFile, FoundError, csv_files, list_errors, make_outputs, open_file


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

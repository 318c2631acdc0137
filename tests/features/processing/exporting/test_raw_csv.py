"""Outputs of CSV files in their own bytes, compared with files whose rows are known because they were put together row by row."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, given, settings

from features.processing.readers.base import ReadLimits
from tests.features.processing.exporting.csv_tables import CsvFile, csv_files, list_errors, make_outputs, open_file


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


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
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
            delimiter, quote = file.dialect["delimiter"], file.dialect["quoteChar"]
            said = f"{quote}{cells[1]}{quote}" if cells[1] else ""
            mine = f"{cells[0]}{delimiter}{said}{delimiter}".encode(_codec(file)) + header
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

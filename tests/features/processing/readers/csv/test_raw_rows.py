"""Where rows stand in a CSV file, compared with a reader that goes through its text character by character."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.csv.raw_rows import RawFile
from features.processing.readers.csv.source import SharedFile
from features.processing.readers.csv.table import CsvTable
from features.processing.readers.row_spans import RowKind
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.csv import oracle
from tests.features.processing.readers.csv.test_properties import TOKENS

_ENCODINGS = {
    "utf-8": "é",
    "utf-16-le": "é😀",
    "utf-16-be": "\u0a0d\u0d0a",
    "utf-32-be": "é\U00010d0a",
    "cp1252": "é€",
    "gb18030": "丂㐀€",
    "shift_jis": "表ｱ",
    "euc-jp": "日本",
    "euc-kr": "한",
    "big5": "許",
    "cp500": "é",
    "hz": "中",
}
_counter = itertools.count()
_folder = tempfile.TemporaryDirectory(prefix="raw-rows-")


@st.composite
def _files(draw: st.DrawFn) -> tuple[str, str]:
    """Draw an encoding and a text that can be written in it."""
    encoding = draw(st.sampled_from(sorted(_ENCODINGS)))
    tokens = [token for token in TOKENS if token.isascii()] + list(_ENCODINGS[encoding])
    return encoding, "".join(draw(st.lists(st.sampled_from(tokens), max_size=40)))


def _cut(text: str, encoding: str, *, comment: str) -> list[bytes]:
    """Return the bytes of each row with its line break."""
    # CR CR LF is read as CR LF; for each character that is read, the end of it in the file.
    ends: list[int] = []
    read = ""
    at = 0
    while at < len(text):
        at += text.startswith("\r\r\n", at) and "\r\r\n" in text
        read += text[at]
        at += 1
        ends.append(at)
    rows: list[bytes] = []
    start = begin = 0
    for raw, _, _ in oracle.split_records(read, comment=comment):
        stop = start + len(raw)
        stop += 2 if read.startswith("\r\n", stop) else 1 if stop < len(read) else 0
        rows.append(text[begin : ends[stop - 1]].encode(encoding))
        start, begin = stop, ends[stop - 1]
    return rows


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(file=_files(), block_bytes=st.sampled_from([8, 16, 40, 2**16]), chunk_rows=st.sampled_from([1, 3, 100]), max_row_bytes=st.sampled_from([6, 2**24]))
def test_every_row_is_found_in_the_file_wherever_blocks_end(file: tuple[str, str], block_bytes: int, chunk_rows: int, max_row_bytes: int) -> None:
    encoding, text = file
    path = Path(_folder.name) / f"{next(_counter)}.csv"
    path.write_bytes(text.encode(encoding))
    dialect = parse_table_dialect({"delimiter": ",", "quoteChar": '"', "commentChar": "#", "header": False, "doubleQuote": True, "skipInitialSpace": False})
    limits = ReadLimits(keep_rows=True, chunk_rows=chunk_rows, max_row_bytes=max_row_bytes)
    try:
        table = CsvTable(path, dialect=dialect, encoding=encoding, limits=limits, block_bytes=block_bytes)
    except FileUnreadable:
        return
    expected = _cut(text, encoding, comment="#")
    number = 0
    try:
        for chunk in table.chunks():
            assert chunk.spans[0].first_row == number + 1
            rows = []
            for span in chunk.spans:
                assert span.raw is not None
                assert span.first_row == number + 1
                offsets = span.raw.find_offsets()
                assert span.raw.count == len(offsets) - 1
                for index in range(span.index, span.index + span.count):
                    number += 1
                    assert span.raw.read(int(offsets[index]), int(offsets[index + 1])) == expected[number - 1]
                rows += [span.first_row + place for place, kind in enumerate(span.kinds.tolist()) if kind == RowKind.ROW]
            assert rows == chunk.row_numbers.tolist()
    finally:
        table.close()
        path.unlink()
    # What is left is blank, or comments.
    rest = b"".join(expected[number:]).decode(encoding)
    assert not [line for line in rest.splitlines() if not line.startswith("#") and line.strip(' ,"\x1c\x1d\x1e\x1f\x85\u00a0\u2028\u2029')]


@pytest.mark.parametrize("encoding", ["hz", "euc-kr"])
def test_a_line_break_that_the_decoder_takes_for_a_part_of_a_character_ends_no_row(tmp_path: Path, encoding: str) -> None:
    data = {"hz": b"a~\nb\nc\n", "euc-kr": b"a\xa4\xd4\nb\n123\xa4\xd4\n"}[encoding]
    path = tmp_path / "file.csv"
    path.write_bytes(data)
    with path.open("rb") as file:
        raw = RawFile(SharedFile(file.fileno()), encoding=encoding)
        text = raw.decode(data)
        found = raw.find_breaks(data, is_last=True).tolist()
    assert len(found) == text.count("\n") == data.count(b"\n") - 1
    assert [data[end - 1 : end] for end in found] == [b"\n"] * len(found)


def test_an_undecodable_byte_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"\xff\xfea\x00,\x00b\x00\n\x00" + b"1\x00,\x00\x00\xdc\n\x00" + b"2\x00,\x00x\x00")
    table = CsvTable(path, dialect=None, encoding=None, limits=ReadLimits(keep_rows=True))
    try:
        (chunk,) = table.chunks()
        rows = []
        for span in chunk.spans:
            assert span.raw is not None
            rows += [span.raw.read(begin, end) for begin, end in itertools.pairwise(span.raw.find_offsets()[span.index :].tolist())]
        assert rows == [b"1\x00,\x00\x00\xdc\n\x00", b"2\x00,\x00x\x00"]
        assert table.raw_table is not None
        assert (table.raw_table.mark, table.raw_table.encoding, table.raw_table.line_end) == (b"\xff\xfe", "utf-16-le", "\n")
    finally:
        table.close()


def test_bytes_are_copied_where_the_system_cannot_do_it_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(bytes(range(256)) * 10_000)
    # Linux refuses `sendfile` to a file that is only appended to.
    with path.open("rb") as file, (tmp_path / "copy").open("ab") as target:
        source = SharedFile(os.dup(file.fileno()))
        source.copy(5, 2_000_000, target.fileno())
        source.close()
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()[5:2_000_000]


def test_a_file_that_became_shorter_is_an_error_of_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(b"a,b\n" * 1000)
    with path.open("r+b") as file, (tmp_path / "copy").open("wb") as target:
        raw = RawFile(SharedFile(os.dup(file.fileno())), encoding="utf-8")
        file.truncate(100)
        with pytest.raises(OSError, match="shorter"):
            raw.copy(0, 4000, target.fileno())
        with pytest.raises(OSError, match="shorter"):
            raw.read(0, 4000)
        raw.close()

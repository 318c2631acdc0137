"""The CSV reader on single files, ordinary and hostile."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.processing.readers.base import FileUnreadable, ReadLimits, Source
from features.processing.readers.csv.table import BLOCK_BYTES, CsvTable, open_csv
from features.processing.readers.header import join_labels
from shared.descriptors.table_dialect import parse_table_dialect

MIB = 2**20


class Read:
    """A file, read to its end."""

    def __init__(self, path: Path, *, dialect: dict[str, object] | None = None, encoding: str | None = None, limits: ReadLimits | None = None) -> None:
        given = None if dialect is None else parse_table_dialect(dialect)
        table = open_csv(path, dialect=given, encoding=encoding, limits=limits or ReadLimits())
        self.source, self.labels = table.source, table.labels
        self.rows: list[list[str | None]] = []
        self.row_numbers: list[int] = []
        self.errors: list[tuple[int, int | None, str, str | None]] = []
        self.messages: set[str] = set()
        self.rows_lost = 0
        self.fractions: list[float] = []
        for chunk in table.chunks():
            self.rows += map(list, zip(*(column.to_pylist() for column in chunk.columns), strict=True))
            self.row_numbers += chunk.row_numbers.tolist()
            self.rows_lost += chunk.rows_lost
            self.fractions.append(chunk.bytes_read / table.bytes_total)
            for finding in chunk.findings:
                raws = [None] * len(finding) if finding.raw_values is None else finding.raw_values.to_pylist()
                self.errors += [(row, finding.column_number, finding.error_type, raw) for row, raw in zip(finding.row_numbers.tolist(), raws, strict=True)]
                self.messages |= {finding.message} if isinstance(finding.message, str) else set(finding.message.to_pylist())
        self.errors.sort(key=lambda error: (error[0], error[1] or 0))
        table.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def write(path: Path, data: bytes | str, encoding: str = "utf-8") -> Path:
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    return path


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_any_line_break_gives_the_same_rows(path: Path, line_break: str) -> None:
    read = Read(write(path, line_break.join(["a,b", "1,2", '"x","y"', "3,4", ""])))
    assert (read.labels, read.rows, read.row_numbers) == (["a", "b"], [["1", "2"], ["x", "y"], ["3", "4"]], [2, 3, 4])


def test_mixed_line_breaks_each_end_a_row(path: Path) -> None:
    assert Read(write(path, "a,b\r\n1,2\n3,4\r5,6")).rows == [["1", "2"], ["3", "4"], ["5", "6"]]


def test_quoted_line_break_is_one_row(path: Path) -> None:
    read = Read(write(path, 'a,b\n1,"x\r\ny\nz"\n2,w\n'))
    assert (read.rows, read.row_numbers) == ([["1", "x\r\ny\nz"], ["2", "w"]], [2, 3])


def test_quotes_inside_a_cell_are_text(path: Path) -> None:
    read = Read(write(path, 'a,b\n5" pipe,x\n"he said ""hi""",y\n'))
    assert read.rows == [['5" pipe', "x"], ['he said "hi"', "y"]]
    assert read.errors == []


def test_short_row_gives_an_error_for_each_missing_cell(path: Path) -> None:
    read = Read(write(path, "a,b,c\n1\n1,2,3\n"))
    assert read.errors == [(2, 2, "missing-cell", None), (2, 3, "missing-cell", None)]
    assert read.messages == {"This row ends before this column: the header has 3 columns, this row has 1."}
    assert read.rows == [["1", None, None], ["1", "2", "3"]]


def test_long_row_gives_an_error_for_each_extra_cell(path: Path) -> None:
    read = Read(write(path, "a,b\n1,2,x,\n"))
    assert read.errors == [(2, 3, "extra-cell", "x"), (2, 4, "extra-cell", "")]
    assert read.rows == [["1", "2"]]


@pytest.mark.parametrize("every", [2, 50, 99])
def test_ragged_and_blank_rows_keep_their_place_among_many_others(path: Path, every: int) -> None:
    rows: list[list[str | None]] = [[str(row), "é" * (row % 4)] for row in range(200)]
    lines = [",".join(str(cell) for cell in row) for row in rows]
    for row in range(0, 200, every):
        lines[row], rows[row] = str(row), [str(row), None]
    blank = range(1, 200, every)
    for row in blank:
        lines[row] = " ,"
    read = Read(write(path, "\n".join(["id,name", *lines])))
    kept = [row for row in range(200) if row not in blank]
    assert (read.rows, read.row_numbers) == ([rows[row] for row in kept], [row + 2 for row in kept])


def test_run_of_blank_rows_is_one_error_and_trailing_ones_are_none(path: Path) -> None:
    read = Read(write(path, "a,b\n1,2\n\n,\n \n3,4\n\n,\n\n"))
    assert read.errors == [(3, None, "blank-row", None)]
    assert (read.rows_lost, read.row_numbers) == (3, [2, 6])


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 10_000])
def test_unclosed_quote_loses_its_row_only(path: Path, chunk_rows: int) -> None:
    read = Read(write(path, 'a,b\n1,2\n3,"open\n4,5\n6,"closed"\n7,"also, closed"\n'), limits=ReadLimits(chunk_rows=chunk_rows))
    assert read.errors == [(3, None, "unclosed-quote", None)]
    assert read.rows == [["1", "2"], ["4", "5"], ["6", "closed"], ["7", "also, closed"]]
    assert (read.row_numbers, read.rows_lost) == ([2, 4, 5, 6], 1)


def test_two_unclosed_quotes_lose_two_rows(path: Path) -> None:
    read = Read(write(path, 'a,b\n1,"x\n2,y\n3,"z\n4,w\n'))
    assert [error[0] for error in read.errors] == [2, 4]
    assert read.row_numbers == [3, 5]


def test_unclosed_quote_at_the_end_is_found(path: Path) -> None:
    assert Read(write(path, 'a,b\n1,2\n3,"')).errors == [(3, None, "unclosed-quote", None)]


def test_undecodable_byte_is_an_error_of_its_cell(path: Path) -> None:
    read = Read(write(path, b"a,b\n1,caf\xe9\n2,ok\n3,\xc3\xa9\xff,x\n"), encoding="utf-8")
    assert read.errors == [(2, 2, "encoding-error", "caf\\xe9"), (4, 2, "encoding-error", "é\\xff"), (4, 3, "extra-cell", "x")]
    assert read.rows == [["1", None], ["2", "ok"], ["3", None]]


def test_undecodable_byte_of_a_code_page_is_shown_escaped(path: Path) -> None:
    read = Read(write(path, b"a,b\n1,\x81\xe9\n"), encoding="cp1252")
    assert read.errors == [(2, 2, "encoding-error", "\\x81é")]


def test_half_a_utf16_character_is_an_error_of_its_cell(path: Path) -> None:
    read = Read(write(path, "a,b\n1,".encode("utf-16") + b"\x00\xd8" + "\n2,ok\n".encode("utf-16-le")))
    assert read.errors == [(2, 2, "encoding-error", "\\x00\\xd8")]
    assert read.rows[1] == ["2", "ok"]


def test_nul_stays_in_its_cell(path: Path) -> None:
    assert Read(write(path, b"a,b\n1,x\x00y\n\x00,2\n")).rows == [["1", "x\x00y"], ["\x00", "2"]]


def test_byte_order_mark_in_the_middle_is_text(path: Path) -> None:
    read = Read(write(path, "\ufeffa,b\n\ufeff1,2\n".encode()))
    assert (read.labels, read.rows) == (["a", "b"], [["\ufeff1", "2"]])


@pytest.mark.parametrize(
    ("body", "lost"),
    [
        (b'1,"' + b"x" * 300 + b'"\n', "row-too-long"),
        (b"1," + b"x" * 300 + b"\n", "row-too-long"),
        (b'1,"' + b"x\n" * 300 + b'"\n', "row-too-long"),
        (b'1,"' + b'"",""\n' * 300 + b'"\n', "row-too-long"),
        (b'1,"' + b"x" * 300 + b"\n", "row-too-long"),
        (b'1,"' + b"x\n", "unclosed-quote"),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 7, 100, 2**20])
def test_row_past_the_limit_is_one_error_and_reading_goes_on(path: Path, body: bytes, lost: str, block_bytes: int) -> None:
    table = CsvTable(write(path, b"a,b\n" + body + b"2,y\n3,z\n"), dialect=None, encoding=None, limits=ReadLimits(max_row_bytes=100), block_bytes=block_bytes)
    chunks = list(table.chunks())
    table.close()
    assert [(finding.error_type, finding.row_numbers.tolist()) for chunk in chunks for finding in chunk.findings] == [(lost, [2])]
    assert [chunk.columns[0].to_pylist() for chunk in chunks] == [["2", "3"]]
    assert chunks[0].row_numbers.tolist() == [3, 4]


@pytest.mark.parametrize("block_bytes", [*range(110, 400, 15), 1000])
def test_rows_after_a_line_that_is_too_long_are_read_wherever_blocks_end(path: Path, block_bytes: int) -> None:
    rows = "".join(f"{number},y\n" for number in range(100))
    write(path, 'a,b\n1,"' + "x" * 300 + "\n" + rows)
    table = CsvTable(path, dialect=None, encoding=None, limits=ReadLimits(max_row_bytes=100), block_bytes=block_bytes)
    assert [text for chunk in table.chunks() for text in chunk.columns[0].to_pylist()] == [str(number) for number in range(100)]
    table.close()


def test_row_of_too_many_cells_is_too_long(path: Path) -> None:
    read = Read(write(path, "a,b\n" + "," * 20_000 + "x\n1,2\n"))
    assert read.errors == [(2, None, "row-too-long", None)]
    assert read.rows == [["1", "2"]]


def test_header_of_too_many_columns_is_refused(path: Path) -> None:
    with pytest.raises(FileUnreadable, match="more than 16384 columns"):
        Read(write(path, ",".join("c" * 20_000) + "\n"))


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n\r\n", b" \n,,\n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_file_without_a_header_is_refused(path: Path, data: bytes) -> None:
    with pytest.raises(FileUnreadable, match="no header"):
        Read(write(path, data))


def test_header_with_an_unclosed_quote_is_refused(path: Path) -> None:
    with pytest.raises(FileUnreadable, match="opens in row 1"):
        Read(write(path, 'a,"b\n1,2\n'))


@pytest.mark.parametrize("data", [b"a,b", b"a,b\n", b"a,b\r\n\r\n"])
def test_header_alone_has_no_rows(path: Path, data: bytes) -> None:
    read = Read(write(path, data))
    assert (read.labels, read.rows, read.errors) == (["a", "b"], [], [])


def test_blank_rows_above_the_header_count_as_places(path: Path) -> None:
    read = Read(write(path, "\n,\na,b\n1,2\n"))
    assert (read.labels, read.source.header_row, read.row_numbers) == (["a", "b"], 3, [4])


def test_one_column_reads_its_empty_lines_as_blank(path: Path) -> None:
    read = Read(write(path, "a\n1\n\n2\n"))
    assert (read.rows, read.errors) == ([["1"], ["2"]], [(3, None, "blank-row", None)])


class TestDialect:
    def test_characters_are_taken_as_given(self, path: Path) -> None:
        dialect = {"delimiter": "~", "quoteChar": "'", "escapeChar": "\\", "doubleQuote": False}
        read = Read(write(path, "a~b\n'x~y'~'it\\'s'\n\\~~2\n"), dialect=dialect)
        assert read.rows == [["x~y", "it's"], ["~", "2"]]
        assert read.source == Source(encoding="utf-8", delimiter="~", quote_char="'", header_row=1)

    def test_no_quote_character_makes_quotes_text(self, path: Path) -> None:
        read = Read(write(path, 'a,b\n"x,y"\n'), dialect={"quoteChar": None, "delimiter": ","})
        assert (read.rows, read.source.quote_char) == ([['"x', 'y"']], None)

    def test_comments_count_as_places_and_not_as_rows(self, path: Path) -> None:
        read = Read(write(path, '#"top\na,b\n# "x\n1,2\n#\n3,4\n'), dialect={"commentChar": "#"})
        assert (read.labels, read.row_numbers, read.rows_lost, read.errors) == (["a", "b"], [4, 6], 0, [])

    def test_comment_rows_are_left_out(self, path: Path) -> None:
        read = Read(write(path, "title\na,b\n1,2\nnote\n3,4\n"), dialect={"commentRows": [1, 4]})
        assert (read.labels, read.row_numbers, read.errors) == (["a", "b"], [3, 5], [])

    def test_header_rows_are_joined(self, path: Path) -> None:
        read = Read(write(path, "x\nsize,size,\nwidth,height,note\n1,2,3\n"), dialect={"headerRows": [2, 3], "headerJoin": "-"})
        assert (read.labels, read.source.header_row, read.row_numbers) == (["size-width", "size-height", "note"], 3, [4])

    def test_header_row_behind_the_end_is_refused(self, path: Path) -> None:
        with pytest.raises(FileUnreadable, match="no header"):
            Read(write(path, "a,b\n1,2\n"), dialect={"headerRows": [9]})

    def test_without_a_header_the_first_row_gives_the_width(self, path: Path) -> None:
        read = Read(write(path, "\n1,2\n3\n"), dialect={"header": False})
        assert (read.labels, read.source.header_row, read.row_numbers) == (None, None, [2, 3])
        assert read.errors == [(1, None, "blank-row", None), (3, 2, "missing-cell", None)]
        assert "the first row has 2 columns" in str(read.messages)

    def test_spaces_behind_delimiters_are_skipped(self, path: Path) -> None:
        read = Read(write(path, 'a, b\n1,   "x, y"\n 2, z \n'), dialect={"skipInitialSpace": True})
        assert (read.labels, read.rows) == (["a", "b"], [["1", "x, y"], ["2", "z "]])


def test_equal_header_parts_are_joined_once() -> None:
    assert join_labels([["a", "a", ""], ["a", "b", "c", "d"]], " ", max_chars=100) == ["a", "a b", "c", "d"]


def test_chunks_have_at_most_the_rows_that_are_asked_for(path: Path) -> None:
    write(path, "a\n" + "1\n" * 25)
    table = open_csv(path, dialect=None, encoding=None, limits=ReadLimits(chunk_rows=10))
    assert [len(chunk.row_numbers) for chunk in table.chunks()] == [10, 10, 5]
    table.close()


def read_chunks(path: Path, *, chunk_rows: int, chunks_at_once: int, block_bytes: int = BLOCK_BYTES) -> list[tuple[int, int]]:
    """Return how many rows each chunk has, and how far the file was read for it."""
    table = CsvTable(path, dialect=None, encoding=None, limits=ReadLimits(chunk_rows=chunk_rows, chunks_at_once=chunks_at_once), block_bytes=block_bytes)
    read = [(len(chunk.row_numbers), chunk.bytes_read) for chunk in table.chunks()]
    table.close()
    return read


def test_blocks_of_few_rows_are_joined(path: Path) -> None:
    write(path, "a\n" + "1\n" * 5_000)
    # A block has 500 rows, and a chunk at least a third of 1,800; the first block has the header as well.
    assert [rows for rows, _ in read_chunks(path, chunk_rows=300, chunks_at_once=6, block_bytes=1_000)] == [999, 1_000, 1_000, 1_000, 1_000, 1]


def test_block_of_many_rows_makes_chunks_of_about_the_same_size(path: Path) -> None:
    write(path, "a\n" + "1\n" * 25)
    # The last chunk of a block takes what is left, so that no row of it is copied.
    assert [rows for rows, _ in read_chunks(path, chunk_rows=4, chunks_at_once=5)] == [12, 13]


def test_blocks_of_long_rows_are_joined_up_to_8_mib(path: Path) -> None:
    write(path, "a\n" + ("x" * MIB + "\n") * 40)
    # A chunk of several blocks that would be larger ends at a multiple of `chunk_rows`.
    assert [rows for rows, _ in read_chunks(path, chunk_rows=3, chunks_at_once=20)] == [6] * 6 + [4]


@pytest.mark.parametrize(
    ("row", "last", "chunk_rows", "mib"),
    [
        pytest.param("1,2\n", "3,4\n", 200_000, 1.5, id="short cells"),
        pytest.param("1,2\n", "1\n", 200_000, 2.25, id="short cells, ragged rows"),
        pytest.param("x" * 200 + ",y\n", "3,4\n", 8_000, 3.0, id="long cells"),
        pytest.param("x" * 200 + ",y\n", "1\n", 8_000, 4.5, id="long cells, ragged rows"),
    ],
)
def test_blocks_are_smaller_if_cells_are_short_and_larger_if_rows_are_ragged(path: Path, row: str, last: str, chunk_rows: int, mib: float) -> None:
    write(path, "a,b\n" + (row * 999 + last) * (12 * MIB // (1_000 * len(row))))
    ends = [read for _, read in read_chunks(path, chunk_rows=chunk_rows, chunks_at_once=3)]
    # Each block is a chunk, except for the first ones, which are small.
    assert max(np.diff(ends)) / MIB == pytest.approx(mib, rel=0.02)


@pytest.mark.parametrize("every", [7, 300])
def test_chunks_that_end_within_a_block_have_their_own_rows(path: Path, every: int) -> None:
    """Rows that were split one by one stand in another array than the others."""
    rows = [["1"] if row % every == 0 else [str(row), "é" * (row % 5)] for row in range(5_000)]
    write(path, "a,b\n" + "".join(",".join(row) + "\n" for row in rows))
    for chunk_rows, block_bytes in ((1, 2**21), (37, 2**21), (1_000, 2**12), (4_999, 2**21)):
        table = CsvTable(path, dialect=None, encoding=None, limits=ReadLimits(chunk_rows=chunk_rows), block_bytes=block_bytes)
        found: list[tuple[object, ...]] = []
        for chunk in table.chunks() if chunk_rows > 1 else islice(table.chunks(), 400):
            assert len(chunk.row_numbers) <= chunk_rows
            found += zip(chunk.row_numbers.tolist(), *(column.to_pylist() for column in chunk.columns), strict=True)
        table.close()
        assert found == [(number, row[0], row[1] if len(row) > 1 else None) for number, row in enumerate(rows[: len(found)], 2)]
        assert len(found) == (400 if chunk_rows == 1 else len(rows))


def test_chunks_end_where_their_bytes_do(path: Path) -> None:
    write(path, "a\n" + ("x" * MIB + "\n") * 12)
    table = open_csv(path, dialect=None, encoding=None, limits=ReadLimits(chunk_bytes=4 * MIB))
    assert max(len(chunk.row_numbers) for chunk in table.chunks()) <= 4
    table.close()


def test_parsed_block_is_not_kept_while_the_next_one_is_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of cells takes several megabytes."""
    write(path, "a,b\n" + "1,2\n" * 2_000_000)
    table = open_csv(path, dialect=None, encoding=None, limits=ReadLimits())
    read_csv = table._parser._read_csv
    taken: list[weakref.ref[object]] = []
    kept: list[bool] = []

    def read(*arguments: Any, **named: Any) -> Any:
        kept.append(any(each() is not None for each in taken))
        return read_csv(*arguments, **named)

    monkeypatch.setattr(table._parser, "_read_csv", read)
    parsed = table._parse()
    while (block := next(parsed, None)) is not None:
        taken.append(weakref.ref(block.columns[0]))
        del block
    table.close()
    assert len(kept) > 2
    assert not any(kept)


def test_progress_rises_to_the_end(path: Path) -> None:
    read = Read(write(path, "a,b\n" + "1,2\n" * 50_000))
    assert read.fractions == sorted(read.fractions)
    assert read.fractions[-1] == 1


def test_table_closes_half_way_and_twice(path: Path) -> None:
    table = open_csv(write(path, "a,b\n" + "1,2\n" * 500_000), dialect=None, encoding=None, limits=ReadLimits())
    next(table.chunks())
    table.close()
    table.close()


def test_file_that_is_unlinked_is_read_on(path: Path) -> None:
    table = open_csv(write(path, "a,b\n" + '1,"2\n' * 3), dialect=None, encoding=None, limits=ReadLimits(max_row_bytes=4))
    path.unlink()
    assert sum(chunk.rows_lost for chunk in table.chunks()) == 3
    table.close()


def giant_rows() -> Iterator[bytes]:
    yield b'a,b\n1,"'
    for _ in range(48):
        yield b"x" * (MIB - 1) + b"\n"
    yield b'"\n2,3\n'


def test_cell_of_many_megabytes_takes_no_memory_of_its_size(path: Path) -> None:
    with path.open("wb") as file:
        file.writelines(giant_rows())
    tracemalloc.start()
    try:
        read = Read(path, limits=ReadLimits(max_row_bytes=2 * MIB))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (read.errors, read.rows) == ([(2, None, "row-too-long", None)], [["2", "3"]])
    assert peak < 24 * MIB

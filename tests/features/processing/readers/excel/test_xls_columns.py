"""Sheets of XLS workbooks whose cells are read many at once, from where they are in the file, give what xlrd's cells give one by one."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
import xlwt

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.sheet_rows import SheetFacts
from features.processing.readers.excel.xls import book, sheet_scan
from features.processing.readers.excel.xls import child as xls_child
from features.processing.readers.excel.xls import table as xls
from features.processing.readers.excel.xls.book import Book
from features.processing.readers.excel.xls.record_kinds import CODES as RECORDS
from features.processing.readers.excel.xls.sheet_scan import SheetScan, join_strings, parse_place
from features.processing.readers.excel.xls.workbook_stream import WorkbookStream
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.excel.biff import BOF, EOF, FORMULA, MERGED, RECALC_ID, Records, insert_global, ole2, read_records, write_records
from tests.features.processing.readers.excel.sheet_rows import describe_chunks

NUMBER, SHORT, SHORTS, SHARED, BOOLEAN, BLANK, BLANKS, ROW = 0x203, 0x27E, 0xBD, 0xFD, 0x205, 0x201, 0xBE, 0x208
LABEL, RICH_LABEL, STRING, ARRAY, COMMON, CONTINUE, NOTE = 0x204, 0xD6, 0x207, 0x221, 0x4BC, 0x3C, 0x1C
CODES = ["yyyy-mm-dd", "hh:mm:ss", "yyyy-mm-dd hh:mm", "[h]:mm", "00000", "hh:mm:ss.00", "0.00", "General"]
TEXTS = ["id", "name", "plain", " ", "é", "Ü😀", "x" * 300, "0012", "#", "日本語"]
NUMBERS = [
    0.0,
    -0.0,
    1.0,
    -7.0,
    12.34,
    0.1 + 0.2,
    1e-7,
    1e15,
    -1e15,
    1234567890123456.0,
    9.9e19,
    1e20,
    45000.0,
    45000.75,
    60.0,
    0.5,
    -1.5,
    3e6,
    1e300,
    59.999999,
]
NO_NUMBERS = [float("nan"), float("inf"), float("-inf"), struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000001))[0]]


class ChildInside:
    """A `ReadingChild` that is no process."""

    def __init__(self, _module: str, *, descriptors: list[int]) -> None:
        self._commands: SimpleQueue[dict[str, int]] = SimpleQueue()
        self._lines = xls_child._read_workbook(descriptors[0], self._commands)

    def ask(self, command: dict[str, int]) -> Any:
        self._commands.put(command)
        return self.read_line()

    def read_line(self) -> Any:
        try:
            line = next(self._lines)
        except xls_child._Unreadable as error:
            raise FileUnreadable(str(error)) from error
        if isinstance(line, dict) and "unreadable" in line:
            raise FileUnreadable(line["unreadable"])
        return line

    def read_bytes(self, count: int) -> bytes:
        data = next(self._lines)
        assert isinstance(data, bytes)
        assert len(data) == count
        return data

    def close(self) -> None:
        self._lines = iter(())


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No process is started for each workbook."""
    logs: list[Any] = []

    def open_book(stream: WorkbookStream) -> Book:
        opened = book.open_book(stream)
        logs.append(opened.logfile)
        return opened

    monkeypatch.setattr(xls, "ReadingChild", ChildInside)
    monkeypatch.setattr(xls_child, "open_book", open_book)
    yield
    for log in logs:
        log.close()


def read(path: Path, *, by_cells: bool, dialect: Mapping[str, Any] | None = None, **limits: Any) -> tuple[bool, Any]:
    """Return whether the cells were read many at once, and everything that a table tells, or the sentence if it cannot be read."""
    given = None if dialect is None else parse_table_dialect(dict(dialect))
    with pytest.MonkeyPatch.context() as patch:
        if by_cells:
            patch.setattr(SheetScan, "check", lambda *_: False)
        try:
            table = xls.open_xls(path, dialect=given, limits=ReadLimits(keep_rows=True, **limits))
        except FileUnreadable as error:
            return False, str(error)
    try:
        is_scanned = table._workbook._scan is not None
        told: list[Any] = [table.labels, table.column_numbers, table.source, table.bytes_total]
        told += [[(each.error_type, each.column_number, each.row_numbers.tolist()) for each in table.header_findings]]
        told += [[(number, trim(cells)) for number, cells in table.first_rows()]]
        rows, kinds, comments, errors, lost = describe_chunks(table.chunks())
        told += [[[str(value) for value in row] for row in rows], kinds, [(number, trim(cells)) for number, cells in comments], errors, lost, table.notes]
    except FileUnreadable as error:
        return False, str(error)
    finally:
        table.close()
    return is_scanned, told


def trim(cells: Any) -> list[str | None]:
    """Return cells without the empty ones at their end, which tell nothing."""
    kept = list(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def is_same(path: Path, **options: Any) -> bool:
    """Whether the cells were read many at once; they are the same in any case."""
    is_scanned, many = read(path, by_cells=False, **options)
    was_scanned, single = read(path, by_cells=True, **options)
    assert not was_scanned
    assert many == single
    return is_scanned


class SheetMaker:
    """Makes the records of a sheet."""

    def __init__(self, folder: Path) -> None:
        made = xlwt.Workbook()
        sheet = made.add_sheet("Sheet")
        for place, text in enumerate(TEXTS):
            sheet.write(0, place, text)
        for place, code in enumerate(CODES):
            sheet.write(place + 1, 0, 1.5, xlwt.easyxf(num_format_str=code))
        path = folder / "template.xls"
        made.save(str(path))
        self.records = read_records(path)
        self.strings = [struct.unpack_from("<HHHi", data)[3] for code, data in self.records if code == SHARED]
        self.formats = [struct.unpack_from("<H", data, 4)[0] for code, data in self.records if code in (NUMBER, SHORT)]

    def save(self, path: Path, sheet: Records, *, engine: int | None = None, after: Records | None = None) -> Path:
        """Write a workbook with one sheet of these records."""
        begin = max(place for place, (code, _) in enumerate(self.records) if code == BOF) + 1
        records = [*self.records[:begin], *sheet, *([(EOF, b"")] if after is None else after)]
        if engine is not None:
            records = insert_global((RECALC_ID, struct.pack("<HHI", RECALC_ID, 0, engine)))(records)
        return write_records(path, records)

    def at(self, row: int, column: int, place: int = 0) -> bytes:
        return struct.pack("<HHH", row, column, self.formats[place] if place >= 0 else 900)

    def number(self, row: int, column: int, value: float, place: int = -1) -> Records:
        return [(NUMBER, self.at(row, column, place) + struct.pack("<d", value))]

    def text(self, row: int, column: int, text: str) -> Records:
        return [(SHARED, self.at(row, column) + struct.pack("<i", self.strings[TEXTS.index(text)]))]

    def formula(self, row: int, column: int, result: bytes, place: int = 0) -> Records:
        return [(FORMULA, self.at(row, column, place) + result + bytes(2) + bytes(4) + b"\3\0\x1e\1\0")]

    def header(self, width: int) -> Records:
        return [each for column in range(width) for each in self.text(0, column, TEXTS[column % 3])]


@pytest.fixture
def maker(tmp_path: Path) -> SheetMaker:
    return SheetMaker(tmp_path)


def pack_short(chooser: random.Random) -> bytes:
    hundredths = chooser.randrange(2)
    if chooser.random() < 0.01:
        return struct.pack("<I", 0x7FF00004 | hundredths)
    if chooser.random() < 0.5:
        return struct.pack("<i", chooser.randrange(-(2**29), 2**29) << 2 | 2 | hundredths)
    return struct.pack("<I", struct.unpack_from("<I", struct.pack("<d", chooser.choice([1.5, -2.0, 45_000.25, 0.0])), 4)[0] & ~3 | hundredths)


def make_formula(chooser: random.Random, maker: SheetMaker, row: int, column: int) -> Records:
    kind = chooser.randrange(5)
    place = chooser.randrange(-1, len(CODES))
    if kind == 0:
        return maker.formula(row, column, struct.pack("<d", chooser.choice([1.0, 2.5, 45_000.5, -3.0])), place)
    if kind == 1:
        return maker.formula(row, column, bytes([1, 0, chooser.randrange(2), 0, 0, 0, 255, 255]), place)
    if kind == 2:
        return maker.formula(row, column, bytes([2, 0, chooser.choice([0x2A, 0x07, 0x99]), 0, 0, 0, 255, 255]), place)
    if kind == 3:
        return maker.formula(row, column, bytes([3, 0, 0, 0, 0, 0, 255, 255]), place)
    text = chooser.choice(["", "abc", "é", "日本", " ", "x😀"])
    is_wide = not all(ord(character) < 256 for character in text)
    data = struct.pack("<HB", len(text.encode("utf-16-le")) // 2, is_wide) + text.encode("utf-16-le" if is_wide else "latin-1")
    between: Records = chooser.choice([[], [(COMMON, bytes(20))], [(ARRAY, bytes(20))], [(NOTE, b"xyz")], [(MERGED, b"\0\0")]])
    return [*maker.formula(row, column, bytes(6) + b"\xff\xff", place), *between, (STRING, data + chooser.choice([b"", b"more"]))]


def make_cell(chooser: random.Random, maker: SheetMaker, row: int, column: int) -> tuple[Records, int]:
    """Return the records of the next cells of a row, and how many columns they take."""
    place = chooser.randrange(-1, len(CODES))
    kind = chooser.randrange(12)
    if kind == 7:
        count = chooser.randrange(1, 4)
        parts = b"".join(struct.pack("<H", chooser.choice(maker.formats)) + pack_short(chooser) for _ in range(count))
        return [(SHORTS, struct.pack("<HH", row, column) + parts + struct.pack("<H", column + count - 1))], count
    if kind == 8:
        is_error = chooser.random() < 0.1
        return [(BOOLEAN, maker.at(row, column) + bytes([chooser.choice([0x2A, 0x17]) if is_error else chooser.randrange(3), is_error]))], 1
    if kind == 10:
        return [(BLANKS, struct.pack("<HHHHH", row, column, 15, 15, column + 1))], 2
    if kind < 3:
        records = maker.number(row, column, chooser.choice(NUMBERS) if chooser.random() < 0.98 else chooser.choice(NO_NUMBERS), place)
    elif kind < 6:
        records = maker.text(row, column, chooser.choice(TEXTS))
    elif kind == 6:
        records = [(SHORT, maker.at(row, column, place) + pack_short(chooser))]
    else:
        records = make_formula(chooser, maker, row, column) if kind == 9 else [(BLANK, maker.at(row, column))]
    return records, 1


def make_sheet(chooser: random.Random, maker: SheetMaker) -> Records:
    """Return the records of a sheet of any content, in order."""
    width = chooser.choice([1, 3, 3, 8, 40])
    records = maker.header(width)
    row = 0
    density = chooser.choice([0.3, 0.9, 1])
    for _ in range(chooser.choice([0, 3, 40, 150])):
        row += chooser.choice([1, 1, 1, 1, 2, 40])
        records.append((ROW, struct.pack("<HHHHHHI", row, 0, width, 255, 0, 0, 256)))
        column = 0
        while column < width + (chooser.random() < 0.03):
            if chooser.random() > density:
                column += 1
                continue
            cells, count = make_cell(chooser, maker, row, column)
            records += cells
            column += count
        if chooser.random() < 0.05:
            chart = [(BOF, bytes([0, 6, 32, 0])), *maker.number(0, 0, 99.0), (MERGED, struct.pack("<HHHHH", 1, 7, 8, 0, 0)), (EOF, b"")]
            records += chooser.choice([chart, [(0xD7, bytes(12))], [(0xEC, chooser.randbytes(700)), (CONTINUE, bytes(50))], [(NOTE, b"")]])
    ranges = [(1, 3, 0, 0), (0, 0, 0, 1)][: chooser.randrange(3)]
    return [*records, (MERGED, struct.pack("<H", len(ranges)) + b"".join(struct.pack("<HHHH", *each) for each in ranges)), (0x23E, bytes(18))]


DIALECTS: list[dict[str, Any] | None] = [None, None, {"header": False}, {"headerRows": [1, 2]}, {"commentChar": "p"}, {"commentRows": [3, 4]}]


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("seed", range(60))
def test_sheets_of_any_content_are_the_same(tmp_path: Path, maker: SheetMaker, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    chooser = random.Random(seed)
    if seed % 2:
        # The sheet comes in many pieces, in whose midst rows and formulas end.
        monkeypatch.setattr(sheet_scan, "_FIRST_BYTES", 100)
        monkeypatch.setattr(sheet_scan, "_NEXT_BYTES", 2**11)
        monkeypatch.setattr(sheet_scan, "_MOST_KEPT", chooser.choice([0, 10**6]))
        monkeypatch.setattr("features.processing.readers.excel.xls.cell_columns._MOST_PLACES", 50)
        monkeypatch.setattr("features.processing.readers.excel.xls.cell_columns._MOST_TEXT_BYTES", 600)
    sheet = make_sheet(chooser, maker)
    while sum(len(data) + 4 for _, data in sheet) > 50_000:
        del sheet[-50:]
    path = maker.save(tmp_path / "a.xls", sheet, engine=0x1E667)
    assert is_same(path, dialect=chooser.choice(DIALECTS), chunk_rows=chooser.choice([7, 10_000]))


@pytest.mark.usefixtures("inside")
def test_damage_is_told_by_either_reader_alike(tmp_path: Path, maker: SheetMaker) -> None:
    scanned = 0
    for seed in range(250):
        chooser = random.Random(seed)
        records = maker.header(3)
        for row in range(1, 30):
            for column in range(3):
                cells, count = make_cell(chooser, maker, row, column)
                records += cells if count == 1 else maker.number(row, column, row)
        for _ in range(chooser.randrange(1, 4)):
            place = chooser.randrange(9, len(records))
            code, data = records[place]
            changed = bytearray(data or b"\0")
            changed[chooser.randrange(len(changed))] = chooser.choice([0, 1, 255, chooser.randrange(256)])
            records[place : place + 1] = chooser.choice(
                [
                    [],
                    [(code, data), (code, data)],
                    [(code, data[: chooser.randrange(len(data) + 1)])],
                    [(code, data + b"\0")],
                    [(code, bytes(changed))],
                    [(code, bytes(changed))],
                    [(chooser.choice(sorted(RECORDS)), data)],
                    [(code, data), (chooser.choice(sorted(RECORDS)), chooser.randbytes(chooser.randrange(20)))],
                ]
            )
        after = chooser.choice([None, None, None, None, [], [(EOF, b""), *maker.number(500, 0, 1.0)]])
        scanned += is_same(maker.save(tmp_path / "a.xls", records, engine=chooser.choice([None, 0x1E667, 0x1E667, 0x1E667]), after=after))
    assert 50 < scanned < 200


UNUSUAL: dict[str, Callable[[SheetMaker], Records]] = {
    "rows out of order": lambda maker: maker.number(3, 0, 3.0) + maker.number(2, 0, 2.0),
    "columns out of order": lambda maker: maker.number(2, 1, 3.0) + maker.number(2, 0, 2.0),
    "a cell twice": lambda maker: maker.number(2, 0, 3.0) + maker.number(2, 0, 2.0),
    "a text of its own": lambda maker: [(LABEL, maker.at(2, 0) + b"\2\0\0ab")],
    "a text with fonts": lambda maker: [(RICH_LABEL, maker.at(2, 0) + b"\2\0\0ab\0\0")],
    "a string that does not exist": lambda maker: [(SHARED, maker.at(2, 0) + struct.pack("<i", 99))],
    "a string before the first": lambda maker: [(SHARED, maker.at(2, 0) + struct.pack("<i", -2))],
    "a column that no sheet has": lambda maker: maker.number(2, 256, 1.0),
    "a number that is cut off": lambda maker: [(NUMBER, maker.at(2, 0) + bytes(7))],
    "too few numbers": lambda maker: [(SHORTS, maker.at(2, 0) + pack_short(random.Random(1)) + b"\5\0")],
    "neither true nor an error": lambda maker: [(BOOLEAN, maker.at(2, 0) + b"\1\2")],
    "a formula whose text is missing": lambda maker: maker.formula(2, 0, bytes(6) + b"\xff\xff") + maker.number(2, 1, 1.0),
    "a text that goes on": lambda maker: [*maker.formula(2, 0, bytes(6) + b"\xff\xff"), (STRING, b"\4\0\0ab"), (CONTINUE, b"\0cd")],
    "a formula with a result of no kind": lambda maker: maker.formula(2, 0, b"\7\0\0\0\0\0\xff\xff"),
    "a formula that was perhaps not computed": lambda maker: maker.formula(2, 0, bytes(8)),
}


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize("name", UNUSUAL)
def test_sheet_with_something_unusual_is_left_to_xlrd(tmp_path: Path, maker: SheetMaker, name: str) -> None:
    records = [*maker.header(2), *maker.number(1, 0, 1.0), *maker.number(1, 1, 2.0), *UNUSUAL[name](maker)]
    assert not is_same(maker.save(tmp_path / "a.xls", records))


@pytest.mark.usefixtures("inside")
def test_sheet_without_an_end_is_damaged(tmp_path: Path, maker: SheetMaker) -> None:
    path = maker.save(tmp_path / "a.xls", [*maker.header(2), *maker.number(1, 0, 1.0)], after=[(0x1234, bytes(900))])
    path.write_bytes(path.read_bytes()[:-8_000])
    assert not is_same(path)


@pytest.mark.usefixtures("inside")
def test_empty_sheet_has_no_header(tmp_path: Path, maker: SheetMaker) -> None:
    assert not is_same(maker.save(tmp_path / "a.xls", []))
    assert "no header" in read(tmp_path / "a.xls", by_cells=False)[1]


@pytest.mark.usefixtures("inside")
def test_sheet_is_read_from_its_parts_in_the_file(tmp_path: Path, maker: SheetMaker) -> None:
    records = maker.header(3)
    for row in range(1, 400):
        records += [*maker.number(row, 0, float(row)), *maker.text(row, 1, "Ü😀"), *maker.number(row, 2, 45_000.0, 0)]
    path = maker.save(tmp_path / "a.xls", records)
    path.write_bytes(scatter(path.read_bytes(), random.Random(3)))
    assert is_same(path)


def scatter(data: bytes, chooser: random.Random) -> bytes:
    """Return a workbook that `ole2` has built with the sectors of its stream in any order."""
    count = len(data) // 512 - 3
    order = [1, *(number + 1 for number in chooser.sample(range(1, count), count - 1))]
    sectors = {place: data[(2 + number) * 512 : (3 + number) * 512] for number, place in enumerate(order, 1)}
    first = 2
    assert struct.unpack_from("<i", data, 1024 + 128 + 116)[0] == first
    chain = list(struct.unpack_from("<128i", data, 512))
    places = [place + 1 for place in order]
    for place, following in zip(places, [*places[1:], -2], strict=True):
        chain[place] = following
    return data[:512] + struct.pack("<128i", *chain) + data[1024:1536] + b"".join(sectors[place] for place in sorted(sectors))


def test_large_sheet_is_the_same_in_processes(tmp_path: Path) -> None:
    made = xlwt.Workbook()
    sheet = made.add_sheet("Data")
    day = xlwt.easyxf(num_format_str="yyyy-mm-dd")
    for column in range(12):
        sheet.write(0, column, f"c{column}")
    for row in range(1, 6_000):
        for column in range(12):
            value = [row, row / 7, f"text {row % 900}é", row % 2 == 0, 40_000 + row, None][(row + column) % 6]
            if value is not None:
                sheet.write(row, column, value, day if column == 4 and not isinstance(value, str) else xlwt.Style.default_style)
    made.save(str(tmp_path / "a.xls"))
    assert is_same(tmp_path / "a.xls")


PLACE: dict[str, Any] = {"parts": [[0, 100]], "begin": 0, "watches_formulas": False, "is_1904": False, "formats": [[0, 0, 0]], "strings": 0, "string_bytes": 0}


@pytest.mark.parametrize(
    "told",
    [{"parts": [[-1, 5]]}, {"parts": [[0, 10**30]]}, {"begin": -5}, {"formats": [[99, 0, 0]]}, {"formats": [[1, 10**9, 0]]}, {"formats": [[6, 0, 10**9]]}],
)
def test_place_that_cannot_be_is_refused(told: dict[str, Any]) -> None:
    parse_place(PLACE)
    with pytest.raises(ValueError, match=r"cannot be|not a valid"):
        parse_place(PLACE | told)


@pytest.mark.parametrize(("lengths", "texts"), [([3], b"ab"), ([1], b"ab"), ([2**32 - 1, 3], b"ab"), ([1, 1], "é".encode()), ([1], b"\xff"), ([], b"a")])
def test_strings_that_do_not_fit_are_refused(lengths: list[int], texts: bytes) -> None:
    assert join_strings(np.array([2, 0, 1], np.uint32).tobytes(), "éa".encode()).to_pylist() == ["é", "", "a"]
    with pytest.raises(ValueError, match=r"do not fit|UTF8"):
        join_strings(np.array(lengths, np.uint32).tobytes(), texts)


def test_place_beyond_the_file_is_no_sheet_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(ole2({}))
    with (tmp_path / "a").open("rb") as file:
        for begin in (0, 50, 10**9):
            assert not SheetScan(file.fileno(), parse_place(PLACE | {"begin": begin}), strings=0).check(SheetFacts())

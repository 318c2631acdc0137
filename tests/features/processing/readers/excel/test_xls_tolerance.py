"""XLS workbooks with something wrong in them that no cell needs are read, like Excel does; where a cell needs it they are refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.xls.shared_strings import read_shared_strings
from features.processing.readers.excel.xls.table import open_xls
from tests.features.processing.readers.excel.biff import (
    SST,
    Records,
    fill_rows,
    insert_global,
    insert_in_sheet,
    ole2,
    replace,
    write_book,
)
from tests.features.processing.readers.excel.workbooks import Reading, read_table

ROWS: list[list[Any]] = [["id", "name"], [1, "Ann"], [2, "Bob"], [3, "Cleo"]]
EXPECTED = {2: ["1", "Ann"], 3: ["2", "Bob"], 4: ["3", "Cleo"]}
GARBAGE = b"\x07\xff\x00\x81garbage" * 3


def read(path: Path) -> Reading:
    return read_table(open_xls(path, dialect=None, limits=ReadLimits()))


def with_unique(change: Callable[[int], int]) -> Callable[[Records], Records]:
    return replace(SST, lambda data: data[:4] + struct.pack("<I", change(struct.unpack_from("<I", data, 4)[0])) + data[8:])


STRING_TABLES: dict[str, Callable[[Records], Records]] = {
    "one string too many": with_unique(lambda count: count + 1),
    "one too few": with_unique(lambda count: count - 1),
    "none": with_unique(lambda _: 0),
    "four billion": with_unique(lambda _: 2**32 - 1),
    "wrong total": replace(SST, lambda data: struct.pack("<I", 0) + data[4:]),
    "left over bytes": replace(SST, lambda data: data + b"\x01"),
    "a string that is cut short and not used": replace(SST, lambda data: data + struct.pack("<HB", 900, 0) + b"not all of it"),
    "an empty record that continues it": lambda records: [
        part for code, data in records for part in ([(code, data), (0x3C, b""), (0x3C, b"")] if code == SST else [(code, data)])
    ],
}


@pytest.mark.parametrize("name", STRING_TABLES)
def test_string_table_that_does_not_add_up_is_read(tmp_path: Path, name: str) -> None:
    assert read(write_book(tmp_path / "a.xls", fill_rows(ROWS), STRING_TABLES[name])).rows == EXPECTED


def test_string_that_a_cell_needs_and_that_is_cut_off_is_damage(tmp_path: Path) -> None:
    path = write_book(tmp_path / "a.xls", fill_rows(ROWS), replace(SST, lambda data: data[:-3]))
    with pytest.raises(FileUnreadable, match="damaged"):
        read(path)


def test_strings_go_on_in_the_next_record_in_either_width() -> None:
    head = bytes(8)
    wide = struct.pack("<HB", 6, 1) + "añb".encode("utf-16-le")
    rich = struct.pack("<HBHI", 3, 0x0C, 2, 5) + b"xyz" + bytes(3)
    assert read_shared_strings([head + wide, b"\x00cde" + rich, bytes(10) + struct.pack("<HB", 2, 0) + b"ok"]) == ["añbcde", "xyz", "ok"]


def test_string_table_in_very_small_pieces_ends() -> None:
    assert read_shared_strings([bytes(8), *[b"\1"] * 100_000, struct.pack("<HB", 2, 0) + b"ok"]) == ["ok"]


IN_GLOBALS: dict[str, Records] = {
    "a name of garbage": [(0x18, GARBAGE)],
    "a name with a formula that no name may have": [
        (0x18, struct.pack("<HBBHHHBBBB", 0, 0, 1, 9, 0, 0, 0, 0, 0, 0) + b"\0N" + b"\x2d" + struct.pack("<HHHH", 0, 1, 0, 1))
    ],
    "a name in a sheet that is not there": [(0x18, struct.pack("<HBBHHHBBBB", 0, 0, 1, 0, 0, 99, 0, 0, 0, 0) + b"\0N")],
    "references to workbooks of garbage": [(0x1AE, GARBAGE), (0x17, b"\xff\xff\x00"), (0x23, b"\x01")],
    "fonts of garbage": [(0x31, b"\x01")],
    "styles and colours of garbage": [(0x293, b""), (0x92, b"\xff\xff")],
    "two countries": [(0x8C, struct.pack("<HH", 1, 1)), (0x8C, struct.pack("<HH", 49, 49)), (0x8C, b"\0")],
    "a date system that does not exist": [(0x22, struct.pack("<H", 7))],
    "an encoding that does not exist": [(0x42, struct.pack("<H", 777))],
    "number formats of garbage": [(0x41E, struct.pack("<HHB", 200, 900, 1) + b"y"), (0x41E, b"\xc8")],
    "cell formats that are too short": [(0xE0, b"\0\0"), (0xE0, b"")],
    "a user of garbage": [(0x5C, b"\xff\xff\x01\xd8")],
}


@pytest.mark.parametrize("name", IN_GLOBALS)
def test_records_for_all_sheets_that_no_cell_needs_do_not_matter(tmp_path: Path, name: str) -> None:
    assert read(write_book(tmp_path / "a.xls", fill_rows(ROWS), insert_global(*IN_GLOBALS[name]))).rows == EXPECTED


IN_SHEET: dict[str, Records] = {
    "notes": [(0x1C, GARBAGE), (0x1C, b"")],
    "objects and drawings": [(0x5D, b"\x15"), (0xEC, GARBAGE), (0x1B6, b"\0")],
    "links": [(0x1B8, GARBAGE), (0x800, b"")],
    "conditional formats": [(0x1B0, b"\0"), (0x1B1, GARBAGE)],
    "windows": [(0x23E, b"\0"), (0xA0, b"\1"), (0x41, b"\0")],
    "tables and label ranges": [(0x872, b"\0\0"), (0x15F, b"\5")],
    "dimensions among the cells": [(0x200, b"\1\2\3"), (0x203, struct.pack("<HHHd", 4, 0, 15, 4))],
    "columns and rows": [(0x7D, b""), (0x208, b"\0"), (0x225, b"\0\0\0"), (0x99, b"")],
}


@pytest.mark.parametrize("name", IN_SHEET)
def test_records_of_a_sheet_that_no_cell_needs_do_not_matter(tmp_path: Path, name: str) -> None:
    rows = read(write_book(tmp_path / "a.xls", fill_rows(ROWS), insert_in_sheet(*IN_SHEET[name]))).rows
    rows.pop(5, None)
    assert rows == EXPECTED


def test_text_with_fonts_that_are_cut_off_is_read(tmp_path: Path) -> None:
    rich = struct.pack("<HHHHB", 4, 1, 15, 3, 0) + b"Eve" + b"\xff"
    assert read(write_book(tmp_path / "a.xls", fill_rows(ROWS), insert_in_sheet((0xD6, rich)))).rows == EXPECTED | {5: ["", "Eve"]}


def patched(data: bytes, *changes: tuple[int, bytes]) -> bytes:
    changed = bytearray(data)
    for at, new in changes:
        changed[at : at + len(new)] = new
    return bytes(changed)


def loop_short_sectors(data: bytes, free: int) -> bytes:
    """Let the sector of the short sectors, and the one of their allocation, be one that comes after itself."""
    return patched(
        data, (60, struct.pack("<ii", free, 9)), (DIRECTORY + 116, struct.pack("<ii", free, 700)), (512 + 4 * free, struct.pack("<i", free))
    ) + bytes(512)


DIRECTORY = 1024
ENTRY = DIRECTORY + 128
"""Where the entry of the workbook is in what `ole2` builds."""
CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "the wrong byte order mark": lambda data: patched(data, (28, b"\xff\xfe")),
    "a size that is too large": lambda data: patched(data, (ENTRY + 120, struct.pack("<i", 10**6))),
    "a size that is too small": lambda data: patched(data, (ENTRY + 120, struct.pack("<i", 4100))),
    "a tree of names that is a loop": lambda data: patched(data, (ENTRY + 68, struct.pack("<ii", 1, 1))),
    "a tree of names that leads nowhere": lambda data: patched(data, (DIRECTORY + 76, struct.pack("<i", 90))),
    "a directory that is used twice": lambda data: patched(data, (512 + 4 * (len(data) // 512 - 2), struct.pack("<i", 1))),
    "a last sector that is cut off": lambda data: data[:-300],
    "short sectors that are a loop": lambda data: loop_short_sectors(data, len(data) // 512 - 1),
    "a table of sectors that is not there": lambda data: patched(data, (80, struct.pack("<i", 4000))),
    "a negative table of sectors": lambda data: patched(data, (80, struct.pack("<i", -77))),
    "tables of sectors that are not there": lambda data: patched(data, (68, struct.pack("<ii", -2, 3))),
    "junk behind it": lambda data: data + b"junk",
    "a name in another case": lambda data: data.replace("Workbook".encode("utf-16-le"), "WORKBOOK".encode("utf-16-le")),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", CONTAINERS)
def test_container_that_is_a_little_off_is_read(tmp_path: Path, name: str) -> None:
    rows = [*ROWS, *([number, f"text {number}"] for number in range(4, 60))]
    path = write_book(tmp_path / "a.xls", fill_rows(rows), insert_global())
    path.write_bytes(CONTAINERS[name](path.read_bytes()))
    assert read(path).rows == EXPECTED | {number + 1: [str(number), f"text {number}"] for number in range(4, 60)}


def test_loop_in_the_stream_itself_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    data = ole2({"Workbook": b"\x09\x08\x10\x00\x00\x06\x05\x00" + bytes(12) + b"\x34\x12\x00\x02" + bytes(9000)})
    path.write_bytes(patched(data, (512 + 4 * 5, struct.pack("<i", 3))))
    with pytest.raises(FileUnreadable, match="damaged"):
        read(path)

"""Build and change XLS workbooks record by record."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import olefile
import xlwt

BOF, EOF, BOUND_SHEET, SST, FORMULA, RECALC_ID, MERGED = 0x809, 0x0A, 0x85, 0xFC, 0x06, 0x1C1, 0xE5
NO_SECTOR, END = -1, -2
Records = list[tuple[int, bytes]]


def ole2(streams: Mapping[str, bytes]) -> bytes:
    """Build the smallest OLE2 container: an allocation sector, directory sectors, then the streams, each padded beyond the limit for short streams."""
    sectors: list[bytes] = []
    entries = [b"R\0o\0o\0t\0".ljust(64, b"\0") + struct.pack("<HBBiii", 10, 5, 1, -1, -1, 1) + bytes(36) + struct.pack("<iii", -2, 0, 0)]
    directory_sectors = (len(streams) + 4) // 4
    chain = [-3, *range(2, 1 + directory_sectors), -2]
    for number, (name, data) in enumerate(streams.items(), 1):
        padded = data.ljust(-(-max(len(data), 4096) // 512) * 512, b"\0")
        first = len(chain)
        sectors += [padded[at : at + 512] for at in range(0, len(padded), 512)]
        chain += [*range(first + 1, first + len(padded) // 512), -2]
        entry = (name + "\0").encode("utf-16-le")
        after = number + 1 if number < len(streams) else -1
        entries.append(
            entry.ljust(64, b"\0") + struct.pack("<HBBiii", len(entry), 2, 1, -1, after, -1) + bytes(36) + struct.pack("<iii", first, max(len(data), 4096), 0)
        )
    header = bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(10)
    header += struct.pack("<iiiiiiii", 1, 1, 0, 4096, -2, 0, -2, 0) + struct.pack("<i", 0) + struct.pack("<i", -1) * 108
    allocation = struct.pack("<128i", *chain, *[-1] * (128 - len(chain)))
    return header + allocation + b"".join(entries).ljust(512 * directory_sectors, b"\0") + b"".join(sectors)


def biff(*records: tuple[int, bytes]) -> bytes:
    """Build the stream of a workbook that has these records and no sheets."""
    bof = struct.pack("<HHHHHHII", BOF, 16, 0x600, 5, 0, 0, 0, 6)
    return bof + b"".join(struct.pack("<HH", code, len(data)) + data for code, data in records) + struct.pack("<HH", EOF, 0)


def split_records(stream: bytes) -> Records:
    """Return the records of a stream, up to its end."""
    records: Records = []
    at = 0
    while at + 4 <= len(stream):
        code, length = struct.unpack_from("<HH", stream, at)
        if code == 0:
            break
        records.append((code, stream[at + 4 : at + 4 + length]))
        at += 4 + length
    return records


def join_records(records: Records) -> bytes:
    """Return the stream of a workbook, in which each sheet is where it is said to be."""
    starts: list[int] = []
    at = 0
    for code, data in records:
        if code == BOF and at:
            starts.append(at)
        at += 4 + len(data)
    places = iter(starts)
    placed = [(code, struct.pack("<i", next(places)) + data[4:]) if code == BOUND_SHEET else (code, data) for code, data in records]
    return b"".join(struct.pack("<HH", code, len(data)) + data for code, data in placed)


def read_records(path: Path) -> Records:
    """Return the records of the workbook at `path`."""
    with olefile.OleFileIO(str(path)) as container:
        return split_records(container.openstream("Workbook").read())


def write_records(path: Path, records: Records) -> Path:
    """Write a workbook in a container."""
    path.write_bytes(ole2({"Workbook": join_records(records)}))
    return path


def write_book(path: Path, fill: Callable[[Any], None], change: Callable[[Records], Records] | None = None) -> Path:
    """Write a workbook with one sheet, which `fill` fills, and whose records `change` changes."""
    book = xlwt.Workbook()
    fill(book.add_sheet("Sheet"))
    book.save(str(path))
    return path if change is None else write_records(path, change(read_records(path)))


def fill_rows(rows: Sequence[Sequence[Any]]) -> Callable[[Any], None]:
    """Return a function that fills a sheet with `rows`."""

    def fill(sheet: Any) -> None:
        for row, cells in enumerate(rows):
            for column, value in enumerate(cells):
                if value is not None:
                    sheet.write(row, column, value)

    return fill


def replace(code: int, change: Callable[[bytes], bytes]) -> Callable[[Records], Records]:
    """Return a function that changes the data of all records with this code."""
    return lambda records: [(found, change(data) if found == code else data) for found, data in records]


def insert_global(*added: tuple[int, bytes]) -> Callable[[Records], Records]:
    """Return a function that puts records before the end of the first part of a workbook."""

    def insert(records: Records) -> Records:
        at = next(index for index, (code, _) in enumerate(records) if code == EOF)
        return [*records[:at], *added, *records[at:]]

    return insert


def insert_in_sheet(*added: tuple[int, bytes]) -> Callable[[Records], Records]:
    """Return a function that puts records before the end of the last sheet."""
    return lambda records: [*records[:-1], *added, records[-1]]

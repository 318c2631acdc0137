"""Files that are damaged, absurd or malicious, and the outcome that each must have."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import xlsxwriter

from tests.features.processing.readers.excel import test_xls, test_xlsx_hostile
from tests.features.processing.readers.excel.workbooks import sheet_xml, write_package

Make = Callable[[Path], object]
MIB = 2**20


@dataclass(frozen=True)
class Hostile:
    """One file and its expected outcome."""

    suffix: str
    make: Make
    sentence: str = ""
    """Part of the message for the uploader if the file cannot be read to its end; empty if it can."""
    rows: int = 0
    errors: dict[str, int] = field(default_factory=dict)


def _bytes(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def _csv(data: bytes, rows: int, **errors: int) -> Hostile:
    return Hostile(".csv", _bytes(data), rows=rows, errors={kind.replace("_", "-"): count for kind, count in errors.items()})


def _pieces(*pieces: tuple[bytes, int]) -> Make:
    """Repeat pieces of bytes, written without holding the whole file in memory."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            for piece, times in pieces:
                step = max(1, MIB // len(piece))
                for _ in range(times // step):
                    file.write(piece * step)
                file.write(piece * (times % step))

    return make


def _sparse_workbook(path: Path) -> None:
    write_package(path, sheet=sheet_xml('<row r="2"><c r="A2"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>7</v></c></row>'))


def _styled_workbook(path: Path) -> None:
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet, bold = workbook.add_worksheet(), workbook.add_format({"bold": True})
    sheet.write_row(0, 0, ["a", "b"])
    sheet.write_row(1, 0, [1, 2])
    for row in range(2, 200_000):
        sheet.write_blank(row, 0, None, bold)
    workbook.close()


def _strings_workbook(path: Path) -> None:
    noise = random.Random(3).randbytes(MIB).hex()
    workbook = xlsxwriter.Workbook(str(path))
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, ["a"])
    for row in range(1, 2_501):
        start = row * 700
        sheet.write_string(row, 0, noise[start : start + 30_000])
    workbook.close()


_GARBAGE = random.Random(7).randbytes(200_000).replace(b"\0", b"\1")

CSV: dict[str, Hostile] = {
    "header only": _csv(b"a,b\n", 0),
    "header without a line break": _csv(b"a,b", 0),
    "blank rows only": Hostile(".csv", _bytes(b"\n\n \n\n"), "no header"),
    "delimiters only": Hostile(".csv", _bytes(b",,,\n,,,\n"), "no header"),
    "a mark of byte order only": Hostile(".csv", _bytes(b"\xef\xbb\xbf"), "no header"),
    "one quote": Hostile(".csv", _bytes(b'"'), "never closed"),
    "quotes only": _csv(b'""""""\n""""\n', 1),
    "NUL bytes in cells": _csv(b"a,b\n1,\0\n\0\0,2\n" + b"1,x\n" * 8, 10, type_error=1),
    "cells of control characters": _csv(b"a,b\n" + b"\x1b[31m,\x07\n" * 3, 3),
    "formulas for a spreadsheet": _csv(b"a\n=cmd|' /C calc'!A0\n+1+1\n@SUM(1)\n", 3),
    "lone carriage returns": _csv(b"a,b\r1,2\r3,4\r", 2),
    "every kind of line break": _csv(b"a,b\n1,2\r\n3,4\r5,6\n", 3),
    "a quote that is never closed, then a thousand rows": _csv(b'a,b\n1,"2\n' + b"3,4\n" * 1000, 1001, unclosed_quote=1),
    "quotes that are never closed, in every row": _csv(b'a,b\n"1,2\n' + b'"x"y,"z\n' * 500, 501, unclosed_quote=501),
    "quotes in the middle of cells": _csv(b'a,b\n5" pipe,6" pipe\n' * 1 + b'x"y"z,""\n', 2),
    "bytes that are no UTF-8 in one row": _csv(b"a,b\n" + "x,é\n".encode() * 3000 + b"\xff\xfe,z\n", 3001, encoding_error=1),
    "UTF-8 that breaks off in the last cell": _csv(b"a,b\n" + "x,é\n".encode() * 3000 + "x,é".encode()[:-1], 3001, encoding_error=1),
    "UTF-16 with half a character at its end": _csv("a,b\n1,2\n".encode("utf-16") + b"\x31", 2, encoding_error=1, missing_cell=1),
    "UTF-16 with a lone surrogate": _csv(b"\xff\xfe" + "a,b\n1,".encode("utf-16-le") + b"\x00\xd8" + "\nx,y\n".encode("utf-16-le"), 2, encoding_error=1),
    "rows that are too short": _csv(b"a,b,c\n" + b"1\n" * 5000, 5000, missing_cell=10_000),
    "rows that are too long": _csv(b"a,b\n" + b"1,2,3\n" * 5000, 5000, extra_cell=5000),
    "a blank run of a hundred thousand rows": _csv(b"a,b\n1,2\n" + b"\n" * 100_000 + b"3,4\n", 100_002, blank_row=1),
    "a hundred thousand blank rows at the end": _csv(b"a,b\n1,2\n" + b"\n" * 100_000, 1),
    "labels of nothing above labels": _csv(b",,\n1,2,3\n", 0),
    "the same label two hundred times": _csv(b",".join([b"a"] * 200) + b"\n" + b",".join([b"1"] * 200) + b"\n", 1, duplicate_label=199),
    "a header of 16,385 labels": Hostile(".csv", _bytes(b",".join(b"c%d" % n for n in range(16_385)) + b"\n1\n"), "more than 16384 columns"),
    "a table of 16,384 columns": _csv(b",".join(b"c%d" % n for n in range(16_384)) + b"\n" + (b"1" + b",1" * 16_383 + b"\n") * 40, 40),
    "a row of a million delimiters": _csv(b"a,b\n1,2\n" + b"," * 1_000_000 + b"x\n3,4\n", 3, row_too_long=1),
    "a header of twenty megabytes": Hostile(".csv", _pieces((b"a", 20 * MIB), (b"\n1\n", 1)), "longer than"),
    "a row of a hundred megabytes": Hostile(".csv", _pieces((b"a,b\n1,2\n", 1), (b"x,", 50 * MIB), (b"\n3,4\n", 1)), rows=3, errors={"row-too-long": 1}),
    "a cell of a hundred megabytes": Hostile(".csv", _pieces((b'a,b\n1,"', 1), (b"x\n", 50 * MIB), (b'"\n3,4\n', 1)), rows=2, errors={"row-too-long": 1}),
    "a hundred megabytes behind a quote that is never closed": Hostile(
        ".csv", _pieces((b'a,b\n1,"x\n', 1), (b"3,4\n", 25 * MIB)), rows=25 * MIB + 1, errors={"unclosed-quote": 1}
    ),
    "twenty megabytes of quotes": Hostile(".csv", _pieces((b"a\n", 1), (b'"', 20 * MIB), (b"\n1\n", 1)), rows=2, errors={"row-too-long": 1}),
    "doubled quotes without end": _csv(b'a\n"' + b'""' * 500_000 + b'"\n1\n', 2),
}
WORKBOOKS: dict[str, Hostile] = {
    "one cell in the far corner": Hostile(".xlsx", _sparse_workbook, rows=1_048_575, errors={"blank-row": 1, "extra-cell": 1}),
    "two hundred thousand styled empty rows": Hostile(".xlsx", _styled_workbook, rows=1),
    "shared strings that are too many for memory": Hostile(".xlsx", _strings_workbook, rows=2500),
    "an XLSX workbook of garbage": Hostile(".xlsx", _bytes(b"PK\x03\x04" + _GARBAGE), "not complete"),
    "an XLS workbook of garbage": Hostile(".xls", _bytes(bytes.fromhex("D0CF11E0A1B11AE1") + _GARBAGE), "damaged"),
    "a web page called .xls": Hostile(".xls", _bytes(b"\xef\xbb\xbf\n<html><table><tr><td>a</td></tr></table></html>"), "web page (HTML)"),
    "a web page in one file called .xls": Hostile(".xls", _bytes(b"From: <x>\r\nMIME-Version: 1.0\r\n"), "MHT"),
    "a spreadsheet in XML called .xlsx": Hostile(".xlsx", _bytes(b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>'), "SpreadsheetML"),
    "an XLS sector table that points everywhere": Hostile(
        ".xls", _bytes(bytes.fromhex("D0CF11E0A1B11AE1") + b"\0" * 16 + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + _GARBAGE), "damaged"
    ),
}


def corpus() -> dict[str, Hostile]:
    """Return every hostile file of the tests."""
    xlsx = {f"XLSX: {name}": Hostile(".xlsx", make, sentence) for name, (make, sentence) in test_xlsx_hostile.REFUSED.items()}
    xls = {f"XLS: {name}": Hostile(".xls", _written(make), sentence) for name, (make, sentence) in test_xls.REFUSED.items()}
    # The readers do not know what a text is, but the engine does.
    named = {f"{suffix[1:].upper()}: text": Hostile(suffix, _bytes(b"a,b\n1,2\n"), "comma-separated text") for suffix in (".xls", ".xlsx")}
    return CSV | WORKBOOKS | xlsx | xls | named


def _written(make: Callable[[], bytes]) -> Make:
    return lambda path: path.write_bytes(make())

"""Make files of a few good rows around one huge row or cell."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.features.processing.readers.excel.workbooks import sheet_xml, write_package

HUGE_ROWS = 2002
HUGE_ERRORS = frozenset({(1002, None, "row-too-long", None), (2003, 1, "type-error", "x")})
_GOOD = b"7,Name\n" * 1000


def make_row(_: Path, size_bytes: int) -> bytes:
    """Make a row with half as many cells as bytes."""
    return b"id,name\n" + _GOOD + b"x," * (size_bytes // 2) + b"\n" + _GOOD + b"x,Name\n"


def make_cell(_: Path, size_bytes: int) -> bytes:
    """Make one quoted cell of many lines."""
    return b"id,name\n" + _GOOD + b'7,"' + b"a,\n-" * (size_bytes // 4) + b'"\n' + _GOOD + b"x,Name\n"


def make_workbook(folder: Path, size_bytes: int) -> bytes:
    """Make a workbook with one huge cell of text; it is not compressed, so that it does not count as a zip bomb."""
    numbers = iter(range(1, HUGE_ROWS + 2))

    def row(first: str, second: str) -> str:
        number = next(numbers)
        cells = "".join(f'<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>' for column, text in (("A", first), ("B", second)))
        return f'<row r="{number}">{cells}</row>'

    header = row("id", "name")
    rows = [*(row("7", "Name") for _ in range(1000)), row("7", "text" * (size_bytes // 4)), *(row("7", "Name") for _ in range(1000)), row("x", "Name")]
    return write_package(folder / "huge.xlsx", sheet=sheet_xml("".join(rows), header=header), compression=zipfile.ZIP_STORED).read_bytes()


HUGE: dict[str, Callable[[Path, int], bytes]] = {"row.csv": make_row, "cell.csv": make_cell, "cell.xlsx": make_workbook}

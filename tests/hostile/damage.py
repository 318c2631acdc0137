"""Damaged files: workbooks and CSV files with bits flipped, ends cut off, fields of their ZIP directory changed, parts swapped, and XML altered.

`python -m tests.hostile.damage [COUNT]` reads so many of them, and prints those that end as no damaged file may.
"""

from __future__ import annotations

import io
import random
import re
import struct
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import xlsxwriter
import xlwt

from features.processing.engine import inspect_file
from features.processing.readers.base import FileUnreadable

_ENCODINGS = (
    "hex",
    "zlib",
    "undefined",
    "idna",
    "utf-7",
    "rot13",
    "base64",
    "big5",
    "iso2022_jp",
    "utf-16",
    "x",
    "",
    "unicode_escape",
    "punycode",
    "mbcs",
    "oem",
)
_XML_PIECES = ("<", ">", "&", '"', "]]>", "<!--", "<?", "</row>", "<row>", "<c>", "<v>", "&#0;", "&#x110000;", "\x00", "\ufffe", "xmlns", ":", "<![CDATA[")
_NUMBERS = ("-1", "0", "99999999999999999999", "1e999999999999", "NaN", "", "x", "1048577", "4294967296", "9" * 5000)


@cache
def make_xlsx() -> bytes:
    """Return a workbook with every kind of cell."""
    data = io.BytesIO()
    workbook = xlsxwriter.Workbook(data, {"in_memory": True})
    day = workbook.add_format({"num_format": "yyyy-mm-dd"})
    for name in ("Table", "Other"):
        sheet = workbook.add_worksheet(name)
        sheet.write_row(0, 0, ["id", "name", "day", "flag"])
        for row in range(1, 30):
            sheet.write_number(row, 0, row)
            sheet.write_string(row, 1, f"name {row}")
            sheet.write_number(row, 2, 45_000 + row, day)
            sheet.write_boolean(row, 3, row % 2 == 0)
        sheet.write_rich_string(30, 1, "a", workbook.add_format({"bold": True}), "b", "c")
        sheet.write_formula(31, 0, "=1/0", None, "#DIV/0!")
    workbook.close()
    return data.getvalue()


@cache
def make_xls() -> bytes:
    """Return a workbook in Excel's older format."""
    book = xlwt.Workbook()
    for name in ("Table", "Other"):
        sheet = book.add_sheet(name)
        for row in range(30):
            for column, value in enumerate((row, f"name {row}", row / 7, row % 2 == 0)):
                sheet.write(row, column, value)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def make_csv(chance: random.Random) -> bytes:
    """Return a CSV file of everyday cells, in some encoding."""
    rows = "".join(f'{number},"name, {number}",2024-01-{number % 28 + 1:02},ä{number}\r\n' for number in range(chance.randrange(1, 60)))
    return f"id,name,day,text\r\n{rows}".encode(chance.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]))


def _flip(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice([1, 2, 8, 64])):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut_off(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def _cut_out(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start + chance.randrange(1, 200) :]


def _overwrite(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    piece = chance.choice([b"\0" * 32, b"\xff" * 32, chance.randbytes(32), b'"' * 9, b",\n" * 9])
    return data[:start] + piece + data[start + len(piece) :]


def _change_field(data: bytes, chance: random.Random) -> bytes:
    """Change a field of a header, or of the end, of the ZIP directory."""
    changed = bytearray(data)
    signature, offsets = chance.choice(
        [(b"PK\x01\x02", (8, 10, 16, 20, 24, 28, 30, 32, 42)), (b"PK\x03\x04", (6, 8, 14, 18, 22, 26, 28)), (b"PK\x05\x06", (8, 10, 12, 16, 20))]
    )
    place = chance.choice([match.start() for match in re.finditer(re.escape(signature), data)])
    value = chance.choice([0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, chance.getrandbits(32), len(data)])
    offset = place + chance.choice(offsets)
    if chance.random() < 0.5:
        struct.pack_into("<L", changed, min(offset, len(changed) - 4), value)
    else:
        struct.pack_into("<H", changed, min(offset, len(changed) - 2), value & 0xFFFF)
    return bytes(changed)


def _rewrite(data: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return changed.getvalue()


def _swap_parts(data: bytes, chance: random.Random) -> bytes:
    def change(parts: dict[str, bytes]) -> None:
        one, other = chance.sample(sorted(parts), 2)
        action = chance.randrange(3)
        if action == 0:
            parts[one], parts[other] = parts[other], parts[one]
        elif action == 1:
            del parts[one]
        else:
            parts[one] = chance.choice([b"", b"\0" * 100, chance.randbytes(100), parts[other]])

    return _rewrite(data, change)


def _change_xml(data: bytes, chance: random.Random) -> bytes:
    def change(parts: dict[str, bytes]) -> None:
        name = chance.choice([name for name in parts if "docProps" not in name and "theme" not in name])
        text = parts[name].decode()
        action = chance.randrange(5)
        if action == 0:
            text = text.replace("UTF-8", chance.choice(_ENCODINGS), 1)
        elif action == 1:
            place = chance.randrange(len(text))
            text = text[:place] + chance.choice(_XML_PIECES) + text[place:]
        elif action == 2:
            values = list(re.finditer(r'"[^"]*"', text))
            match = chance.choice(values)
            text = f'{text[: match.start()]}"{chance.choice(_NUMBERS)}"{text[match.end() :]}'
        elif action == 3:
            values = list(re.finditer(r">[^<>]*</", text)) or list(re.finditer("<", text))
            match = chance.choice(values)
            text = f"{text[: match.start()]}>{chance.choice(_NUMBERS)}</{text[match.end() :]}"
        else:
            tags = list(re.finditer(r"<[^>]*>", text))
            match = chance.choice(tags)
            text = text[: match.start()] + chance.choice(["", match[0] * 2, "<x:y/>"]) + text[match.end() :]
        parts[name] = text.encode("utf-8", "replace")

    return _rewrite(data, change)


_OF_ANY = (_flip, _cut_off, _cut_out, _overwrite)
_OF_XLSX = (_flip, _cut_off, _cut_out, _overwrite, _change_field, _change_field, _swap_parts, _change_xml, _change_xml, _change_xml)


def damaged_files(count: int, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield the suffixes and the contents of so many damaged files: of ten six are XLSX, one is XLS, three are CSV."""
    chance = random.Random(seed)
    for number in range(count):
        place = number % 10
        if place < 6:
            yield ".xlsx", chance.choice(_OF_XLSX)(make_xlsx(), chance)
        elif place < 7:
            yield ".xls", chance.choice(_OF_ANY)(make_xls(), chance)
        else:
            yield ".csv", chance.choice(_OF_ANY)(make_csv(chance), chance)


def read_to_end(path: Path) -> str | None:
    """Read a file; return the sentence for the person who sent it if it cannot be read. Raises what no damaged file may raise."""
    try:
        inspection = inspect_file(path)
        try:
            for report in inspection.reports():
                del report
        finally:
            inspection.close()
    except FileUnreadable as unreadable:
        return str(unreadable)
    return None


def main(arguments: list[str]) -> None:
    """Read damaged files, and print how they end."""
    count = int(arguments[0]) if arguments else 1000
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (suffix, data) in enumerate(damaged_files(count, seed=int(arguments[1]) if arguments[1:] else 1)):
            path = Path(folder) / f"file{suffix}"
            path.write_bytes(data)
            try:
                ends[f"{suffix} {(read_to_end(path) or 'read')[:90]}"] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is printed
                sys.stdout.write(f"{number}{suffix}: {error!r}\n")
                Path(f"/tmp/damaged-{number}{suffix}").write_bytes(data)
    for end, times in ends.most_common():
        sys.stdout.write(f"{times:6} {end}\n")


if __name__ == "__main__":
    main(sys.argv[1:])

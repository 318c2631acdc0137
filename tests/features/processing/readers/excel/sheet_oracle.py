"""Read the cells of a sheet slowly and obviously, as ECMA-376 part 1 describes them; written from the specification, not from the readers that it judges.

Numbers are shown with `decimal`, dates with `datetime`; the XML is parsed as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

MAINS = ("http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main")
SPACE = "{http://www.w3.org/XML/1998/namespace}space"
BLANKS = " \t\n\r"
DATES = ("date", "time", "datetime")


@dataclass(frozen=True)
class Oracle:
    """What a sheet holds: for each cell that is not empty, by row (from 1) and column (from 0), its text and its type or its trouble."""

    strings: list[str]
    styles: Mapping[int, str]
    """What a cell style shows: `date`, `time`, `datetime`, or `0…` for so many digits; others show plain numbers."""

    def cells(self, sheet: str) -> dict[tuple[int, int], tuple[str, str]]:
        root = ET.fromstring(sheet)
        main = next(main for main in (*MAINS, "") if root.tag == named(main, "worksheet"))
        found: dict[tuple[int, int], tuple[str, str]] = {}
        row_number = 0
        for row in root.findall(f"./{named(main, 'sheetData')}/{named(main, 'row')}"):
            row_number = int(row.get("r") or row_number + 1)
            column = -1
            for cell in row.findall(named(main, "c")):
                reference = cell.get("r")
                column = column + 1 if reference is None else column_of(reference)
                data = root.find(named(main, "sheetData"))
                shown = self.cell(cell, main, [around for around in (cell, row, data, root) if around is not None])
                if shown is not None:
                    found[row_number, column] = shown
        return found

    def cell(self, cell: Element, main: str, around: list[Element]) -> tuple[str, str] | None:  # noqa: PLR0911 - one for each kind of cell
        kind = cell.get("t", "n")
        value, formula, inline = (cell.find(named(main, name)) for name in ("v", "f", "is"))
        text = "" if value is None else value.text or ""
        if text == "" and inline is not None:
            text = unescape(rich_text(inline, main, around))
            return (text, "TEXT") if text else None
        if text == "":
            computed = formula is None or (kind == "str" and value is not None)
            return None if computed else ("=" + (formula.text or "") if formula is not None and formula.text else "", "NOT_COMPUTED")
        if kind == "s":
            return (self.strings[int(text)], "TEXT") if self.strings[int(text)] else None
        if kind == "e":
            return text.strip(BLANKS), "ERROR_VALUE"
        if kind == "b":
            return {"0": "false", "false": "false", "1": "true", "true": "true"}[text.strip(BLANKS)], "BOOLEAN"
        if kind == "n":
            return self.number(text, self.styles.get(int(cell.get("s", "0")), ""))
        assert value is not None
        text = unescape(trimmed(text, [value, *around]))
        return (text, "TEXT") if text else None

    def number(self, text: str, shown_as: str) -> tuple[str, str]:
        try:
            exact = Decimal(text.strip(BLANKS))
        except InvalidOperation:
            return text, "TEXT"
        value = Decimal(float(exact))
        if shown_as in DATES and 0 <= value < 2958466:
            # Rounded to the second, halves up.
            seconds = int((value * 86400 + Decimal("0.5")) // 1)
            if seconds < 2958466 * 86400 or shown_as == "time":
                return moment(seconds, shown_as), shown_as.upper()
        shown = format(value.normalize(Context(prec=15, rounding=ROUND_HALF_EVEN)), "f")
        if "." in shown:
            shown = shown.rstrip("0").rstrip(".")
        shown = "0" if shown == "-0" else shown
        if shown_as.startswith("0") and "." not in shown:
            sign, digits = ("-", shown[1:]) if shown.startswith("-") else ("", shown)
            shown = sign + digits.rjust(len(shown_as), "0")
        return shown, "NUMBER"


def moment(seconds: int, shown_as: str) -> str:
    days, rest = divmod(seconds, 86400)
    time = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    if shown_as == "time":
        return time
    # Day 60 is 29 February 1900 in Excel, a day that never was; days before it are one less.
    start = datetime(1899, 12, 30) if days > 60 else datetime(1899, 12, 31)  # noqa: DTZ001 - workbooks have no time zones
    day = {0: "1900-01-00", 60: "1900-02-29"}.get(days) or f"{start + timedelta(days=days):%Y-%m-%d}"
    return f"{day}T{time}" if shown_as == "datetime" else day


def rich_text(item: Element, main: str, around: list[Element]) -> str:
    """Join the texts of an item, without phonetic readings (18.4.6) and what is foreign."""
    pieces = []
    for child in item:
        if child.tag == named(main, "t"):
            pieces.append(trimmed(child.text or "", [child, item, *around]))
        elif child.tag == named(main, "r"):
            pieces += [trimmed(text.text or "", [text, child, item, *around]) for text in child.findall(named(main, "t"))]
    return "".join(pieces)


def trimmed(text: str, around: list[Element]) -> str:
    """Drop XML white space at the ends unless the nearest element with `xml:space` says `preserve` (XML 1.0, 2.10)."""
    said = [element.get(SPACE) for element in around if element.get(SPACE)]
    return text if said[:1] == ["preserve"] else text.strip(BLANKS)


def unescape(text: str) -> str:
    """Replace `_xHHHH_` (22.9.2.19)."""
    return re.sub("_x([0-9A-Fa-f]{4})_", lambda match: chr(int(match[1], 16)), text)


def strings_of(part: str) -> list[str]:
    root = ET.fromstring(part)
    main = next(main for main in (*MAINS, "") if root.tag == named(main, "sst"))
    return [unescape(rich_text(item, main, [root])) for item in root.findall(named(main, "si"))]


def column_of(reference: str) -> int:
    column = 0
    for letter in re.sub("[^A-Z]", "", reference.upper()):
        column = column * 26 + ord(letter) - 64
    return column - 1


def named(namespace: str, name: str) -> str:
    return f"{{{namespace}}}{name}" if namespace else name

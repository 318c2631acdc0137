"""Convert the values of Excel cells to text, by the same rules for workbooks of both formats.

Text stays as it is; whole numbers have no `.0`, other numbers have the shortest digits that give the same number again, always written out
(`0.0000001`, never `1e-07`); booleans are `true` and `false`; serial numbers are dates (`2026-11-23`), date-times (`2026-11-23T10:00:00`), times
(`10:00:00`) or durations (`PT30H15M`) if the number format of the cell shows them as such. Parts that the format does not show (the time in a cell
that shows a date) are left out, except fractions of a second. Uses the standard library only, because the XLS reader runs in a small separate process.
Sources: ECMA-376 part 1, 18.8.30 (number formats), 18.17.4 (dates), 22.9.2.19 (`_xHHHH_` in text).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum

MAX_SHEET_ROWS, MAX_SHEET_COLUMNS = 1_048_576, 16_384
"""The most rows and columns that a sheet can have."""
DAY_MS = 86_400_000

_LAST_SERIAL = {False: 2_958_466, True: 2_957_004}
"""The day after 9999-12-31 as a serial number, in the 1900 and in the 1904 date system."""
_EPOCH = {False: date(1899, 12, 30).toordinal(), True: date(1904, 1, 1).toordinal()}
_LEAP_BUG_DAY = 60
"""29 February 1900, which did not exist but which Excel counts."""
_MAX_DIGITS = 4_000
"""Python refuses to parse longer whole numbers."""

_LITERAL = re.compile(r'"[^"]*"?|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_BRACKET = re.compile(r"\[[^\]]*\]?")
_HALF_DAY = re.compile(r"am/pm|a/p|上午/下午", re.IGNORECASE)
_DATE_PARTS = re.compile(r"[dmyhs]")
_MINUTES = re.compile(r"h[^dmyhs]*m{1,2}(?!m)|(?<!m)m{1,2}(?!m)[^dmyhs]*s")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SURROGATES = range(0xD800, 0xE000)


class FormatKind(IntEnum):
    """How a number format displays a number."""

    NUMBER = 0
    DATE = 1
    TIME = 2
    DATETIME = 3
    DURATION = 4
    MOMENT = 5
    """A format of East Asian versions of Excel that shows a date or a time depending on the country: here the number decides."""


_BUILT_IN_KINDS = {
    **dict.fromkeys((14, 15, 16, 17, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), FormatKind.DATE),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), FormatKind.TIME),
    **dict.fromkeys((34, 35, 55, 56), FormatKind.MOMENT),
    22: FormatKind.DATETIME,
    46: FormatKind.DURATION,
}
"""Kinds of the built-in formats by number; workbooks do not contain their codes."""


def built_in_kind(number: int) -> FormatKind:
    """Return the kind of a built-in number format, which only its number (0 to 163) identifies."""
    return _BUILT_IN_KINDS.get(number, FormatKind.NUMBER)


def format_kind(code: str) -> FormatKind:
    """Return the kind of a number format from its code, such as `yyyy-mm-dd`; the section for positive numbers decides."""
    code = _LITERAL.sub("", code).split(";", 1)[0]
    if _ELAPSED.search(code):
        return FormatKind.DURATION
    code = _BRACKET.sub("", code).lower()
    if code.strip() in ("general", "standard", "@"):
        return FormatKind.NUMBER
    has_half_day = _HALF_DAY.search(code) is not None
    code = _HALF_DAY.sub("", code)
    if not _DATE_PARTS.search(code):
        return FormatKind.NUMBER
    has_time = has_half_day or "h" in code or "s" in code
    has_date = "d" in code or "y" in code or "m" in _MINUTES.sub("", code)
    if has_time:
        return FormatKind.DATETIME if has_date else FormatKind.TIME
    return FormatKind.DATE


def number_text(value: float) -> str:
    """Write out a finite number without an exponent."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def parse_number(text: str) -> int | float | None:
    """Parse a number from a workbook's XML; None if `text` is not a number, or one that no cell can hold."""
    if len(text) > _MAX_DIGITS or "_" in text or not text.isascii():
        return None
    try:
        value = float(text) if "." in text or "e" in text or "E" in text else int(text)
    except ValueError:
        return None
    return value if isinstance(value, int) or abs(value) != float("inf") else None


def serial_text(serial: float, kind: FormatKind, *, is_1904: bool) -> str:
    """Show a serial number as the date, time or duration that `kind` asks for; a number that is not valid as one, such as a negative date, as a number."""
    if kind == FormatKind.DURATION:
        return _duration_text(serial)
    if not 0 <= serial < _LAST_SERIAL[is_1904]:
        return number_text(serial)
    # Rounded as Excel does, because sums of fractions of a day are slightly inexact.
    day, time_ms = divmod(round(serial * DAY_MS), DAY_MS)
    if kind == FormatKind.MOMENT:
        kind = FormatKind.TIME if serial < 1 else FormatKind.DATETIME if time_ms else FormatKind.DATE
    if kind == FormatKind.TIME:
        return _time_text(time_ms)
    if kind == FormatKind.DATE:
        return _day_text(int(serial), is_1904=is_1904)
    return number_text(serial) if day >= _LAST_SERIAL[is_1904] else f"{_day_text(day, is_1904=is_1904)}T{_time_text(time_ms)}"


def unescape_text(text: str) -> str:
    """Replace escapes such as `_x000D_`, which stand for characters that XML cannot hold; `_x005F_` stands for an underscore that begins no escape."""
    return _ESCAPE.sub(_replace_escape, text) if "_x" in text else text


def _replace_escape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if code in _SURROGATES else chr(code)


def _day_text(day: int, *, is_1904: bool) -> str:
    if is_1904:
        return date.fromordinal(_EPOCH[True] + day).isoformat()
    if day == 0:
        return "1900-01-00"
    if day == _LEAP_BUG_DAY:
        return "1900-02-29"
    return date.fromordinal(_EPOCH[False] + day + (day < _LEAP_BUG_DAY)).isoformat()


def _time_text(time_ms: int) -> str:
    seconds, ms = divmod(time_ms, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{ms:03}" if ms else text


def duration_text(duration: timedelta) -> str:
    """Return a duration in ISO 8601, in hours, minutes and seconds."""
    return _milliseconds_text(round(duration / timedelta(milliseconds=1)))


def iso_value_text(value: object, kind: FormatKind) -> str:
    """Show a date or time that the workbook holds in ISO 8601 (few do) by the format of the cell, like a serial number."""
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, datetime):
        if kind == FormatKind.DATE:
            return value.date().isoformat()
        time_of_day = value.time() if kind == FormatKind.TIME else value
        return time_of_day.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    if isinstance(value, time):
        return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value))


def _duration_text(days: float) -> str:
    if not abs(days) < _LAST_SERIAL[False]:
        return number_text(days)
    return _milliseconds_text(round(days * DAY_MS))


def _milliseconds_text(total_ms: int) -> str:
    seconds, ms = divmod(abs(total_ms), 1000)
    fraction = f".{ms:03}" if ms else ""
    parts = [(seconds // 3600, "", "H"), (seconds // 60 % 60, "", "M"), (seconds % 60, fraction, "S")]
    shown = "".join(f"{count}{rest}{unit}" for count, rest, unit in parts if count or rest)
    return f"{'-' if total_ms < 0 else ''}PT{shown or '0S'}"


@dataclass(slots=True)
class SheetRow:
    """One row of a sheet that has content."""

    number: int
    """Row number in the sheet, from 1."""
    cells: list[str]
    """Texts from column A on; `""` for cells that are empty or hold an error; not more than the table has columns."""
    beyond: list[tuple[int, str]] | None = None
    """Cells with content to the right of the table: the column (from 0) and the text."""
    errors: list[tuple[int, str]] | None = None
    """Cells that hold an error value, inside or outside the table: the column (from 0) and the value, such as `#N/A`."""
    is_too_long: bool = False

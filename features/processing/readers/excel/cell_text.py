"""What the value of an Excel cell is as text: one rule for workbooks of both formats.

Text stays as it is; whole numbers have no `.0`, other numbers the shortest digits that give the same number again, always written out (`0.0000001`,
never `1e-07`); booleans are `true` and `false`; serial numbers are dates (`2026-11-23`), date-times (`2026-11-23T10:00:00`), times (`10:00:00`) or
durations (`PT30H15M`) where the cell's number format shows them as such. What the format does not show (the time in a cell that shows a date) is
not in the text, except fractions of a second. Standard library only, since the reader of old workbooks runs in a small process of its own.
Sources: ECMA-376 part 1, 18.8.30 (number formats), 18.17.4 (dates), 22.9.2.19 (`_xHHHH_` in text).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum

MAX_SHEET_ROWS, MAX_SHEET_COLUMNS = 1_048_576, 16_384
"""The last row and the last column that a sheet can have."""
DAY_MS = 86_400_000

_LAST_SERIAL = {False: 2_958_466, True: 2_957_004}
"""The day behind 9999-12-31, in the epoch of 1900 and in that of 1904."""
_EPOCH = {False: date(1899, 12, 30).toordinal(), True: date(1904, 1, 1).toordinal()}
_LEAP_BUG_DAY = 60
"""29 February 1900, which never was; Excel counts it."""
_MAX_DIGITS = 4_000
"""Python refuses to read longer whole numbers."""

_LITERAL = re.compile(r'"[^"]*"?|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_BRACKET = re.compile(r"\[[^\]]*\]?")
_HALF_DAY = re.compile(r"am/pm|a/p|上午/下午", re.IGNORECASE)
_DATE_PARTS = re.compile(r"[dmyhs]")
_MINUTES = re.compile(r"h[^dmyhs]*m{1,2}(?!m)|(?<!m)m{1,2}(?!m)[^dmyhs]*s")
_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SURROGATES = range(0xD800, 0xE000)


class FormatKind(IntEnum):
    """What a number format makes of a number."""

    NUMBER = 0
    DATE = 1
    TIME = 2
    DATETIME = 3
    DURATION = 4
    MOMENT = 5
    """A format of East Asian Excel that is a date or a time by country: the number decides."""


_BUILT_IN_KINDS = {
    **dict.fromkeys((14, 15, 16, 17, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), FormatKind.DATE),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), FormatKind.TIME),
    **dict.fromkeys((34, 35, 55, 56), FormatKind.MOMENT),
    22: FormatKind.DATETIME,
    46: FormatKind.DURATION,
}
"""By number: these formats are not written down in workbooks."""


def built_in_kind(number: int) -> FormatKind:
    """The kind of a number format that its number alone stands for (0 to 163)."""
    return _BUILT_IN_KINDS.get(number, FormatKind.NUMBER)


def format_kind(code: str) -> FormatKind:
    """The kind of a number format by its code, such as `yyyy-mm-dd`; the part for positive numbers decides."""
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
    """A finite number, written out."""
    if isinstance(value, int):
        return str(value)
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    text = text.removesuffix(".0")
    return "0" if text == "-0" else text


def parse_number(text: str) -> int | float | None:
    """The number that a workbook's XML holds as `text`; None for what is none, and for what no cell can hold."""
    if len(text) > _MAX_DIGITS or "_" in text or not text.isascii():
        return None
    try:
        value = float(text) if "." in text or "e" in text or "E" in text else int(text)
    except ValueError:
        return None
    return value if isinstance(value, int) or abs(value) != float("inf") else None


def serial_text(serial: float, kind: FormatKind, *, is_1904: bool) -> str:
    """A number whose format shows a date, a time or a duration; a number that is none, such as a negative one, as number."""
    if kind == FormatKind.DURATION:
        return _duration_text(serial)
    if not 0 <= serial < _LAST_SERIAL[is_1904]:
        return number_text(serial)
    # Rounded as Excel does: the sums of fractions of a day are a little off.
    day, time_ms = divmod(round(serial * DAY_MS), DAY_MS)
    if kind == FormatKind.MOMENT:
        kind = FormatKind.TIME if serial < 1 else FormatKind.DATETIME if time_ms else FormatKind.DATE
    if kind == FormatKind.TIME:
        return _time_text(time_ms)
    if kind == FormatKind.DATE:
        return _day_text(int(serial), is_1904=is_1904)
    return number_text(serial) if day >= _LAST_SERIAL[is_1904] else f"{_day_text(day, is_1904=is_1904)}T{_time_text(time_ms)}"


def unescape_text(text: str) -> str:
    """`text` with the characters that XML cannot hold, written `_x000D_`, put in; `_x005F_` is an underscore that begins no such thing."""
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
    """A duration in ISO 8601, in hours, minutes and seconds."""
    return _milliseconds_text(round(duration / timedelta(milliseconds=1)))


def iso_value_text(value: object, kind: FormatKind) -> str:
    """A date or time that the workbook holds in ISO 8601, which few do, shown by the cell's format like a serial number."""
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
    """One row of a sheet that has something in it."""

    number: int
    """Its place in the sheet, from 1."""
    cells: list[str]
    """From column A; `""` for cells that are empty or hold an error; no longer than the table is wide."""
    beyond: list[tuple[int, str]] | None = None
    """Cells with content right of the table: the column (from 0) and the text."""
    errors: list[tuple[int, str]] | None = None
    """Cells that hold an error value, wherever they stand: the column (from 0) and `#N/A` or the like."""
    is_too_long: bool = False

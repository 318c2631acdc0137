"""Convert the values of Excel cells to text as Excel shows them, by the same rules for workbooks of both formats.

Text stays as it is; numbers have at most 15 significant digits, no `.0`, and are always written out (`0.0000001`, never `1e-07`); booleans are `true`
and `false`; serial numbers are dates (`2026-11-23`), date-times (`2026-11-23T10:00:00`), times (`10:00:00`) or durations (`PT30H15M`) if the number format
of the cell shows them as such, rounded to a second, or to the decimals of a second that the format shows. The time in a cell that shows a date is left
out. Uses the standard library only, because the XLS reader runs in a small separate process.
Sources: ECMA-376 part 1, 18.17.4 (dates), 22.9.2.19 (`_xHHHH_` in text).
"""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.native_types import NativeType

EXACT_DIGITS = 15
"""So many digits of a number are shown."""
LONG_NUMBERS = range(10**15, 10**20)
"""Whole numbers that are probably meant as identifiers, and of which Excel keeps the first 15 digits only."""

DAY_S = 86_400
LAST_SERIAL = {False: 2_958_466, True: 2_957_004}
"""The day after 9999-12-31 as a serial number, in the 1900 and in the 1904 date system."""
EPOCH = {False: date(1899, 12, 30).toordinal(), True: date(1904, 1, 1).toordinal()}
_NATIVE_TYPES = {FormatKind.TIME: NativeType.TIME, FormatKind.DATE: NativeType.DATE}
USUAL_TYPES = {
    FormatKind.NUMBER: NativeType.NUMBER,
    FormatKind.DATE: NativeType.DATE,
    FormatKind.TIME: NativeType.TIME,
    FormatKind.DATETIME: NativeType.DATETIME,
    FormatKind.DURATION: NativeType.DURATION,
    FormatKind.MOMENT: NativeType.DATE,
    FormatKind.ZEROS: NativeType.NUMBER,
}
"""What numbers mostly are with a format of each kind."""
_DAYS_KEPT = 2**12
LEAP_BUG_DAY = 60
"""29 February 1900, which did not exist but which Excel counts."""
_MAX_DIGITS = 4_000
"""Python refuses to parse longer whole numbers."""

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SURROGATES = range(0xD800, 0xE000)


def number_text(value: float) -> str:
    """Write out a finite number with at most 15 significant digits and without an exponent."""
    if isinstance(value, int) and -LONG_NUMBERS.start < value < LONG_NUMBERS.start:
        return str(value)
    text = f"{value:.15g}"
    if "e" in text:
        text = format(Decimal(text), "f")
    return "0" if text == "-0" else text


def is_long_number(value: float) -> bool:
    """Whether a number is a whole one of which Excel keeps the first digits only, and that may be an identifier."""
    return abs(value) >= LONG_NUMBERS.start and int(abs(value)) in LONG_NUMBERS


def parse_number(text: str) -> int | float | None:
    """Parse a number from a workbook's XML; None if `text` is not a number, or one that no cell can hold."""
    if len(text) > _MAX_DIGITS or "_" in text or not text.isascii():
        return None
    try:
        value = float(text) if "." in text or "e" in text or "E" in text else int(text)
        return value if math.isfinite(value) else None
    except (ValueError, OverflowError):
        return None


def show_value(value: float, shown_as: NumberFormat, *, is_1904: bool) -> tuple[str, NativeType]:
    """Show a number as its format asks for, and return what it is then; one that is not valid as a date, such as a negative one, is a number."""
    if shown_as.kind == FormatKind.NUMBER:
        return number_text(value), NativeType.NUMBER
    if shown_as.kind == FormatKind.ZEROS:
        return _pad(number_text(value), shown_as.digits), NativeType.NUMBER
    # Rounded as Excel does, because sums of fractions of a day are slightly inexact.
    per_second = 10**shown_as.decimals
    is_possible = abs(value) < LAST_SERIAL[is_1904] and (value >= 0 or shown_as.kind == FormatKind.DURATION)
    units = math.floor(abs(value) * DAY_S * per_second + 0.5) if is_possible else 0
    if is_possible and shown_as.kind == FormatKind.DURATION:
        return _duration_text(units, per_second, is_negative=value < 0), NativeType.DURATION
    day, time_units = divmod(units, DAY_S * per_second)
    if not is_possible or (day >= LAST_SERIAL[is_1904] and shown_as.kind != FormatKind.TIME):
        return number_text(value), NativeType.NUMBER
    native_type = _native_type_of(shown_as.kind, is_first_day=value < 1, is_midnight=not time_units)
    if native_type == NativeType.TIME:
        return _time_text(time_units, per_second), native_type
    day_text = _day_text(day, is_1904=is_1904)
    return (day_text if native_type == NativeType.DATE else f"{day_text}T{_time_text(time_units, per_second)}"), native_type


def _native_type_of(kind: FormatKind, *, is_first_day: bool, is_midnight: bool) -> NativeType:
    if kind == FormatKind.MOMENT:
        return NativeType.TIME if is_first_day else NativeType.DATE if is_midnight else NativeType.DATETIME
    return _NATIVE_TYPES.get(kind, NativeType.DATETIME)


def show_iso_value(value: object, shown_as: NumberFormat) -> tuple[str, NativeType]:
    """Show a date or time that the workbook holds in ISO 8601 (few do) by the format of the cell, like a serial number."""
    if isinstance(value, timedelta):
        units = round(abs(value) / timedelta(milliseconds=1))
        return _duration_text(units, 1000, is_negative=value < timedelta(0)), NativeType.DURATION
    if isinstance(value, datetime):
        if shown_as.kind == FormatKind.DATE:
            return value.date().isoformat(), NativeType.DATE
        if shown_as.kind == FormatKind.TIME:
            return _iso_time(value.time()), NativeType.TIME
        return f"{value.date().isoformat()}T{_iso_time(value.time())}", NativeType.DATETIME
    if isinstance(value, time):
        return _iso_time(value), NativeType.TIME
    if isinstance(value, date):
        return value.isoformat(), NativeType.DATE
    raise TypeError(type(value))


def unescape_text(text: str) -> str:
    """Replace escapes such as `_x000D_`, which stand for characters that XML cannot hold; `_x005F_` stands for an underscore that begins no escape."""
    return _ESCAPE.sub(_replace_escape, text) if "_x" in text else text


def _replace_escape(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0] if code in _SURROGATES else chr(code)


def _pad(text: str, digits: int) -> str:
    """Put zeros before a whole number; other numbers stay as they are, since such a format would hide their decimals."""
    if "." in text:
        return text
    return f"-{text[1:].zfill(digits)}" if text.startswith("-") else text.zfill(digits)


@lru_cache(maxsize=_DAYS_KEPT)
def _day_text(day: int, *, is_1904: bool) -> str:
    if is_1904:
        return date.fromordinal(EPOCH[True] + day).isoformat()
    if day == 0:
        return "1900-01-00"
    if day == LEAP_BUG_DAY:
        return "1900-02-29"
    return date.fromordinal(EPOCH[False] + day + (day < LEAP_BUG_DAY)).isoformat()


def _time_text(units: int, per_second: int) -> str:
    seconds, fraction = divmod(units, per_second)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction * 1000 // per_second:03}" if fraction else text


def _iso_time(value: time) -> str:
    return value.replace(tzinfo=None).isoformat(timespec="milliseconds" if value.microsecond >= 1000 else "seconds")  # noqa: PLR2004


def _duration_text(units: int, per_second: int, *, is_negative: bool) -> str:
    seconds, fraction = divmod(units, per_second)
    decimals = f".{fraction * 1000 // per_second:03}" if fraction else ""
    parts = [(seconds // 3600, "", "H"), (seconds // 60 % 60, "", "M"), (seconds % 60, decimals, "S")]
    shown = "".join(f"{count}{rest}{unit}" for count, rest, unit in parts if count or rest)
    return f"{'-' if is_negative and units else ''}PT{shown or '0S'}"

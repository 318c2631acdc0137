"""Write the cells of workbooks that are no text (numbers, dates, times) so that they are the same when the file is read again.

A cell that would be read as another text or type, such as a day before 1900, stays text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from features.processing.readers.excel.cell_text import number_text, parse_number, show_value
from features.processing.readers.excel.number_formats import parse_format
from features.processing.readers.native_types import NativeType

_VALUES_KEPT = 2**14
_DAY_MS = 86_400_000
_EPOCH = date(1899, 12, 30).toordinal()
_LEAP_BUG_DAY = 60
"""29 February 1900, which did not exist but which Excel counts."""
_ZEROS = range(2, 31)
"""Formats of so many zeros are read as such."""
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{3}))?", re.ASCII)
_DURATION = re.compile(r"(-)?PT(?:(\d{1,12})H)?(?:(\d\d?)M)?(?:(\d\d?)(?:\.(\d{3}))?S)?", re.ASCII)


class NativeCell(NamedTuple):
    """A cell that is no text."""

    number_format: str
    """The code of its number format; empty: General."""
    xml: str
    """The cell after its attribute `s`."""


@lru_cache(maxsize=_VALUES_KEPT)
def native_cell(text: str, native_type: int) -> NativeCell | None:
    """Return the cell of a native type that is read as `text` and as that type; None if there is none."""
    if native_type == NativeType.BOOLEAN:
        return NativeCell("", f' t="b"><v>{int(text == "true")}</v></c>') if text in ("true", "false") else None
    make = _MAKERS.get(native_type)
    made = None if make is None else make(text)
    if made is None:
        return None
    number_format, value = made
    number = parse_number(value)
    if number is None or show_value(number, parse_format(number_format), is_1904=False) != (text, native_type):
        return None
    return NativeCell(number_format, f"><v>{value}</v></c>")


def _make_number(text: str) -> tuple[str, str] | None:
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdigit() and digits.startswith("0") and len(digits) in _ZEROS:
        return "0" * len(digits), str(int(text))
    number = parse_number(text)
    return None if number is None or number_text(number) != text else ("", text)


def _make_date(text: str) -> tuple[str, str] | None:
    days = _days_of(text)
    return None if days is None else ("yyyy-mm-dd", str(days))


def _make_time(text: str) -> tuple[str, str] | None:
    found = _milliseconds_of(text)
    return None if found is None else (f"hh:mm:ss{found[1]}", _serial(found[0]))


def _make_datetime(text: str) -> tuple[str, str] | None:
    day, _, time = text.partition("T")
    days, found = _days_of(day), _milliseconds_of(time)
    if days is None or found is None:
        return None
    return f'yyyy-mm-dd"T"hh:mm:ss{found[1]}', _serial(days * _DAY_MS + found[0])


def _make_duration(text: str) -> tuple[str, str] | None:
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    seconds = int(match[2] or 0) * 3600 + int(match[3] or 0) * 60 + int(match[4] or 0)
    serial = _serial(seconds * 1000 + int(match[5] or 0))
    return f"[h]:mm:ss{'.000' if match[5] else ''}", f"-{serial}" if match[1] else serial


def _days_of(text: str) -> int | None:
    """Return the serial number of a date."""
    if text == "1900-01-00":
        return 0
    if text == "1900-02-29":
        return _LEAP_BUG_DAY
    match = _DATE.fullmatch(text)
    try:
        days = date(int(match[1]), int(match[2]), int(match[3])).toordinal() - _EPOCH if match else -1
    except ValueError:
        return None
    days -= days <= _LEAP_BUG_DAY
    return days if days > 0 else None


def _milliseconds_of(text: str) -> tuple[int, str] | None:
    """Return the milliseconds since midnight, and what a number format needs to show their fraction of a second."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])
    return seconds * 1000 + int(match[4] or 0), ".000" if match[4] else ""


def _serial(milliseconds: int) -> str:
    days, rest = divmod(milliseconds, _DAY_MS)
    return str(days) if not rest else repr(milliseconds / _DAY_MS)


_MAKERS: Mapping[int, Callable[[str], tuple[str, str] | None]] = {
    NativeType.NUMBER: _make_number,
    NativeType.DATE: _make_date,
    NativeType.TIME: _make_time,
    NativeType.DATETIME: _make_datetime,
    NativeType.DURATION: _make_duration,
}

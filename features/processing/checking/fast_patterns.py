"""Fast parsers of dates and times in the formats of strptime whose parts have few widths: `%d.%m.%Y`, `%m/%d/%Y %I:%M %p`, `%Y-%m-%d %H:%M:%S.%f`.

A format is compiled to layouts: the place of each part in a cell of one size. They take a part of what strptime takes, and give it the same value:
one blank for a blank, literals as they are written, parts of one digit only beside characters that are no digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from features.processing.checking.fast_calendar import DAY_S, Int32s, count_days, find_days
from features.processing.checking.fast_result import ZERO, Digits, FastResult, Int64s, are_digits, digits_of, is_character, number_at, spread
from features.processing.column import Column, Indices, Mask

_WIDTHS: Mapping[str, Sequence[int]] = {
    "Y": (4,),
    "y": (2,),
    **dict.fromkeys("mdHI", (2, 1)),
    **dict.fromkeys("MS", (2,)),
    "f": (6, 3, 1, 2, 4, 5),
    "p": (2,),
    "b": (3,),
    "B": (3, 4, 5, 6, 7, 8, 9),
    "a": (3,),
    "z": (6, 5, 1),
}
_NUMERIC = "YymdHIMSf"
_MAX_LAYOUTS = 96
"""With each directive once, past this there are none but those of full width: at most 18."""
_PART = re.compile(r"%(.)|([^%]+)", re.DOTALL)
_LATEST_SHORT_YEAR = 68
"""Years of two digits up to this one are in the 21st century, the others in the 20th."""
_PLUS, _MINUS, _COLON, _Z, _A, _P, _M = b"+-:ZAPM"
_LOWER_CASE = 0x20
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_SHORT_NAMES = {"b": [name[:3] for name in _MONTHS], "a": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the parts of a format are in cells of one size."""

    size: int
    places: Mapping[str, tuple[int, ...]]
    """By directive."""
    literals: Sequence[tuple[int, int]]
    """Position and byte."""


def compile_pattern(pattern: str, type_name: str) -> Callable[[Column], FastResult] | None:
    """Return the fast parser of a strptime pattern for the type date, time or datetime; None if it has parts that only the exact parser knows."""
    layouts = _make_layouts(pattern)
    if layouts is None or not _is_whole(set(layouts[0].places), type_name):
        return None
    # Datetimes are whole seconds, so that those of any format have the same keys; with fractions only the exact parser tells their value.
    is_counted = type_name != "datetime" or "f" not in layouts[0].places
    by_size: dict[int, list[_Layout]] = {}
    for layout in layouts:
        by_size.setdefault(layout.size, []).append(layout)

    def parse(column: Column) -> FastResult:
        found: list[tuple[Indices, Callable[[], Int64s], Mask]] = []
        sizes = column.sizes
        for size, same in by_size.items():
            rows = np.flatnonzero(sizes == size)
            for layout in same:
                if len(rows):
                    count, valid = _judge(digits_of(column, size, rows), layout, type_name)
                    found.append((rows, count, valid))
                    if len(same) > 1:
                        rows = rows[~valid]
        result = _join(column, found)
        return result if is_counted else FastResult(result.accepted)

    return parse


def _make_layouts(pattern: str) -> list[_Layout] | None:
    parts: list[tuple[str, bytes]] = []
    for match in _PART.finditer(pattern):
        parts.append((match[1] or "", b"" if match[1] else match[2].encode()))
        if match[1] and match[1] not in _WIDTHS:
            return None
    if sum(len(match[0]) for match in _PART.finditer(pattern)) != len(pattern) or re.search(r"\s\s|[^\S ]", pattern):
        return None
    options: list[Sequence[int]] = []
    for index, (directive, literal) in enumerate(parts):
        beside = [parts[other][0] for other in (index - 1, index + 1) if 0 <= other < len(parts)]
        next_to_digits = directive in _NUMERIC and (any(name and name in _NUMERIC for name in beside) or _touches_digits(parts, index))
        widths = _WIDTHS[directive] if directive else (len(literal),)
        options.append(widths[:1] if next_to_digits else widths)
    if prod(len(widths) for widths in options) > _MAX_LAYOUTS:
        # Parts of one digit are rare where there are fractions of a second and zones.
        options = [widths[:1] if directive in _NUMERIC and directive != "f" else widths for (directive, _), widths in zip(parts, options, strict=True)]
    return [_place(parts, widths) for widths in product(*options)]


def _touches_digits(parts: Sequence[tuple[str, bytes]], index: int) -> bool:
    before = parts[index - 1][1][-1:] if index else b""
    behind = parts[index + 1][1][:1] if index + 1 < len(parts) else b""
    return before.isdigit() or behind.isdigit()


def _place(parts: Sequence[tuple[str, bytes]], widths: Sequence[int]) -> _Layout:
    places: dict[str, tuple[int, ...]] = {}
    literals: list[tuple[int, int]] = []
    at = 0
    for (directive, literal), width in zip(parts, widths, strict=True):
        if directive:
            places[directive] = tuple(range(at, at + width))
        literals += [(at + step, code) for step, code in enumerate(literal)]
        at += width
    return _Layout(at, places, literals)


def _is_whole(directives: set[str], type_name: str) -> bool:
    """Whether a pattern has a year, a month and a day, or an hour, each once, and no part that stands for nothing."""
    has_date = len(directives & {"Y", "y"}) == len(directives & {"m", "b", "B"}) == len(directives & {"d"}) == 1
    has_time = len(directives & {"H", "I"}) == 1
    has_part_of_date, has_part_of_time = bool(directives & set("YymbBda")), bool(directives & set("HIMSfp"))
    if type_name == "time":
        return has_time and not has_part_of_date
    return has_date and (has_time or not has_part_of_time)


def _judge(digits: Digits, layout: _Layout, type_name: str) -> tuple[Callable[[], Int64s], Mask]:
    """Return a function that computes the values of the cells, and which of them are valid."""
    places = layout.places
    numeric = [place for directive, each in places.items() if directive in _NUMERIC for place in each]
    valid = are_digits(digits, *numeric)
    for place, code in layout.literals:
        valid &= is_character(digits, place, code)
    if "a" in places:
        valid &= _find_names(digits, places["a"], _SHORT_NAMES["a"]) > 0
    count_date = count_time = None
    if "d" in places:
        year, month, day = _read_year(digits, places), _read_month(digits, places), number_at(digits, *places["d"])
        valid = find_days(year, month, day, valid)
        count_date = lambda: count_days(year, month, day)  # noqa: E731
    if "H" in places or "I" in places:
        count_time, valid = _read_time(digits, places, valid)
    offset_s, valid = _read_zone(digits, places, valid)

    def count() -> Int64s:
        if type_name == "date":
            assert count_date is not None
            return count_date()
        microseconds = count_time() if count_time is not None else np.zeros(digits.shape[1], np.int64)
        microseconds -= offset_s.astype(np.int64) * 1_000_000
        if type_name == "time":
            return microseconds
        assert count_date is not None
        return count_date() * DAY_S + microseconds // 1_000_000

    return count, valid


def _read_year(digits: Digits, places: Mapping[str, tuple[int, ...]]) -> Int32s:
    if "Y" in places:
        return number_at(digits, *places["Y"])
    year = number_at(digits, *places["y"])
    return np.asarray(year + np.where(year > _LATEST_SHORT_YEAR, 1900, 2000), np.int32)


def _read_month(digits: Digits, places: Mapping[str, tuple[int, ...]]) -> Int32s:
    if "m" in places:
        return number_at(digits, *places["m"])
    return _find_names(digits, places["b"], _SHORT_NAMES["b"]) if "b" in places else _find_names(digits, places["B"], _MONTHS)


def _find_names(digits: Digits, places: tuple[int, ...], names: Sequence[str]) -> Int32s:
    """Return which of the names, from 1, stands at some positions of each cell, in letters of any case; 0 for none."""
    letters = [digits[place] + np.uint8(ZERO) | np.uint8(_LOWER_CASE) for place in places]
    found = np.zeros(digits.shape[1], np.int32)
    for number, name in enumerate(names, 1):
        if len(name) == len(places):
            found[np.logical_and.reduce([letter == ord(character) for letter, character in zip(letters, name, strict=True)])] = number
    return found


def _read_time(digits: Digits, places: Mapping[str, tuple[int, ...]], valid: Mask) -> tuple[Callable[[], Int64s], Mask]:
    minute = number_at(digits, *places.get("M", ()))
    second = number_at(digits, *places.get("S", ()))
    valid = valid & (minute < 60) & (second < 60)  # noqa: PLR2004
    is_after_noon: Mask | None = None
    if "p" in places:
        first, second_letter = ((digits[place] + np.uint8(ZERO)) & np.uint8(~_LOWER_CASE & 0xFF) for place in places["p"])
        is_after_noon = first == _P
        valid &= ((first == _A) | is_after_noon) & (second_letter == _M)
    if "H" in places:
        hour = number_at(digits, *places["H"])
        valid &= hour < 24  # noqa: PLR2004
    else:
        hour = number_at(digits, *places["I"])
        valid &= (hour >= 1) & (hour <= 12)  # noqa: PLR2004
        hour = hour % 12
        if is_after_noon is not None:
            hour = hour + 12 * is_after_noon
    fraction = places.get("f", ())

    def count() -> Int64s:
        seconds = (hour * 3600 + minute * 60 + second).astype(np.int64)
        return np.asarray(seconds * 1_000_000 + number_at(digits, *fraction).astype(np.int64) * 10 ** (6 - len(fraction)), np.int64)

    return count, valid


def _read_zone(digits: Digits, places: Mapping[str, tuple[int, ...]], valid: Mask) -> tuple[Int32s, Mask]:
    """Return the offsets from UTC in seconds, of Z and of `+hh:mm` with or without its colon."""
    nothing = np.zeros(digits.shape[1], np.int32)
    if "z" not in places:
        return nothing, valid
    at, *rest = places["z"]
    if not rest:
        return nothing, valid & is_character(digits, at, _Z)
    hour_places, minute_places = (at + 1, at + 2), tuple(rest[-2:])
    is_minus = is_character(digits, at, _MINUS)
    hour, minute = number_at(digits, *hour_places), number_at(digits, *minute_places)
    valid = valid & (is_minus | is_character(digits, at, _PLUS)) & are_digits(digits, *hour_places, *minute_places)
    if len(rest) == 5:  # noqa: PLR2004 - hh:mm
        valid &= is_character(digits, at + 3, _COLON)
    valid &= (hour < 24) & (minute < 60)  # noqa: PLR2004
    return np.asarray(np.where(is_minus, -1, 1) * (hour * 3600 + minute * 60), np.int32), valid


def _join(column: Column, found: Sequence[tuple[Indices, Callable[[], Int64s], Mask]]) -> FastResult:
    if len(found) == 1:
        rows, count, valid = found[0]
        return spread(column, rows, count, valid)
    accepted = np.zeros(len(column), np.bool_)
    for rows, _, valid in found:
        accepted[rows] |= valid

    def count_all() -> Int64s:
        whole = np.zeros(len(column), np.int64)
        for rows, count, valid in found:
            whole[rows[valid]] = count()[valid]
        return whole

    return FastResult(accepted, count_all, accepted)

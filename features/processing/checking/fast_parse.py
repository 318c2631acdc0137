"""Fast parsers of whole columns: by their bytes, they accept the cells that are certainly values of a type.

A fast parser knows nothing about missing values. It may accept only cells that the exact parser (`shared.descriptors.table_schema.value_parser`)
accepts; every other cell is left to the exact parser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.column import Column, Indices, Mask, TextSet, as_mask
from shared.descriptors.table_schema import Field

_MAX_FAST_DIGITS = 18
_PLUS, _MINUS, _DOT, _SLASH, _ZERO, _NINE, _COLON, _T, _Z = b"+-./09:TZ"
_DATE_SIZE, _TIME_SIZE, _DATETIME_SIZE = 10, 8, 19
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int32)
_FEBRUARY, _LEAP_DAY = 2, 29
_DAY_S = 86_400
# Python's ordinal of 1970-01-01, from which Arrow counts.
EPOCH_DAY = 719_163
# Converts days counted from 0000-03-01 to Python's ordinals.
_FIRST_DAY = -306
_ASCII_EMAIL = (
    r"\A[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)+\z"
)
_MAX_FAST_EMAIL = 64
_UUID = r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z"

Digits: TypeAlias = npt.NDArray[np.uint8]
"""Bytes of cells minus the byte of "0", with one row for each position in a cell; digits are 0 to 9."""


class FastResult(NamedTuple):
    """The result of a fast parser for a column."""

    accepted: Mask
    """Cells that are certainly values."""
    numbers: Callable[[], npt.NDArray[np.int64]] | None = None
    """Computes the exact logical values times `scale`, for the cells in `numbered`."""
    numbered: Mask | None = None
    """None: the same cells as `accepted`."""
    scale: int = 1
    floats: npt.NDArray[np.float64] | None = None
    """The nearest float64 of each cell, if parsing has computed it."""


def fast_parser_for(field: Field) -> Callable[[Column], FastResult] | None:
    """Return the fast parser for the type and format of a field; None if there is none."""
    if field.type in ("integer", "number"):
        plain = field.bare_number and not field.group_char and (field.type == "integer" or field.decimal_char == ".")
        return {"integer": _parse_integers, "number": _parse_numbers}[field.type] if plain else None
    if field.type == "boolean":
        known, true = TextSet((*field.true_values, *field.false_values)), TextSet(field.true_values)
        return lambda column: FastResult(known.find_in(column), lambda: true.find_in(column).astype(np.int64))
    if field.type == "string":
        return {"default": _accept_all, "email": _parse_emails, "uuid": _parse_uuids}.get(field.format)
    if field.type in ("date", "time", "datetime"):
        return {"date": _parse_dates, "time": _parse_times, "datetime": _parse_datetimes}[field.type] if field.format == "default" else None
    return {"any": _accept_all, "year": _parse_years}.get(field.type)


def _accept_all(column: Column) -> FastResult:
    return FastResult(np.ones(len(column), np.bool_))


def _parse_emails(column: Column) -> FastResult:
    return FastResult((column.sizes <= _MAX_FAST_EMAIL) & as_mask(pc.match_substring_regex(column.text, _ASCII_EMAIL)))


def _parse_uuids(column: Column) -> FastResult:
    return FastResult(as_mask(pc.match_substring_regex(column.text, _UUID)))


def _parse_integers(column: Column) -> FastResult:
    accepted, signed = _find_digits(column, dots=False)
    return FastResult(accepted, lambda: _cast_integers(column, accepted & ~signed), accepted & ~signed)


def _parse_numbers(column: Column) -> FastResult:
    floats = _cast_floats(column)
    if floats is not None:
        return FastResult(np.ones(len(column), np.bool_), floats=floats)
    accepted, signed = _find_digits(column, dots=True)
    # Arrow cannot read a plus sign; the exact parser can.
    return FastResult(accepted & ~signed)


def _cast_floats(column: Column) -> npt.NDArray[np.float64] | None:
    """Return all cells as float64 if each has at most 18 characters: digits, with an optional minus and point; else None, mostly after a quick look."""
    sizes, data = column.sizes, column.data
    if not len(data) or column.text.null_count or int(sizes.min()) == 0 or int(sizes.max()) > _MAX_FAST_DIGITS:
        return None
    # Between minus and nine there is one other character: the slash.
    if int(data.min()) < _MINUS or int(data.max()) > _NINE or bool((data == _SLASH).any()):
        return None
    try:
        return np.asarray(column.text.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        return None


def _find_digits(column: Column, *, dots: bool) -> tuple[Mask, Mask]:
    """Mark the cells of up to 18 digits, with an optional sign (and, with `dots`, an optional point); and those with a plus sign."""
    sizes, data = column.sizes, column.data
    accepted: Mask = (sizes > 0) & (sizes <= _MAX_FAST_DIGITS)
    if len(data) > 2 * _MAX_FAST_DIGITS * len(column):
        # Long texts among the cells would take eight times their size in memory.
        rows = np.flatnonzero(accepted)
        marks = [np.zeros(len(column), np.bool_) for _ in range(2)]
        for whole, part in zip(marks, _find_digits(Column(column.text.take(pa.array(rows))), dots=dots), strict=True):
            whole[rows] = part
        return marks[0], marks[1]
    plus = np.zeros(len(column), np.bool_)
    # Bytes below "0" wrap around to large numbers.
    positions = np.flatnonzero((data - np.uint8(_ZERO)) > 9)  # noqa: PLR2004
    if not len(positions):
        return accepted, plus
    rows = column.rows_of(positions)
    characters = data[positions]
    is_sign = ((characters == _MINUS) | (characters == _PLUS)) & (positions == column.starts[rows])
    plus[rows[is_sign & (characters == _PLUS)]] = True
    is_fine = is_sign
    if dots:
        is_dot = characters == _DOT
        dot_rows = rows[is_dot]
        accepted[dot_rows[1:][dot_rows[1:] == dot_rows[:-1]]] = False
        is_fine = is_sign | is_dot
    accepted[rows[~is_fine]] = False
    # These cells are too short to be sure that they contain a digit.
    others = rows[sizes[rows] <= (2 if dots else 1)]
    accepted[others] = False
    return accepted, plus


def _cast_integers(column: Column, rows: Mask) -> npt.NDArray[np.int64]:
    text = column.text if bool(rows.all()) else pc.if_else(pa.array(rows), column.text, pa.scalar("0"))
    return np.asarray(text.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def _digits_of(column: Column, size: int, rows: Indices) -> Digits:
    """Return the first `size` bytes of some cells minus the byte of "0": one row for each position, so that each step reads memory sequentially."""
    if len(rows) == len(column) and len(column.data) == size * len(rows):
        cells = column.data.reshape(len(rows), size)
    else:
        # A view with one element of the size of a cell beginning at every byte.
        places = np.ndarray((max(0, len(column.data) - size + 1),), f"V{size}", column.data, strides=(1,))
        cells = places[column.starts[rows]].view(np.uint8).reshape(len(rows), size)
    return np.ascontiguousarray(cells.T) - np.uint8(_ZERO)


def _number_at(digits: Digits, *places: int) -> npt.NDArray[np.int32]:
    """Return the number at some positions of each cell, valid if these are digits."""
    number = np.zeros(digits.shape[1], np.int32)
    for place in places:
        number *= 10
        number += digits[place]
    return number


def _are_digits(digits: Digits, *places: int) -> Mask:
    are_digits: Mask = np.logical_and.reduce([digits[place] <= 9 for place in places])  # noqa: PLR2004
    return are_digits


def _is_character(digits: Digits, place: int, code: int) -> Mask:
    is_character: Mask = digits[place] == np.uint8((code - _ZERO) % 256)
    return is_character


def _dates_in(digits: Digits) -> tuple[Callable[[], npt.NDArray[np.int64]], Mask]:
    """Mark the cells that begin with a date yyyy-mm-dd; also returns a function that computes their day numbers (1 for 0001-01-01)."""
    valid = _are_digits(digits, 0, 1, 2, 3, 5, 6, 8, 9) & _is_character(digits, 4, _MINUS) & _is_character(digits, 7, _MINUS)
    year, month, day = _number_at(digits, 0, 1, 2, 3), _number_at(digits, 5, 6), _number_at(digits, 8, 9)
    month[~valid] = 1
    valid &= (year > 0) & (month > 0) & (month <= 12) & (day > 0)  # noqa: PLR2004
    valid &= day <= _MONTH_DAYS[np.minimum(month, 12)]
    leap_days = np.flatnonzero(valid & (month == _FEBRUARY) & (day == _LEAP_DAY))
    leap_years = year[leap_days]
    valid[leap_days] = (leap_years % 4 == 0) & ((leap_years % 100 != 0) | (leap_years % 400 == 0))

    def count_days() -> npt.NDArray[np.int64]:
        # The year begins in March, so that leap days come last (as in `temporal.py`).
        is_early = month <= _FEBRUARY
        march_year = year - is_early
        march_month = month + 12 * is_early
        centuries = march_year // 100
        days = 365 * march_year + march_year // 4 - centuries + centuries // 4 + (153 * (march_month - 3) + 2) // 5 + day + _FIRST_DAY
        return np.asarray(days, np.int64)

    return count_days, valid


def _times_in(digits: Digits, start: int) -> tuple[Callable[[], npt.NDArray[np.int64]], Mask]:
    """Mark the cells with a time hh:mm:ss from `start`; also returns a function that computes their seconds since midnight."""
    hour, minute, second = (_number_at(digits, start + place, start + place + 1) for place in (0, 3, 6))
    valid = _are_digits(digits, *(start + place for place in (0, 1, 3, 4, 6, 7)))
    valid &= _is_character(digits, start + 2, _COLON) & _is_character(digits, start + 5, _COLON)
    valid &= (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    return lambda: (hour * 3600 + minute * 60 + second).astype(np.int64), valid


def _spread(column: Column, rows: Indices, count: Callable[[], npt.NDArray[np.int64]], valid: Mask, scale: int = 1) -> FastResult:
    """Expand results for some cells to results for the whole column."""
    if len(rows) == len(column):
        return FastResult(valid, count, valid, scale)
    accepted = np.zeros(len(column), np.bool_)
    accepted[rows] = valid

    def spread() -> npt.NDArray[np.int64]:
        whole = np.zeros(len(column), np.int64)
        whole[rows] = count()
        return whole

    return FastResult(accepted, spread, accepted, scale)


def _parse_dates(column: Column) -> FastResult:
    rows = np.flatnonzero(column.sizes == _DATE_SIZE)
    if len(rows) == len(column) and len(rows):
        try:
            # Strict about digits, dashes and the calendar, and faster; but one wrong cell makes the whole cast fail.
            days = np.asarray(column.text.cast(pa.date32()).cast(pa.int32()).to_numpy(zero_copy_only=False), np.int64) + EPOCH_DAY
            return FastResult(days >= 1, lambda: days)
        except pa.ArrowInvalid:
            pass
    return _spread(column, rows, *_dates_in(_digits_of(column, _DATE_SIZE, rows)))


def _parse_times(column: Column) -> FastResult:
    rows = np.flatnonzero(column.sizes == _TIME_SIZE)
    count_seconds, valid = _times_in(_digits_of(column, _TIME_SIZE, rows), 0)
    return _spread(column, rows, lambda: count_seconds() * 1_000_000, valid)


def _parse_datetimes(column: Column) -> FastResult:
    """Parse datetimes without a fraction, and without a zone or with a Z."""
    sizes = column.sizes
    with_zone = sizes == _DATETIME_SIZE + 1
    if bool(with_zone.any()):
        zoned = np.flatnonzero(with_zone)
        with_zone[zoned] = column.data[column.starts[zoned] + _DATETIME_SIZE] == _Z
    rows = np.flatnonzero((sizes == _DATETIME_SIZE) | with_zone)
    digits = _digits_of(column, _DATETIME_SIZE, rows)
    count_days, valid = _dates_in(digits)
    count_seconds, time_valid = _times_in(digits, _DATE_SIZE + 1)
    return _spread(column, rows, lambda: count_days() * _DAY_S + count_seconds(), valid & time_valid & _is_character(digits, _DATE_SIZE, _T))


def _parse_years(column: Column) -> FastResult:
    rows = np.flatnonzero(column.sizes == 4)  # noqa: PLR2004
    digits = _digits_of(column, 4, rows)
    years = _number_at(digits, 0, 1, 2, 3)
    return _spread(column, rows, lambda: years.astype(np.int64), _are_digits(digits, 0, 1, 2, 3) & (years > 0))

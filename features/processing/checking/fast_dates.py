"""Fast parsers of dates, times, datetimes and years in their default formats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from features.processing.checking.fast_calendar import DAY_S, EPOCH_DAY, count_days, find_days
from features.processing.checking.fast_patterns import compile_pattern
from features.processing.checking.fast_result import Digits, FastResult, Int64s, are_digits, digits_of, is_character, number_at, spread
from features.processing.column import Column, Mask
from shared.descriptors.table_schema import Field

_MINUS, _COLON, _T, _Z = b"-:TZ"
_DATE_SIZE, _TIME_SIZE, _DATETIME_SIZE = 10, 8, 19


def date_parser(field: Field) -> Callable[[Column], FastResult] | None:
    """Return the fast parser of a field of type date, time or datetime; None if there is none."""
    if field.format == "default":
        return {"date": _parse_dates, "time": _parse_times, "datetime": _parse_datetimes}[field.type]
    return compile_pattern(field.format, field.type)


def _dates_in(digits: Digits) -> tuple[Callable[[], Int64s], Mask]:
    """Mark the cells that begin with a date yyyy-mm-dd; also returns a function that computes their day numbers (1 for 0001-01-01)."""
    valid = are_digits(digits, 0, 1, 2, 3, 5, 6, 8, 9) & is_character(digits, 4, _MINUS) & is_character(digits, 7, _MINUS)
    year, month, day = number_at(digits, 0, 1, 2, 3), number_at(digits, 5, 6), number_at(digits, 8, 9)
    valid = find_days(year, month, day, valid)
    return lambda: count_days(year, month, day), valid


def _times_in(digits: Digits, start: int) -> tuple[Callable[[], Int64s], Mask]:
    """Mark the cells with a time hh:mm:ss from `start`; also returns a function that computes their seconds since midnight."""
    hour, minute, second = (number_at(digits, start + place, start + place + 1) for place in (0, 3, 6))
    valid = are_digits(digits, *(start + place for place in (0, 1, 3, 4, 6, 7)))
    valid &= is_character(digits, start + 2, _COLON) & is_character(digits, start + 5, _COLON)
    valid &= (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004
    return lambda: (hour * 3600 + minute * 60 + second).astype(np.int64), valid


def _parse_dates(column: Column) -> FastResult:
    rows = np.flatnonzero(column.sizes == _DATE_SIZE)
    if len(rows) == len(column) and len(rows) and not column.text.null_count:
        try:
            # Strict about digits, dashes and the calendar, and faster; but one wrong cell makes the whole cast fail.
            days = np.asarray(column.text.cast(pa.date32()).cast(pa.int32()).to_numpy(zero_copy_only=False), np.int64) + EPOCH_DAY
            return FastResult(days >= 1, lambda: days)
        except pa.ArrowInvalid:
            pass
    return spread(column, rows, *_dates_in(digits_of(column, _DATE_SIZE, rows)))


def _parse_times(column: Column) -> FastResult:
    rows = np.flatnonzero(column.sizes == _TIME_SIZE)
    count_seconds, valid = _times_in(digits_of(column, _TIME_SIZE, rows), 0)
    return spread(column, rows, lambda: count_seconds() * 1_000_000, valid)


def _parse_datetimes(column: Column) -> FastResult:
    """Parse datetimes without a fraction, and without a zone or with a Z."""
    sizes = column.sizes
    with_zone = sizes == _DATETIME_SIZE + 1
    if bool(with_zone.any()):
        zoned = np.flatnonzero(with_zone)
        with_zone[zoned] = column.data[column.starts[zoned] + _DATETIME_SIZE] == _Z
    rows = np.flatnonzero((sizes == _DATETIME_SIZE) | with_zone)
    digits = digits_of(column, _DATETIME_SIZE, rows)
    count_days, valid = _dates_in(digits)
    count_seconds, time_valid = _times_in(digits, _DATE_SIZE + 1)
    return spread(column, rows, lambda: count_days() * DAY_S + count_seconds(), valid & time_valid & is_character(digits, _DATE_SIZE, _T))


def parse_years(column: Column) -> FastResult:
    """Parse years of four digits."""
    rows = np.flatnonzero(column.sizes == 4)  # noqa: PLR2004
    digits = digits_of(column, 4, rows)
    years = number_at(digits, 0, 1, 2, 3)
    return spread(column, rows, lambda: years.astype(np.int64), are_digits(digits, 0, 1, 2, 3) & (years > 0))

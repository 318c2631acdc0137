"""The days of the calendar as whole numbers, for many dates at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from features.processing.checking.fast_result import Int64s
from features.processing.column import Mask

EPOCH_DAY = 719_163
"""Python's ordinal of 1970-01-01, from which Arrow counts."""
DAY_S = 86_400
_MONTH_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int32)
_FEBRUARY, _LEAP_DAY = 2, 29
# Converts days counted from 0000-03-01 to Python's ordinals.
_FIRST_DAY = -306

Int32s = npt.NDArray[np.int32]


def find_days(year: Int32s, month: Int32s, day: Int32s, valid: Mask) -> Mask:
    """Return which of the dates marked in `valid` are in the calendar, years 1 to 9999; the month of the others becomes 1."""
    month[~valid] = 1
    valid = valid & (year > 0) & (month > 0) & (month <= 12) & (day > 0)  # noqa: PLR2004
    valid &= day <= _MONTH_DAYS[np.minimum(month, 12)]
    leap_days = np.flatnonzero(valid & (month == _FEBRUARY) & (day == _LEAP_DAY))
    leap_years = year[leap_days]
    valid[leap_days] = (leap_years % 4 == 0) & ((leap_years % 100 != 0) | (leap_years % 400 == 0))
    return valid


def count_days(year: Int32s, month: Int32s, day: Int32s) -> Int64s:
    """Return the day numbers of dates in the calendar, 1 for 0001-01-01."""
    # The year begins in March, so that leap days come last (as in `temporal.py`).
    is_early = month <= _FEBRUARY
    march_year = year - is_early
    march_month = month + 12 * is_early
    centuries = march_year // 100
    days = 365 * march_year + march_year // 4 - centuries + centuries // 4 + (153 * (march_month - 3) + 2) // 5 + day + _FIRST_DAY
    return np.asarray(days, np.int64)

"""Show many serial numbers as dates and times at once; the texts are those of `cell_text.show_value`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.excel.cell_text import DAY_S, EPOCH, LAST_SERIAL, LEAP_BUG_DAY
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.native_types import NativeType

_TYPES = {FormatKind.DATE: NativeType.DATE, FormatKind.TIME: NativeType.TIME, FormatKind.DATETIME: NativeType.DATETIME}
_UNIX_EPOCH = 719_163
"""1970-01-01 as an ordinal of `datetime.date`."""
_ERA_DAYS, _ERA_YEARS = 146_097, 400
_TO_MARCH = 719_468
"""Days from 0000-03-01 to 1970-01-01."""

Digits = npt.NDArray[np.uint8]


class ShownSerials(NamedTuple):
    """Texts of serial numbers, all of one native type."""

    is_shown: npt.NDArray[np.bool_]
    """The others must be shown one by one."""
    texts: pa.StringArray
    """Those that are shown, in their order."""
    native_type: NativeType


def show_serials(values: npt.NDArray[np.float64], shown_as: NumberFormat, *, is_1904: bool) -> ShownSerials | None:
    """Show serial numbers as a format asks for; None if none of this format can be shown here."""
    native_type = _TYPES.get(shown_as.kind)
    if native_type is None or shown_as.decimals:
        return None
    last = LAST_SERIAL[is_1904]
    is_possible = (values >= 0) & (values < last)
    seconds = np.floor(np.where(is_possible, values, 0.0) * DAY_S + 0.5).astype(np.int64)
    days, seconds = np.divmod(seconds, DAY_S)
    if native_type is not NativeType.TIME:
        # The first days of 1900 are counted in a way of their own.
        is_possible &= (days < last) & (is_1904 | (days > LEAP_BUG_DAY))
    days, seconds = days[is_possible] + EPOCH[is_1904] - _UNIX_EPOCH, seconds[is_possible]
    parts = [] if native_type is NativeType.TIME else _write_days(days)
    if native_type is not NativeType.DATE:
        if parts:
            parts.append(np.full((len(days), 1), ord("T"), np.uint8))
        parts += _write_times(seconds)
    written = np.concatenate(parts, axis=1)
    offsets = np.arange(len(written) + 1, dtype=np.int32) * written.shape[1]
    texts = pa.StringArray.from_buffers(len(written), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(written)))
    return ShownSerials(is_possible, texts, native_type)


def _write_days(days: npt.NDArray[np.int64]) -> list[Digits]:
    """Write days since 1970-01-01 as `2024-12-31`.

    Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    """
    eras, of_era = np.divmod(days + _TO_MARCH, _ERA_DAYS)
    years = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    shifted = (5 * of_year + 2) // 153
    months = np.where(shifted < 10, shifted + 3, shifted - 9)  # noqa: PLR2004 # years begin in March here
    years = years + eras * _ERA_YEARS + (months <= 2)  # noqa: PLR2004
    dash = np.full((len(days), 1), ord("-"), np.uint8)
    return [_write(years, 4), dash, _write(months, 2), dash, _write(of_year - (153 * shifted + 2) // 5 + 1, 2)]


def _write_times(seconds: npt.NDArray[np.int64]) -> list[Digits]:
    """Write seconds of a day as `15:30:00`."""
    colon = np.full((len(seconds), 1), ord(":"), np.uint8)
    return [_write(seconds // 3600, 2), colon, _write(seconds // 60 % 60, 2), colon, _write(seconds % 60, 2)]


def _write(numbers: npt.NDArray[np.int64], digits: int) -> Digits:
    """Write numbers with leading zeros; the shape is (numbers, digits)."""
    factors = 10 ** np.arange(digits - 1, -1, -1)
    return (numbers[:, None] // factors % 10 + ord("0")).astype(np.uint8)

"""Convert columns to Arrow arrays of logical values, for uses that need values rather than text.

Only standard Arrow types are used, so that pandas and Parquet know them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.type_rule import Typed
from shared.descriptors.table_schema import Field

_DAY_US = 86_400_000_000
_EPOCH_DAY = 719_163
"""The day number of 1970-01-01, counted from 1 for 0001-01-01."""

# For each field type: the Arrow type, and the conversion of a logical value (`shared.descriptors.table_schema.values`) to the whole number that it stores.
_WHOLE: dict[str, tuple[pa.DataType, Callable[[Any], int]]] = {
    "integer": (pa.int64(), int),
    "year": (pa.int64(), int),
    "boolean": (pa.int64(), int),
    "date": (pa.date32(), lambda day: int(day) - _EPOCH_DAY),
    "time": (pa.time64("us"), int),
    "datetime": (pa.timestamp("us"), lambda seconds: int(seconds * 1_000_000) - _EPOCH_DAY * _DAY_US),
}


def make_typed_array(typed: Typed, field: Field) -> pa.Array:
    """Return the values of a column; cells that are empty or not a value of the field's type are null.

    integer, year: int64 (float64 if a value does not fit; infinite beyond its range) · number: float64 · boolean: bool · date: date32 · time: time64[us] ·
    datetime: timestamp[us] in UTC; a datetime without a zone counts as UTC · every other type: the cell's text.
    """
    if field.type == "number":
        return _make_floats(typed)
    if field.type in _WHOLE:
        return _make_whole(typed, field)
    return pc.if_else(pa.array(typed.ok), typed.column.text, pa.scalar(None, pa.string()))


def _make_floats(typed: Typed) -> pa.Array:
    known = typed.accepted
    if bool(known.all()):
        return pa.array(typed.floats)
    floats = np.zeros(len(typed.ok), np.float64)
    if bool(known.any()):
        floats[known] = typed.floats[known]
    rest = np.flatnonzero(typed.ok & ~known)
    floats[rest] = [float(value) for value in typed.values(rest)]
    return pa.array(floats, mask=~typed.ok)


def _make_whole(typed: Typed, field: Field) -> pa.Array:
    arrow_type, to_number = _WHOLE[field.type]
    numbers = np.zeros(len(typed.ok), np.int64)
    known = typed.numbered
    if bool(known.any()):
        numbers[known] = _shift_numbers(typed, field)[known]
    rest = np.flatnonzero(typed.ok & ~known)
    try:
        numbers[rest] = [to_number(value) for value in typed.values(rest)]
    except OverflowError:
        return pa.array([float(Decimal(value)) if ok else None for ok, value in zip(typed.ok, _all_values(typed), strict=True)], pa.float64())
    mask = ~typed.ok
    if field.type == "boolean":
        return pa.array(numbers != 0, mask=mask)
    if pa.types.is_date32(arrow_type):
        return pa.array(numbers.astype(np.int32), mask=mask).cast(arrow_type)
    return pa.array(numbers, mask=mask).cast(arrow_type)


def _shift_numbers(typed: Typed, field: Field) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the fast parser's numbers, converted to the unit and epoch of the Arrow type."""
    assert typed.scale == 1
    if field.type == "date":
        return typed.numbers - _EPOCH_DAY
    if field.type == "datetime":
        return typed.numbers * 1_000_000 - _EPOCH_DAY * _DAY_US
    return typed.numbers


def _all_values(typed: Typed) -> list[Any]:
    values: list[Any] = [None] * len(typed.ok)
    rows = np.flatnonzero(typed.ok)
    for row, value in zip(rows.tolist(), typed.values(rows), strict=True):
        values[row] = value
    return values

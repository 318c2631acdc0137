"""Convert columns to Arrow arrays of logical values, for uses that need values rather than text.

Only standard Arrow types are used, so that pandas and Parquet know them.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.fast_calendar import EPOCH_DAY
from features.processing.checking.type_rule import Typed
from shared.descriptors.table_schema import Field

_DAY_US = 86_400_000_000
_INT64_DIGITS = 19


@dataclass(frozen=True, slots=True)
class _Whole:
    """How Arrow stores a type as whole numbers: `value * factor + offset` of a logical value (`shared.descriptors.table_schema.values`)."""

    arrow_type: pa.DataType
    factor: int = 1
    offset: int = 0


_WHOLE = {
    "integer": _Whole(pa.int64()),
    "year": _Whole(pa.int64()),
    "boolean": _Whole(pa.bool_()),
    "date": _Whole(pa.date32(), offset=-EPOCH_DAY),
    "time": _Whole(pa.time64("us")),
    "datetime": _Whole(pa.timestamp("us"), factor=1_000_000, offset=-EPOCH_DAY * _DAY_US),
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
    whole = _WHOLE[field.type]
    numbers = np.zeros(len(typed.ok), np.int64)
    known = typed.numbered
    if bool(known.any()):
        assert typed.scale == 1
        numbers[known] = typed.numbers[known] * whole.factor + whole.offset
    rest = np.flatnonzero(typed.ok & ~known)
    try:
        numbers[rest] = [_to_int(value, whole.factor) + whole.offset for value in typed.values(rest)]
    except OverflowError:
        return pa.array([float(Decimal(value)) if ok else None for ok, value in zip(typed.ok, _all_values(typed), strict=True)], pa.float64())
    mask = ~typed.ok
    if field.type == "boolean":
        return pa.array(numbers != 0, mask=mask)
    if field.type == "date":
        return pa.array(numbers.astype(np.int32), mask=mask).cast(whole.arrow_type)
    return pa.array(numbers, mask=mask).cast(whole.arrow_type)


def _to_int(value: int | Decimal, factor: int) -> int:
    """Return `value * factor` as a whole number. Raises `OverflowError` for one that has more digits than any of 64 bits, of which there may be a million."""
    if isinstance(value, Decimal) and value.adjusted() > _INT64_DIGITS:
        raise OverflowError
    return int(value * factor)


def _all_values(typed: Typed) -> list[Any]:
    values: list[Any] = [None] * len(typed.ok)
    rows = np.flatnonzero(typed.ok)
    for row, value in zip(rows.tolist(), typed.values(rows), strict=True):
        values[row] = value
    return values

"""The columns of a Parquet file: their Arrow type, which a few values may change, and their arrays.

integer: int64, or a decimal without decimals where a value needs it · number: float64 where each value is the shortest text of its float, else a decimal with
the digits that the values need · boolean · date: date32 · time: time64[us] · datetime: timestamp[us], of UTC if zones are given · year: int64 · lists as JSON
text · everything else text. Numbers of more than 76 digits are text. So is a number column that needs a decimal and has NaN or an infinite value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.column_plan import JudgedColumn
from features.processing.checking.type_rule import Typed
from features.processing.checking.typed_array import make_typed_array
from features.processing.column import Indices, Mask
from features.processing.exporting.typed_cells import find_zoned, lists_as_json
from shared.descriptors.table_schema import Field

_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1
_INT64_DIGITS = 18
"""So many digits fit in 64 bits whatever they are."""
_DECIMAL128_DIGITS, _DECIMAL256_DIGITS = 38, 76
_FLOAT_DIGITS = 15
"""A number of so many significant digits is the shortest text of its float."""
_FLOAT_EXPONENTS = range(-290, 300)
"""Outside these exponents floats have fewer digits, or there are none."""
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
_FIXED = {"boolean": pa.bool_(), "date": pa.date32(), "time": pa.time64("us"), "year": pa.int64()}


class ParquetColumn(Protocol):
    """One column; what it has learnt of its values only ever widens its type."""

    @property
    def arrow_type(self) -> pa.DataType:
        """The type that holds all values that were looked at."""
        ...

    def learn(self, judged: JudgedColumn, rows: Mask) -> None:
        """Look at the values of some rows."""
        ...

    def make(self, judged: JudgedColumn, rows: Mask) -> pa.Array:
        """Return the values of those rows that `learn` looked at, in `arrow_type`."""
        ...


def make_column(field: Field) -> ParquetColumn:
    """Return the column of a field."""
    make: Callable[[Field], ParquetColumn] = _COLUMNS.get(field.type, TextColumn)
    return make(field)


class FixedColumn:
    """A column of a type that is the same whatever its values are."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.arrow_type = _FIXED[field.type]

    def learn(self, judged: JudgedColumn, rows: Mask) -> None:
        """See `ParquetColumn`."""

    def make(self, judged: JudgedColumn, rows: Mask) -> pa.Array:
        """See `ParquetColumn`."""
        return _keep(make_typed_array(judged.typed, self._field), rows)


class DatetimeColumn:
    """Moments, which are in UTC if any of them says its zone."""

    def __init__(self, field: Field) -> None:
        self._field, self._is_zoned = field, False

    @property
    def arrow_type(self) -> pa.DataType:
        """See `ParquetColumn`."""
        return pa.timestamp("us", tz="UTC" if self._is_zoned else None)

    def learn(self, judged: JudgedColumn, rows: Mask) -> None:
        """See `ParquetColumn`."""
        self._is_zoned = self._is_zoned or bool((find_zoned(judged.typed, self._field) & rows).any())

    def make(self, judged: JudgedColumn, rows: Mask) -> pa.Array:
        """See `ParquetColumn`."""
        return _keep(make_typed_array(judged.typed, self._field), rows).cast(self.arrow_type)


class TextColumn:
    """Text as it stands in the file; lists are JSON."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self.arrow_type = pa.string()

    def learn(self, judged: JudgedColumn, rows: Mask) -> None:
        """See `ParquetColumn`."""

    def make(self, judged: JudgedColumn, rows: Mask) -> pa.Array:
        """See `ParquetColumn`."""
        if self._field.type == "list":
            return _keep(lists_as_json(judged.typed, judged.typed.ok & rows, self._field), rows)
        return _keep(_text_of(judged.typed), rows)


@dataclass(slots=True)
class _Digits:
    """The most digits that numbers have before and after the point."""

    whole: int = 1
    decimals: int = 0

    @property
    def arrow_type(self) -> pa.DataType:
        """The decimal that holds them; text if there is none."""
        count = self.whole + self.decimals
        if count <= _DECIMAL128_DIGITS:
            return pa.decimal128(count, self.decimals)
        return pa.decimal256(count, self.decimals) if count <= _DECIMAL256_DIGITS else pa.string()

    def add(self, value: Decimal) -> None:
        """Count the digits of a number."""
        exponent = value.normalize(_EXACT).as_tuple().exponent
        assert isinstance(exponent, int)
        self.whole = max(self.whole, value.adjusted() + 1)
        self.decimals = max(self.decimals, -exponent)


class IntegerColumn:
    """Whole numbers: of 64 bits as long as all fit."""

    def __init__(self, field: Field) -> None:
        self._field, self._fits = field, True
        self._digits = _Digits(whole=_INT64_DIGITS + 1)

    @property
    def arrow_type(self) -> pa.DataType:
        """See `ParquetColumn`."""
        return pa.int64() if self._fits else self._digits.arrow_type

    def learn(self, judged: JudgedColumn, rows: Mask) -> None:
        """See `ParquetColumn`."""
        typed = judged.typed
        for value in typed.values(np.flatnonzero(typed.ok & rows & ~typed.numbered)):
            if not _MIN_INT64 <= value <= _MAX_INT64:
                self._fits = False
                self._digits.add(Decimal(value))

    def make(self, judged: JudgedColumn, rows: Mask) -> pa.Array:
        """See `ParquetColumn`."""
        typed, arrow_type = judged.typed, self.arrow_type
        ok = typed.ok & rows
        if pa.types.is_string(arrow_type):
            return _keep(_text_of(typed), rows)
        if not self._fits:
            return _make_decimals(typed, ok, rows, arrow_type)
        numbers = np.zeros(len(ok), np.int64)
        known = typed.numbered & ok
        if bool(known.any()):
            numbers[known] = typed.numbers[known]
        rest = np.flatnonzero(ok & ~known)
        numbers[rest] = list(map(int, typed.values(rest)))
        return _keep(pa.array(numbers, mask=~ok), rows)


class NumberColumn:
    """Numbers: floats as long as these lose nothing of what is written."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._are_floats, self._has_special = True, False
        self._digits = _Digits()

    @property
    def arrow_type(self) -> pa.DataType:
        """See `ParquetColumn`."""
        if self._are_floats:
            return pa.float64()
        return pa.string() if self._has_special else self._digits.arrow_type

    def learn(self, judged: JudgedColumn, rows: Mask) -> None:
        """See `ParquetColumn`."""
        typed = judged.typed
        ok = typed.ok & rows
        plain = typed.accepted & ok
        if bool(plain.any()):
            self._learn_plain(typed, plain)
            long = np.flatnonzero(plain & (typed.column.sizes > _FLOAT_DIGITS))
            self._learn_each(typed, long[~_are_shortest(typed, long)] if len(long) else long)
        self._learn_each(typed, np.flatnonzero(ok & ~plain))

    def _learn_plain(self, typed: Typed, rows: Mask) -> None:
        """Count the digits of numbers that are written without an exponent."""
        largest = float(np.abs(typed.floats[rows]).max())
        self._digits.whole = max(self._digits.whole, len(f"{largest:.0f}"))
        points = np.asarray(pc.find_substring(typed.column.text, self._field.decimal_char).fill_null(-1))
        decimals = np.where(points >= 0, typed.column.sizes - points - len(self._field.decimal_char.encode()), 0)
        self._digits.decimals = max(self._digits.decimals, int(decimals[rows].max()))

    def _learn_each(self, typed: Typed, rows: Indices) -> None:
        for value in typed.values(rows):
            if not value.is_finite():
                self._has_special = True
                continue
            self._digits.add(value)
            if self._are_floats and not _is_float(value):
                self._are_floats = False

    def make(self, judged: JudgedColumn, rows: Mask) -> pa.Array:
        """See `ParquetColumn`."""
        arrow_type = self.arrow_type
        if pa.types.is_float64(arrow_type):
            return _keep(make_typed_array(judged.typed, self._field), rows)
        if pa.types.is_string(arrow_type):
            return _keep(_text_of(judged.typed), rows)
        return _make_decimals(judged.typed, judged.typed.ok & rows, rows, arrow_type)


def _are_shortest(typed: Typed, rows: Indices) -> Mask:
    """Mark those of some cells whose text is the shortest of their float."""
    shortest = pa.array(typed.floats[rows]).cast(pa.string())
    found: Mask = np.asarray(pc.equal(shortest, typed.column.text.take(pa.array(rows))))
    return found


def _is_float(value: Decimal) -> bool:
    """Whether a float has the same shortest text as a number."""
    normal = value.normalize(_EXACT)
    if not normal:
        return True
    is_short = len(normal.as_tuple().digits) <= _FLOAT_DIGITS and normal.adjusted() in _FLOAT_EXPONENTS
    return is_short or Decimal(repr(float(normal))) == normal


def _make_decimals(typed: Typed, ok: Mask, rows: Mask, arrow_type: pa.DataType) -> pa.Array:
    values: list[Any] = [None] * len(ok)
    places = np.flatnonzero(ok)
    for place, value in zip(places.tolist(), typed.values(places), strict=True):
        values[place] = Decimal(value)
    return _keep(pa.array(values, arrow_type), rows)


def _text_of(typed: Typed) -> pa.StringArray:
    return typed.column.text if bool(typed.ok.all()) else pc.if_else(pa.array(typed.ok), typed.column.text, pa.scalar(None, pa.string()))


def _keep(values: pa.Array, rows: Mask) -> pa.Array:
    return values if bool(rows.all()) else values.filter(pa.array(rows))


_COLUMNS: Mapping[str, Callable[[Field], ParquetColumn]] = {
    "integer": IntegerColumn,
    "number": NumberColumn,
    "datetime": DatetimeColumn,
    **dict.fromkeys(_FIXED, FixedColumn),
}

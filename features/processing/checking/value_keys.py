"""Keys of logical values: equal if the values are equal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

import numpy as np

from features.processing.checking.declarations import TypedChunk
from features.processing.checking.type_rule import Typed, is_compared_as_text
from features.processing.column import Indices
from features.processing.keys.key_maker import KeyMaker
from features.processing.keys.packed_keys import PackedKeys, empty_keys
from shared.descriptors.table_schema import Field
from shared.descriptors.table_schema.identity import join_parts, number_identity

_INT64_DIGITS = 19
_INT64_END = 2**63
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def make_row_keys(chunk: TypedChunk, fields: Sequence[Field], rows: Indices, maker: KeyMaker, *, as_text: bool = False) -> PackedKeys:
    """Return one key for each of some rows; all parts of these keys must be values."""
    return maker.combined_keys([make_keys(chunk.columns[field.name], rows, field, maker, as_text=as_text) for field in fields])


def make_keys(typed: Typed, rows: Indices, field: Field, maker: KeyMaker, *, as_text: bool = False) -> PackedKeys:
    """Return the keys of some values: equal if the logical values are equal, or with `as_text` if the texts are equal."""
    if as_text or is_compared_as_text(field):
        return maker.text_keys(typed.column, rows)
    numbered = typed.numbered[rows]
    if bool(numbered.all()):
        return maker.number_keys(np.ascontiguousarray(typed.numbers[rows]))
    keys = empty_keys(len(rows))
    if bool(numbered.any()):
        known = maker.number_keys(np.ascontiguousarray(typed.numbers[rows[numbered]]))
        keys.high[numbered], keys.low[numbered] = known
    others = np.flatnonzero(~numbered)
    found = typed.identities(rows[others])
    numbers = [_whole_number(value, typed.scale) for value in found]
    whole = [index for index, number in enumerate(numbers) if number is not None]
    if whole:
        known = maker.number_keys(np.array([numbers[index] for index in whole], np.int64))
        keys.high[others[whole]], keys.low[others[whole]] = known
    rest = [index for index, number in enumerate(numbers) if number is None]
    if rest:
        known = maker.value_keys((_canonical(found[index]) for index in rest), len(rest))
        keys.high[others[rest]], keys.low[others[rest]] = known
    return keys


def _whole_number(value: object, scale: int) -> int | None:
    """Return `value * scale` if that is a whole number of 64 bits, like the numbers of the fast parser; else None."""
    if isinstance(value, Decimal):
        if not value.is_finite() or not -_INT64_DIGITS <= value.adjusted() < _INT64_DIGITS:
            return 0 if value.is_zero() else None
        # In the usual context a product would be rounded to 28 digits.
        scaled = _EXACT.multiply(value, scale) if scale != 1 else value
        whole = scaled.to_integral_value()
        if scaled != whole:
            return None
        value, scale = int(whole), 1
    if isinstance(value, int) and abs(value * scale) < _INT64_END:
        return value * scale
    return None


def _canonical(value: object) -> bytes:
    """Return bytes that are the same for equal identities only, in time and memory that are in proportion to their size."""
    if isinstance(value, str):
        return b'"' + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bool):
        return str(value).encode()
    if isinstance(value, int | Decimal):
        return b"0" + number_identity(value)
    if isinstance(value, bytes):
        return b"#" + value
    assert isinstance(value, tuple)
    return b"[" + join_parts(map(_canonical, value))

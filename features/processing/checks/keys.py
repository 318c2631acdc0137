"""What must be unique or must refer to something over the whole file: `unique`, `primaryKey`, `uniqueKeys`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import numpy as np

from features.processing.checks.column import Indices, Mask
from features.processing.checks.constraints import identities
from features.processing.checks.key_set import KeySpace
from features.processing.checks.key_words import Keys, empty_keys
from features.processing.checks.registry import CheckContext, ColumnRule, LateFinding, RowFinding, RowRule, TypedChunk, column_check, row_check
from features.processing.checks.types import Typed
from shared.table_schema import Field, TableSchema

_TEXT_TYPES = ("string", "any")
_INT64_DIGITS = 19
_INT64_END = 2**63


@column_check("unique", error_type="unique-error")
def build_unique(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that an earlier row has already; empty cells are not compared."""
    if not field.constraints.unique:
        return None
    key_set = context.keys.create_set()

    def find_bad(typed: Typed) -> Mask:
        rows = np.flatnonzero(typed.ok)
        bad = np.zeros(len(typed.ok), np.bool_)
        if len(rows):
            bad[rows] = key_set.add(make_keys(typed, rows, field, context.keys))
        return bad

    return ColumnRule(message="This value must be unique, but an earlier row has it too.", find_bad_values=find_bad, close=key_set.close)


@row_check("primary_key", error_type="primary-key-error")
def build_primary_key(table_schema: TableSchema, context: CheckContext) -> Sequence[RowRule]:
    """Refuse rows whose primary key is not complete, or that an earlier row has already."""
    if not table_schema.primary_key:
        return []
    return [_UniqueKeyRule(table_schema, table_schema.primary_key, context, is_primary=True)]


@row_check("unique_key", error_type="unique-key-error")
def build_unique_keys(table_schema: TableSchema, context: CheckContext) -> Sequence[RowRule]:
    """Refuse rows whose unique key an earlier row has already; keys with an empty part are not compared."""
    return [_UniqueKeyRule(table_schema, key, context, is_primary=False) for key in table_schema.unique_keys]


class _UniqueKeyRule:
    def __init__(self, table_schema: TableSchema, names: tuple[str, ...], context: CheckContext, *, is_primary: bool) -> None:
        fields = {field.name: field for field in table_schema.fields}
        self._fields = [fields[name] for name in names]
        self._keys = context.keys
        self._set = context.keys.create_set()
        self._is_primary = is_primary
        listed = ", ".join(names)
        self._empty_message = f"This row needs a value in each column of the primary key ({listed})."
        kind = "primary key" if is_primary else "combination of values"
        self._repeated_message = f"An earlier row has the same {kind} ({listed})."

    def find_bad(self, chunk: TypedChunk) -> list[RowFinding]:
        if any(field.name not in chunk.columns for field in self._fields):
            return []
        findings = []
        complete = np.logical_and.reduce([chunk.columns[field.name].ok for field in self._fields])
        if self._is_primary:
            empty = np.flatnonzero(np.logical_or.reduce([chunk.missing[field.name] for field in self._fields]))
            if len(empty):
                findings.append(RowFinding(rows=empty, message=self._empty_message))
        rows = np.flatnonzero(complete)
        if len(rows):
            keys = make_row_keys(chunk, self._fields, rows, self._keys)
            repeated = rows[self._set.add(keys)]
            if len(repeated):
                findings.append(RowFinding(rows=repeated, message=self._repeated_message))
        return findings

    def finish(self) -> Iterator[LateFinding]:
        """Everything was known in its chunk."""
        return iter(())

    def close(self) -> None:
        self._set.close()


def make_row_keys(chunk: TypedChunk, fields: Sequence[Field], rows: Indices, space: KeySpace, *, as_text: bool = False) -> Keys:
    """Return one key for each of some rows, all of whose parts are values."""
    return space.combined_keys([make_keys(chunk.columns[field.name], rows, field, space, as_text=as_text) for field in fields])


def make_keys(typed: Typed, rows: Indices, field: Field, space: KeySpace, *, as_text: bool = False) -> Keys:
    """Return keys of some values, equal where the logical values are; with `as_text` where the texts are."""
    if as_text or (field.type in _TEXT_TYPES and field.format != "uuid"):
        return space.text_keys(typed.column, rows)
    numbered = typed.numbered[rows]
    if bool(numbered.all()):
        return space.number_keys(np.ascontiguousarray(typed.numbers[rows]))
    keys = empty_keys(len(rows))
    if bool(numbered.any()):
        known = space.number_keys(np.ascontiguousarray(typed.numbers[rows[numbered]]))
        keys.high[numbered], keys.low[numbered] = known
    others = np.flatnonzero(~numbered)
    found = identities(typed, rows[others])
    numbers = [_whole_number(value, typed.scale) for value in found]
    whole = [index for index, number in enumerate(numbers) if number is not None]
    if whole:
        known = space.number_keys(np.array([numbers[index] for index in whole], np.int64))
        keys.high[others[whole]], keys.low[others[whole]] = known
    rest = [index for index, number in enumerate(numbers) if number is None]
    if rest:
        known = space.value_keys([_canonical(found[index]) for index in rest], len(rest))
        keys.high[others[rest]], keys.low[others[rest]] = known
    return keys


def _whole_number(value: object, scale: int) -> int | None:
    """`value * scale` where that is a whole number of 64 bits, as the fast look has it."""
    if isinstance(value, Decimal) and value.is_finite() and value.adjusted() < _INT64_DIGITS:
        scaled = value * scale
        value, scale = (int(scaled), 1) if scaled == scaled.to_integral_value() else (value, scale)
    if isinstance(value, int) and abs(value * scale) < _INT64_END:
        return value * scale
    return None


def _canonical(value: object) -> object:
    """Something whose repr is the same for equal identities."""
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        text = "".join(map(str, digits)).lstrip("0")
        stripped = text.rstrip("0")
        return (sign, stripped, exponent + len(text) - len(stripped)) if isinstance(exponent, int) and stripped else (sign, text, str(exponent))
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, frozenset):
        return sorted(repr(_canonical(item)) for item in value)
    return tuple(_canonical(item) for item in value) if isinstance(value, tuple) else value

"""The constraints of a field that are decided cell by cell: required, enum, bounds, lengths, categories."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Hashable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checks.column import Column, Mask, TextSet
from features.processing.checks.registry import CheckContext, ColumnRule, column_check
from features.processing.checks.types import Typed
from shared.table_schema import Field, constraint_value, identity_of

_SHOWN_VALUES = 10
_INT64_END = 2**63
_MOST_BYTES = 4
"""Of one character in UTF-8."""
_TEXT_TYPES = ("string", "any")
_MOMENT_WORDS = {"at least": "not be before", "at most": "not be after", "more than": "be after", "less than": "be before"}


@column_check("enum", error_type="enum-error")
def build_enum(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that are not in the list."""
    del context
    return _build_list(field, field.constraints.enum)


@column_check("category", error_type="category-error")
def build_categories(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that are none of the field's categories."""
    del context
    return _build_list(field, field.categories)


def _build_list(field: Field, given: Sequence[object] | None) -> ColumnRule | None:
    if given is None:
        return None
    allowed = frozenset(identity_of(constraint_value(field, item)) for item in given)
    texts = [item if isinstance(item, str) else json.dumps(item) for item in given]
    message = f"This value must be one of {_list_values(texts)}."
    is_text = field.type in _TEXT_TYPES and field.format != "uuid"
    # Text that is allowed as it stands; text of other types may say the same value in other words (01 for 1).
    known = texts if is_text or field.type in ("integer", "number") else [item for item in given if isinstance(item, str)]
    value_set = TextSet(known)

    def find_bad(typed: Typed) -> Mask:
        bad = ~value_set.find_in(typed.column)
        if not is_text:
            doubtful = np.flatnonzero(bad & typed.ok)
            bad[doubtful] = [identity_of(value) not in allowed for value in typed.values(doubtful)]
        return bad

    return ColumnRule(message=message, find_bad_values=find_bad)


def _list_values(texts: Sequence[str]) -> str:
    shown = ", ".join(texts[:_SHOWN_VALUES])
    return f"{shown} and {len(texts) - _SHOWN_VALUES} more" if len(texts) > _SHOWN_VALUES else shown


@column_check("minimum", error_type="minimum-error")
def build_minimum(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values below the limit."""
    del context
    return _build_bound(field, field.constraints.minimum, operator.ge, "at least")


@column_check("maximum", error_type="maximum-error")
def build_maximum(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values above the limit."""
    del context
    return _build_bound(field, field.constraints.maximum, operator.le, "at most")


@column_check("exclusive_minimum", error_type="exclusive-minimum-error")
def build_exclusive_minimum(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that are not above the limit."""
    del context
    return _build_bound(field, field.constraints.exclusive_minimum, operator.gt, "more than")


@column_check("exclusive_maximum", error_type="exclusive-maximum-error")
def build_exclusive_maximum(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that are not below the limit."""
    del context
    return _build_bound(field, field.constraints.exclusive_maximum, operator.lt, "less than")


def _build_bound(field: Field, given: object, compare: Callable[[Any, Any], Any], words: str) -> ColumnRule | None:
    if given is None:
        return None
    bound = constraint_value(field, given)
    is_moment = field.type in ("date", "time", "datetime", "year", "yearmonth")
    words = _MOMENT_WORDS[words] if is_moment else f"be {words}"
    message = f"This value must {words} {given if isinstance(given, str) else json.dumps(given)}."

    def holds(value: Any) -> bool:  # noqa: ANN401 - a logical value of any ordered type
        # NaN is neither above nor below anything.
        if isinstance(value, Decimal) and isinstance(bound, int | Decimal) and (value.is_nan() or Decimal(bound).is_nan()):
            return False
        return bool(compare(value, bound))

    def find_bad(typed: Typed) -> Mask:
        bad, certain = _compare_numbers(typed, bound, compare) if field.type != "number" else _compare_floats(typed, bound, compare)
        doubtful = np.flatnonzero(typed.ok & ~certain)
        if len(doubtful):
            bad[doubtful] = [not holds(value) for value in typed.values(doubtful)]
        return bad

    return ColumnRule(message=message, find_bad_values=find_bad)


def _compare_numbers(typed: Typed, bound: Any, compare: Callable[[Any, Any], Any]) -> tuple[Mask, Mask]:  # noqa: ANN401 - a logical value
    """Which cells break a bound, and for which of them that is certain."""
    certain = typed.numbered
    bad = np.zeros(len(certain), np.bool_)
    if not isinstance(bound, int | Decimal) or not bool(certain.any()):
        return bad, np.zeros(len(certain), np.bool_) if not isinstance(bound, int | Decimal) else certain
    scaled = bound * typed.scale
    # The bound between two whole numbers: the comparison with the one on the right side is the same.
    whole = math.ceil(scaled) if compare in (operator.ge, operator.lt) else math.floor(scaled)
    if not -_INT64_END <= whole < _INT64_END:
        bad[:] = not compare(0, whole)
    else:
        bad = ~np.asarray(compare(typed.numbers, np.int64(whole)), np.bool_)
    return bad, certain


def _compare_floats(typed: Typed, bound: Decimal, compare: Callable[[Any, Any], Any]) -> tuple[Mask, Mask]:
    limit = float(bound)
    rows = typed.accepted
    if not math.isfinite(limit) or not bool(rows.any()):
        return np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    floats = typed.floats
    # Both were rounded to the nearest float64, which never turns an order round: only equal floats leave the decimals open.
    certain = rows & (floats != limit)
    return ~np.asarray(compare(floats, limit), np.bool_), certain


@column_check("min_length", error_type="min-length-error")
def build_min_length(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that are too short."""
    del context
    limit = field.constraints.min_length
    if limit is None:
        return None

    def find_bad(typed: Typed) -> Mask:
        if field.type != "string":
            return _lengths(typed) < limit
        # A character is one to four bytes.
        sizes = typed.column.sizes
        bad: Mask = sizes < limit
        return _count_characters(typed.column, bad, (sizes >= limit) & (sizes < limit * _MOST_BYTES), lambda length: length < limit)

    return ColumnRule(message=f"This value must have at least {_count(field, limit)}.", find_bad_values=find_bad)


@column_check("max_length", error_type="max-length-error")
def build_max_length(field: Field, context: CheckContext) -> ColumnRule | None:
    """Refuse values that are too long."""
    del context
    limit = field.constraints.max_length
    if limit is None:
        return None

    def find_bad(typed: Typed) -> Mask:
        if field.type != "string":
            return _lengths(typed) > limit
        bad: Mask = typed.column.sizes > limit
        return _count_characters(typed.column, bad, bad, lambda length: length > limit)

    return ColumnRule(message=f"This value must have at most {_count(field, limit)}.", find_bad_values=find_bad)


def _count(field: Field, limit: int) -> str:
    word = {"string": "character", "object": "property", "geojson": "property"}.get(field.type, "item")
    if limit != 1:
        word = "properties" if word == "property" else f"{word}s"
    return f"{limit} {word}"


def _lengths(typed: Typed) -> npt.NDArray[np.int64]:
    """How many characters, items or properties each value has."""
    lengths = np.zeros(len(typed.ok), np.int64)
    rows = np.flatnonzero(typed.ok)
    lengths[rows] = [len(value) for value in typed.values(rows)]
    return lengths


def _count_characters(column: Column, by_bytes: Mask, doubtful: Mask, is_bad: Callable[[npt.NDArray[np.int32]], Mask]) -> Mask:
    """What the bytes say, where every one is a character; else the characters of the cells in `doubtful` are counted."""
    if not bool(doubtful.any()) or column.is_ascii:
        return by_bytes
    rows = np.flatnonzero(doubtful)
    bad = by_bytes.copy()
    bad[rows] = is_bad(pc.utf8_length(column.text.take(pa.array(rows))).fill_null(0).to_numpy(zero_copy_only=False))
    return bad


def identities(typed: Typed, rows: Any) -> list[Hashable]:  # noqa: ANN401 - an array of places
    """Return the identities of some values."""
    return [identity_of(value) for value in typed.values(rows)]

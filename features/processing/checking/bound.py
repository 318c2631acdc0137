"""Rule that compares values with a limit, for `minimum`, `maximum` and their exclusive forms."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from features.processing.checking.declarations import ColumnRule
from features.processing.checking.type_rule import Typed
from features.processing.column import Mask
from shared.descriptors.table_schema import Field, constraint_value

_INT64_END = 2**63
_MOMENT_WORDS = {"at least": "not be before", "at most": "not be after", "more than": "be after", "less than": "be before"}


def build_bound_rule(field: Field, given: object, compare: Callable[[Any, Any], Any], words: str) -> ColumnRule | None:
    """Build the rule that `compare(value, given)` must be true; None if there is no limit. `words` (such as `at least`) go into the message."""
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
    """Mark the cells that violate a bound, and those for which this answer is certain."""
    certain = typed.numbered
    bad = np.zeros(len(certain), np.bool_)
    if not isinstance(bound, int | Decimal) or not bool(certain.any()):
        return bad, np.zeros(len(certain), np.bool_) if not isinstance(bound, int | Decimal) else certain
    scaled = bound * typed.scale
    # If the bound lies between two whole numbers, it is rounded to the one with which the comparison gives the same result.
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
    # Both were rounded to the nearest float64, which never reverses an order: only equal floats leave the order of the decimals open.
    certain = rows & (floats != limit)
    return ~np.asarray(compare(floats, limit), np.bool_), certain

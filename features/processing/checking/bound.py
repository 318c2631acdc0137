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
from features.processing.checking.params import make_params
from features.processing.checking.type_rule import Typed
from features.processing.column import Mask
from shared.descriptors.table_schema import Field, constraint_value
from shared.texts import quote_briefly

_INT64_END, _INT64_DIGITS = 2**63, 19
_MOMENT_WORDS = {"at least": "not be before", "at most": "not be after", "more than": "be after", "less than": "be before"}


def build_bound_rule(field: Field, name: str, given: object, compare: Callable[[Any, Any], Any], words: str) -> ColumnRule | None:
    """Build the rule that `compare(value, given)` must be true; None if there is no limit.

    `words` (such as `at least`) go into the message, `name` (such as `minimum`) into its params.
    """
    if given is None:
        return None
    bound = constraint_value(field, given)
    if isinstance(bound, int | Decimal) and Decimal(bound).is_nan():
        # NaN is neither above nor below anything.
        return ColumnRule(message=_describe(field, given, words), find_bad_values=lambda typed: typed.ok, params=make_params(**{name: given}))
    limit = float(bound) if isinstance(bound, Decimal) else 0.0

    def holds(value: Any) -> bool:  # noqa: ANN401 - a logical value of any ordered type
        if isinstance(value, Decimal) and value.is_nan():
            return False
        return bool(compare(value, bound))

    def find_bad(typed: Typed) -> Mask:
        bad, certain = _compare_numbers(typed, bound, compare) if field.type != "number" else _compare_floats(typed, limit, compare)
        doubtful = np.flatnonzero(typed.ok & ~certain)
        if len(doubtful):
            bad[doubtful] = [not holds(value) for value in typed.values(doubtful)]
        return bad

    return ColumnRule(message=_describe(field, given, words), find_bad_values=find_bad, params=make_params(**{name: given}))


def _describe(field: Field, given: object, words: str) -> str:
    is_moment = field.type in ("date", "time", "datetime", "year", "yearmonth")
    shown = quote_briefly(given if isinstance(given, str) else json.dumps(given))
    return f"This value must {_MOMENT_WORDS[words] if is_moment else f'be {words}'} {shown}."


def _compare_numbers(typed: Typed, bound: Any, compare: Callable[[Any, Any], Any]) -> tuple[Mask, Mask]:  # noqa: ANN401 - a logical value
    """Mark the cells that violate a bound, and those for which this answer is certain."""
    certain = typed.numbered
    bad = np.zeros(len(certain), np.bool_)
    if not isinstance(bound, int | Decimal) or not bool(certain.any()):
        return bad, np.zeros(len(certain), np.bool_) if not isinstance(bound, int | Decimal) else certain
    if isinstance(bound, Decimal) and bound.adjusted() >= _INT64_DIGITS:
        # Making a whole number of a Decimal of a million digits would take minutes.
        bad[:] = not compare(0, bound)
        return bad, certain
    scaled = bound if typed.scale == 1 else bound * typed.scale
    # If the bound lies between two whole numbers, it is rounded to the one with which the comparison gives the same result.
    whole = math.ceil(scaled) if compare in (operator.ge, operator.lt) else math.floor(scaled)
    if not -_INT64_END <= whole < _INT64_END:
        bad[:] = not compare(0, whole)
    else:
        bad = ~np.asarray(compare(typed.numbers, np.int64(whole)), np.bool_)
    return bad, certain


def _compare_floats(typed: Typed, limit: float, compare: Callable[[Any, Any], Any]) -> tuple[Mask, Mask]:
    """The same for numbers, of which `limit` is the bound rounded to the nearest float64."""
    rows = typed.accepted
    if not math.isfinite(limit) or not bool(rows.any()):
        return np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    floats = typed.floats
    # Both were rounded to the nearest float64, which never reverses an order: only equal floats leave the order of the decimals open.
    certain = rows & (floats != limit)
    return ~np.asarray(compare(floats, limit), np.bool_), certain

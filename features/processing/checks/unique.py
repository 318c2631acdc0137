"""`unique`: a value must not occur in an earlier row."""

from __future__ import annotations

import numpy as np

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.type_rule import Typed
from features.processing.checking.value_keys import make_keys
from features.processing.column import Mask
from shared.descriptors.table_schema import Field


@column_check("unique", error_type="unique-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that an earlier row already has; empty cells are not compared."""
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

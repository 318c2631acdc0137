"""`unique`: a value must not occur in an earlier row."""

from __future__ import annotations

import numpy as np

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.type_rule import Typed
from features.processing.checking.value_keys import make_keys
from features.processing.readers.base import RowNumbers
from shared.descriptors.table_schema import Field


@column_check("unique", error_type="unique-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that an earlier row already has; empty cells are not compared."""
    if not field.constraints.unique:
        return None
    key_set = context.keys.create_set()

    def find_first_rows(typed: Typed, row_numbers: RowNumbers) -> RowNumbers:
        rows = np.flatnonzero(typed.ok)
        first_rows = np.zeros(len(typed.ok), np.int64)
        if len(rows):
            first_rows[rows] = key_set.add(make_keys(typed, rows, field, context.keys), row_numbers[rows])
        return first_rows

    return ColumnRule(message="This value must be unique, but an earlier row has it too.", find_first_rows=find_first_rows, close=key_set.close)

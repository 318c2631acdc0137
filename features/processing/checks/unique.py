"""`unique`: a value must not occur in an earlier row."""

from __future__ import annotations

from concurrent.futures import Future

import numpy as np

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.type_rule import Typed, is_compared_as_text
from features.processing.checking.value_keys import make_keys
from features.processing.column import Indices
from features.processing.keys.packed_keys import PackedKeys
from features.processing.readers.base import RowNumbers
from shared.descriptors.table_schema import Field


@column_check("unique", error_type="unique-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that an earlier row already has; empty cells are not compared."""
    if not field.constraints.unique:
        return None
    rule = _UniqueRule(field, context)
    return ColumnRule(
        message="This value must be unique, but an earlier row has it too.",
        begin_values=rule.begin if is_compared_as_text(field) else None,
        find_first_rows=rule.find_first_rows,
        close=rule.close,
    )


class _UniqueRule:
    """Adds the values of one chunk after the other to a set of keys, texts in another thread."""

    def __init__(self, field: Field, context: CheckContext) -> None:
        self._field, self._context = field, context
        self._set = context.keys.create_set()
        self._begun: tuple[Typed, Indices, Future[RowNumbers]] | None = None

    def begin(self, typed: Typed, row_numbers: RowNumbers) -> bool:
        """Add the values in another thread."""
        rows = np.flatnonzero(typed.ok)
        self._begun = typed, rows, self._context.ahead.begin(self._set.add, self._make_keys(typed, rows), row_numbers[rows])
        return True

    def find_first_rows(self, typed: Typed, row_numbers: RowNumbers) -> RowNumbers:
        """Return for each value that an earlier row has the first row with it, and 0 for the others."""
        begun, self._begun = self._begun, None
        first_rows = np.zeros(len(typed.ok), np.int64)
        if begun is not None and begun[0] is typed:
            first_rows[begun[1]] = begun[2].result()
        elif len(rows := np.flatnonzero(typed.ok)):
            first_rows[rows] = self._set.add(self._make_keys(typed, rows), row_numbers[rows])
        return first_rows

    def _make_keys(self, typed: Typed, rows: Indices) -> PackedKeys:
        return make_keys(typed, rows, self._field, self._context.keys.maker)

    def close(self) -> None:
        """Release the keys; may be called twice."""
        self._set.close()

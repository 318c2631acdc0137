"""`maxLength`: a value must have at most a given number of characters, items or properties."""

from __future__ import annotations

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.lengths import compare_characters, count_parts, describe_length
from features.processing.checking.params import make_params
from features.processing.checking.type_rule import Typed
from features.processing.column import Mask
from shared.descriptors.table_schema import Field


@column_check("max_length", error_type="max-length-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are too long."""
    del context
    limit = field.constraints.max_length
    if limit is None:
        return None

    def find_bad(typed: Typed) -> Mask:
        if field.type != "string":
            return count_parts(typed) > limit
        bad: Mask = typed.column.sizes > limit
        return compare_characters(typed.column, bad, bad, lambda length: length > limit)

    return ColumnRule(message=f"This value must have at most {describe_length(field, limit)}.", find_bad_values=find_bad, params=make_params(max_length=limit))

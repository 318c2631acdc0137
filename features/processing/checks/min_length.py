"""`minLength`: a value must have at least a given number of characters, items or properties."""

from __future__ import annotations

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.lengths import MAX_BYTES_PER_CHARACTER, compare_characters, count_parts, describe_length
from features.processing.checking.params import make_params
from features.processing.checking.type_rule import Typed
from features.processing.column import Mask
from shared.descriptors.table_schema import Field


@column_check("min_length", error_type="min-length-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are too short."""
    del context
    limit = field.constraints.min_length
    if limit is None:
        return None

    def find_bad(typed: Typed) -> Mask:
        if field.type != "string":
            return count_parts(typed) < limit
        # A character takes one to four bytes.
        sizes = typed.column.sizes
        bad: Mask = sizes < limit
        return compare_characters(typed.column, bad, (sizes >= limit) & (sizes < limit * MAX_BYTES_PER_CHARACTER), lambda length: length < limit)

    return ColumnRule(message=f"This value must have at least {describe_length(field, limit)}.", find_bad_values=find_bad, params=make_params(min_length=limit))

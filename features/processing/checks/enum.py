"""`enum`: a value must be one of a list."""

from __future__ import annotations

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.value_list import build_list_rule
from shared.descriptors.table_schema import Field


@column_check("enum", error_type="enum-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are not in the list."""
    del context
    return build_list_rule(field, "enum", field.constraints.enum)

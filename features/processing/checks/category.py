"""`categories`: a value must be one of the categories of its field."""

from __future__ import annotations

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.value_list import build_list_rule
from shared.descriptors.table_schema import Field


@column_check("category", error_type="category-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are not one of the categories of the field."""
    del context
    return build_list_rule(field, "categories", field.categories)

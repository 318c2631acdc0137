"""`exclusiveMinimum`: a value must be above a limit."""

from __future__ import annotations

import operator

from features.processing.checking.bound import build_bound_rule
from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from shared.descriptors.table_schema import Field


@column_check("exclusive_minimum", error_type="exclusive-minimum-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are not above the limit."""
    del context
    return build_bound_rule(field, "exclusive_minimum", field.constraints.exclusive_minimum, operator.gt, "more than")

"""`exclusiveMaximum`: a value must be below a limit."""

from __future__ import annotations

import operator

from features.processing.checking.bound import build_bound_rule
from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from shared.descriptors.table_schema import Field


@column_check("exclusive_maximum", error_type="exclusive-maximum-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are not below the limit."""
    del context
    return build_bound_rule(field, "exclusive_maximum", field.constraints.exclusive_maximum, operator.lt, "less than")

"""`maximum`: a value must not be above a limit."""

from __future__ import annotations

import operator

from features.processing.checking.bound import build_bound_rule
from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from shared.descriptors.table_schema import Field


@column_check("maximum", error_type="maximum-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values above the limit."""
    del context
    return build_bound_rule(field, "maximum", field.constraints.maximum, operator.le, "at most")

"""`minimum`: a value must not be below a limit."""

from __future__ import annotations

import operator

from features.processing.checking.bound import build_bound_rule
from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from shared.descriptors.table_schema import Field


@column_check("minimum", error_type="minimum-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values below the limit."""
    del context
    return build_bound_rule(field, "minimum", field.constraints.minimum, operator.ge, "at least")

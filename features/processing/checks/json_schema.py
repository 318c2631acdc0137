"""`jsonSchema`: a value must be valid against a JSON Schema; checked in a child process under limits."""

from __future__ import annotations

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.slow_rule import SlowRule
from shared.descriptors.table_schema import Field


@column_check("json_schema", error_type="json-schema-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are not valid against the JSON Schema."""
    schema = field.constraints.json_schema
    if schema is None:
        return None
    rule = SlowRule(
        "json-schema",
        dict(schema),
        field,
        context,
        message="This value must match the field's JSON Schema.",
        not_judged="This value cannot be checked against the field's JSON Schema: it is too large, or nested too deeply.",
    )
    return ColumnRule(message=rule.messages, find_bad_values=lambda typed: rule.find_bad(typed.column, typed.ok))

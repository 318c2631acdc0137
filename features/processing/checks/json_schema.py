"""`jsonSchema`: a value must be valid against a JSON Schema; checked in a child process under limits."""

from __future__ import annotations

from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.slow_rule import SlowRules
from features.processing.checking.type_rule import Typed
from features.processing.column import Mask
from shared.descriptors.table_schema import Field


@column_check("json_schema", error_type="json-schema-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that are not valid against the JSON Schema."""
    schema = field.constraints.json_schema
    if schema is None:
        return None
    rules = SlowRules(
        field,
        context,
        message="This value must match the field's JSON Schema.",
        not_judged="This value cannot be checked against the field's JSON Schema: it is too large, or nested too deeply.",
    )
    number = rules.add("json-schema", dict(schema))

    def find_bad_values(typed: Typed) -> Mask:
        rules.start_column()
        return rules.find_bad(number, typed.column, typed.ok)

    return ColumnRule(message=rules.messages, find_bad_values=find_bad_values)

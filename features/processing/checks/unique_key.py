"""`uniqueKeys`: a combination of values must not occur in an earlier row."""

from __future__ import annotations

from collections.abc import Sequence

from features.processing.checking.declarations import CheckContext, KeyRule, key_check
from features.processing.checking.unique_key_rule import UniqueKeyRule
from shared.descriptors.table_schema import TableSchema


@key_check("unique_key", error_type="unique-key-error")
def build(table_schema: TableSchema, context: CheckContext) -> Sequence[KeyRule]:
    """Reject rows whose unique key an earlier row already has; keys with an empty part are not compared."""
    return [UniqueKeyRule(table_schema, key, context, is_primary=False) for key in table_schema.unique_keys]

"""`primaryKey`: the key of a row must be complete, and differ from that of every earlier row."""

from __future__ import annotations

from collections.abc import Sequence

from features.processing.checking.declarations import CheckContext, KeyRule, key_check
from features.processing.checking.unique_key_rule import UniqueKeyRule
from shared.descriptors.table_schema import TableSchema


@key_check("primary_key", error_type="primary-key-error")
def build(table_schema: TableSchema, context: CheckContext) -> Sequence[KeyRule]:
    """Reject rows whose primary key is incomplete, or the same as that of an earlier row."""
    if not table_schema.primary_key:
        return []
    return [UniqueKeyRule(table_schema, table_schema.primary_key, context, is_primary=True)]

"""Table Schema: the columns of a table, and the constraints on their values.

Source: https://datapackage.org/standard/table-schema/ (v2; v1 descriptors are accepted). The `parse_*` functions refuse a descriptor with a pointer
for each problem; `value_parser` is the single definition of valid values of a type, for constraints in descriptors and for cells alike.
"""

from shared.descriptors.problems import DescriptorInvalid, DescriptorProblem
from shared.descriptors.table_schema.identity import identity_of
from shared.descriptors.table_schema.model import Constraints, Field, ForeignKey, TableSchema
from shared.descriptors.table_schema.parse import MAX_FIELDS, parse_table_schema, parse_table_schema_json
from shared.descriptors.table_schema.temporal import NotOfTypeError
from shared.descriptors.table_schema.values import MAX_CELL_BYTES, constraint_parser, constraint_value, is_plain_text, value_parser

__all__ = [
    "MAX_CELL_BYTES",
    "MAX_FIELDS",
    "Constraints",
    "DescriptorInvalid",
    "DescriptorProblem",
    "Field",
    "ForeignKey",
    "NotOfTypeError",
    "TableSchema",
    "constraint_parser",
    "constraint_value",
    "identity_of",
    "is_plain_text",
    "parse_table_schema",
    "parse_table_schema_json",
    "value_parser",
]

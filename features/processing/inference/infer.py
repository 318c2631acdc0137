"""Infer the schema of a table that came without one: the type that most values of a column have is taken as the type of all.

A column has a type if at least 90 % of its non-empty values have it, or all but one of 3 to 10 values; with fewer than 3 values all must have it.
The types are tried from the narrowest on; values with a leading zero (00123) do not count as numbers, since they are codes and not quantities.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.labels import usable_names
from features.processing.checking.type_rule import TypeRule
from features.processing.column import Column, Mask, as_mask
from features.processing.readers.base import Chunk, FileUnreadable
from shared.descriptors.table_schema import MAX_FIELDS, Field, TableSchema, parse_table_schema

MAX_ROWS = 10_000
_TYPES = ("integer", "number", "boolean", "date", "time", "datetime")
_PERCENT = 90
_FEW, _SOME = 3, 10
_PIECE_ROWS = 500
_LEADING_ZERO = r"\A[+-]?0[0-9]"
_SCHEMA_URL = "https://datapackage.org/profiles/2.0/tableschema.json"


def infer_table_schema(labels: Sequence[str] | None, chunks: Sequence[Chunk]) -> TableSchema:
    """Return a schema for a table from its first rows, at most 10,000. Raises `FileUnreadable` if the table has too many columns.

    The labels become the field names; blank and repeated labels are replaced by unused names, so that the schema can be sent again and finds the
    same errors.
    """
    width = max([len(labels or ()), *(len(chunk.columns) for chunk in chunks)])
    if width > MAX_FIELDS:
        raise FileUnreadable(f"The table has {width} columns; at most {MAX_FIELDS} can be checked.")
    names = usable_names(labels) if labels is not None else []
    names += usable_names([""] * width)[len(names) :]
    fields = [_infer_field(names[index], _first_rows(chunks, index)) for index in range(width)]
    return parse_table_schema({"$schema": _SCHEMA_URL, "fields": fields, "missingValues": [""]})


def _first_rows(chunks: Sequence[Chunk], index: int) -> Column:
    parts = [chunk.columns[index] for chunk in chunks if index < len(chunk.columns)]
    joined = parts[0] if len(parts) == 1 else pa.concat_arrays(parts) if parts else pa.array([], pa.string())
    return Column(joined.slice(0, MAX_ROWS))


def _infer_field(name: str, column: Column) -> dict[str, object]:
    present = column.present
    filled = present & ~column.blank
    field: dict[str, object] = {"name": name, "type": _infer_type(column, filled)}
    if _is_most(int(np.count_nonzero(filled)), int(np.count_nonzero(present))):
        field["constraints"] = {"required": True}
    return field


def _infer_type(column: Column, filled: Mask) -> str:
    if not bool(filled.any()):
        return "string"
    values = column if bool(filled.all()) else Column(column.text.filter(pa.array(filled)))
    for type_name in _TYPES:
        if _is_of_type(values, type_name):
            return type_name
    return "string"


def _is_of_type(values: Column, type_name: str) -> bool:
    """Whether most values are of a type; stops as soon as that is impossible."""
    rule = TypeRule(Field(name="", type=type_name))
    wrong = 0
    for start in range(0, len(values), _PIECE_ROWS):
        piece = Column(values.text.slice(start, _PIECE_ROWS))
        too_long = rule.find_too_long(piece)
        piece = piece if too_long is None else piece.without(too_long)
        ok = rule.judge(piece, piece.present).ok
        if type_name in ("integer", "number"):
            ok &= ~as_mask(pc.match_substring_regex(piece.text, _LEADING_ZERO))
        wrong += len(piece) - int(np.count_nonzero(ok))
        if not _is_most(len(values) - wrong, len(values)):
            return False
    return len(values) > 0


def _is_most(count: int, total: int) -> bool:
    if not total:
        return False
    if _FEW <= total <= _SOME:
        return count >= total - 1
    return count * 100 >= total * _PERCENT

"""Stored pieces of error records as Arrow tables, with the columns that clients see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from features.processing.exporting.error_records import ERROR_SCHEMA
from shared.cell_names import name_cell
from shared.db.models import PLACE_BITS

if TYPE_CHECKING:
    from shared.db.models import ErrorPiece

_PLACE_DIGITS = PLACE_BITS // 4


def tabulate_piece(piece: ErrorPiece) -> pa.Table:
    """Return the records of a piece as `GET …/errors` shows them, in `ERROR_SCHEMA`."""
    count = len(piece.row_numbers)
    place_of = {rule["number"]: place for place, rule in enumerate(piece.rules)}
    places = [place_of[number] for number in piece.rule_numbers]
    # A record's id is that of its piece, with its position in the last digits (`make_record_id`).
    head = str(piece.id)[:-_PLACE_DIGITS]
    of_rule = pa.array(places, pa.int32())
    columns = [rule["column_number"] for rule in piece.rules]
    values = {
        "id": [f"{head}{place:0{_PLACE_DIGITS}x}" for place in range(1, count + 1)],
        "job_id": pa.repeat(str(piece.job_id), count),
        "row_number": piece.row_numbers,
        "column_number": pa.array(columns, pa.int64()).take(of_rule),
        "column_name": pa.array([rule["column_name"] for rule in piece.rules], pa.string()).take(of_rule),
        "cell": [name_cell(row, columns[place]) for row, place in zip(piece.row_numbers, places, strict=True)],
        "error_type": pa.array([rule["error_type"] for rule in piece.rules], pa.string()).take(of_rule),
        "error_message": pa.array([rule["error_message"] for rule in piece.rules], pa.string()).take(of_rule),
        "params": _list_params(piece.rules, of_rule, piece.first_row_numbers),
        "raw_value": piece.raw_values,
        "created_at": pa.repeat(pa.scalar(piece.created_at, ERROR_SCHEMA.field("created_at").type), count),
    }
    arrays = [pa.array(values[field.name], field.type) if isinstance(values[field.name], list) else values[field.name] for field in ERROR_SCHEMA]
    return pa.Table.from_arrays(arrays, schema=ERROR_SCHEMA)


def _list_params(rules: Sequence[Mapping[str, Any]], of_rule: pa.Int32Array, first_row_numbers: Sequence[int | None] | None) -> pa.StringArray | list[str]:
    """Return the values in each record's sentence as JSON."""
    params = [rule.get("params") or {} for rule in rules]
    texts = [json.dumps(values, ensure_ascii=False) for values in params]
    if first_row_numbers is None:
        return pa.array(texts, pa.string()).take(of_rule)
    return [
        texts[place] if first is None else json.dumps(params[place] | {"first_row_number": first}, ensure_ascii=False)
        for place, first in zip(of_rule.to_pylist(), first_row_numbers, strict=True)
    ]

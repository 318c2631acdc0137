"""What writers of typed formats ask of the cells of a column, beyond `make_typed_array`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.type_rule import Typed
from features.processing.column import Mask, as_mask
from features.processing.exporting.writer import OpenedTable
from shared.descriptors.table_schema import Field

JSON_TYPES = ("array", "object", "geojson")
"""Types whose cells are JSON already."""
_ZONE = r":[0-9]{2}(?:\.[0-9]+)?(?:Z|z|[+-][0-9]{2}:?[0-9]{2})\z"
_SHOWN_DIGITS = 40
"""A number with more digits before or after its point is written with an exponent."""


def name_columns(table: OpenedTable) -> list[str]:
    """Return a name for each column of the table, all of them different: that of its field, else its label, else its number."""
    names: list[str] = []
    taken: set[str] = set()
    for index in range(table.width):
        field = table.fields.get(index)
        label = table.labels[index] if table.labels is not None else ""
        name = wanted = (field.name if field is not None else label) or f"column_{index + 1}"
        count = 1
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        names.append(name)
    return names


def find_zoned(typed: Typed, field: Field) -> Mask:
    """Mark the cells of a datetime column that say their time zone."""
    if field.format not in ("default", "any"):
        return typed.ok if "%z" in field.format else np.zeros(len(typed.ok), np.bool_)
    return as_mask(pc.fill_null(pc.match_substring_regex(typed.column.text, _ZONE), False)) & typed.ok


def number_as_json(value: int | Decimal) -> str:
    """Return an exact number as JSON: written out, unless that would take more than 40 digits before or after the point."""
    if isinstance(value, int):
        return str(value)
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    is_short = value.adjusted() < _SHOWN_DIGITS and exponent > -_SHOWN_DIGITS
    return format(value, "f") if is_short else str(value)


def list_as_json(values: Sequence[Any], text: str, field: Field) -> str:
    """Return the JSON of a cell of the type list: `values` are its logical values, `text` is the cell. Dates and times are as they are written."""
    if field.item_type == "boolean":
        items = ["true" if value else "false" for value in values]
    elif field.item_type in ("integer", "number"):
        items = [number_as_json(value) if _is_finite(value) else "null" for value in values]
    else:
        items = [json.dumps(item, ensure_ascii=False) for item in text.split(field.delimiter)]
    return f"[{','.join(items)}]"


def _is_finite(value: int | Decimal) -> bool:
    return isinstance(value, int) or value.is_finite()


def lists_as_json(typed: Typed, rows: Mask, field: Field) -> pa.StringArray:
    """Return the JSON of a column of the type list; cells that are not in `rows` are null."""
    places = np.flatnonzero(rows)
    texts = typed.column.text.take(pa.array(places)).to_pylist()
    said: list[str | None] = [None] * len(rows)
    for place, values, text in zip(places.tolist(), typed.values(places), texts, strict=True):
        said[place] = list_as_json(values, text, field)
    return pa.array(said, pa.string())

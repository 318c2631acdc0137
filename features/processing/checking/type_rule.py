"""Decide which cells are values of their field's type: a fast parser examines the bytes of the whole column, the exact parser decides the rest.

The exact parser (`shared.descriptors.table_schema.value_parser`) is authoritative. A fast parser may accept only cells that it accepts.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.fast_parse import FastResult, fast_parser_for
from features.processing.column import Column, Indices, Mask, Memo
from shared.descriptors.table_schema import Field, NotOfTypeError, identity_of, value_parser

NOT_A_VALUE = object()
"""Placeholder for the logical value of a cell that has none."""

MESSAGES = {
    "integer": "This value must be a whole number.",
    "number": "This value must be a number.",
    "object": 'This value must be a JSON object, such as {"a": 1}.',
    "array": "This value must be a JSON array, such as [1, 2].",
    "year": "This value must be a year with four digits, such as 2024.",
    "yearmonth": "This value must be a year and a month, such as 2024-01.",
    "duration": "This value must be a duration, such as P1DT12H.",
    "geojson": "This value must be GeoJSON.",
    "string": "This value must be text.",
    "any": "This value cannot be used.",
}
_FORMAT_MESSAGES = {
    ("string", "email"): "This value must be an e-mail address.",
    ("string", "uri"): "This value must be a web address or another URI, such as https://example.com.",
    ("string", "binary"): "This value must be Base64 data.",
    ("string", "uuid"): "This value must be a UUID, such as 123e4567-e89b-12d3-a456-426614174000.",
    ("date", "default"): "This value must be a date such as 2024-01-31.",
    ("time", "default"): "This value must be a time such as 15:30:00.",
    ("datetime", "default"): "This value must be a date with a time such as 2024-01-31T15:30:00.",
    ("date", "any"): "This value must be a date.",
    ("time", "any"): "This value must be a time.",
    ("datetime", "any"): "This value must be a date with a time.",
    ("geopoint", "default"): "This value must be a point as longitude, latitude, such as 90.50, 45.50.",
    ("geopoint", "array"): "This value must be a point such as [90.50, 45.50] (longitude, latitude).",
    ("geopoint", "object"): 'This value must be a point such as {"lon": 90.50, "lat": 45.50}.',
    ("geojson", "topojson"): "This value must be TopoJSON.",
}
_PLURALS = {
    "string": "texts",
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "true or false values",
    "date": "dates such as 2024-01-31",
    "time": "times such as 15:30:00",
    "datetime": "dates with times such as 2024-01-31T15:30:00",
}


def is_compared_as_text(field: Field) -> bool:
    """Whether two values of the field are equal if and only if their texts are equal."""
    return field.type in ("string", "any") and field.format != "uuid"


class Typed:
    """A column after its type was checked: which cells have a logical value, and these values on demand."""

    def __init__(self, column: Column, ok: Mask, fast: FastResult, parse: Memo) -> None:
        self.column = column
        self.ok = ok
        self._fast = fast
        self._parse = parse
        self._numbers: npt.NDArray[np.int64] | None = None

    @property
    def scale(self) -> int:
        """The factor by which `numbers` are multiplied."""
        return self._fast.scale

    @property
    def numbered(self) -> Mask:
        """Cells whose logical value is in `numbers`; the others need `values`."""
        numbered = self._fast.numbered if self._fast.numbered is not None else self._fast.accepted
        return numbered & self.ok if self._fast.numbers is not None else np.zeros(len(self.column), np.bool_)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """Exact logical values times `scale`, for the cells in `numbered`."""
        if self._numbers is None:
            assert self._fast.numbers is not None
            self._numbers = self._fast.numbers()
        return self._numbers

    @property
    def accepted(self) -> Mask:
        """Cells with a value that the fast parser accepted."""
        return self._fast.accepted & self.ok

    @cached_property
    def floats(self) -> npt.NDArray[np.float64]:
        """The nearest float64 of each cell in `accepted`; for number fields only."""
        if self._fast.floats is not None:
            return self._fast.floats
        rows = self.accepted
        text = self.column.text if bool(rows.all()) else pc.if_else(pa.array(rows), self.column.text, pa.scalar("0"))
        return np.asarray(text.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)

    def values(self, rows: Indices) -> Iterator[Any]:
        """Yield the logical values of cells that are `ok`, one at a time."""
        return self._parse.of_rows(self.column, rows)

    def identities(self, rows: Indices) -> list[Hashable]:
        """Return the identities of values that are `ok`: equal if the values are equal, whatever their type."""
        return [identity_of(value) for value in self.values(rows)]


class TypeRule:
    """Checks the type of the columns of one field."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.message = describe_type_error(field)
        self._fast_parse = fast_parser_for(field)
        parser = value_parser(field)

        def parse(text: str) -> Any:  # noqa: ANN401 - a logical value of any type
            try:
                return parser(text)
            except NotOfTypeError:
                return NOT_A_VALUE

        self._parse = Memo(parse)

    def parse_fast(self, column: Column) -> FastResult:
        """Run the fast parser, which knows nothing about missing values; without one, no cell is accepted."""
        return self._fast_parse(column) if self._fast_parse is not None else FastResult(np.zeros(len(column), np.bool_))

    def judge(self, column: Column, candidates: Mask, fast: FastResult | None = None) -> Typed:
        """Determine which of the cells in `candidates` are values."""
        fast = self.parse_fast(column) if fast is None else fast
        ok = fast.accepted & candidates
        doubtful = np.flatnonzero(candidates & ~fast.accepted)
        if len(doubtful):
            # Wrong values often repeat: each distinct text is parsed once.
            texts = pc.dictionary_encode(column.text.take(pa.array(doubtful)))
            good = np.array([value is not NOT_A_VALUE for value in self._parse.of_texts(texts.dictionary.to_pylist())], np.bool_)
            ok[doubtful] = good[texts.indices.to_numpy(zero_copy_only=False)]
        return Typed(column, ok, fast, self._parse)


def describe_type_error(field: Field) -> str:
    """Return one plain sentence that says what a value of the field must be."""
    if (field.type, field.format) in _FORMAT_MESSAGES:
        return _FORMAT_MESSAGES[field.type, field.format]
    if field.type in ("date", "time", "datetime"):
        kind = {"date": "date", "time": "time", "datetime": "date with a time"}[field.type]
        return f"This value must be a {kind} written as {_describe_pattern(field.format)}."
    if field.type == "boolean":
        return f"This value must be one of {', '.join((*field.true_values, *field.false_values))}."
    if field.type == "list":
        return f"This value must be a list of {_PLURALS[field.item_type]}, separated by {field.delimiter!r}."
    if field.type == "number" and field.decimal_char != ".":
        return f"This value must be a number with {field.decimal_char!r} before its decimals."
    return MESSAGES[field.type]


def _describe_pattern(pattern: str) -> str:
    words = {"%Y": "YYYY", "%m": "MM", "%d": "DD", "%H": "hh", "%M": "mm", "%S": "ss", "%y": "YY", "%b": "Jan", "%B": "January", "%f": "ffffff"}
    for directive, word in words.items():
        pattern = pattern.replace(directive, word)
    return pattern

"""Decide which cells are values of their field's type: a fast parser examines the bytes of the whole column, the exact parser decides the rest.

The exact parser (`shared.descriptors.table_schema.value_parser`) is authoritative. A fast parser may accept only cells that it accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from features.processing.checking.fast_parse import fast_parser_for
from features.processing.checking.fast_result import FastResult
from features.processing.checking.reasons import ReasonFinder, Reasons, shapes_of
from features.processing.column import Column, Indices, Mask, Memo, iterate_texts
from shared.descriptors.table_schema import MAX_CELL_BYTES, Field, NotOfTypeError, identity_of, is_plain_text, value_parser
from shared.observing.frames import describe_frames
from shared.texts import list_briefly, quote_briefly

log = structlog.get_logger(__name__)

NOT_A_VALUE = object()
"""Placeholder for the logical value of a cell that has none."""
TOO_LONG = f"This cell is too long: a value that is not plain text may have at most {MAX_CELL_BYTES // 2**20} MiB."


@dataclass(frozen=True, slots=True)
class _Refused:
    """In place of the logical value of a cell that has none, for a reason that the message of its type does not say."""

    message: str


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
_MAX_SHAPE_BYTES = 18
"""Whether a text is a number depends on its digits only where an exponent has more of them than fit here."""
_MANY_TEXTS = 64
_SHOWN_BOOLEANS = 20
_JSON_TYPES = ("object", "array", "geojson", "geopoint")
"""Types whose parsers may say why a cell is no value."""
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

    def __init__(self, column: Column, ok: Mask, fast: FastResult, parse: Memo, reasons: Reasons | None = None) -> None:
        self.column = column
        self.ok = ok
        self.reasons = reasons
        """Why cells are no values, if the message of their type does not say it of all."""
        self.as_written: Mask | None = None
        """Cells whose text is written as the schema prescribes; None: all of them."""
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
        plain = self.column.text if self._fast.plain is None else self._fast.plain()
        text = plain if bool(rows.all()) else pc.if_else(pa.array(rows), plain, pa.scalar("0"))
        return np.asarray(text.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)

    def values(self, rows: Indices) -> Iterator[Any]:
        """Yield the logical values of cells that are `ok`, one at a time."""
        return self._parse.of_rows(self.column, rows)

    def identities(self, rows: Indices) -> list[Hashable]:
        """Return the identities of values that are `ok`: equal if the values are equal, whatever their type."""
        return [identity_of(value) for value in self.values(rows)]


class TypeRule:
    """Checks the type of the columns of one field."""

    def __init__(self, field: Field, fast_parse: Callable[[Column], FastResult] | None = None) -> None:
        """Cells that `fast_parse` accepts are values; without it the fast parser of the field is taken."""
        self.field = field
        self.message = describe_type_error(field)
        self._fast_parse = fast_parse or fast_parser_for(field)
        parser = value_parser(field)

        def parse(text: str) -> Any:  # noqa: ANN401 - a logical value of any type
            try:
                return parser(text)
            except NotOfTypeError as error:
                return _Refused(str(error)) if error.args and field.type in _JSON_TYPES else NOT_A_VALUE
            except (ArithmeticError, ValueError, LookupError, TypeError, RecursionError) as error:
                # A value that the parsers were not written for must not end the job. The message of the exception may quote the cell.
                log.error("a cell could not be judged", field_type=field.type, field_format=field.format[:100], exception=describe_frames(error))  # noqa: TRY400
                return NOT_A_VALUE

        self._parse = Memo(parse)
        self._find_reasons = ReasonFinder(field, self.message, lambda text: _is_value(parse(text))).find
        self._is_bounded = not is_plain_text(field)
        self._is_number = field.type in ("integer", "number")

    def identify(self, text: str) -> Hashable | None:
        """Return the identity of the value that a text is; None if it is none."""
        (value,) = self._parse.of_texts([text])
        return identity_of(value) if _is_value(value) else None

    def find_too_long(self, column: Column) -> Mask | None:
        """Mark the cells that are too long for a value of this type, which are not to be parsed; None if there are none."""
        if not self._is_bounded or len(column.data) <= MAX_CELL_BYTES:
            return None
        too_long: Mask = column.sizes > MAX_CELL_BYTES
        return too_long if bool(too_long.any()) else None

    def parse_fast(self, column: Column) -> FastResult:
        """Run the fast parser, which knows nothing about missing values; without one, no cell is accepted."""
        return self._fast_parse(column) if self._fast_parse is not None else FastResult(np.zeros(len(column), np.bool_))

    def judge_none(self, column: Column, nothing: Mask | None = None) -> Typed:
        """Return the judgement of a column without any value; `nothing` marks no cell, and may be shared by several columns."""
        nothing = np.zeros(len(column), np.bool_) if nothing is None else nothing
        return Typed(column, nothing, FastResult(nothing), self._parse)

    def judge(self, column: Column, candidates: Mask, fast: FastResult | None = None) -> Typed:
        """Determine which of the cells in `candidates` are values."""
        fast = self.parse_fast(column) if fast is None else fast
        ok = fast.accepted & candidates
        doubtful = np.flatnonzero(candidates & ~fast.accepted)
        reasons: Reasons | None = None
        if len(doubtful):
            # Wrong values often repeat: each distinct text is parsed once, and where there are many of them each distinct shape of a number.
            encoded = pc.dictionary_encode(column.text.take(pa.array(doubtful)))
            texts, indices = encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)
            if self._is_number and len(texts) > _MANY_TEXTS:
                shapes = pc.dictionary_encode(shapes_of(texts, _MAX_SHAPE_BYTES))
                of_text = shapes.indices.to_numpy(zero_copy_only=False)
                texts, indices = texts.take(pa.array(_find_firsts(of_text, len(shapes.dictionary)))), of_text[indices]
            # What is kept of a value is whether there is one: it may be a large piece of JSON.
            found = [value if isinstance(value, _Refused) else _is_value(value) for value in self._parse.of_texts(iterate_texts(texts))]
            fine = np.array([each is True for each in found], np.bool_)
            ok[doubtful] = fine[indices]
            reasons = self._collect_reasons(texts, found, np.flatnonzero(~fine), doubtful, indices, len(column))
        return Typed(column, ok, fast, self._parse, reasons)

    def _collect_reasons(
        self, texts: pa.StringArray, found: Sequence[_Refused | bool], refused: Indices, rows: Indices, indices: Indices, count: int
    ) -> Reasons | None:
        """Return the reasons of a column of `count` cells: those in `rows` have the `texts` that `indices` name, of which some were refused."""
        if not len(refused):
            return None
        given = {place: each.message for place, number in enumerate(refused.tolist()) if isinstance(each := found[number], _Refused)}
        messages, numbers = self._find_reasons(texts if len(refused) == len(texts) else texts.take(pa.array(refused)), given, rows=count)
        if len(messages) == 1:
            return None
        by_text = np.zeros(len(texts), np.int32)
        by_text[refused] = numbers
        codes = np.zeros(count, np.int32)
        codes[rows] = by_text[indices]
        return Reasons(messages, codes)


def _is_value(parsed: object) -> bool:
    return parsed is not NOT_A_VALUE and not isinstance(parsed, _Refused)


def _find_firsts(indices: Indices, count: int) -> Indices:
    """Return where each of the numbers below `count` occurs first."""
    firsts = np.zeros(count, np.int64)
    firsts[indices[::-1]] = np.arange(len(indices) - 1, -1, -1)
    return firsts


def describe_type_error(field: Field) -> str:
    """Return one plain sentence that says what a value of the field must be."""
    if (field.type, field.format) in _FORMAT_MESSAGES:
        return _FORMAT_MESSAGES[field.type, field.format]
    if field.type in ("date", "time", "datetime"):
        kind = {"date": "date", "time": "time", "datetime": "date with a time"}[field.type]
        return f"This value must be a {kind} written as {_describe_pattern(field.format)}."
    if field.type == "boolean":
        return f"This value must be one of {list_briefly((*field.true_values, *field.false_values), _SHOWN_BOOLEANS)}."
    if field.type == "list":
        return f"This value must be a list of {_PLURALS[field.item_type]}, separated by {quote_briefly(field.delimiter)!r}."
    if field.type == "number" and field.decimal_char != ".":
        return f"This value must be a number with {quote_briefly(field.decimal_char)!r} before its decimals."
    return MESSAGES[field.type]


def _describe_pattern(pattern: str) -> str:
    words = {
        "%Y": "YYYY",
        "%m": "MM",
        "%d": "DD",
        "%H": "hh",
        "%M": "mm",
        "%S": "ss",
        "%y": "YY",
        "%b": "Jan",
        "%B": "January",
        "%f": "ffffff",
        "%I": "hh",
        "%p": "AM",
        "%a": "Mon",
        "%z": "+hh:mm",
    }
    for directive, word in words.items():
        pattern = pattern.replace(directive, word)
    return quote_briefly(pattern)

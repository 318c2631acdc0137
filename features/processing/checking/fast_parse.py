"""Fast parsers of whole columns: by their bytes, they accept the cells that are certainly values of a type.

A fast parser knows nothing about missing values. It may accept only cells that the exact parser (`shared.descriptors.table_schema.value_parser`)
accepts; every other cell is left to the exact parser.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow.compute as pc

from features.processing.checking.fast_dates import date_parser, parse_years
from features.processing.checking.fast_numbers import number_parser
from features.processing.checking.fast_result import FastResult
from features.processing.column import Column, TextSet, as_mask
from shared.descriptors.table_schema import Field

_ASCII_EMAIL = (
    r"\A[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)+\z"
)
_MAX_FAST_EMAIL = 64
_UUID = r"\A[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\z"


def fast_parser_for(field: Field) -> Callable[[Column], FastResult] | None:
    """Return the fast parser for the type and format of a field; None if there is none."""
    if field.type in ("integer", "number"):
        return number_parser(field)
    if field.type == "boolean":
        known, true = TextSet((*field.true_values, *field.false_values)), TextSet(field.true_values)
        return lambda column: FastResult(known.find_in(column), lambda: true.find_in(column).astype(np.int64))
    if field.type == "string":
        return {"default": _accept_all, "email": _parse_emails, "uuid": _parse_uuids}.get(field.format)
    if field.type in ("date", "time", "datetime"):
        return date_parser(field)
    return {"any": _accept_all, "year": parse_years}.get(field.type)


def _accept_all(column: Column) -> FastResult:
    return FastResult(np.ones(len(column), np.bool_))


def _parse_emails(column: Column) -> FastResult:
    return FastResult((column.sizes <= _MAX_FAST_EMAIL) & as_mask(pc.match_substring_regex(column.text, _ASCII_EMAIL)))


def _parse_uuids(column: Column) -> FastResult:
    return FastResult(as_mask(pc.match_substring_regex(column.text, _UUID)))

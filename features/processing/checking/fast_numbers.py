"""Fast parsers of whole numbers and numbers, plain ones and those with group characters, decimal commas and text around them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.fast_local_numbers import LocalForm, find_numbers, with_single_bytes, write_plainly
from features.processing.checking.fast_result import NINE, ZERO, FastResult
from features.processing.column import Column, Mask
from shared.descriptors.table_schema import Field

_MAX_FAST_DIGITS = 18
_LOOKED_AT_BYTES = 1_024
"""How much of a column tells how many decimals its numbers usually have."""
_PLUS, _MINUS, _DOT, _SLASH = b"+-./"


def number_parser(field: Field) -> Callable[[Column], FastResult] | None:
    """Return the fast parser of a field of type integer or number; None if there is none."""
    decimal_char = field.decimal_char if field.type == "number" else "."
    if field.bare_number and not field.group_char and decimal_char == ".":
        return _parse_integers if field.type == "integer" else _parse_numbers
    form = LocalForm.of(decimal_char=decimal_char, group_char=field.group_char, is_bare=field.bare_number, is_whole=field.type == "integer")
    return None if form is None else lambda column: _parse_local(column, form)


def _parse_local(given: Column, form: LocalForm) -> FastResult:
    column = with_single_bytes(given, form)
    if column is None or not len(column.data):
        return FastResult(np.zeros(len(given), np.bool_))
    accepted = find_numbers(column, form)
    if not form.is_whole:
        return FastResult(accepted, plain=lambda: write_plainly(column, form, accepted))
    numbered = accepted & (column.sizes <= _MAX_FAST_DIGITS)
    # Arrow cannot read a plus sign.
    numbered[column.rows_of(np.flatnonzero(column.data == _PLUS))] = False
    return FastResult(accepted, lambda: _cast_integers(Column(write_plainly(column, form, numbered)), numbered), numbered)


def _parse_integers(column: Column) -> FastResult:
    accepted, signed = _find_digits(column, dots=False)
    return FastResult(accepted, lambda: _cast_integers(column, accepted & ~signed), accepted & ~signed)


def _parse_numbers(column: Column) -> FastResult:
    floats = _cast_floats(column)
    if floats is not None:
        return FastResult(np.ones(len(column), np.bool_), floats=floats)
    accepted, signed = _find_digits(column, dots=True)
    # Arrow cannot read a plus sign; the exact parser can.
    return FastResult(accepted & ~signed)


def _cast_floats(column: Column) -> npt.NDArray[np.float64] | None:
    """Return all cells as float64 if each has at most 18 characters: digits, with an optional minus and point; else None, mostly after a quick look."""
    sizes, data = column.sizes, column.data
    if not len(data) or column.text.null_count or int(sizes.min()) == 0 or int(sizes.max()) > _MAX_FAST_DIGITS:
        return None
    # Between minus and nine there is one other character: the slash.
    if int(data.min()) < _MINUS or int(data.max()) > NINE or bool((data == _SLASH).any()):
        return None
    try:
        return np.asarray(column.text.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowInvalid:
        return None


def _find_digits(column: Column, *, dots: bool) -> tuple[Mask, Mask]:
    """Mark the cells of up to 18 digits, with an optional sign (and, with `dots`, an optional point); and those with a plus sign."""
    sizes, data = column.sizes, column.data
    accepted: Mask = (sizes > 0) & (sizes <= _MAX_FAST_DIGITS)
    if len(data) > 2 * _MAX_FAST_DIGITS * len(column):
        # Long texts among the cells would take eight times their size in memory.
        rows = np.flatnonzero(accepted)
        marks = [np.zeros(len(column), np.bool_) for _ in range(2)]
        for whole, part in zip(marks, _find_digits(Column(column.text.take(pa.array(rows))), dots=dots), strict=True):
            whole[rows] = part
        return marks[0], marks[1]
    # Bytes below "0" wrap around to large numbers.
    is_other = (data - np.uint8(ZERO)) > 9  # noqa: PLR2004
    if not bool(is_other.any()):
        return accepted, np.zeros(len(column), np.bool_)
    # Cells that are as short may have no digit.
    short = 2 if dots else 1
    # At the start of an empty cell lies the first byte of the next cell.
    first_bytes = data.take(column.starts, mode="clip")
    plus: Mask = (first_bytes == _PLUS) & (sizes > 0)
    signed = np.flatnonzero(plus | (first_bytes == _MINUS))
    if len(signed):
        is_other[column.starts[signed[sizes[signed] > 0]]] = False
        accepted[signed[sizes[signed] <= short]] = False
    if dots:
        dotted = _take_usual_dots(column, is_other)
        others = np.flatnonzero(is_other & (data == _DOT))
        is_other[others] = False
        rows = column.rows_of(others)
        accepted[rows[1:][rows[1:] == rows[:-1]]] = False
        accepted[rows[dotted[rows]]] = False
        dotted[rows] = True
        accepted &= ~(dotted & (sizes <= short))
    accepted &= ~column.cells_with(is_other)
    return accepted, plus


def _take_usual_dots(column: Column, is_other: Mask) -> Mask:
    """Mark the cells with a point before as many decimals as most of the first cells have, and take this point out of `is_other`.

    What is left there are few bytes, which are looked up one by one.
    """
    places = np.flatnonzero(column.data[:_LOOKED_AT_BYTES] == _DOT)
    ends = column.starts + column.sizes
    distances = ends[column.rows_of(places)] - places
    distances = distances[distances <= _MAX_FAST_DIGITS]
    if not len(distances):
        return np.zeros(len(column), np.bool_)
    usual = int(np.bincount(distances).argmax())
    at = np.maximum(ends - usual, column.starts)
    dotted: Mask = (column.data.take(at, mode="clip") == _DOT) & (column.sizes >= usual)
    is_other[at[dotted]] = False
    return dotted


def _cast_integers(column: Column, rows: Mask) -> npt.NDArray[np.int64]:
    text = column.text if bool(rows.all()) else pc.if_else(pa.array(rows), column.text, pa.scalar("0"))
    return np.asarray(text.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)

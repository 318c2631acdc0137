"""Find numbers in local forms (`1.234,50 €`, `(1,234)`, `95 %`) and write them plainly, a whole column at once.

What the bytes of a cell are is a whole number with a bit for each byte, so that one operation judges all bytes of many cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.fast_result import NINE, ZERO
from features.processing.column import Column, Indices, Mask

_PLUS, _MINUS, _DOT, _OPEN, _CLOSE = b"+-.()"
_STAND_IN = 0x01
"""Takes the place of a group character of several bytes."""
_MAX_SIZES = ((np.uint32, 25), (np.uint64, 57))
"""Longest cell in bytes whose bits fit beside seven bits of the cell before it."""

Bits: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
"""For each cell, a whole number; its bit n is about byte n of the cell."""


@dataclass(frozen=True, slots=True)
class LocalForm:
    """How the numbers of a field are written."""

    decimal: int
    """The byte before the decimals."""
    group: int | None
    """The byte between groups of digits."""
    group_text: str | None
    """A group character of several bytes, for which `group` stands in."""
    is_bare: bool
    """No text may stand around the number."""
    is_whole: bool
    """There are no decimals."""

    @classmethod
    def of(cls, *, decimal_char: str, group_char: str, is_bare: bool, is_whole: bool) -> LocalForm | None:
        """Return the form of a field; None if it has characters that only the exact parser knows."""
        if len(group_char) > 1 or len(decimal_char) > 1 or not decimal_char.isascii():
            return None
        group = None if not group_char else ord(group_char) if group_char.isascii() else _STAND_IN
        return cls(ord(decimal_char), group, None if group_char.isascii() else group_char, is_bare, is_whole)


def with_single_bytes(column: Column, form: LocalForm) -> Column | None:
    """Return the column with one byte for each group character; None if its cells have that byte already."""
    if form.group_text is None:
        return column
    if bool((column.data == _STAND_IN).any()):
        return None
    return column if column.is_ascii else Column(pc.replace_substring(column.text, form.group_text, chr(_STAND_IN)))


def find_numbers(column: Column, form: LocalForm) -> Mask:
    """Mark the cells that are certainly numbers of the form."""
    if not len(column.data):
        return np.zeros(len(column), np.bool_)
    if len(column.data) > 2 * _MAX_SIZES[-1][1] * len(column):
        # Long texts among the cells would take several times their size in memory.
        rows = np.flatnonzero(column.sizes <= _MAX_SIZES[-1][1])
        accepted = np.zeros(len(column), np.bool_)
        accepted[rows] = find_numbers(Column(column.text.take(pa.array(rows))), form) if len(rows) else False
        return accepted
    data = column.data
    longest = int(column.sizes.max(initial=0))
    kind: Any
    kind, limit = next((each for each in _MAX_SIZES if longest <= each[1]), _MAX_SIZES[-1])
    sizes = np.minimum(column.sizes, limit).astype(kind)
    one: Any = kind(1)
    within: Bits = (one << sizes) - one
    digits = _bits_of((data - np.uint8(ZERO)) <= NINE - ZERO, column, kind) & within
    nothing: Bits = np.zeros_like(within)
    decimals = nothing if form.is_bare and form.is_whole else _bits_of(data == form.decimal, column, kind) & within
    groups = _bits_of(data == form.group, column, kind) & within if form.group is not None else nothing
    if form.is_bare:
        leads = data[np.minimum(column.starts, len(data) - 1)]
        last: Bits = within
        first: Bits = one << ((leads == _MINUS) | (leads == _PLUS)).astype(kind)
        number = within & ~(first - one)
        wrong = nothing
    else:
        signs = _bits_of((data == _MINUS) | (data == _PLUS), column, kind) & within
        last = _fill_down(digits)
        first = digits & -digits
        number = last & ~(first - one)
        # Only one sign, before the number; a point before the first digit belongs to the number.
        wrong = signs & (signs - one) | signs & ~(first - one) | decimals & first >> one
        decimals, groups = decimals & number, groups & number
    known = digits | groups if form.is_whole else digits | groups | decimals
    wrong = wrong | number & ~known | decimals & (decimals - one)
    found: Mask = (digits != 0) & (column.sizes <= limit)
    if form.group is not None and bool(groups.any()):
        wrong |= groups & ~_find_placed(digits, groups, first, (last + one) | decimals)
        found &= (decimals == 0) | (groups < decimals)
    found &= wrong == 0
    if not form.is_bare:
        # Brackets say something only where they stand around everything but blanks, for which only the exact parser looks.
        for bracket, places in ((_OPEN, column.starts), (_CLOSE, column.starts + column.sizes - 1)):
            positions = np.flatnonzero(data == bracket)
            rows = column.rows_of(positions)
            found[rows[positions != places[rows]]] = False
    return found


def _bits_of(mask: Mask, column: Column, kind: Any) -> Bits:  # noqa: ANN401 - a type of numpy
    """Return the marks of bytes as bits of their cells, followed by those of bytes after them."""
    packed = np.packbits(mask, bitorder="little")
    size = np.dtype(kind).itemsize
    padded = np.zeros(len(packed) + size, np.uint8)
    padded[: len(packed)] = packed
    # A view with one word beginning at every byte.
    words = np.ndarray((len(packed) + 1,), np.dtype(kind), padded, strides=(1,))
    starts = column.starts
    bits: Bits = words.take(starts >> 3) >> (starts & 7).astype(kind)
    return bits


def _fill_down(bits: Bits) -> Bits:
    """Return the bits with every bit below the highest one."""
    step = 1
    while step < bits.itemsize * 8:
        bits = bits | bits >> bits.dtype.type(step)
        step *= 2
    return bits


def _find_placed(digits: Bits, groups: Bits, first: Bits, end: Bits) -> Bits:
    """Return the group characters that stand where they may, given that those before them do; `end` is what may follow the last group.

    Three digits follow one, and then the end, the decimals or the next group, and up to three come before it; or, as in India, two digits and the
    next group follow, and up to two come before.
    """
    one, two, three, four = (digits.dtype.type(step) for step in (1, 2, 3, 4))
    then_two: Bits = groups & digits >> one & digits >> two
    then_three = then_two & digits >> three
    is_last: Bits = then_three & end >> four
    then_three &= groups >> four
    then_two &= groups >> three
    one_before = digits << one
    two_before = one_before & digits << two
    three_before = two_before & digits << three
    up_to_two = one_before & first << one | two_before & first << two
    up_to_three = up_to_two | three_before & first << three
    group_of_two, group_of_three = two_before & groups << three, three_before & groups << four
    placed: Bits = is_last & (up_to_three | group_of_two | group_of_three) | then_three & (up_to_three | group_of_three)
    placed |= then_two & (up_to_two | group_of_two)
    return placed


def write_plainly(column: Column, form: LocalForm, accepted: Mask) -> pa.StringArray:
    """Return the numbers that `find_numbers` has found with a point before the decimals and nothing else, and `0` for every other cell."""
    column = Column(pc.if_else(pa.array(accepted), column.text, pa.scalar("0")))
    data, starts = column.data, column.starts
    written = data.copy()
    if form.decimal != _DOT:
        written[data == form.decimal] = _DOT
    kept = np.ones(len(data), np.bool_) if form.group is None else data != form.group
    if not form.is_bare and not any(bool((data == mark).any()) for mark in (_PLUS, _MINUS, _OPEN)):
        # Of text around a number only a point could be taken for one of its own; but its own is followed by a digit.
        is_digit = (data - np.uint8(ZERO)) <= NINE - ZERO
        is_before_digit = np.append(is_digit[1:], np.False_)
        is_before_digit[starts + column.sizes - 1] = False
        kept = is_digit | (data == form.decimal) & is_before_digit
    elif not form.is_bare:
        firsts, lasts = _find_ends(column)
        steps = np.zeros(len(data) + 1, np.int8)
        steps[firsts] += 1
        steps[lasts] -= 1
        kept &= np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_)
        negative = (data[starts] == _OPEN) & (data[starts + column.sizes - 1] == _CLOSE)
        for sign in (_PLUS, _MINUS):
            negative[column.rows_of(np.flatnonzero(data == sign))] = sign == _MINUS
        signs = firsts[negative] - 1
        kept[signs] = True
        written[signs] = _MINUS
    counts = np.zeros(len(kept) + 1, np.int32)
    np.cumsum(kept, out=counts[1:])
    offsets = counts[np.append(starts, len(data))]
    return pa.StringArray.from_buffers(len(starts), pa.py_buffer(offsets), pa.py_buffer(written[kept]))


def _find_ends(column: Column) -> tuple[Indices, Indices]:
    """Return where the first digit of each cell is, and where the last one has been; every cell has one."""
    is_digit = (column.data - np.uint8(ZERO)) <= NINE - ZERO
    places = np.flatnonzero(is_digit)
    counts = np.zeros(len(is_digit) + 1, np.int32)
    np.cumsum(is_digit, out=counts[1:])
    return places[counts[column.starts]], places[counts[column.starts + column.sizes] - 1] + 1

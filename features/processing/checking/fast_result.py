"""What a fast parser of a whole column returns, and the bytes of cells as it looks at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.column import Column, Indices, Mask

ZERO, NINE = b"09"

Int64s: TypeAlias = npt.NDArray[np.int64]
Digits: TypeAlias = npt.NDArray[np.uint8]
"""Bytes of cells minus the byte of "0", with one row for each position in a cell; digits are 0 to 9."""


class FastResult(NamedTuple):
    """The result of a fast parser for a column."""

    accepted: Mask
    """Cells that are certainly values."""
    numbers: Callable[[], Int64s] | None = None
    """Computes the exact logical values times `scale`, for the cells in `numbered`."""
    numbered: Mask | None = None
    """None: the same cells as `accepted`."""
    scale: int = 1
    floats: npt.NDArray[np.float64] | None = None
    """The nearest float64 of each cell, if parsing has computed it."""
    plain: Callable[[], pa.StringArray] | None = None
    """Writes the accepted numbers with a point before the decimals and nothing else; None: they are written so."""


def digits_of(column: Column, size: int, rows: Indices) -> Digits:
    """Return the first `size` bytes of some cells minus the byte of "0": one row for each position, so that each step reads memory sequentially."""
    if len(rows) == len(column) and len(column.data) == size * len(rows):
        cells = column.data.reshape(len(rows), size)
    else:
        # A view with one element of the size of a cell beginning at every byte.
        places = np.ndarray((max(0, len(column.data) - size + 1),), f"V{size}", column.data, strides=(1,))
        cells = places[column.starts[rows]].view(np.uint8).reshape(len(rows), size)
    return np.ascontiguousarray(cells.T) - np.uint8(ZERO)


def number_at(digits: Digits, *places: int) -> npt.NDArray[np.int32]:
    """Return the number at some positions of each cell, valid if these are digits."""
    number = np.zeros(digits.shape[1], np.int32)
    for place in places:
        number *= 10
        number += digits[place]
    return number


def are_digits(digits: Digits, *places: int) -> Mask:
    """Mark the cells that have digits at some positions."""
    found: Mask = np.logical_and.reduce([digits[place] <= 9 for place in places])  # noqa: PLR2004
    return found


def is_character(digits: Digits, place: int, code: int) -> Mask:
    """Mark the cells that have one byte at a position."""
    found: Mask = digits[place] == np.uint8((code - ZERO) % 256)
    return found


def spread(column: Column, rows: Indices, count: Callable[[], Int64s], valid: Mask, scale: int = 1) -> FastResult:
    """Expand results for some cells to results for the whole column."""
    if len(rows) == len(column):
        return FastResult(valid, count, valid, scale)
    accepted = np.zeros(len(column), np.bool_)
    accepted[rows] = valid

    def count_all() -> Int64s:
        whole = np.zeros(len(column), np.int64)
        whole[rows] = count()
        return whole

    return FastResult(accepted, count_all, accepted, scale)

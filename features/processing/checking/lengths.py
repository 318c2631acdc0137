"""Lengths of values, for `minLength` and `maxLength`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.type_rule import Typed
from features.processing.column import Column, Mask
from shared.descriptors.table_schema import Field

MAX_BYTES_PER_CHARACTER = 4
"""In UTF-8 (RFC 3629)."""


def describe_length(field: Field, limit: int) -> str:
    """Describe a length in words: `3 characters`, `1 item`."""
    word = {"string": "character", "object": "property", "geojson": "property"}.get(field.type, "item")
    if limit != 1:
        word = "properties" if word == "property" else f"{word}s"
    return f"{limit} {word}"


def count_parts(typed: Typed) -> npt.NDArray[np.int64]:
    """Count the characters, items or properties of each value; 0 for cells without a value."""
    lengths = np.zeros(len(typed.ok), np.int64)
    rows = np.flatnonzero(typed.ok)
    lengths[rows] = [len(value) for value in typed.values(rows)]
    return lengths


def compare_characters(column: Column, by_bytes: Mask, doubtful: Mask, is_bad: Callable[[npt.NDArray[np.int32]], Mask]) -> Mask:
    """Return `by_bytes` if all cells are ASCII; otherwise judge the cells in `doubtful` again by counting their characters."""
    if not bool(doubtful.any()) or column.is_ascii:
        return by_bytes
    rows = np.flatnonzero(doubtful)
    bad = by_bytes.copy()
    bad[rows] = is_bad(pc.utf8_length(column.text.take(pa.array(rows))).fill_null(0).to_numpy(zero_copy_only=False))
    return bad

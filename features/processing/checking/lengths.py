"""How long values are: what `minLength` and `maxLength` share."""

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
    """`3 characters`, `1 item`."""
    word = {"string": "character", "object": "property", "geojson": "property"}.get(field.type, "item")
    if limit != 1:
        word = "properties" if word == "property" else f"{word}s"
    return f"{limit} {word}"


def count_parts(typed: Typed) -> npt.NDArray[np.int64]:
    """How many characters, items or properties each value has."""
    lengths = np.zeros(len(typed.ok), np.int64)
    rows = np.flatnonzero(typed.ok)
    lengths[rows] = [len(value) for value in typed.values(rows)]
    return lengths


def compare_characters(column: Column, by_bytes: Mask, doubtful: Mask, is_bad: Callable[[npt.NDArray[np.int32]], Mask]) -> Mask:
    """What the bytes say, where every one is a character; else the characters of the cells in `doubtful` are counted."""
    if not bool(doubtful.any()) or column.is_ascii:
        return by_bytes
    rows = np.flatnonzero(doubtful)
    bad = by_bytes.copy()
    bad[rows] = is_bad(pc.utf8_length(column.text.take(pa.array(rows))).fill_null(0).to_numpy(zero_copy_only=False))
    return bad

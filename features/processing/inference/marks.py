"""Marks that people write where they have no value: `N/A`, `-`, `NULL`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.column import SPACE_STARTS, Column, Mask, as_mask

_MARKS = ("n/a", "na", "#n/a", "null", "none", "nil", "nan", "-", "--", ".", "?", "\\n")
_FIRST_BYTES = np.zeros(256, np.bool_)
_FIRST_BYTES[[ord(each) for mark in _MARKS for each in (mark[0], mark[0].upper())]] = True
_FIRST_BYTES |= SPACE_STARTS
_MAX_BYTES = 24
_MAX_SPELLINGS = 40


def find_marks(column: Column) -> Mask:
    """Mark the cells that are a mark for nothing in any case, with or without blanks around it; none of the cells may be empty."""
    found = np.zeros(len(column), np.bool_)
    if not len(column.data):
        return found
    rows = np.flatnonzero(_FIRST_BYTES[column.data[np.minimum(column.starts, len(column.data) - 1)]] & (column.sizes <= _MAX_BYTES))
    if len(rows):
        found[rows] = as_mask(pc.is_in(pc.utf8_lower(pc.utf8_trim_whitespace(column.text.take(pa.array(rows)))), value_set=pa.array(_MARKS)))
    return found


def spell_marks(column: Column, marks: Mask) -> list[str]:
    """Return the marks as the column spells them, and their words in small and capital letters: what `missingValues` says beside the empty text."""
    found = pc.unique(column.text.filter(pa.array(marks))).to_pylist()
    spellings = dict.fromkeys(found[:_MAX_SPELLINGS])
    for text in sorted({text.strip() for text in spellings}):
        spellings |= dict.fromkeys([text.lower(), text.upper()])
    return list(spellings)

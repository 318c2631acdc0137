"""The cells of one column from which its form is inferred, and how many of them have which shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.reasons import shapes_of
from features.processing.checking.type_rule import TypeRule
from features.processing.column import Column
from shared.descriptors.table_schema import Field

MAX_SHAPE_BYTES = 64
"""Longer cells have no shape: they are no number, no date and no word for yes or no."""
MAX_SHAPES = 2_000
"""How many shapes are looked at, the most frequent ones: a column that has more is text."""
_PERCENT = 90
_FEW, _SOME = 3, 10
_PIECE_ROWS = 500
_MAX_WORDS = 200

Shapes = Sequence[tuple[str, int]]
"""Texts with 9 for every digit, each with the number of cells that have it, the most frequent first."""


class Sample:
    """The cells of a column that hold something."""

    def __init__(self, text: pa.StringArray) -> None:
        self.column = Column(text)

    def __len__(self) -> int:
        return len(self.column)

    @cached_property
    def _short(self) -> pa.StringArray:
        return self.column.text.filter(pa.array(self.column.sizes <= MAX_SHAPE_BYTES))

    @cached_property
    def shapes(self) -> Shapes:
        """The shapes of cells of up to 64 bytes, at most 2,000 shapes."""
        return _count(shapes_of(self._short, MAX_SHAPE_BYTES), MAX_SHAPES)

    @cached_property
    def words(self) -> Shapes:
        """The texts of short cells, each with the number of cells that have it; the 200 most frequent ones."""
        return _count(self._short, _MAX_WORDS)

    def is_most(self, count: int) -> bool:
        """Whether the column has a form that so many of its cells have."""
        return is_most(count, len(self))

    def count_wrong(self, field: Field) -> int | None:
        """Return how many cells are no values of a field; None if these are too many for the column to have its form, as soon as that is known."""
        rule = TypeRule(field)
        wrong = 0
        for start in range(0, len(self), _PIECE_ROWS):
            piece = Column(self.column.text.slice(start, _PIECE_ROWS))
            too_long = rule.find_too_long(piece)
            piece = piece if too_long is None else piece.without(too_long)
            wrong += len(piece) - int(np.count_nonzero(rule.judge(piece, piece.present).ok))
            if not self.is_most(len(self) - wrong):
                return None
        return wrong

    def count_matching(self, pattern: str) -> int:
        """Return how many cells a regular expression of RE2 matches somewhere."""
        return pc.sum(pc.match_substring_regex(self.column.text, pattern)).as_py() or 0


def is_most(count: int, total: int) -> bool:
    """Whether `count` of `total` are at least 90 %, or all but one of 3 to 10."""
    if not total:
        return False
    if _FEW <= total <= _SOME:
        return count >= total - 1
    return count * 100 >= total * _PERCENT


def _count(texts: pa.StringArray, most: int) -> Shapes:
    counted = pc.value_counts(texts)
    counts = counted.field("counts").to_numpy()
    order = np.argsort(-counts, kind="stable")[:most]
    return list(zip(counted.field("values").take(pa.array(order)).to_pylist(), counts[order].tolist(), strict=True))

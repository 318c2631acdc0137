"""Cells are found by bytes in them, few or many, whatever the array."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from features.processing.column import Column


@pytest.mark.parametrize("seed", range(60))
def test_cells_with_marked_bytes_are_found(seed: int) -> None:
    chance = random.Random(seed)
    cells = [
        chance.choice(["", "a", "x", "xx", "axa", "é", "aaaaaaaaaaaaaaaa", None] + ["a" * 40] * (seed % 3 * 20)) for _ in range(chance.choice([0, 1, 50, 400]))
    ]
    column = Column(pa.array(["xx", *cells, "x"], pa.string()).slice(1, len(cells)))
    assert column.cells_with(column.data == ord("x")).tolist() == ["x" in (cell or "") for cell in cells]
    assert column.cells_with(column.data >= 0).tolist() == [bool(cell) for cell in cells]
    assert not column.cells_with(np.zeros(len(column.data), np.bool_)).any()

"""`MergeOrder` gives what joining and taking gives, whatever the arrays and the order."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from features.processing.readers.merge_rows import MergeOrder

TEXTS = ("", "a", "ä€", "some text", None)


def make_array(chance: random.Random, size: int) -> pa.StringArray:
    """Make an array whose buffers are those of a larger one as often as not."""
    before, after = chance.choice([(0, 0), (3, 5)])
    whole = pa.array([chance.choice(TEXTS) for _ in range(before + size + after)], pa.string())
    return whole.slice(before, size)


def make_order(chance: random.Random, total: int, *, runs: bool) -> list[int]:
    """Choose some of the rows: in runs that are longer than those that are taken row by row, or one by one."""
    if not runs:
        return chance.sample(range(total), chance.randint(0, total))
    cuts = sorted(chance.sample(range(total + 1), min(total + 1, 6)))
    parts = [list(range(first, last)) for first, last in pairwise(cuts)]
    chance.shuffle(parts)
    return [row for part in parts[: chance.randint(0, len(parts))] for row in part]


@pytest.mark.parametrize("seed", range(60))
def test_rows_are_those_of_joined_arrays(seed: int) -> None:
    chance = random.Random(seed)
    arrays = [make_array(chance, chance.choice([0, 0, 1, 7, 300, 1000])) for _ in range(chance.randint(1, 6))]
    total = sum(map(len, arrays))
    chosen = make_order(chance, total, runs=seed % 3 > 0)
    order = MergeOrder(np.array(chosen, np.int64), [len(array) for array in arrays])
    for columns in (arrays, [pa.array(array.fill_null("x").to_pylist(), pa.string()) for array in arrays]):
        taken = order.take(columns)
        taken.validate(full=True)
        assert taken.to_pylist() == pa.concat_arrays(columns).take(pa.array(chosen, pa.int64())).to_pylist()


def test_order_of_arrays_without_rows_is_empty() -> None:
    order = MergeOrder(np.zeros(0, np.int64), [0, 0])
    assert order.take([pa.array([], pa.string()), pa.nulls(0, pa.string())]).to_pylist() == []

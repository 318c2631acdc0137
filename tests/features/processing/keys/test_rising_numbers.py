"""Rising numbers are kept as stretches, without losing or adding a number."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.processing.keys.rising_numbers import RisingNumbers

_ENDS = [-(2**63), -(2**63) + 1, 2**63 - 2, 2**63 - 1]


@given(st.sets(st.one_of(st.integers(-40, 40), st.sampled_from(_ENDS))), st.lists(st.integers(0, 90)), st.integers(1, 7))
def test_set_holds_what_was_added_in_any_number_of_steps(numbers: set[int], cuts: list[int], most: int) -> None:
    ordered = sorted(numbers)
    rows = {number: 2 + place + (place > 3) * 5 + place // 7 for place, number in enumerate(ordered)}
    rising = RisingNumbers()
    edges = [0, *sorted(min(cut, len(ordered)) for cut in cuts), len(ordered)]
    for start, end in itertools.pairwise(edges):
        rising.add(np.array(ordered[start:end], np.int64), np.array([rows[number] for number in ordered[start:end]], np.uint32))
    asked = sorted({*range(-45, 46), *_ENDS})
    assert rising.find(np.array(asked, np.int64)).tolist() == [rows.get(number, 0) for number in asked]
    assert rising.highest == (ordered[-1] if ordered else None)
    pieces = [list(zip(*(part.tolist() for part in piece), strict=True)) for piece in rising.pieces(most)]
    assert list(itertools.chain(*pieces)) == [(number, rows[number]) for number in ordered]
    assert all(len(piece) == most for piece in pieces[:-1])


def test_a_million_numbers_without_gaps_take_no_more_than_one() -> None:
    rising = RisingNumbers()
    rising.add(np.array([1], np.int64), np.array([3], np.uint32))
    memory_bytes = rising.memory_bytes
    rising.add(np.arange(2, 1_000_000, dtype=np.int64), np.arange(4, 1_000_002, dtype=np.uint32))
    rising.add(np.arange(1_000_000, 1_000_010, dtype=np.int64), np.arange(1_000_002, 1_000_012, dtype=np.uint32))
    assert rising.memory_bytes == memory_bytes
    assert rising.find(np.array([0, 1, 999_999, 1_000_009, 1_000_010])).tolist() == [0, 3, 1_000_001, 1_000_011, 0]

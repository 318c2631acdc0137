"""Numbers that lie close together are found by their place in a range, wherever the range is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.keys.dense_numbers import DenseNumbers
from features.processing.keys.key_set import KeySpace
from features.processing.readers.base import ReadLimits

_BASES = [0, -7, 1_000_000, -(2**63), 2**63 - 200]


@given(st.sampled_from(_BASES), st.lists(st.lists(st.integers(0, 150), max_size=30), max_size=6), st.sampled_from([0, 100, 4_000]), st.integers(1, 60))
def test_numbers_within_the_range_are_found_with_their_first_row(base: int, batches: list[list[int]], most_bytes: int, most: int) -> None:
    dense = DenseNumbers()
    seen: dict[int, int] = {}
    rows = itertools.count(2)
    for offsets in batches:
        numbers = np.array([base + offset for offset in offsets], np.int64)
        dense.widen(numbers, most_bytes=most_bytes)
        assert dense.memory_bytes <= most_bytes
        numbers = numbers[dense.covers(numbers)]
        assert dense.find(numbers).tolist() == [seen.get(number, 0) for number in numbers.tolist()]
        new = [number for number in numbers.tolist() if number not in seen]
        own = [next(rows) for _ in new]
        expected = []
        for number, row in zip(new, own, strict=True):
            expected.append(seen.get(number, 0))
            seen.setdefault(number, row)
        assert dense.add(np.array(new, np.int64), np.array(own, np.uint32)).tolist() == expected
    asked = [*range(base, base + 151), 2**63 - 1, -(2**63), base ^ 2**32]
    assert dense.find(np.array(asked, np.int64)).tolist() == [seen.get(number, 0) for number in asked]
    assert len(dense) == len(seen)
    pieces = [list(zip(*(part.tolist() for part in piece), strict=True)) for piece in dense.pieces(most)]
    assert list(itertools.chain(*pieces)) == sorted(seen.items())
    assert all(0 < len(piece) <= most for piece in pieces)


@pytest.mark.parametrize("end", [2**63 - 1, -(2**63)])
def test_range_stays_within_64_bits(end: int) -> None:
    """Else the room beyond the largest number would take the smallest ones in."""
    space = KeySpace(ReadLimits())
    numbers = np.arange(300_000) + (end - 299_999) if end > 0 else end + np.arange(300_000)
    numbers = np.random.default_rng(1).permutation(numbers)
    far = np.array([-1 - end + (70_000 if end > 0 else -70_000)])
    key_set = space.create_set()
    assert not key_set.add(space.maker.number_keys(numbers), np.arange(1, 300_001)).any()
    assert key_set.add(space.maker.number_keys(far), np.array([400_000])).tolist() == [0]
    for _ in range(2):
        assert key_set.find(space.maker.number_keys(numbers)).tolist() == list(range(1, 300_001))
        assert key_set.find(space.maker.number_keys(far)).tolist() == [400_000]
        key_set.spill()
    space.close()


@pytest.mark.parametrize(("numbers", "fits"), [([5, 804], True), ([5, 805], False), ([-(2**63), 2**63 - 1], False), ([7], True)])
def test_range_has_room_for_a_quarter_more_and_is_refused_past_its_limit(numbers: list[int], fits: bool) -> None:
    dense = DenseNumbers()
    assert dense.widen(np.array(numbers), most_bytes=4_000) is fits
    assert dense.covers(np.array(numbers)).all() == fits
    assert not dense.widen(np.array(numbers), most_bytes=4_000)

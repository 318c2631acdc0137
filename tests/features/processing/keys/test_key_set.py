"""Key sets remember every key exactly, in memory and on disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.column import Column
from features.processing.keys.key_set import KeySpace
from features.processing.readers.base import ReadLimits, RowNumbers

K = TypeVar("K", str, int)

_TEXTS = st.one_of(
    st.text("ab\x00é", max_size=20),
    st.integers(0, 30).map(lambda number: f"{number:08}same end"),
    st.integers(0, 30).map(lambda number: f"long beginning {number}"),
)


def next_rows(batch: Sequence[K], seen: dict[K, int]) -> tuple[RowNumbers, list[int]]:
    """Give each key of the batch a row after those before, with a gap now and then; return the rows, and the row that had each key first, or 0."""
    rows, expected = [], []
    last = max(seen.values(), default=1)
    for place, key in enumerate(batch):
        last += 1 + (place % 5 == 4)
        rows.append(last)
        expected.append(seen.get(key, 0))
        seen.setdefault(key, last)
    return np.array(rows, np.int64), expected


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(_TEXTS, max_size=12), max_size=12), st.sampled_from([0, 500, 2**26]))
def test_texts_that_were_seen_are_found_and_no_others(batches: list[list[str]], budget: int) -> None:
    space = KeySpace(ReadLimits(spill_threshold_bytes=budget))
    key_set = space.create_set()
    seen: dict[str, int] = {}
    for batch in batches:
        rows, expected = next_rows(batch, seen)
        assert key_set.add(space.maker.text_keys(Column(pa.array(batch, pa.string())), np.arange(len(batch))), rows).tolist() == expected
    space.close()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.one_of(st.integers(-20, 20), st.integers(-(2**63), 2**63 - 1)), max_size=12), max_size=12), st.sampled_from([0, 200, 2**26]))
def test_numbers_that_were_seen_are_found_and_no_others(batches: list[list[int]], budget: int) -> None:
    space = KeySpace(ReadLimits(spill_threshold_bytes=budget))
    key_set = space.create_set()
    seen: dict[int, int] = {}
    for batch in batches:
        rows, expected = next_rows(batch, seen)
        assert key_set.add(space.maker.number_keys(np.array(batch, np.int64)), rows).tolist() == expected
    space.close()


def test_a_hundred_thousand_keys_stay_within_the_budget_and_exact(tmp_path: Path) -> None:
    budget = 200_000
    space = KeySpace(ReadLimits(spill_threshold_bytes=budget, spill_dir=tmp_path))
    key_set = space.create_set()
    numbers = np.random.default_rng(1).permutation(100_000)
    for start in range(0, len(numbers), 5_000):
        part = numbers[start : start + 5_000]
        assert not key_set.add(space.maker.number_keys(part), np.arange(start + 2, start + 5_002)).any()
        assert key_set.memory_bytes <= budget
    assert key_set.find(space.maker.number_keys(numbers)).tolist() == list(range(2, 100_002))
    assert not key_set.contains(space.maker.number_keys(numbers + 100_000)).any()
    space.close()
    assert list(tmp_path.iterdir()) == []


def test_full_disk_while_spilling_is_an_error_and_no_silence(tmp_path: Path) -> None:
    space = KeySpace(ReadLimits(spill_threshold_bytes=0, spill_dir=tmp_path / "gone"))
    with pytest.raises(OSError, match="gone"):
        space.create_set().add(space.maker.number_keys(np.array([1])), np.array([2]))


def test_numbers_and_texts_that_look_alike_are_different_keys() -> None:
    space = KeySpace(ReadLimits())
    key_set = space.create_set()
    key_set.add(space.maker.number_keys(np.array([49])), np.array([2]))
    assert not key_set.contains(space.maker.text_keys(Column(pa.array(["1", "49"])), np.arange(2))).any()


def test_ascending_numbers_are_fresh_until_one_comes_back() -> None:
    with closing(KeySpace(ReadLimits())) as space:
        key_set = space.create_set()

        def add(*numbers: int) -> list[bool]:
            return list(map(bool, key_set.add(space.maker.number_keys(np.array(numbers, np.int64)), np.arange(2, 2 + len(numbers)))))

        assert add(-3, -1, 0) == [False, False, False]
        assert add(1, 5, 9) == [False, False, False]
        assert add(9, 10, 11) == [True, False, False]
        assert add(12, 12, 13) == [False, True, False]
        assert add(-2, -1, 14) == [False, True, False]
        assert add(15, 16, 17) == [False, False, False]
        assert add(17, 14, -3) == [True, True, True]

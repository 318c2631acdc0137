from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from features.webhooks.ledger import MAX_AT_ONCE, group_by_key


class Work:
    """Returns squares of the keys, in batches that take a moment."""

    def __init__(self) -> None:
        self.batches: list[Sequence[int]] = []

    async def square(self, numbers: Sequence[int]) -> Mapping[int, int]:
        self.batches.append(numbers)
        await asyncio.sleep(0.01)
        if 13 in numbers:
            raise ValueError("thirteen")
        return {number: number * number for number in numbers if number >= 0}


async def test_what_is_asked_during_a_batch_is_the_next_batch() -> None:
    work = Work()
    batcher = group_by_key(work.square)
    first = asyncio.create_task(batcher.do(1))
    await asyncio.sleep(0.005)
    assert await asyncio.gather(*(batcher.do(number) for number in (2, 3, -4))) == [4, 9, None]
    assert await first == 1
    assert work.batches == [[1], [2, 3, -4]]


async def test_batch_has_a_largest_size() -> None:
    work = Work()
    batcher = group_by_key(work.square)
    assert await asyncio.gather(*(batcher.do(number) for number in range(100, 2 * MAX_AT_ONCE + 200))) == [n * n for n in range(100, 2 * MAX_AT_ONCE + 200)]
    assert [len(batch) for batch in work.batches] == [MAX_AT_ONCE, MAX_AT_ONCE, 100]


async def test_same_key_asked_for_together_is_answered_once() -> None:
    """If two callers claim one delivery, one of them gets it."""
    batcher = group_by_key(Work().square)
    assert sorted(await asyncio.gather(*(batcher.do(2) for _ in range(3))), key=str) == [4, None, None]


async def test_failure_is_that_of_its_batch_and_not_of_the_next() -> None:
    batcher = group_by_key(Work().square)
    ends = await asyncio.gather(batcher.do(13), batcher.do(2), return_exceptions=True)
    assert [type(end) for end in ends] == [ValueError, ValueError]
    assert await batcher.do(2) == 4


async def test_one_that_is_cancelled_takes_no_other_with_it() -> None:
    batcher = group_by_key(Work().square)
    first, second = asyncio.create_task(batcher.do(2)), asyncio.create_task(batcher.do(3))
    await asyncio.sleep(0.005)
    first.cancel()
    assert await second == 9
    with pytest.raises(asyncio.CancelledError):
        await first

from __future__ import annotations

import asyncio
import contextvars
import errno
from collections.abc import Sequence

import pytest

from shared.concurrency.grouping import Grouping

of_a_request: contextvars.ContextVar[str] = contextvars.ContextVar("of_a_request", default="none")


class Work:
    """Work that runs until it is released, and records its groups."""

    def __init__(self) -> None:
        self.groups: list[Sequence[int]] = []
        self.may_end = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        self.groups.append(items)
        assert of_a_request.get() == "none"
        await self.may_end.wait()
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]


async def begin(group: Grouping[int, int], *items: int) -> Sequence[asyncio.Task[int]]:
    tasks = [asyncio.create_task(group.do(item)) for item in items]
    await asyncio.sleep(0.01)
    return tasks


async def test_who_asks_meanwhile_is_served_together() -> None:
    of_a_request.set("this one")
    work = Work()
    group = Grouping(work, max_items=3, patience_s=None)
    tasks = [*(await begin(group, 1)), *(await begin(group, 2, 3, -4, 5))]
    work.may_end.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert work.groups == [[1], [2, 3, -4], [5]]
    assert [str(result) for result in results] == ["10", "20", "30", "-4", "50"]
    assert isinstance(results[3], ValueError)
    assert await group.do(6) == 60


async def test_group_that_hangs_delays_no_other() -> None:
    work = Work()
    group = Grouping(work, max_items=32, patience_s=0.05)
    await begin(group, 1)
    second = await begin(group, 2)
    await asyncio.sleep(0.2)
    assert work.groups == [[1], [2]]
    work.may_end.set()
    assert await second[0] == 20


async def test_item_of_a_caller_that_leaves_before_its_group_begins_is_left_out() -> None:
    work = Work()
    group = Grouping(work, max_items=32, patience_s=None)
    [first] = await begin(group, 1)
    second, third = await begin(group, 2, 3)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    work.may_end.set()
    assert await third == 30
    assert work.groups == [[1], [3]]


async def test_what_the_work_raises_is_raised_for_all() -> None:
    async def fail(_: Sequence[int]) -> Sequence[int]:
        raise OSError(errno.EIO, "broken")

    tasks = await begin(Grouping(fail, max_items=32, patience_s=None), 1, 2)
    for task in tasks:
        with pytest.raises(OSError, match="broken"):
            await task


async def test_close_waits_for_all_groups() -> None:
    work = Work()
    group = Grouping(work, max_items=1, patience_s=None)
    tasks = await begin(group, 1, 2)
    closing = asyncio.create_task(group.aclose())
    await asyncio.sleep(0.02)
    assert not closing.done()
    work.may_end.set()
    await closing
    assert [task.result() for task in tasks] == [10, 20]


async def test_group_goes_on_after_all_its_tasks_were_cancelled() -> None:
    """A process that is told to end twice cancels every task; whoever then waits for the groups must not wait for ever."""
    work = Work()
    group = Grouping(work, max_items=1, patience_s=None)
    waiting = [*await begin(group, 1), *await begin(group, 2)]
    for task in asyncio.all_tasks() - {asyncio.current_task(), *waiting}:
        task.cancel()
    assert all(isinstance(result, asyncio.CancelledError) for result in await asyncio.gather(*waiting, return_exceptions=True))
    await asyncio.wait_for(group.aclose(), 30)
    work.may_end.set()
    assert await asyncio.wait_for(group.do(3), 30) == 30


async def test_results_that_are_not_one_for_each_item_are_an_error_for_all() -> None:
    async def work(_: Sequence[int]) -> Sequence[int]:
        return []

    with pytest.raises(ValueError, match="0 results for 1 items"):
        await asyncio.wait_for(Grouping(work, max_items=1, patience_s=None).do(1), 30)

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from features.webhooks import turns as turns_module
from features.webhooks.turns import Turn, Turns


class Queue:
    """Attempts that wait, and those that were given a turn, in order."""

    def __init__(self, *, at_once: int, per_receiver: int) -> None:
        self.turns = Turns(at_once=at_once, per_receiver=per_receiver)
        self.called: list[str] = []
        self._held: dict[str, list[Turn]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def join(self, *receivers: str, is_retry: bool = False) -> None:
        self.tasks += [asyncio.create_task(self._wait(receiver, is_retry)) for receiver in receivers]

    async def _wait(self, receiver: str, is_retry: bool) -> None:
        turn = await self.turns.wait(receiver, is_retry=is_retry)
        self.called.append(receiver)
        self._held.setdefault(receiver, []).append(turn)

    def end(self, receiver: str) -> None:
        with self._held[receiver].pop(0):
            pass

    async def settle(self) -> Sequence[str]:
        """Return the attempts that were given a turn since the last call."""
        for _ in range(100):
            await asyncio.sleep(0)
        called, self.called = self.called, []
        return called


async def test_receiver_has_no_more_than_its_places() -> None:
    queue = Queue(at_once=100, per_receiver=2)
    queue.join("a", "a", "a", "a", "b")
    assert Counter(await queue.settle()) == {"a": 2, "b": 1}
    queue.end("a")
    assert await queue.settle() == ["a"]


async def test_all_together_have_no_more_than_the_process_has() -> None:
    queue = Queue(at_once=3, per_receiver=2)
    queue.join(*"abcde")
    assert await queue.settle() == ["a", "b", "c"]
    queue.end("b")
    assert await queue.settle() == ["d"]


async def test_receivers_take_turns_however_many_wait_for_one() -> None:
    queue = Queue(at_once=1, per_receiver=1)
    queue.join("busy")
    assert await queue.settle() == ["busy"]
    queue.join(*"aaabc")
    order = ["busy"]
    for _ in range(5):
        queue.end(order[-1])
        order += await queue.settle()
    assert order[1:] == ["a", "b", "c", "a", "a"]


async def test_first_attempts_go_before_retries() -> None:
    queue = Queue(at_once=1, per_receiver=1)
    queue.join("busy")
    assert await queue.settle() == ["busy"]
    queue.join("a", is_retry=True)
    queue.join("b")
    queue.end("busy")
    assert await queue.settle() == ["b"]
    queue.end("b")
    assert await queue.settle() == ["a"]


async def test_receivers_that_hang_hold_no_more_than_half_of_the_places() -> None:
    queue = Queue(at_once=4, per_receiver=4)
    for receiver in "hij":
        queue.turns.note(receiver, hangs=True)
    queue.join(*"hij")
    queue.join("a", is_retry=True)
    assert len(await queue.settle()) == 2
    queue.join(*"bc")
    assert await queue.settle() == ["b", "c"]


async def test_receiver_that_answers_again_is_like_the_others() -> None:
    queue = Queue(at_once=2, per_receiver=2)
    queue.turns.note("a", hangs=True)
    queue.turns.note("a", hangs=False)
    queue.join("a", "a")
    assert await queue.settle() == ["a", "a"]


async def test_no_more_receivers_than_some_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "MAX_REMEMBERED", 2)
    queue = Queue(at_once=2, per_receiver=2)
    for receiver in "abc":
        queue.turns.note(receiver, hangs=True)
    queue.join("a", "a")
    assert await queue.settle() == ["a", "a"]


async def test_one_that_gives_up_waiting_leaves_its_place_to_the_next() -> None:
    queue = Queue(at_once=1, per_receiver=1)
    queue.join("a", "b", "c")
    assert await queue.settle() == ["a"]
    queue.tasks[1].cancel()
    queue.end("a")
    assert await queue.settle() == ["c"]


async def test_one_that_is_cancelled_as_it_is_called_gives_its_place_back() -> None:
    turns = Turns(at_once=1, per_receiver=1)
    waiting = asyncio.create_task(turns.wait("a", is_retry=False))
    while not turns._taken:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(30):
        with await turns.wait("a", is_retry=False):
            assert turns._taken == 1


async def test_attempt_that_fails_gives_its_place_back() -> None:
    turns = Turns(at_once=1, per_receiver=1)
    with pytest.raises(ZeroDivisionError), await turns.wait("a", is_retry=False):
        raise ZeroDivisionError
    async with asyncio.timeout(30):
        with await turns.wait("b", is_retry=False):
            assert turns._taken == 1
    assert turns._running == {}

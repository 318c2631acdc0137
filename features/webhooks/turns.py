"""Schedules delivery attempts: caps how many run at once in this process and per receiver, so slow receivers do not delay the rest.

There are two lines. The first holds first attempts; the second holds retries, and first attempts at a receiver whose last attempt timed out. The second
line moves only when no attempt of the first may start, and holds at most half of the places. Within a line receivers take turns; within a receiver the
order is first come, first served. Attempts start one by one between the event loop's other work: a thousand that started together would all be late.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from typing import Self

MAX_REMEMBERED = 10_000
"""Most receivers remembered as hanging; beyond that the one noted first is forgotten."""

Line = OrderedDict[str, deque[asyncio.Future[None]]]
"""The waiting attempts of each receiver; the receiver that is next comes first."""


class Turns:
    """Places for attempts, on one event loop."""

    def __init__(self, *, at_once: int, per_receiver: int) -> None:
        self._at_once = at_once
        self._per_receiver = per_receiver
        self._first: Line = OrderedDict()
        self._second: Line = OrderedDict()
        self._running: Counter[str] = Counter()
        self._taken = 0
        self._taken_by_second = 0
        self._hanging: OrderedDict[str, None] = OrderedDict()
        self._is_moving = False

    async def wait(self, receiver: str, *, is_retry: bool) -> Turn:
        """Wait for a place at `receiver` and return it as a `Turn`; the end of the turn's `with` block gives it back."""
        is_second = is_retry or receiver in self._hanging
        line = self._second if is_second else self._first
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.setdefault(receiver, deque()).append(called)
        self._move_soon()
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self.give_back(receiver, is_second=is_second)
            raise
        return Turn(self, receiver, is_second=is_second)

    def note(self, receiver: str, *, hangs: bool) -> None:
        """Remember whether the last attempt at `receiver` timed out."""
        self._hanging.pop(receiver, None)
        if hangs:
            self._hanging[receiver] = None
            if len(self._hanging) > MAX_REMEMBERED:
                self._hanging.popitem(last=False)

    def give_back(self, receiver: str, *, is_second: bool) -> None:
        """Free one place."""
        self._taken -= 1
        self._running[receiver] -= 1
        if not self._running[receiver]:
            del self._running[receiver]
        self._taken_by_second -= is_second
        self._move_soon()

    def _move_soon(self) -> None:
        if not self._is_moving:
            self._is_moving = True
            asyncio.get_running_loop().call_soon(self._move)

    def _move(self) -> None:
        """Start one attempt, then run again after the event loop's other work."""
        self._is_moving = False
        if self._taken < self._at_once and (self._call_next(self._first, is_second=False) or self._call_next(self._second, is_second=True)):
            self._move_soon()

    def _call_next(self, line: Line, *, is_second: bool) -> bool:
        if is_second and self._taken_by_second >= max(1, self._at_once // 2):
            return False
        # Receivers without a free place are few, since each of them holds `per_receiver` places; so this search is short.
        receiver = next((name for name in line if self._running[name] < self._per_receiver), None)
        if receiver is None:
            return False
        called = line[receiver].popleft()
        if line[receiver]:
            line.move_to_end(receiver)
        else:
            del line[receiver]
        if not called.cancelled():
            self._taken += 1
            self._running[receiver] += 1
            self._taken_by_second += is_second
            called.set_result(None)
        return True


class Turn:
    """A place for one attempt; the attempt is made inside `with turn:`, whose end gives the place back."""

    def __init__(self, turns: Turns, receiver: str, *, is_second: bool) -> None:
        self._turns, self._receiver, self._is_second = turns, receiver, is_second

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._turns.give_back(self._receiver, is_second=self._is_second)

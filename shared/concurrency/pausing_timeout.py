"""A timeout whose clock can be paused, for example while waiting for a client."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class PausingTimeout:
    """Like `asyncio.timeout`, with a clock that can be stopped and started for every piece of a body at the cost of an assignment instead of a timer.

    The block gets a `TimeoutError` when the clock has run for `timeout_s` since it was last started.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._timeout = asyncio.timeout(None)
        self._due_at: float | None = None

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._timeout.__aenter__()
        self.start()
        self._timer = self._loop.call_later(self._timeout_s, self._look)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, trace)

    def start(self, left_s: float | None = None) -> None:
        """Start the clock with the full `timeout_s`, or with `left_s` seconds left."""
        self._due_at = self._loop.time() + (self._timeout_s if left_s is None else left_s)

    def stop(self) -> None:
        """Stop the clock."""
        self._due_at = None

    def _look(self) -> None:
        now = self._loop.time()
        # If the clock is stopped, look again after `timeout_s`: a clock started after this look with the full time is not due earlier.
        due_at = now + self._timeout_s if self._due_at is None else self._due_at
        if due_at > now:
            self._timer = self._loop.call_at(due_at, self._look)
        else:
            self._timeout.reschedule(now)

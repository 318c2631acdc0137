"""Group commit: what costs about the same for many as for one is done together for all who wait.

DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Grouping(Generic[T, R]):
    """Does `work` for those who ask while the group before is under way, together; who asks alone has it done at once.

    `work` gets at most `max_items` items and returns a result for each, in order, or an exception for that one alone; what it raises is raised for
    all of them. It runs in a task of its own and without context variables: they belong to one request.

    A group waits at most `patience_s` for the one before and then runs beside it, so that a group that hangs holds up nobody else; None: it waits
    for as long as that takes, so that groups never overlap.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]], *, max_items: int, patience_s: float | None) -> None:
        self._work = work
        self._max_items, self._patience_s = max_items, patience_s
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._leader: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, item: T) -> R:
        """The result for `item`. Where this is cancelled `item` is left out, or its group goes on without a listener."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        entry = (item, future)
        self._waiting.append(entry)
        if self._leader is None:
            self._leader = self._start(self._lead())
        try:
            return await future
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            raise

    async def aclose(self) -> None:
        """Wait for the groups that are under way, and for those that wait behind them."""
        while running := {*self._running, *([self._leader] if self._leader is not None else [])}:
            await asyncio.wait(running)

    def _start(self, run: Awaitable[None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(run, context=contextvars.Context())  # type: ignore[arg-type]  # coroutines

    async def _lead(self) -> None:
        """Start a group whenever there is one and the one before has ended, or is slow."""
        while self._waiting:
            group, self._waiting = self._waiting[: self._max_items], self._waiting[self._max_items :]
            running = self._start(self._run(group))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
            await asyncio.wait([running], timeout=self._patience_s)
        self._leader = None

    async def _run(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._work([item for item, _ in group])
        except BaseException as error:  # noqa: BLE001  # raised where it is waited for
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

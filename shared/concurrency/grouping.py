"""Group commit: work that costs about the same for many items as for one is done once for all waiting callers.

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
    """Collects the items that arrive while a group is running and runs `work` on them together; an item that arrives alone runs at once.

    `work` gets at most `max_items` items and returns a result for each, in order, or an exception for that item alone; an exception it raises is raised
    for all of them. It runs in its own task and without context variables, because those belong to one request.

    A group waits at most `patience_s` for the previous one and then runs beside it, so that a hanging group does not hold up the others. With None it
    waits as long as necessary, so groups never overlap.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]], *, max_items: int, patience_s: float | None) -> None:
        self._work = work
        self._max_items, self._patience_s = max_items, patience_s
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._leader: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[None]] = set()

    async def do(self, item: T) -> R:
        """Return the result for `item`. If cancelled, `item` is dropped while it waits; once its group runs, the result is discarded."""
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
        """Wait for all groups that are running or still waiting."""
        while running := {task for task in (*self._running, self._leader) if task is not None and not task.done()}:
            await asyncio.wait(running)

    def _start(self, run: Awaitable[None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(run, context=contextvars.Context())  # type: ignore[arg-type]  # coroutines

    async def _lead(self) -> None:
        """Start groups while items are waiting, each when the previous group has ended or `patience_s` has passed."""
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._max_items], self._waiting[self._max_items :]
                running = self._start(self._run(group))
                self._running.add(running)
                running.add_done_callback(self._running.discard)
                await asyncio.wait([running], timeout=self._patience_s)
        finally:
            self._leader = None
            for _, future in self._waiting:  # if this task was cancelled, as every task is when the process ends
                future.cancel()
            self._waiting = []

    async def _run(self, group: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        results: Sequence[R | BaseException]
        try:
            results = await self._work([item for item, _ in group])
            if len(results) != len(group):
                raise ValueError(f"There are {len(results)} results for {len(group)} items.")  # noqa: TRY301  # raised to the callers
        except BaseException as error:  # noqa: BLE001  # raised to the callers instead
            results = [error] * len(group)
        for (_, future), result in zip(group, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

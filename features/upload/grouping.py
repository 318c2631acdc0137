"""Group commit: what costs about the same for many as for one is done together for all who wait.

DeWitt et al., "Implementation Techniques for Main Memory Database Systems", SIGMOD 1984.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

MAX_IN_GROUP = 32
PATIENCE_S = 0.05
"""So long a group waits for the one before; then it goes on beside it, so that one that hangs holds up nobody else."""

T = TypeVar("T")
R = TypeVar("R")


class Grouping(Generic[T, R]):
    """Does `work` for those who ask while the group before is under way, together; who asks alone has it done at once.

    `work` gets at most `MAX_IN_GROUP` items and returns a result for each, in order, or an exception for that one alone; what it raises is raised for
    all of them. It runs in a task of its own and without context variables: they belong to one request.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | BaseException]]]) -> None:
        self._work = work
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

    def _start(self, run: Awaitable[None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(run, context=contextvars.Context())  # type: ignore[arg-type]  # coroutines

    async def _lead(self) -> None:
        """Start a group whenever there is one and the one before has ended, or is slow."""
        while self._waiting:
            group, self._waiting = self._waiting[:MAX_IN_GROUP], self._waiting[MAX_IN_GROUP:]
            running = self._start(self._run(group))
            self._running.add(running)
            running.add_done_callback(self._running.discard)
            await asyncio.wait([running], timeout=PATIENCE_S)
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

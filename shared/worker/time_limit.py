"""A task's time limit, as the task itself sees it: Celery's soft limit, which a worker's main process keeps, or this process's own clock.

Celery raises its soft limit in the main thread of a worker's child, where it cancels no coroutine; `Runtime` passes it on to the task that runs.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

OWN_CLOCK_MARGIN_S = 1.0
"""How much later than Celery's soft limit a clock of our own goes off."""
_reached: ContextVar[asyncio.Event | None] = ContextVar("time_limit_reached", default=None)


def announce(reached: asyncio.Event) -> None:
    """Let `reached` stand for the limit of the task in whose context this is called."""
    _reached.set(reached)


async def wait_until_reached(limit_s: float) -> None:
    """Return when the time of the running task is over.

    `limit_s` is the same limit on a clock of its own, for a task that nobody limits (one that a test calls), or whose limit is lost with the
    worker's main process.
    """
    reached = _reached.get()
    if reached is None:
        await asyncio.sleep(limit_s)
        return
    try:
        async with asyncio.timeout(limit_s + OWN_CLOCK_MARGIN_S):
            await reached.wait()
    except TimeoutError:
        return

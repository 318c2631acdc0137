"""A task's time limit as the task itself sees it: Celery's soft limit, timed by the worker's main process, or this process's own clock.

Celery raises its soft limit in the main thread of a worker's child, where it cancels no coroutine; `Runtime` passes it on to the running task.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

OWN_CLOCK_MARGIN_S = 1.0
"""How much later than Celery's soft limit this process's own clock expires."""
_reached: ContextVar[asyncio.Event | None] = ContextVar("time_limit_reached", default=None)


def announce(reached: asyncio.Event) -> None:
    """Make `reached` the event that signals the time limit of the calling task."""
    _reached.set(reached)


async def wait_until_reached(limit_s: float) -> None:
    """Return when the time of the running task is over.

    `limit_s` is the same limit on this process's own clock. It serves tasks that nothing else limits (those that a test calls directly), and tasks whose
    limit is lost because the worker's main process is gone.
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

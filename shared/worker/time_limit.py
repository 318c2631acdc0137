"""A task's time limit as the task itself sees it: Celery's soft limit, timed by the worker's main process, or this process's own clock.

Celery raises its soft limit in the main thread of a worker's child, where it cancels no coroutine; `Runtime` passes it on to the running task.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

_reached: ContextVar[asyncio.Event | None] = ContextVar("time_limit_reached", default=None)


def announce(reached: asyncio.Event) -> None:
    """Make `reached` the event that signals the time limit of the calling task."""
    _reached.set(reached)


async def wait_until_reached(limit_s: float) -> None:
    """Return when the time of the running task is over: when `Runtime` says so, or after `limit_s` if nothing limits the task (a test calls it directly)."""
    reached = _reached.get()
    if reached is None:
        await asyncio.sleep(limit_s)
    else:
        await reached.wait()

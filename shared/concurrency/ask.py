"""Ask something that may hang: get its answer in time, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_left: set[asyncio.Task[Any]] = set()


async def ask(work: Coroutine[Any, Any, T], *, timeout_s: float) -> T:
    """Return what `work` returns. Raises `TimeoutError` after `timeout_s`.

    Unlike with `asyncio.timeout`, `work` is cancelled but not awaited after that: a driver whose server hangs may take long to give up.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
    except asyncio.CancelledError:
        _leave(task)
        raise
    if not done:
        _leave(task)
        raise TimeoutError(f"no answer within {timeout_s:g} s")
    return task.result()


def _leave(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _left.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # marks it as retrieved: no caller is left to raise it to

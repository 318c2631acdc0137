"""Coroutines inside Celery: one event loop, one engine and one broker connection for each process that runs tasks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from shared.db.session import open_database
from shared.messages.broker import Broker
from shared.messages.redis_client import open_redis
from shared.messages.tasks import TaskContext
from shared.worker import time_limit

if TYPE_CHECKING:
    from celery import Celery

    from shared.settings import Settings

COMMAND_TIMEOUT_S = 300.0
CHILD_POOL = {"pool_size": 3, "max_overflow": 0}
"""Of a worker's child: the recorder's transaction, the lease, and what comes up; kept, since opening one takes longer than most of its statements."""
DISPATCHER_POOL = {"pool_size": 8, "max_overflow": 8}

log = structlog.get_logger(__name__)


class Runtime:
    """An event loop in a thread of its own, and the context that tasks are given.

    It is made after the fork, at the first task: an engine that was connected before a fork fails every time.
    """

    def __init__(self, app: Celery, settings: Settings, *, pool_size: int, max_overflow: int) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self._broker = Broker(app, settings)
        self.context = TaskContext(
            settings=settings,
            database=open_database(
                settings,
                send=self._broker.send,
                application_name=f"rowgate-tasks-{self.pid}",
                pool_size=pool_size,
                max_overflow=max_overflow,
                command_timeout_s=COMMAND_TIMEOUT_S,
            ),
            redis=open_redis(settings),
        )

    def start(self, function: Callable[[TaskContext], Coroutine[Any, Any, None]], *, timeout_s: float) -> None:
        """Run one coroutine beside everything else, and do not wait for it; a failure is logged."""

        async def logged() -> None:
            try:
                async with asyncio.timeout(timeout_s):
                    await function(self.context)
            except Exception:
                log.exception("detached task failed")

        asyncio.run_coroutine_threadsafe(logged(), self._loop)

    def run(self, function: Callable[[TaskContext], Coroutine[Any, Any, None]], *, timeout_s: float, ending_s: float = 0.0) -> None:
        """Run one coroutine to its end; nothing of it lives on. Raises what it raises, and `TimeoutError` if it was cancelled for its time.

        Its time is over when Celery raises its soft limit here, or a moment after `timeout_s`, where Celery has none (in threads). It is told so
        (`shared.worker.time_limit`), and cancelled `ending_s` later.
        """
        reached = asyncio.Event()
        expires = _Expiry(reached, ending_s=ending_s)

        async def bounded() -> None:
            time_limit.announce(reached)
            clock = self._loop.call_later(timeout_s + time_limit.OWN_CLOCK_MARGIN_S, expires)
            try:
                async with expires.open_bound():
                    await function(self.context)
            finally:
                clock.cancel()

        running = asyncio.run_coroutine_threadsafe(bounded(), self._loop)
        try:
            running.result()
        except SoftTimeLimitExceeded:
            log.warning("task has reached its time limit", limit_s=timeout_s)
            self._loop.call_soon_threadsafe(expires)
            running.result()

    def close(self) -> None:
        """Close connections and end the loop."""

        async def close_all() -> None:
            running = asyncio.all_tasks() - {asyncio.current_task()}
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await self.context.database.close()
            await self.context.redis.aclose()
            await self._broker.aclose()

        try:
            asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(timeout=5)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)


class _Expiry:
    """What happens, once, when the time of a task is over; called on the event loop, perhaps before the task has begun."""

    def __init__(self, reached: asyncio.Event, *, ending_s: float) -> None:
        self._reached = reached
        self._ending_s = ending_s
        self._bound: asyncio.Timeout | None = None

    def open_bound(self) -> asyncio.Timeout:
        """The bound of the running task; it has none until its time is over."""
        self._bound = asyncio.timeout(self._ending_s if self._reached.is_set() else None)
        return self._bound

    def __call__(self) -> None:
        if not self._reached.is_set():
            self._reached.set()
            if self._bound is not None:
                self._bound.reschedule(asyncio.get_running_loop().time() + self._ending_s)

"""Run coroutines inside Celery: each process that runs tasks has one event loop, one engine and one broker connection."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import structlog
from celery.exceptions import SoftTimeLimitExceeded

from shared.db.errors import is_database_unavailable
from shared.db.session import open_database
from shared.jobs.storage_guard import WATCH_S, get_guard
from shared.jobs.stored_files import get_storage
from shared.messages.broker import Broker
from shared.messages.redis_client import open_redis
from shared.messages.tasks import TaskContext
from shared.worker import time_limit

if TYPE_CHECKING:
    from shared.settings import Settings

COMMAND_TIMEOUT_S = 300.0
CHILD_POOL = {"pool_size": 3, "max_overflow": 0}
"""For a worker's child: one connection for the recorder's transaction, one for the lease, and one to spare.

They are kept open, because opening one takes longer than most statements."""
DISPATCHER_POOL = {"pool_size": 8, "max_overflow": 8}

OWN_CLOCK_MARGIN_S = 1.0
"""How much later than Celery's soft limit this process's own clock expires: it serves if the worker's main process is gone, or in threads."""

log = structlog.get_logger(__name__)


class Runtime:
    """An event loop in its own thread, and the context that is passed to tasks.

    It must be created after the fork, at the first task: an engine that was connected before a fork always fails.
    """

    def __init__(self, settings: Settings, *, pool_size: int, max_overflow: int) -> None:
        self.pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()
        self._broker = Broker(settings)
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
        asyncio.run_coroutine_threadsafe(get_guard(self.context).watch(every_s=WATCH_S), self._loop)

    def start(self, function: Callable[[TaskContext], Coroutine[Any, Any, None]], *, timeout_s: float) -> Future[None]:
        """Start a coroutine in the background without waiting for it; it is cancelled after `timeout_s`, and a failure is logged."""

        async def logged() -> None:
            try:
                async with asyncio.timeout(timeout_s):
                    await function(self.context)
            except Exception as error:
                if is_database_unavailable(error):
                    log.warning("task ended: the database does not answer", reason=repr(error))
                else:
                    log.exception("task failed")

        return asyncio.run_coroutine_threadsafe(logged(), self._loop)

    def run(self, function: Callable[[TaskContext], Coroutine[Any, Any, None]], *, timeout_s: float, ending_s: float = 0.0) -> None:
        """Run a coroutine to its end; nothing of it keeps running. Raises whatever it raises, and `TimeoutError` if it was cancelled because its time was over.

        Its time is over when Celery raises its soft limit here, or, if Celery has none (in threads), a moment after `timeout_s`. The task is told
        (`shared.worker.time_limit`), and cancelled `ending_s` later.
        """
        reached = asyncio.Event()
        expires = _Expiry(reached, ending_s=ending_s)

        async def bounded() -> None:
            time_limit.announce(reached)
            clock = self._loop.call_later(timeout_s + OWN_CLOCK_MARGIN_S, expires)
            try:
                async with expires.open_bound():
                    await function(self.context)
            finally:
                clock.cancel()
                expires.close()

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
            await get_storage(self.context).aclose()
            await self.context.database.close()
            await self.context.redis.aclose()
            await self._broker.aclose()

        try:
            asyncio.run_coroutine_threadsafe(close_all(), self._loop).result(timeout=5)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
            if not self._thread.is_alive():
                self._loop.close()


class _Expiry:
    """Tells a task that its time is over, and bounds what is left of it; acts only once. Called on the event loop, perhaps before the task has begun."""

    def __init__(self, reached: asyncio.Event, *, ending_s: float) -> None:
        self._reached = reached
        self._ending_s = ending_s
        self._bound: asyncio.Timeout | None = None

    def open_bound(self) -> asyncio.Timeout:
        """Return the timeout of the running task, which has no deadline until the task's time is over."""
        self._bound = asyncio.timeout(self._ending_s if self._reached.is_set() else None)
        return self._bound

    def close(self) -> None:
        """Forget the bound: the task has ended, and a limit that comes now changes nothing."""
        self._bound = None

    def __call__(self) -> None:
        if not self._reached.is_set():
            self._reached.set()
            if self._bound is not None:
                self._bound.reschedule(asyncio.get_running_loop().time() + self._ending_s)

"""Celery's schedule, which starts periodic tasks in its own process when they are due.

As messages they would cost Redis ten commands each, and they would wait while Redis is away, although most of what they do needs only the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ClassVar

import celery.beat
import structlog

Start = Callable[[str], Future[None]]
"""Starts the task of this name and returns what becomes done with it."""

TICKS_WITHIN_S = 30.0
"""A schedule that has not looked for longer than this hangs; it looks every second."""

log = structlog.get_logger(__name__)


def run_in_thread() -> None:
    """Have the schedule of `celery worker -B` run in a thread of the worker; by itself it is a second process, of 90 MiB."""
    celery.beat._Process = None  # noqa: SLF001  # as where there are no processes
    celery.beat._Threaded = ScheduleThread  # noqa: SLF001


class ScheduleThread(celery.beat._Threaded):  # type: ignore[misc]  # noqa: SLF001  # Celery is untyped
    """The thread of the schedule, which may end before the schedule looks for the first time."""

    def start(self) -> None:
        """Begin; from now on this process has a schedule."""
        Schedule._thread, Schedule._ticked_at = self, time.monotonic()  # noqa: SLF001  # of this module
        super().start()


class Schedule(celery.beat.Scheduler):  # type: ignore[misc]  # Celery is untyped
    """Starts what is due, unless it still runs."""

    start: ClassVar[Start]
    producer = None
    """Celery's is a connection to the broker."""
    _thread: ClassVar[threading.Thread | None] = None
    _ticked_at: ClassVar[float | None] = None
    """When it last looked, or its thread began."""
    _running: ClassVar[dict[str, Future[None]]] = {}

    @classmethod
    def is_ticking(cls) -> bool:
        """Whether this process's schedule looks at what is due; true if it has none, false once its thread has ended."""
        if cls._thread is not None and not cls._thread.is_alive():
            return False
        return cls._ticked_at is None or time.monotonic() - cls._ticked_at < TICKS_WITHIN_S

    def tick(self, *arguments: Any, **named: Any) -> float:  # noqa: ANN401  # Celery's own
        """Start one task that is due; return the seconds until the next look."""
        Schedule._ticked_at = time.monotonic()
        return float(super().tick(*arguments, **named))

    def apply_async(self, entry: Any, producer: object = None, *, advance: bool = True, **_: Any) -> None:  # noqa: ANN401, ARG002  # Celery's own
        """Start a task, whose end is not waited for."""
        running = self._running.get(entry.task)
        if running is None or running.done():
            with structlog.contextvars.bound_contextvars(task=entry.task):
                self._running[entry.task] = type(self).start(entry.task)

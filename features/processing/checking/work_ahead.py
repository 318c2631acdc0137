"""One thread beside the one that checks, for work on whole columns that hardly ever holds Python's lock: matching by RE2, and adding keys."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

LEAST_BYTES = 2**16
"""The work on a column of fewer bytes is done in the thread that checks: it takes less time than to tell another."""
Given = ParamSpec("Given")
Result = TypeVar("Result")


class WorkAhead:
    """The thread of one job, started when there is work for it. It has the priority of the thread that gives the first work."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self.is_closing = False
        """Whether the results are no longer wanted: work that takes long looks at this now and then."""

    def begin(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Future[Result]:
        """Let the thread do some work after what it was given before; its result, or what it raises, is in the future."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="check-ahead")
        return self._executor.submit(contextvars.copy_context().run, partial(work, *given, **named))

    def close(self) -> None:
        """Drop the work that waits, and end the thread; may be called twice."""
        self.is_closing = True
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)

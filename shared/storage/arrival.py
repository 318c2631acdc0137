"""How much of a file is there while it is being fetched, for readers that begin before all of it is."""

from __future__ import annotations

import threading
from collections.abc import Callable

LOOK_S = 0.25


class FetchStopped(Exception):  # a request, not an error
    """Whoever waited for bytes of a file has to stop."""


class Arrival:
    """The bytes of one file that are there, counted from its beginning without a gap; fetching threads tell it, and readers wait."""

    def __init__(self, size_bytes: int, *, must_stop: Callable[[], bool]) -> None:
        self.size_bytes = size_bytes
        self._must_stop = must_stop
        self._condition = threading.Condition()
        self._there = 0
        self._later: dict[int, int] = {}
        self._failure: BaseException | None = None

    def note(self, begin: int, end: int) -> None:
        """Note that the bytes from `begin` to `end` are there; pieces may come in any order."""
        with self._condition:
            self._later[begin] = end
            moved = False
            while self._there in self._later:
                self._there = self._later.pop(self._there)
                moved = True
            if moved:
                self._condition.notify_all()

    def fail(self, error: BaseException) -> None:
        """Note that nothing more comes; the first reason counts."""
        with self._condition:
            self._failure = self._failure or error
            self._condition.notify_all()

    def wait(self, end: int) -> None:
        """Return when all bytes up to `end`, or the file's end, are there. Raises what `fail` was told, or `FetchStopped`."""
        end = min(end, self.size_bytes)
        if self._there >= end:
            return
        with self._condition:
            while self._there < end:
                if self._failure is not None:
                    raise self._failure
                if self._must_stop():
                    raise FetchStopped
                self._condition.wait(LOOK_S)

    def wait_all(self) -> None:
        """Return when the whole file is there. Raises as `wait` does."""
        self.wait(self.size_bytes)

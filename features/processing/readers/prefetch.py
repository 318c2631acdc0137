"""An iterator that runs ahead in its own thread, so that producing and consuming its items overlap."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

POLL_S = 0.1


class Prefetch(Generic[Item]):
    """Yields the items of `source` in order, with at most `depth` of them waiting or being produced.

    An exception of `source` is raised to the consumer, after the items before it. Items may be large, so no reference to an item is kept
    once it is taken, nor while the next one is produced. With a `niceness` above 0 its thread, and every thread that is started from it, gives way to others
    where processors are scarce (Linux has a priority for each thread, setpriority(2)).
    """

    def __init__(self, source: Iterator[Item], *, depth: int = 1, niceness: int = 0) -> None:
        self._source = source
        self._niceness = niceness
        self._queue: Queue[Item | _End] = Queue()
        self._room = threading.Semaphore(depth)
        self._closing = threading.Event()
        # Runs in the caller's context, so that log lines of the thread carry the same context variables.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), name="read-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        """Return the iterator itself; the items can be read only once."""
        return self

    def __next__(self) -> Item:
        # The caller will take the next item, so the thread can begin the one after it without waiting for the caller to wake up.
        self._room.release()
        while not self._closing.is_set():
            try:
                item = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            if not isinstance(item, _End):
                return item
            self._closing.set()
            raise item.reason
        raise StopIteration

    def close(self) -> None:
        """Stop the thread and wait until it has ended; may be called twice."""
        self._closing.set()
        self._room.release()
        self._thread.join()

    def _run(self) -> None:
        if self._niceness:
            with suppress(OSError):  # it cannot be lower than that of the process already is
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        try:
            while self._has_room():
                # The item is never bound to a name, so that nothing here keeps it alive.
                self._queue.put(next(self._source))
        except BaseException as raised:  # noqa: BLE001 - any exception is raised again in the consumer's thread
            self._queue.put(_End(raised))

    def _has_room(self) -> bool:
        """Wait until another item may be produced; False if none is wanted any more."""
        self._room.acquire()
        return not self._closing.is_set()


class _End:
    def __init__(self, reason: BaseException) -> None:
        self.reason = reason
        """`StopIteration` if nothing went wrong."""

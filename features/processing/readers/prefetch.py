"""An iterator that runs ahead in a thread of its own, so that its reader's work and its own overlap."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from queue import Empty, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

POLL_S = 0.1


class Prefetch(Generic[Item]):
    """The items of `source` in their order, at most `depth` of them waiting or being made; what `source` raises is raised here, after the items before it.

    No item is held here when it was taken, nor while the next one is made: they may be large.
    """

    def __init__(self, source: Iterator[Item], *, depth: int = 1) -> None:
        self._source = source
        self._queue: Queue[Item | _End] = Queue()
        self._room = threading.Semaphore(depth)
        self._closing = threading.Event()
        # With the caller's context: what is logged on the way says for whom.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), name="read-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        """All items, once."""
        return self

    def __next__(self) -> Item:
        # Whoever asks will take what comes: the one behind it can be begun without waiting until this thread is awake.
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
        """Stop the thread and wait for it; may be called twice."""
        self._closing.set()
        self._room.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._has_room():
                # Never bound to a name.
                self._queue.put(next(self._source))
        except BaseException as raised:  # noqa: BLE001 - whatever it is belongs to the reader's thread, and is raised there
            self._queue.put(_End(raised))

    def _has_room(self) -> bool:
        """Wait until another item may be made; false where none is wanted any more."""
        self._room.acquire()
        return not self._closing.is_set()


class _End:
    def __init__(self, reason: BaseException) -> None:
        self.reason = reason
        """`StopIteration` where nothing went wrong."""

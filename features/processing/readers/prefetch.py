"""An iterator that runs ahead in a thread of its own, so that its reader's work and its own overlap."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Item = TypeVar("Item")

POLL_S = 0.1


class Prefetch(Generic[Item]):
    """The items of `source` in their order, at most `depth` of them waiting; what `source` raises is raised here, after the items before it."""

    def __init__(self, source: Iterator[Item], *, depth: int = 1) -> None:
        self._source = source
        self._queue: Queue[Item | _End] = Queue(maxsize=depth)
        self._closing = threading.Event()
        # With the caller's context: what is logged on the way says for whom.
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._run,), name="read-ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Item]:
        """All items, once."""
        while not self._closing.is_set():
            try:
                item = self._queue.get(timeout=POLL_S)
            except Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def close(self) -> None:
        """Stop the thread and wait for it; may be called twice."""
        self._closing.set()
        while self._thread.is_alive():
            try:
                self._queue.get_nowait()
            except Empty:
                self._thread.join(timeout=POLL_S)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._source:
                if not self._put(item):
                    return
        except BaseException as raised:  # noqa: BLE001 - whatever it is belongs to the reader's thread, and is raised there
            error = raised
        self._put(_End(error))

    def _put(self, item: Item | _End) -> bool:
        while not self._closing.is_set():
            try:
                self._queue.put(item, timeout=POLL_S)
            except Full:
                continue
            return True
        return False


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error

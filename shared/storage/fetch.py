"""Fetch a file into scratch space in ranges, several at once, in order, while it is read already."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from shared.storage.arrival import Arrival, FetchStopped
from shared.storage.base import StoreAway, is_disk_full

RANGE_BYTES = 20 * 2**20
"""One request: four parts of an upload. Ranges that end within a part cost some stores half as much again, since they read parts as a whole."""

StreamRange = Callable[[int, int], Iterator[bytes]]
"""Yields the bytes between two positions. Raises `OSError`."""


class Fetch:
    """The threads that fetch one file. They hold a few pieces in memory; the file has its whole length, and the room for it, from the beginning."""

    def __init__(self, stream: StreamRange, path: Path, arrival: Arrival, *, parts_at_once: int) -> None:
        self._stream, self._path, self._arrival = stream, path, arrival
        self._lock = threading.Lock()
        self._next = 0
        self._ended = False
        ranges = -(-arrival.size_bytes // RANGE_BYTES)
        self._threads = [threading.Thread(target=self._run, name=f"fetch-{number}", daemon=True) for number in range(min(parts_at_once, ranges))]
        self._file = -1
        self._users = 1

    def start(self) -> None:
        """Make the file and begin to fetch. Raises `OSError` (`ENOSPC`) if it has no room."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._take_room()
        for thread in self._threads:
            with self._lock:
                self._users += 1
            thread.start()

    def _take_room(self) -> None:
        """Give the file its length and all its blocks, so that several that begin at once cannot fill the disk together."""
        if self._arrival.size_bytes:
            try:
                os.posix_fallocate(self._file, 0, self._arrival.size_bytes)
            except OSError as error:
                if not is_disk_full(error):
                    raise
                raise OSError(errno.ENOSPC, "there is no room for the file in SPILL_DIR") from error

    def close(self) -> None:
        """End fetching, whether all is there or not. A request that hangs ends by its own time limit, and the file is closed with the last of them."""
        self._ended = True
        self._arrival.fail(FetchStopped())
        self._release()

    def _release(self) -> None:
        """Close the file if this is the last of its users: the threads, and whoever began."""
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _run(self) -> None:
        try:
            while (begin := self._take_range()) is not None:
                self._fetch(begin, min(begin + RANGE_BYTES, self._arrival.size_bytes))
        except BaseException as error:  # noqa: BLE001  # whoever reads is told, in its own thread
            self._ended = True
            self._arrival.fail(error)
        finally:
            self._release()

    def _fetch(self, begin: int, end: int) -> None:
        at = begin
        for piece in self._stream(begin, end):
            if self._ended:
                return
            _write(self._file, piece, at)
            self._arrival.note(at, at + len(piece))
            at += len(piece)
        if at != end:
            raise StoreAway("the store sent less than the file has")

    def _take_range(self) -> int | None:
        with self._lock:
            begin = self._next
            if self._ended or begin >= self._arrival.size_bytes:
                return None
            self._next = begin + RANGE_BYTES
            return begin


def _write(file: int, piece: bytes, at: int) -> None:
    left = memoryview(piece)
    while left:
        count = os.pwrite(file, left, at)
        left, at = left[count:], at + count

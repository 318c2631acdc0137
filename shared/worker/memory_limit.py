"""Bound the memory of a worker's child: a thread watches what the process really uses, and tells the running task when that is too much.

Address space says little: Arrow's allocator reserves 1 GiB of it when it is loaded, and each thread 64 MiB (docs/adr/0015-memory-of-a-worker.md).
"""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from pathlib import Path

import structlog

PERIOD_S = 0.02
"""How often the memory is looked at while a task runs."""
ROOM_BYTES = 128 * 2**20
"""What may still be mapped after the limit was reached, for ending the job; anything beyond fails with `MemoryError`."""
THREADS_BYTES = 2**28
"""What may be mapped beyond the limit without being used: stacks and arenas of the threads of a child."""
_STATM = Path("/proc/self/statm")
_STATUS = Path("/proc/self/status")
_STATUS_BYTES = 2**14

log = structlog.get_logger(__name__)


class MemoryWatch:
    """Watches this process, on Linux only; elsewhere it does nothing.

    The kernel's own limit stands behind it, since a thread cannot look while another one holds the interpreter's lock.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._is_exceeded = False
        self._is_awaited = threading.Event()
        if _STATM.exists():
            # They stay open, since opening a file may fail when there is no memory left.
            self._statm, self._status = os.open(_STATM, os.O_RDONLY), os.open(_STATUS, os.O_RDONLY)
            _limit_mapped(self._status, limit_bytes + THREADS_BYTES)
            threading.Thread(target=self._run, name="memory-watch", daemon=True).start()

    async def wait_until_exceeded(self) -> None:
        """Return when the process has reached the limit."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiting.add(entry)
            self._is_awaited.set()
            if self._is_exceeded:
                entry[1].set()
        try:
            await entry[1].wait()
        finally:
            with self._lock:
                self._waiting.discard(entry)
                if not self._waiting:
                    self._is_awaited.clear()

    def _run(self) -> None:
        try:
            used_bytes = self._wait_and_tell()
            # The tasks know, and that must not depend on the rest, which needs some memory itself.
            _limit_mapped(self._status, ROOM_BYTES)
            log.warning("memory limit of this process reached", used_bytes=used_bytes, limit_bytes=self._limit_bytes)
        finally:
            os.close(self._statm)
            os.close(self._status)

    def _wait_and_tell(self) -> int:
        """Wait until the limit is reached, tell all tasks that wait, and return how much is used."""
        stop = threading.Event()
        page_bytes = resource.getpagesize()
        while True:
            try:
                self._is_awaited.wait()
                stop.wait(PERIOD_S)
                _, resident, shared, *_ = os.pread(self._statm, 200, 0).split()
                used_bytes = (int(resident) - int(shared)) * page_bytes
                if used_bytes > self._limit_bytes:
                    self._tell()
                    return used_bytes
            except MemoryError:
                # There may be some at the next look.
                continue

    def _tell(self) -> None:
        with self._lock:
            self._is_exceeded = True
            for loop, event in self._waiting:
                loop.call_soon_threadsafe(event.set)


_watch: MemoryWatch | None = None


def start_watch(limit_bytes: int) -> None:
    """Watch this process from now on; called once in each child of a worker, after the fork."""
    global _watch  # noqa: PLW0603  # there is one for each process
    _watch = MemoryWatch(limit_bytes)


async def wait_until_exceeded() -> None:
    """Return when this process has reached its limit; never if it has none."""
    if _watch is None:
        await asyncio.Event().wait()
    else:
        await _watch.wait_until_exceeded()


def _limit_mapped(status: int, more_bytes: int) -> None:
    """Let the process map at most so many bytes more for its own data than now (RLIMIT_DATA, see getrlimit(2)); beyond that memory cannot be had.

    `status` is the descriptor of `/proc/self/status`.
    """
    mapped_bytes = int(os.pread(status, _STATUS_BYTES, 0).partition(b"VmData:")[2].split(maxsplit=1)[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = mapped_bytes + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))

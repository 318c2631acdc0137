"""Write bytes to a folder as they arrive: in one pass, with bounded memory, hashed on the way, and with all disk work off the event loop."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from shared.concurrency.grouping import Grouping
from shared.storage.base import CountingWriter
from shared.storage.names import PARTIAL_SUFFIX

BATCH_BYTES = 256 * 1024
"""Size of one write, or slightly more. An upload's memory is the bytes in its queue plus those being written."""
MAX_BATCHES = 16
"""Most batches that a thread writes for one file before other files get their turn."""
WRITEBACK_BYTES = 8 * 2**20
"""Dirty pages are flushed to disk in steps of this size during the upload, so that little is left for the fsync at the end."""
_SYNC_FILE_RANGE_WRITE = 2

log = structlog.get_logger(__name__)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable (fsync(2))."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_writers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="upload-writer")


def _load_start_writeback() -> Callable[[int, int, int], None]:
    """Return a function that calls sync_file_range(2), or one that does nothing if the system lacks it; fsync then does all the work."""
    if not sys.platform.startswith("linux"):
        return lambda _descriptor, _offset, _length: None
    function = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if function is None:
        return lambda _descriptor, _offset, _length: None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

    def start_writeback(descriptor: int, offset: int, length: int) -> None:
        function(descriptor, offset, length, _SYNC_FILE_RANGE_WRITE)

    return start_writeback


_start_writeback = _load_start_writeback()


class FolderWriter(CountingWriter):
    """Writes one file under a temporary name, and renames it once it is complete and on disk.

    The event loop queues pieces, and a thread writes them while at least a batch is queued. If the disk is slower than the network, reading from the
    network slows down.
    """

    def __init__(self, target: Path, *, chunk_size_bytes: int, min_free_bytes: int, small_files: Grouping[FolderWriter, None]) -> None:
        super().__init__()
        self._small_files = small_files
        self._target = target
        self._partial = target.with_name(target.name + PARTIAL_SUFFIX)
        self._chunk_size = chunk_size_bytes
        self._min_free_bytes = min_free_bytes
        self._descriptor: int | None = None
        self._lock = threading.Lock()  # of the four below
        self._queue: list[memoryview] = []
        self._queued_bytes = 0
        self._is_busy = False
        self._has_room: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._hash = hashlib.sha256()
        self._written = 0
        self._flushed = 0

    def take(self, data: memoryview) -> None:
        """Queue bytes; `drain` has them written."""
        self._count(data)
        with self._lock:
            self._queue.append(data)
            self._queued_bytes += len(data)

    async def drain(self) -> None:
        """Start writing if at least a batch is queued, and wait while too much is queued. Raises `OSError`."""
        if self._queued_bytes < BATCH_BYTES:
            return
        while True:
            with self._lock:
                must_start, self._is_busy = not self._is_busy, True
                has_room = self._queued_bytes < BATCH_BYTES
                if not has_room and self._has_room is None:
                    self._has_room = asyncio.get_running_loop().create_future()
                waiting = self._has_room
            if must_start:
                await self._settle()
                self._writing = asyncio.get_running_loop().run_in_executor(_writers, self._write_queue, asyncio.get_running_loop())
            if has_room or waiting is None:
                return
            await waiting

    async def finish(self) -> str:
        """Write the rest, make the file durable under its real name, and return its SHA-256 in hexadecimal. Raises `OSError`."""
        await self._settle()
        # Nothing of a small file has been written yet: it is written completely here, together with other small files.
        is_small = self._descriptor is None
        self._writing = asyncio.ensure_future(self._small_files.do(self) if is_small else self._complete())
        await self._settle()
        return self._hash.hexdigest()

    async def discard(self) -> None:
        """Remove everything from disk; may be called at any time. What cannot be removed is left to the sweep."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()
        self._queue.clear()
        try:
            await asyncio.get_running_loop().run_in_executor(_writers, self._remove)
        except OSError as error:
            log.warning("what was written of an upload cannot be removed", reason=error.strerror)

    async def _settle(self) -> None:
        """Wait until the thread is done, and raise its error if it failed."""
        writing = self._writing
        if writing is not None:
            await asyncio.shield(writing)
            self._writing = None

    def _write_queue(self, loop: asyncio.AbstractEventLoop) -> None:
        """Write batches until less than one is queued, at most `MAX_BATCHES`; runs in a thread."""
        try:
            for _ in range(MAX_BATCHES):
                with self._lock:
                    if self._queued_bytes < BATCH_BYTES:
                        break
                self._write(self._take_queue(loop))
        finally:
            with self._lock:
                self._is_busy = False
            self._tell_room(loop)

    def _take_queue(self, loop: asyncio.AbstractEventLoop) -> list[memoryview]:
        with self._lock:
            batch, self._queue, self._queued_bytes = self._queue, [], 0
        self._tell_room(loop)
        return batch

    def _tell_room(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            has_room, self._has_room = self._has_room, None
        if has_room is not None:
            loop.call_soon_threadsafe(_set_done, has_room)

    def _write(self, batch: list[memoryview]) -> None:
        if self._descriptor is None:
            self._require_room()
            self._descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        for piece in batch:
            # Whole pieces, not chunk by chunk: each call releases the interpreter's lock and has to wait for it again.
            self._hash.update(piece)
        left = [piece[start : start + self._chunk_size] for piece in batch for start in range(0, len(piece), self._chunk_size)]
        while left:
            count = os.writev(self._descriptor, left[:1024])
            self._written += count
            left = _skip(left, count)
        if self._written - self._flushed >= WRITEBACK_BYTES:
            _start_writeback(self._descriptor, self._flushed, self._written - self._flushed)
            self._flushed = self._written
            self._require_room()

    def _require_room(self) -> None:
        if shutil.disk_usage(self._partial.parent).free < self._min_free_bytes:
            raise OSError(errno.ENOSPC, "the reserve of free disk space is reached")

    async def _complete(self) -> None:
        [failure] = await complete_files([self])
        if failure is not None:
            raise failure

    def write_rest(self) -> None:
        """Write the rest of the queue and start flushing it to disk; runs in a thread."""
        self._write(self._queue)
        self._queue = []
        assert self._descriptor is not None
        _start_writeback(self._descriptor, self._flushed, self._written - self._flushed)

    def sync(self) -> None:
        """Wait until the file's bytes are on disk (fsync(2)); runs in a thread."""
        assert self._descriptor is not None
        os.fsync(self._descriptor)
        self._close()

    @property
    def folder(self) -> Path:
        """The file's folder; it has to be synced for the rename to be durable."""
        return self._target.parent

    def rename(self) -> None:
        """Give the file its real name; runs in a thread."""
        self._partial.rename(self._target)

    def _remove(self) -> None:
        self._close()
        self._partial.unlink(missing_ok=True)
        self._target.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)


async def complete_files(writers: Sequence[FolderWriter]) -> Sequence[OSError | None]:
    """Write the rest of each file, make it durable under its real name, and sync its folder.

    Returns one entry for each writer, in order: its error, or None.
    """
    return await asyncio.get_running_loop().run_in_executor(_writers, _complete, writers)


def _complete(writers: Sequence[FolderWriter]) -> Sequence[OSError | None]:
    """Do each step for all files before the next step: the first fsync(2) makes the disk write what the later ones then find already written.

    Each folder is synced once.
    """
    failures: dict[FolderWriter, OSError] = {}

    def do_each(step: Callable[[FolderWriter], None]) -> None:
        for writer in writers:
            if writer not in failures:
                try:
                    step(writer)
                except OSError as error:
                    failures[writer] = error

    do_each(FolderWriter.write_rest)
    do_each(FolderWriter.sync)
    do_each(FolderWriter.rename)
    for folder in {writer.folder for writer in writers}:
        renamed = [writer for writer in writers if writer.folder == folder and writer not in failures]
        try:
            sync_folder(folder)
        except OSError as error:
            failures |= dict.fromkeys(renamed, error)
    return [failures.get(writer) for writer in writers]


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _skip(chunks: list[memoryview], count: int) -> list[memoryview]:
    for index, chunk in enumerate(chunks):
        if count < len(chunk):
            return [chunk[count:], *chunks[index + 1 :]] if count else chunks[index:]
        count -= len(chunk)
    return []

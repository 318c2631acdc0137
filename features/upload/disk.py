"""Bytes to disk as they arrive: one pass, bounded memory, nothing on the event loop, hashed on the way."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiofiles.os

from features.upload.problems import DiskFull

BATCH_BYTES = 256 * 1024
"""Handed to the writer thread at a time; two of them are the memory of one upload."""
WRITEBACK_BYTES = 8 * 2**20
"""Dirty pages are sent to the disk in steps of this size while the stream runs, so that the fsync at the end has little left."""
HEAD_BYTES = 512
_SYNC_FILE_RANGE_WRITE = 2
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

_writers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="upload-writer")


def _load_start_writeback() -> Callable[[int, int, int], None]:
    """sync_file_range(2) where the system has it; elsewhere the fsync does all the work."""
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


class FileWriter:
    """Writes one file under a temporary name and gives it its real one when it is whole and on disk.

    One batch is filled by the event loop while another is written by a thread: a disk that is slower than the network slows the network.
    """

    def __init__(self, target: Path, *, chunk_size_bytes: int, min_free_bytes: int) -> None:
        self._target = target
        self._partial = target.with_name(target.name + ".part")
        self._chunk_size = chunk_size_bytes
        self._min_free_bytes = min_free_bytes
        self._descriptor: int | None = None
        self._batch: list[memoryview] = []
        self._batch_bytes = 0
        self._writing: asyncio.Future[None] | None = None
        self._hash = hashlib.sha256()
        self._written = 0
        self._flushed = 0
        self.size = 0
        self.head = b""

    def take(self, data: memoryview) -> None:
        """Add bytes to the batch; `drain` writes it."""
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(data[: HEAD_BYTES - len(self.head)])
        self.size += len(data)
        self._batch_bytes += len(data)
        self._batch.append(data)

    async def drain(self) -> None:
        """Hand a full batch to the writer thread, waiting for the one before it. Raises `DiskFull`."""
        if self._batch_bytes >= BATCH_BYTES:
            await self._hand_over()

    async def finish(self) -> str:
        """Write what is left, make it durable under its real name, and return its SHA-256 in hexadecimal. Raises `DiskFull`."""
        await self._hand_over()
        await self._settle()
        await self._in_thread(self._sync_and_close)
        await aiofiles.os.rename(self._partial, self._target)
        await self._in_thread(self._sync_folder)
        return self._hash.hexdigest()

    async def discard(self) -> None:
        """Leave nothing on disk; may be called at any time."""
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()
        self._batch.clear()
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            await asyncio.to_thread(os.close, descriptor)
        for path in (self._partial, self._target):
            if await aiofiles.os.path.exists(path):
                await aiofiles.os.remove(path)

    async def _hand_over(self) -> None:
        await self._settle()
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(_writers, self._write, batch)

    async def _settle(self) -> None:
        writing = self._writing
        if writing is not None:
            await _translate(asyncio.shield(writing))
            self._writing = None

    async def _in_thread(self, function: Callable[[], None]) -> None:
        self._writing = asyncio.get_running_loop().run_in_executor(_writers, function)
        await self._settle()

    def _write(self, batch: list[memoryview]) -> None:
        if self._descriptor is None:
            self._require_room()
            self._descriptor = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        for piece in batch:
            # Not chunk by chunk: each call lets go of the interpreter's lock, and has to wait for it again.
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

    def _sync_and_close(self) -> None:
        if self._descriptor is not None:
            os.fsync(self._descriptor)
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _skip(chunks: list[memoryview], count: int) -> list[memoryview]:
    for index, chunk in enumerate(chunks):
        if count < len(chunk):
            return [chunk[count:], *chunks[index + 1 :]] if count else chunks[index:]
        count -= len(chunk)
    return []


async def _translate(writing: Awaitable[None]) -> None:
    try:
        await writing
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull from error
        raise

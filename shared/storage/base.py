"""What a store of files does, whichever it is. Names are those of `names.py`; `OSError` is raised for whatever is the store's fault."""

from __future__ import annotations

import errno
import io
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from shared.storage.arrival import Arrival, FetchStopped

HEAD_BYTES = 512
"""So many bytes of a file that is being received are kept, to tell what it is."""
LISTED_FILES = 1000
"""About so many files come in one step of a listing."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreAway(OSError):
    """The store did not do what it was asked, and may do it later: it is not reached, does not answer in time, or has a fault of its own."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EIO, reason)


class StoreRefuses(OSError):
    """The store answered that it will not do it: wrong credentials, no right, no such bucket, a clock that is wrong."""

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EACCES, reason)


def is_disk_full(error: OSError) -> bool:
    """Whether there is no room left: on the disk, within a quota, or for a file of this size."""
    return error.errno in _FULL


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a listing tells of a file, or of a folder in which an output is being written."""

    name: str
    changed_at: float
    """When it was last written, in seconds since the epoch by the store's own clock (`read_clock`)."""


@dataclass(frozen=True, slots=True)
class Space:
    """The disk that files lie on."""

    free_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """A stored file as a file of this machine, for the length of a block."""

    path: Path
    arrival: Arrival | None
    """How much of it is there already; None: all of it."""

    def let_go(self) -> None:
        """End all waiting for bytes that are not there yet: whoever reads gets `FetchStopped`."""
        if self.arrival is not None:
            self.arrival.fail(FetchStopped())


class FileWriter(Protocol):
    """Writes one file as its bytes arrive, hashed on the way; it has its name once it is complete and durable."""

    size: int
    head: bytes
    """Its first `HEAD_BYTES` bytes."""

    def take(self, data: memoryview) -> None:
        """Queue bytes; `drain` has them written."""
        ...

    async def drain(self) -> None:
        """Have what is queued written if it is enough for a step, and wait while too much is queued. Raises `OSError`."""
        ...

    async def finish(self) -> str:
        """Write the rest, make the file durable under its name, and return its SHA-256 in hexadecimal. Raises `OSError`."""
        ...

    async def discard(self) -> None:
        """Remove everything; may be called at any time. What cannot be removed is left to the sweep."""
        ...


class CountingWriter:
    """What both kinds of `FileWriter` know of the bytes that they took."""

    def __init__(self) -> None:
        self.size = 0
        self.head = b""

    def _count(self, data: memoryview) -> None:
        if len(self.head) < HEAD_BYTES:
            self.head += bytes(data[: HEAD_BYTES - len(self.head)])
        self.size += len(data)


class FileReader(Protocol):
    """Reads a stored file in pieces, in threads."""

    size_bytes: int
    survives_removal: bool
    """Whether the file can be read to its end although it is removed meanwhile."""

    def read(self, size_bytes: int, *, at: int) -> bytes:
        """Return up to `size_bytes` from position `at`; empty only at the end. Raises `OSError`."""
        ...

    def close(self) -> None:
        """Close it; may be called twice."""
        ...


class AsyncFile(Protocol):
    """A stored file that is sent to a client."""

    async def read(self, size_bytes: int) -> bytes:
        """Return the next `size_bytes`, fewer only at the end. Raises `OSError`."""
        ...

    async def seek(self, position: int) -> int:
        """Go on at another position, and return it."""
        ...


class Storage(Protocol):
    """Stored files by their names. Methods that are no coroutines run in threads."""

    setting: str
    """The setting that says where the files lie: `UPLOAD_DIR` or `STORAGE_URL`."""
    place: str
    """Where they lie, for operators; without credentials."""
    look_every_s: float
    """How often an API looks at the marker, and how long an answer counts; a look at a store costs money."""
    look_timeout_s: float
    """How long a look at the marker is waited for: a file system whose server is gone never answers. The health may wait for two, and has 2 s."""
    writable_s: float
    """How long it counts that a file could be written."""
    ages_from_start: bool
    """Whether `changed_at` may be when the writing of a file began (Amazon S3, of multipart uploads) and not when it ended."""

    def open_writer(self, name: str) -> FileWriter:
        """Return what writes a new file."""
        ...

    def make_workplace(self, name: str) -> AbstractAsyncContextManager[Path]:
        """Give a folder of this machine in which the new file `name` is made, with whatever that takes; it is removed at the end of the block."""
        ...

    async def put_file(self, path: Path, name: str, *, headers: Mapping[str, str]) -> None:
        """Make a complete file of a workplace the stored file `name`, durably. `headers`: what it is sent with if clients are sent to the store."""
        ...

    def checkout(self, name: str, *, must_stop: Callable[[], bool]) -> AbstractAsyncContextManager[CheckedOut]:
        """Give the file as one of this machine. Waiting for its bytes ends with `FetchStopped` once `must_stop` says so. Raises `FileNotFoundError`."""
        ...

    def open_reader(self, name: str) -> FileReader:
        """Return what reads pieces of a file. Raises `FileNotFoundError`."""
        ...

    def open_file(self, name: str) -> AbstractAsyncContextManager[AsyncFile]:
        """Open a file from which long pieces are sent, one after the other."""
        ...

    async def measure_file(self, name: str) -> int | None:
        """Return its size in bytes; None if there is no such file."""
        ...

    async def sign_url(self, name: str, *, lasts_s: float) -> str | None:
        """Return a URL that gives this file to whoever has it, for a while; None if clients get files from the service itself."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Make the file `source` also that named `target`, durably. Raises `FileNotFoundError`."""
        ...

    async def remove(self, name: str) -> bool:
        """Remove the file, or the folder with everything in it; False if it was already gone."""
        ...

    async def move_to_trash(self, name: str) -> None:
        """Move a file that belongs to no job to today's folder of the trash. Raises `FileNotFoundError`."""
        ...

    async def empty_trash(self, *, days: float) -> int:
        """Remove the folders of the trash whose day ended more than `days` ago; returns how many files went with them."""
        ...

    def list_files(self) -> AsyncIterator[Sequence[StoredFile]]:
        """Yield the files of jobs, and what lies among them; nothing of the folders."""
        ...

    def list_outputs(self) -> AsyncIterator[Sequence[StoredFile]]:
        """Yield what lies in the folders of outputs."""
        ...

    async def list_outputs_of(self, job_id: uuid.UUID) -> Sequence[str]:
        """Return the names of what lies in the folder of a job's outputs."""
        ...

    async def remove_empty_outputs(self, *, untouched_s: float) -> int:
        """Remove folders of outputs that have had nothing in them for so long; returns how many."""
        ...

    async def remove_unfinished(self, *, untouched_s: float) -> int:
        """Remove what was begun and never became a file, if nothing was added to it for so long; returns how many."""
        ...

    async def read_clock(self) -> float:
        """Return the store's time, in seconds since the epoch, with which `changed_at` is compared."""
        ...

    async def read_marker(self) -> bytes | None:
        """Return the first bytes of the marker; None if there is none. Raises `OSError`."""
        ...

    async def write_marker(self, content: bytes, *, replace: bool) -> None:
        """Write the marker durably; one that is there stays unless `replace`, also if several do this at once. Raises `OSError`."""
        ...

    async def prepare(self) -> None:
        """Make the folder if it is not there. Raises `OSError`."""
        ...

    async def require_writable(self) -> None:
        """Write a small file and remove it. Raises `OSError` if that cannot be done."""
        ...

    async def measure_space(self) -> Space | None:
        """Return the space on the disk; None if the store has no bounds that are known. Raises `OSError`."""
        ...

    def restore_file(self, name: str, file: IO[bytes]) -> None:
        """Store all of `file` under a name that is not taken. Raises `FileExistsError` or `OSError`."""
        ...

    def finish_restore(self) -> None:
        """Make all names of restored files durable."""
        ...

    async def aclose(self) -> None:
        """Wait for what is being written, and release threads and connections; what hangs is left behind."""
        ...


class _RawFile(io.RawIOBase):
    """A stored file as Python's `io` reads it."""

    def __init__(self, reader: FileReader) -> None:
        super().__init__()
        self._reader = reader
        self._at = 0

    def readable(self) -> bool:
        """See `io.IOBase.readable`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase.seekable`."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.IOBase.seek`."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size_bytes}[whence]
        return self._at

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]  # of any buffer, which the `io` module does not use
        """See `io.RawIOBase.readinto`."""
        data = self._reader.read(len(into), at=self._at)
        into[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file that it reads."""
        if not self.closed:
            self._reader.close()
        super().close()


def read_in_blocks(reader: FileReader, *, block_bytes: int) -> io.BufferedReader:
    """Return a stored file that is read by blocks which are larger than what is asked for; to be closed."""
    return io.BufferedReader(_RawFile(reader), block_bytes)

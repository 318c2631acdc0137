"""Files in a folder of this machine, or of a network file system that all machines mount: `UPLOAD_DIR`."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import stat
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, TypeVar

from shared.concurrency.grouping import Grouping
from shared.storage.base import LISTED_FILES, AsyncFile, CheckedOut, FileReader, FileWriter, Space, StoredFile
from shared.storage.folder_writer import FolderWriter, complete_files, sync_folder
from shared.storage.marker import MAX_MARKER_BYTES
from shared.storage.names import MARKER, OUTPUTS_FOLDER, PARTIAL_SUFFIX, TRASH_FOLDER, find_job_id, has_expired, name_in_trash, name_outputs

FILE_MODE = 0o600
"""What is in the files is nobody else's business."""
BLOCK_BYTES = 2**20
MAX_IN_GROUP = 32
PATIENCE_S = 0.05
"""How long a group of small files waits for the previous group before it runs beside it."""
_NO_SECOND_NAME = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES})
"""How file systems say that they give no file a second name, or not this one."""

T = TypeVar("T")


class FolderStorage:
    """See `base.Storage`."""

    setting = "UPLOAD_DIR"
    look_every_s = 1.0
    look_timeout_s = 0.7
    writable_s = 5.0
    ages_from_start = False

    def __init__(self, folder: Path, *, chunk_size_bytes: int, min_free_bytes: int) -> None:
        self.folder = folder
        self.place = str(folder)
        self._chunk_size_bytes, self._min_free_bytes = chunk_size_bytes, min_free_bytes
        self._small_files: Grouping[FolderWriter, None] = Grouping(complete_files, max_items=MAX_IN_GROUP, patience_s=PATIENCE_S)
        # Threads of their own, so that a network file system that hangs blocks no other thread.
        self._looking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._measuring = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk-space")

    def open_writer(self, name: str) -> FileWriter:
        """See `base.Storage`."""
        return FolderWriter(self.folder / name, chunk_size_bytes=self._chunk_size_bytes, min_free_bytes=self._min_free_bytes, small_files=self._small_files)

    @asynccontextmanager
    async def make_workplace(self, name: str) -> AsyncIterator[Path]:
        """See `base.Storage`: a folder beside the file, so that the file needs only be renamed."""
        folder = self.folder / f"{name}{PARTIAL_SUFFIX}"
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True)
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def put_file(self, path: Path, name: str, *, headers: Mapping[str, str]) -> None:
        """See `base.Storage`."""
        del headers
        await asyncio.to_thread(self._put, path, self.folder / name)

    def _put(self, path: Path, target: Path) -> None:
        with path.open("rb", buffering=0) as file:
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())
        path.rename(target)
        self._sync_up(target.parent)

    def _sync_up(self, folder: Path) -> None:
        """Make the names on the way to `folder` durable: any of these folders may be new."""
        while True:
            sync_folder(folder)
            if folder == self.folder:
                return
            folder = folder.parent

    @asynccontextmanager
    async def checkout(self, name: str, *, must_stop: Callable[[], bool]) -> AsyncIterator[CheckedOut]:
        """See `base.Storage`: the file itself."""
        del must_stop
        path = self.folder / name
        # It is opened here, so that a file that is missing is told from any other that a reader misses.
        os.close(await asyncio.to_thread(os.open, path, os.O_RDONLY | os.O_CLOEXEC))
        yield CheckedOut(path, None)

    def open_reader(self, name: str) -> FileReader:
        """See `base.Storage`."""
        return _FolderReader(self.folder / name)

    @asynccontextmanager
    async def open_file(self, name: str) -> AsyncIterator[AsyncFile]:
        """See `base.Storage`."""
        file = await asyncio.to_thread((self.folder / name).open, "rb")
        try:
            yield _FolderFile(file)
        finally:
            await asyncio.shield(asyncio.to_thread(file.close))

    async def measure_file(self, name: str) -> int | None:
        """See `base.Storage`."""
        try:
            found = await asyncio.to_thread(os.stat, self.folder / name)
        except FileNotFoundError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    async def sign_url(self, name: str, *, lasts_s: float) -> str | None:
        """See `base.Storage`."""
        del name, lasts_s
        return None

    async def copy(self, source: str, target: str) -> None:
        """See `base.Storage`: by a second name (link(2)), or else by a copy."""
        await asyncio.to_thread(self._copy, self.folder / source, self.folder / target)

    def _copy(self, source: Path, target: Path) -> None:
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_SECOND_NAME:
                raise
            self._copy_bytes(source, target)
        sync_folder(target.parent)

    def _copy_bytes(self, source: Path, target: Path) -> None:
        partial = target.with_name(target.name + PARTIAL_SUFFIX)
        try:
            with source.open("rb") as reader, partial.open("xb") as writer:
                if shutil.disk_usage(target.parent).free < self._min_free_bytes + os.fstat(reader.fileno()).st_size:
                    raise OSError(errno.ENOSPC, "the reserve of free disk space is reached")
                shutil.copyfileobj(reader, writer, BLOCK_BYTES)
                writer.flush()
                os.fsync(writer.fileno())
            partial.rename(target)
        finally:
            partial.unlink(missing_ok=True)

    async def remove(self, name: str) -> bool:
        """See `base.Storage`."""
        return await asyncio.to_thread(_remove, self.folder / name)

    async def move_to_trash(self, name: str) -> None:
        """See `base.Storage`."""
        await asyncio.to_thread(self._move_to_trash, self.folder / name)

    def _move_to_trash(self, path: Path) -> None:
        target = self.folder / name_in_trash(path.name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.rename(target)

    async def empty_trash(self, *, days: float) -> int:
        """See `base.Storage`."""
        return await asyncio.to_thread(self._empty_trash, days)

    def _empty_trash(self, days: float) -> int:
        removed = 0
        for folder in _list_folder(self.folder / TRASH_FOLDER):
            if has_expired(folder.name, days=days):
                files = len(_list_folder(folder))
                shutil.rmtree(folder, ignore_errors=True)
                removed += files
        return removed

    async def list_files(self) -> AsyncIterator[Sequence[StoredFile]]:
        """See `base.Storage`. Folders and links are nobody's files and are passed over."""
        async for batch in _in_batches(self._list_files):
            yield batch

    def _list_files(self) -> Iterator[StoredFile]:
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and not path.name.startswith(MARKER):
                    yield StoredFile(path.name, found.st_mtime)

    async def list_outputs(self) -> AsyncIterator[Sequence[StoredFile]]:
        """See `base.Storage`."""
        async for batch in _in_batches(self._list_outputs):
            yield batch

    def _list_outputs(self) -> Iterator[StoredFile]:
        for of_job in _list_folder(self.folder / OUTPUTS_FOLDER):
            if not of_job.is_dir() or of_job.is_symlink():
                continue
            for path in _list_folder(of_job):
                with suppress(FileNotFoundError):
                    yield StoredFile(f"{OUTPUTS_FOLDER}/{of_job.name}/{path.name}", path.lstat().st_mtime)

    async def list_outputs_of(self, job_id: uuid.UUID) -> Sequence[str]:
        """See `base.Storage`."""
        folder = name_outputs(job_id)
        return [f"{folder}/{path.name}" for path in await asyncio.to_thread(_list_folder, self.folder / folder)]

    async def remove_empty_outputs(self, *, untouched_s: float) -> int:
        """See `base.Storage`."""
        return await asyncio.to_thread(self._remove_empty_outputs, await self.read_clock() - untouched_s)

    def _remove_empty_outputs(self, oldest: float) -> int:
        removed = 0
        for of_job in _list_folder(self.folder / OUTPUTS_FOLDER):
            with suppress(OSError):  # it is not empty, or no folder
                if of_job.lstat().st_mtime < oldest:
                    of_job.rmdir()
                    removed += 1
        return removed

    async def remove_unfinished(self, *, untouched_s: float) -> int:
        """See `base.Storage`: uploads that died, which were never whole files."""
        return await asyncio.to_thread(self._remove_unfinished, await self.read_clock() - untouched_s)

    def _remove_unfinished(self, oldest: float) -> int:
        removed = 0
        for found in self._list_files():
            if found.name.endswith(PARTIAL_SUFFIX) and found.changed_at < oldest and find_job_id(found.name) is not None:
                (self.folder / found.name).unlink(missing_ok=True)
                removed += 1
        return removed

    async def read_clock(self) -> float:
        """See `base.Storage`: a file server has a clock of its own."""
        return await self._look(self._make_probe)

    async def read_marker(self) -> bytes | None:
        """See `base.Storage`."""
        return await self._look(self._read_marker)

    def _read_marker(self) -> bytes | None:
        try:
            with (self.folder / MARKER).open("rb") as file:
                return file.read(MAX_MARKER_BYTES)
        except FileNotFoundError:
            return None

    async def write_marker(self, content: bytes, *, replace: bool) -> None:
        """See `base.Storage`."""
        await asyncio.to_thread(self._write_marker, content, replace)

    def _write_marker(self, content: bytes, replace: bool) -> None:  # noqa: FBT001  # of `write_marker`
        new = self.folder / self._name_own("new")
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                new.replace(self.folder / MARKER)
            else:
                with suppress(FileExistsError):
                    self._give_name(new, self.folder / MARKER)
            sync_folder(self.folder)
        finally:
            new.unlink(missing_ok=True)

    @staticmethod
    def _give_name(new: Path, target: Path) -> None:
        try:
            os.link(new, target)
        except OSError as error:
            if error.errno not in _NO_SECOND_NAME:
                raise
            if not target.exists():
                new.rename(target)

    async def prepare(self) -> None:
        """See `base.Storage`."""
        await asyncio.to_thread(self.folder.mkdir, mode=0o700, parents=True, exist_ok=True)

    async def require_writable(self) -> None:
        """See `base.Storage`."""
        await self._look(self._make_probe)

    def _make_probe(self) -> float:
        """Make a file and remove it; return when it was made."""
        probe = self.folder / self._name_own("probe")
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            os.utime(descriptor)  # its time is set by the file system, whether it is new or not
            return os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
            probe.unlink(missing_ok=True)

    @staticmethod
    def _name_own(what: str) -> str:
        return f"{MARKER}.{what}.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}"

    async def _look(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._looking, function)

    async def measure_space(self) -> Space | None:
        """See `base.Storage`."""
        usage = await asyncio.get_running_loop().run_in_executor(self._measuring, shutil.disk_usage, self.folder)
        return Space(free_bytes=usage.free, size_bytes=usage.total)

    def restore_file(self, name: str, file: IO[bytes]) -> None:
        """See `base.Storage`."""
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
        with os.fdopen(descriptor, "wb") as target:
            while block := file.read(BLOCK_BYTES):
                target.write(block)
            target.flush()
            os.fsync(target.fileno())

    def finish_restore(self) -> None:
        """See `base.Storage`."""
        for folder, _, _ in os.walk(self.folder):
            sync_folder(Path(folder))

    async def aclose(self) -> None:
        """See `base.Storage`."""
        await self._small_files.aclose()
        for threads in (self._looking, self._measuring):
            threads.shutdown(wait=False, cancel_futures=True)


class _FolderReader:
    """See `base.FileReader`."""

    survives_removal = True

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size_bytes = os.fstat(self._file).st_size

    def read(self, size_bytes: int, *, at: int) -> bytes:
        """See `base.FileReader`."""
        return os.pread(self._file, size_bytes, at)

    def close(self) -> None:
        """See `base.FileReader`."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)


class _FolderFile:
    """See `base.AsyncFile`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    async def read(self, size_bytes: int) -> bytes:
        """See `base.AsyncFile`."""
        return await asyncio.to_thread(self._file.read, size_bytes)

    async def seek(self, position: int) -> int:
        """See `base.AsyncFile`."""
        return await asyncio.to_thread(self._file.seek, position)


def _remove(path: Path) -> bool:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return False
    return True


def _list_folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


async def _in_batches(list_all: Callable[[], Iterator[StoredFile]]) -> AsyncIterator[Sequence[StoredFile]]:
    files = list_all()
    while batch := await asyncio.to_thread(lambda: list(islice(files, LISTED_FILES))):
        yield batch

"""Files in a bucket of a store that speaks S3, through obstore: `STORAGE_URL=s3://bucket/prefix`.

Nothing here runs before the first request of a process: obstore's threads do not survive a fork.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import obstore
from obstore.store import S3Store

from shared.storage.arrival import Arrival
from shared.storage.base import AsyncFile, CheckedOut, FileReader, FileWriter, Space, StoreAway, StoredFile
from shared.storage.fetch import Fetch
from shared.storage.marker import MAX_MARKER_BYTES
from shared.storage.names import MARKER, OUTPUTS_FOLDER, TRASH_FOLDER, find_job_id, has_expired, name_in_trash, name_outputs
from shared.storage.s3_errors import explain
from shared.storage.s3_reading import ObjectFile, ObjectReader
from shared.storage.s3_unfinished import UnfinishedUploads
from shared.storage.s3_writer import PART_BYTES, ObjectWriter
from shared.storage.scratch import remove_leftovers, scratch_folder

if TYPE_CHECKING:
    from shared.storage.location import Bucket

PARTS_AT_ONCE = 3
FETCHED_BYTES = 2**20
"""Size of the pieces in which a file is fetched: each is a step of Python beside the checks."""
CONNECT_TIMEOUT = timedelta(seconds=3)
SILENCE = timedelta(seconds=20)
"""How long a store may be silent in the middle of an answer, or before it."""
REQUEST_TIMEOUT = timedelta(minutes=5)
RETRIES = 3
RETRIED_FOR = timedelta(seconds=30)
MEASURED_WITHIN_S = 3.0
"""A request may hold a connection to the database meanwhile."""


class S3Storage:
    """See `base.Storage`."""

    setting = "STORAGE_URL"
    look_every_s = 5.0
    look_timeout_s = 0.9
    writable_s = 300.0
    ages_from_start = True

    def __init__(self, bucket: Bucket, *, spill_dir: Path | None) -> None:
        self.place = bucket.url
        self._bucket, self._spill_dir = bucket, spill_dir
        self._opened: tuple[Mapping[str, str | None], S3Store] | None = None

    @property
    def _store(self) -> S3Store:
        """The client; another one after the credentials have changed."""
        options = self._bucket.list_options()
        if self._opened is None or self._opened[0] != options:
            self._opened = options, self._open(options)
        return self._opened[1]

    def _open(self, options: Mapping[str, str | None]) -> S3Store:
        given: Any = {name: value for name, value in options.items() if value is not None}
        client: Any = {"allow_http": self._bucket.allows_http, "connect_timeout": CONNECT_TIMEOUT, "read_timeout": SILENCE, "timeout": REQUEST_TIMEOUT}
        if self._bucket.ca_bundle is not None:
            try:
                client["root_certificate"] = self._bucket.ca_bundle.read_bytes()
            except OSError as error:
                raise StoreAway("AWS_CA_BUNDLE cannot be read") from error
        return S3Store(
            self._bucket.name,
            prefix=self._bucket.prefix or None,
            client_options=client,
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": RETRIED_FOR,
                "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
            },
            **given,
        )

    def open_writer(self, name: str) -> FileWriter:
        """See `base.Storage`."""
        return ObjectWriter(self._store, name)

    @asynccontextmanager
    async def make_workplace(self, name: str) -> AsyncIterator[Path]:
        """See `base.Storage`: scratch space of this machine."""
        del name
        async with self._scratch() as folder:
            yield folder

    @asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        await asyncio.to_thread(remove_leftovers, self._spill_dir)
        folder = scratch_folder(self._spill_dir)
        try:
            path = await asyncio.to_thread(folder.__enter__)
        except FileNotFoundError as error:
            raise OSError(errno.EIO, "SPILL_DIR cannot be used") from error
        try:
            yield path
        finally:
            await asyncio.to_thread(folder.__exit__, None, None, None)

    async def put_file(self, path: Path, name: str, *, headers: Mapping[str, str]) -> None:
        """See `base.Storage`."""
        with explain():
            attributes: Any = dict(headers)
            is_large = (await asyncio.to_thread(path.stat)).st_size > PART_BYTES
            await obstore.put_async(self._store, name, path, attributes=attributes, use_multipart=is_large, chunk_size=PART_BYTES, max_concurrency=4)

    @asynccontextmanager
    async def checkout(self, name: str, *, must_stop: Callable[[], bool]) -> AsyncIterator[CheckedOut]:
        """See `base.Storage`: in scratch space, fetched in ranges by threads while it is read."""
        with explain():
            size_bytes = int((await obstore.head_async(self._store, name))["size"])
        async with self._scratch() as folder:
            path = folder / name.rpartition("/")[2]
            arrival = Arrival(size_bytes, must_stop=must_stop)
            fetch = Fetch(lambda begin, end: self._stream(name, begin, end), path, arrival, parts_at_once=PARTS_AT_ONCE)
            try:
                await asyncio.to_thread(fetch.start)
                yield CheckedOut(path, arrival)
            finally:
                await asyncio.to_thread(fetch.close)

    def _stream(self, name: str, begin: int, end: int) -> Iterator[bytes]:
        with explain():
            yield from obstore.get(self._store, name, options={"range": (begin, end)}).stream(min_chunk_size=FETCHED_BYTES)

    def open_reader(self, name: str) -> FileReader:
        """See `base.Storage`."""
        return ObjectReader(self._store, name)

    @asynccontextmanager
    async def open_file(self, name: str) -> AsyncIterator[AsyncFile]:
        """See `base.Storage`."""
        yield ObjectFile(self._store, name)

    async def measure_file(self, name: str) -> int | None:
        """See `base.Storage`."""
        try:
            with explain():
                async with asyncio.timeout(MEASURED_WITHIN_S):
                    return int((await obstore.head_async(self._store, name))["size"])
        except FileNotFoundError:
            return None
        except TimeoutError as error:
            raise StoreAway("the store does not answer in time") from error

    async def sign_url(self, name: str, *, lasts_s: float) -> str | None:
        """See `base.Storage`."""
        if not self._bucket.redirects:
            return None
        with explain():
            return await obstore.sign_async(self._store, "GET", name, timedelta(seconds=lasts_s))

    async def copy(self, source: str, target: str) -> None:
        """See `base.Storage`: the store copies, without the bytes coming here."""
        with explain():
            await obstore.copy_async(self._store, source, target)

    async def remove(self, name: str) -> bool:
        """See `base.Storage`. Whether there was such an object is not asked: a store says the same of both."""
        with explain():
            await obstore.delete_async(self._store, name)
            # A name without an extension may be a folder: these have no objects of their own.
            if "." not in name:
                async for batch in obstore.list(self._store, f"{name}/"):
                    await obstore.delete_async(self._store, [found["path"] for found in batch])
        return True

    async def move_to_trash(self, name: str) -> None:
        """See `base.Storage`."""
        await self.copy(name, name_in_trash(name))
        await self.remove(name)

    async def empty_trash(self, *, days: float) -> int:
        """See `base.Storage`."""
        removed = 0
        with explain():
            listed = await obstore.list_with_delimiter_async(self._store, TRASH_FOLDER)
            for folder in listed["common_prefixes"]:
                if has_expired(folder.rstrip("/").rpartition("/")[2], days=days):
                    async for batch in obstore.list(self._store, folder):
                        await obstore.delete_async(self._store, [found["path"] for found in batch])
                        removed += len(batch)
        return removed

    async def list_files(self) -> AsyncIterator[Sequence[StoredFile]]:
        """See `base.Storage`. Names come in their order, and those of jobs begin with a hexadecimal digit, before the folders."""
        async for batch in self._list(None):
            yield [found for found in batch if find_job_id(found.name) is not None]
            if batch and batch[-1].name >= f"{OUTPUTS_FOLDER}/":
                return

    async def list_outputs(self) -> AsyncIterator[Sequence[StoredFile]]:
        """See `base.Storage`."""
        async for batch in self._list(f"{OUTPUTS_FOLDER}/"):
            yield [found for found in batch if found.name.count("/") == 2]  # noqa: PLR2004  # outputs, the job's id, the file

    async def _list(self, prefix: str | None) -> AsyncIterator[Sequence[StoredFile]]:
        with explain():
            async for batch in obstore.list(self._store, prefix, chunk_size=1000):
                yield [StoredFile(found["path"], found["last_modified"].timestamp()) for found in batch]

    async def list_outputs_of(self, job_id: uuid.UUID) -> Sequence[str]:
        """See `base.Storage`."""
        return [found.name async for batch in self._list(f"{name_outputs(job_id)}/") for found in batch]

    async def remove_empty_outputs(self, *, untouched_s: float) -> int:
        """See `base.Storage`: a bucket has no folders."""
        del untouched_s
        return 0

    async def remove_unfinished(self, *, untouched_s: float) -> int:
        """See `base.Storage`: multipart uploads that were neither completed nor aborted, whose parts cost as much as an object."""
        now = await self.read_clock()
        # Probes of processes that were killed between writing and removing one. Their names come before all others.
        async for batch in self._list(None):
            for found in batch:
                if found.name.startswith(f"{MARKER}.probe.") and now - found.changed_at >= untouched_s:
                    await self.remove(found.name)
            break
        return await UnfinishedUploads(self._bucket).abort_untouched(untouched_s=untouched_s, now=now)

    async def read_clock(self) -> float:
        """See `base.Storage`: when the store says that it wrote an object now."""
        probe = self._name_probe()
        with explain():
            await obstore.put_async(self._store, probe, b"")
            found = await obstore.head_async(self._store, probe)
            await obstore.delete_async(self._store, probe)
        return float(found["last_modified"].timestamp())

    async def read_marker(self) -> bytes | None:
        """See `base.Storage`."""
        try:
            with explain():
                found = await obstore.get_async(self._store, MARKER)
                return bytes(await found.bytes_async())[:MAX_MARKER_BYTES]
        except FileNotFoundError:
            return None

    async def write_marker(self, content: bytes, *, replace: bool) -> None:
        """See `base.Storage`: by a conditional write, unless `replace`."""
        with suppress(FileExistsError), explain():
            await obstore.put_async(self._store, MARKER, content, mode="overwrite" if replace else "create")

    async def prepare(self) -> None:
        """See `base.Storage`: a bucket is made by whoever pays for it."""

    async def require_writable(self) -> None:
        """See `base.Storage`."""
        probe = self._name_probe()
        with explain():
            await obstore.put_async(self._store, probe, b"")
            await obstore.delete_async(self._store, probe)

    @staticmethod
    def _name_probe() -> str:
        return f"{MARKER}.probe.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"

    async def measure_space(self) -> Space | None:
        """See `base.Storage`."""
        return None

    def restore_file(self, name: str, file: IO[bytes]) -> None:
        """See `base.Storage`."""
        with explain():
            with suppress(FileNotFoundError):
                obstore.head(self._store, name)
                raise FileExistsError(errno.EEXIST, "there is such a file already", name)
            obstore.put(self._store, name, iter(lambda: file.read(PART_BYTES), b""), use_multipart=True, chunk_size=PART_BYTES, max_concurrency=2)

    def finish_restore(self) -> None:
        """See `base.Storage`: an object is durable when the store has confirmed it."""

    async def aclose(self) -> None:
        """See `base.Storage`."""
        self._opened = None

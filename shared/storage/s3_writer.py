"""Write bytes to an object as they arrive: in one put if they are few, else in parts that are sent meanwhile."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import obstore

from shared.storage.base import CountingWriter
from shared.storage.s3_errors import explain

if TYPE_CHECKING:
    from obstore.store import S3Store

PART_BYTES = 5 * 2**20
"""The least that S3 allows for all parts but the last ("Amazon S3 multipart upload limits"); a file may have 10,000 parts, so at most 50 GB."""
PARTS_AT_ONCE = 2
DISCARD_S = 0.5
"""How long an answer waits for an upload to be aborted; what takes longer goes on beside it, and a request whose time is up has a second left."""

_hashers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="upload-hasher")
_discarding: set[asyncio.Future[Any]] = set()


class _Abandoned(Exception):  # it tells obstore to abort
    """The upload is not to be completed."""


class ObjectWriter(CountingWriter):
    """See `base.FileWriter`. It holds up to two parts in Python and `PARTS_AT_ONCE` in the client; a store that is slower than the network slows that down."""

    def __init__(self, store: S3Store, name: str) -> None:
        super().__init__()
        self._store, self._name = store, name
        self._pieces: list[memoryview] = []
        self._queued_bytes = 0
        self._hash = hashlib.sha256()
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=1)
        self._sending: asyncio.Future[Any] | None = None
        self._is_abandoned = False

    def take(self, data: memoryview) -> None:
        """See `base.FileWriter`."""
        self._count(data)
        self._queued_bytes += len(data)
        self._pieces.append(data)

    async def drain(self) -> None:
        """See `base.FileWriter`."""
        if self._queued_bytes >= PART_BYTES:
            await self._hand_over(await self._join())

    async def finish(self) -> str:
        """See `base.FileWriter`."""
        await self.drain()
        rest = await self._join()
        await asyncio.get_running_loop().run_in_executor(_hashers, self._hash.update, rest)
        with explain():
            if self._sending is None:
                self._sending = asyncio.ensure_future(obstore.put_async(self._store, self._name, rest, use_multipart=False))
            else:
                if rest:
                    await self._put(rest)
                await self._put(None)
            await asyncio.shield(self._sending)
        return self._hash.hexdigest()

    async def discard(self) -> None:
        """See `base.FileWriter`."""
        self._pieces.clear()
        self._queued_bytes = 0
        if self._sending is None:
            return
        self._is_abandoned = True
        # Whoever sends may be waiting for a part; then it sees that there will be none.
        with suppress(asyncio.QueueFull):
            self._parts.put_nowait(None)
        discarding = asyncio.ensure_future(self._remove(self._sending))
        _discarding.add(discarding)
        discarding.add_done_callback(_discarding.discard)
        await asyncio.wait({discarding}, timeout=DISCARD_S)

    async def _remove(self, sending: asyncio.Future[Any]) -> None:
        """Wait until the upload has ended, and remove its object: one that failed may have been stored. The sweep does what cannot be done now."""
        await asyncio.wait({sending})
        if not sending.cancelled():
            sending.exception()
        with suppress(Exception):
            await obstore.delete_async(self._store, self._name)

    async def _join(self) -> bytes:
        """Return what is queued as one, without keeping the event loop from others."""
        pieces, self._pieces, self._queued_bytes = self._pieces, [], 0
        if len(pieces) == 1 and isinstance(pieces[0].obj, bytes) and len(pieces[0]) == len(pieces[0].obj):
            return pieces[0].obj
        return await asyncio.get_running_loop().run_in_executor(_hashers, b"".join, pieces)

    async def _hand_over(self, part: bytes) -> None:
        await asyncio.get_running_loop().run_in_executor(_hashers, self._hash.update, part)
        if self._sending is None:
            self._sending = asyncio.ensure_future(
                obstore.put_async(self._store, self._name, self._list_parts(), use_multipart=True, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE)
            )
        with explain():
            await self._put(part)

    async def _put(self, part: bytes | None) -> None:
        """Wait until the part is taken. Raises whatever sending raised."""
        assert self._sending is not None
        putting = asyncio.ensure_future(self._parts.put(part))
        try:
            await asyncio.wait({putting, self._sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if self._sending.done():
            self._sending.result()

    async def _list_parts(self) -> AsyncIterator[bytes]:
        while True:
            part = await self._parts.get()
            if self._is_abandoned:
                raise _Abandoned
            if part is None:
                return
            yield part

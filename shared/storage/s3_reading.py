"""Read an object in pieces: from any place for what searches in it, or from one place on for a client that it is sent to."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import obstore

from shared.storage.s3_errors import NothingThere, explain

if TYPE_CHECKING:
    from obstore.store import S3Store

PAGE_BYTES = 2**16
PAGES_KEPT = 64
STREAM_BYTES = 2**18
SENT_BYTES = 32 * 2**20
"""One request for a file that is sent to a client, at whose speed it is answered, and which has to end in `s3.REQUEST_TIMEOUT`."""


class ObjectReader:
    """See `base.FileReader`. Small pieces come from pages, of which the last ones are kept: an index is searched by small steps near each other."""

    survives_removal = False

    def __init__(self, store: S3Store, name: str) -> None:
        self._store, self._name = store, name
        with explain():
            self.size_bytes = int(obstore.head(store, name)["size"])
        self._read_page = lru_cache(maxsize=PAGES_KEPT)(self._fetch_page)

    def read(self, size_bytes: int, *, at: int) -> bytes:
        """See `base.FileReader`."""
        end = min(at + size_bytes, self.size_bytes)
        if at >= end:
            return b""
        if end - at >= PAGE_BYTES:
            return self._fetch(at, end)
        first, last = at // PAGE_BYTES, (end - 1) // PAGE_BYTES
        pages = b"".join(self._read_page(number) for number in range(first, last + 1))
        return pages[at - first * PAGE_BYTES : end - first * PAGE_BYTES]

    def _fetch_page(self, number: int) -> bytes:
        return self._fetch(number * PAGE_BYTES, min((number + 1) * PAGE_BYTES, self.size_bytes))

    def _fetch(self, begin: int, end: int) -> bytes:
        with explain():
            return bytes(obstore.get_range(self._store, self._name, start=begin, end=end))

    def close(self) -> None:
        """See `base.FileReader`."""
        self._read_page.cache_clear()


class ObjectFile:
    """See `base.AsyncFile`: a request for each `SENT_BYTES`, of which no more is received than is read."""

    def __init__(self, store: S3Store, name: str) -> None:
        self._store, self._name = store, name
        self._at = 0
        self._stream: Any = None
        self._asked_to = 0
        self._has_ended = False
        self._rest = b""

    async def read(self, size_bytes: int) -> bytes:
        """See `base.AsyncFile`."""
        pieces, size = [self._rest], len(self._rest)
        while size < size_bytes and (piece := await self._receive(self._at + size)):
            pieces.append(piece)
            size += len(piece)
        data = b"".join(pieces) if len(pieces) > 1 else pieces[0]
        self._rest = data[size_bytes:]
        self._at += min(size_bytes, len(data))
        return data[:size_bytes]

    async def _receive(self, position: int) -> bytes:
        """Return some bytes from the position on, up to which all have been received; none at the end."""
        while not self._has_ended:
            try:
                with explain():
                    if self._stream is None:
                        self._asked_to = position + SENT_BYTES
                        found = await obstore.get_async(self._store, self._name, options={"range": (position, self._asked_to)})
                        self._stream = aiter(found.stream(min_chunk_size=STREAM_BYTES))
                    piece = bytes(await anext(self._stream, b""))
            except NothingThere:
                piece, self._asked_to = b"", position + 1
            if piece:
                return piece
            self._stream = None
            self._has_ended = position < self._asked_to
        return b""

    async def seek(self, position: int) -> int:
        """See `base.AsyncFile`."""
        if position != self._at:
            self._at, self._stream, self._rest, self._has_ended = position, None, b"", False
        return position

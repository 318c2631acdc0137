"""Large reads for an HTTP protocol: asyncio's transports would copy every 256 KB that they read."""

from __future__ import annotations

import threading
from asyncio import BufferedProtocol
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_READ_BYTES = 512 * 1024
MIN_READ_BYTES = 64 * 1024
READ_BYTES_OF_ALL = 12 * 2**20
"""Read size divided among all connections: each holds about as much memory as its last read, and a body in fewer pieces takes less work."""


class _Buffer(threading.local):
    """The read buffer of this thread's event loop; one is enough, because data is handed on before anything else is read."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(MAX_READ_BYTES))


_buffer = _Buffer()


class BufferedReads(BufferedProtocol):
    """Stands between the transport and `protocol` to read into one shared buffer; otherwise the transport would make a copy of every 256 KB."""

    def __init__(self, protocol: HttpToolsProtocol) -> None:
        self._protocol = protocol

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # asyncio's own
        """Return the buffer to read into, sized to this connection's share."""
        share = READ_BYTES_OF_ALL // max(1, len(self._protocol.connections))
        return _buffer.view[: min(MAX_READ_BYTES, max(MIN_READ_BYTES, share))]

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that were read; the parser copies what it hands on."""
        self._protocol.data_received(_buffer.view[:nbytes])  # type: ignore[arg-type]  # a memoryview does as well as bytes here

    def eof_received(self) -> None:
        """The client sends nothing more."""
        self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """The client has read enough."""
        self._protocol.resume_writing()

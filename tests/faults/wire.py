"""A proxy between the service and its broker that can go silent, so that connections are dead without either end being told."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(eq=False)
class _Link:
    """One connection, with both its ends."""

    ends: list[asyncio.StreamWriter] = field(default_factory=list)
    is_silent: bool = False


class Wire:
    """Listens on 127.0.0.1 and forwards everything to `target_port`, in a separate thread."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        self.port = 0
        self.plug()

    def plug(self) -> None:
        """Accept connections, on the same port as before."""
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def unplug(self) -> None:
        """Refuse connections, like a machine on which nothing listens; existing ones end when the target ends them."""
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)

    def fall_silent(self) -> int:
        """Stop forwarding on all existing connections but keep them open; new ones work. Returns how many were silenced."""

        async def silence() -> int:
            for link in self._links:
                link.is_silent = True
            return len(self._links)

        return asyncio.run_coroutine_threadsafe(silence(), self._loop).result(10)

    def close(self) -> None:
        """Cut everything and end the thread."""

        async def cut() -> None:
            if self._server is not None:
                self._server.close()
            running = asyncio.all_tasks() - {asyncio.current_task()}
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(cut(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self.port)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link([writer, far_writer])
        self._links.add(link)
        try:
            await asyncio.gather(self._pass_on(link, reader, far_writer), self._pass_on(link, far_reader, writer))
        except asyncio.CancelledError:
            return  # `close` cuts everything; asyncio would print a traceback for each connection
        finally:
            self._links.discard(link)
            for end in link.ends:
                end.transport.abort()

    async def _pass_on(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if not link.is_silent:
                    writer.write(data)
                    await writer.drain()
        if not link.is_silent:  # a closed end is passed on too
            writer.transport.abort()

"""Receivers of every kind in a separate process: `python -m tests.features.webhooks.receivers FOLDER`.

The path of a request says how its receiver behaves. `FOLDER` holds a certificate and its key for each TLS port, as `NAME.pem`. Prints its ports as one
line of JSON; `GET /heard/ID` returns what came with this webhook-id. Ends when its input ends.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

Write = Callable[[bytes], Awaitable[None]]


def answer(status: int, body: bytes = b"", *lines: str, length: int | None = None) -> bytes:
    head = [f"HTTP/1.1 {status} X", f"content-length: {len(body) if length is None else length}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


async def drip(write: Write, data: bytes) -> None:
    for byte in data:
        await write(bytes([byte]))
        await asyncio.sleep(0.05)


async def drip_head(write: Write) -> None:
    await drip(write, answer(200, b"thanks", *(f"x-line-{n}: {n}" for n in range(100))))


async def drip_body(write: Write) -> None:
    await write(answer(200, length=1000))
    await drip(write, b"." * 1000)


async def stream_for_ever(write: Write) -> None:
    await write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await write(b"." * 4096)


async def hang(_: Write) -> None:
    await asyncio.sleep(3600)


def say(data: bytes) -> Callable[[Write], Awaitable[None]]:
    async def act(write: Write) -> None:
        await write(data)

    return act


SOON = format_datetime(datetime.now(UTC) + timedelta(days=30), usegmt=True)
ACTS: dict[str, Callable[[Write], Awaitable[None]]] = {
    "answer": say(answer(200, b"thanks")),
    "binary": say(answer(200, b"\x00\xff<p>")),
    "kilobytes": say(answer(200, b"ab" * 2048)),
    "hint-first": say(b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n" + answer(200, b"thanks")),
    "until-close": say(b"HTTP/1.0 200 OK\r\n\r\nthanks"),
    "says-less": say(answer(200, b"thanks and more", length=6)),
    "gzip": say(answer(200, b"\x1f\x8bno gzip at all", "content-encoding: gzip")),
    "redirect": say(answer(302, b"", "location: /answer")),
    "redirect-forever": say(answer(307, b"", "location: /redirect-forever")),
    "wait": say(answer(503, b"", "retry-after: 7")),
    "wait-until": say(answer(429, b"", f"retry-after: {SOON}")),
    "hang": hang,
    "drip-head": drip_head,
    "drip-body": drip_body,
    "stream": stream_for_ever,
    "says-more": say(answer(200, b"thanks", length=1000)),
    "close": say(b""),
    "half-a-head": say(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "no-http": say(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "huge-header": say(answer(200, b"thanks", "x-huge: " + "a" * 500_000)),
    "many-headers": say(answer(200, b"thanks", *(f"x-{n}: {n}" for n in range(20_000)))),
    "two-lengths": say(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    "reset": hang,
}


class Receivers:
    def __init__(self) -> None:
        self.heard: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str | None] = {}

    async def open(self, context: ssl.SSLContext | None, *, name: str = "") -> int:
        if context is not None:
            context.sni_callback = lambda _tls, asked, _context: self._names.update({name: asked})

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._handle(reader, writer, name)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split(" ", 2)
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)}
        if method == "GET":
            writer.write(answer(200, json.dumps(self.heard.get(target.rpartition("/")[2])).encode(), "connection: close"))
            await writer.drain()
            return
        body = await reader.readexactly(int(headers["content-length"]))
        heard = self.heard.setdefault(headers["webhook-id"], {"count": 0, "taken": 0, "sni": self._names.get(name)})
        heard.update(target=target, headers=headers, body=body.decode(), count=heard["count"] + 1)
        act = target.strip("/").partition("?")[0]
        if act == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()
            heard["taken"] += len(data)

        with suppress(ConnectionError):
            await ACTS[act](write)


async def main() -> None:
    receivers = Receivers()
    ports = {"http": await receivers.open(None)}
    for path in Path(sys.argv[1]).glob("*.pem"):  # noqa: ASYNC240  # before any client is served
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        ports[path.stem] = await receivers.open(context, name=path.stem)
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

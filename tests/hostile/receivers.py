"""Receivers whose answers have no end, in a process of their own: `python -m tests.hostile.receivers` prints its port and ends with its input."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"
ENDLESS = {
    "interim-flood": (b"", INTERIM * 1000),
    "status-line": (b"HTTP/1.1 200 ", b"O" * 10_000),
    "header": (OK + b"x: ", b"y" * 10_000),
    "headers": (OK, b"x-header: value\r\n" * 1000),
    "short-headers": (OK, b"a:\r\n" * 4000),
    "body": (OK + b"\r\n", b"\x1b[2J\n" * 2000),
    "tiny-chunks": (CHUNKED, b"1\r\nx\r\n" * 2000),
    "chunk-extension": (CHUNKED + b"1;a=", b"b" * 10_000),
    "trailers": (CHUNKED + b"0\r\n", b"x-trailer: value\r\n" * 1000),
}
DRIPPING = {"interim-drip": INTERIM, "drip-head": b"H"}
WHOLE = {
    "thanks": OK + b"content-length: 6\r\n\r\nthanks",
    "few-interim": INTERIM * 5 + OK + b"content-length: 6\r\n\r\nthanks",
    "binary": OK + b"content-length: 1024\r\n\r\n" + bytes(range(256)) * 4,
    "retry-after-a-far-year": OK + b"retry-after: Mon, 01 Jan 99999999999999999999 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n",
    "retry-after-a-far-zone": OK + b"retry-after: Mon, 01 Jan 2024 00:00:00 +99999999999999999999\r\ncontent-length: 0\r\n\r\n",
    "retry-after-long": OK + b"retry-after: " + b"9" * 20_000 + b"\r\ncontent-length: 0\r\n\r\n",
    "long-reason": b"HTTP/1.1 200 " + b"O" * 20_000 + b"\r\ncontent-length: 0\r\n\r\n",
}


def write_answer(act: str) -> Iterator[bytes]:
    if act in ENDLESS:
        begin, more = ENDLESS[act]
        yield begin
        yield from repeat(more)
    else:
        yield WHOLE[act]


async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        act = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode().strip("/")
        if act in DRIPPING:
            while True:
                writer.write(DRIPPING[act])
                await writer.drain()
                await asyncio.sleep(0.2)
        for data in write_answer(act):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main() -> None:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())

"""Send requests of many clients at once, from a separate process: `python -m bench.run_load URL LOAD`, where LOAD is `Load` as JSON.

It uses plain sockets on one event loop and one prepared request for all: a client library would cost more than the server that is measured.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

BOUNDARY = "bench-boundary"
PIECE_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load to send."""

    clients: int
    """Number of clients; each keeps one connection."""
    file: str | None = None
    """The file that each request uploads; None sends requests without a body."""
    bytes_per_s: float | None = None
    """The rate of all clients together, shared evenly; None sends as fast as the server accepts."""
    requests: int = 1
    """The least number of requests that each client sends, one after another."""
    seconds: float = 0.0
    """How long each client keeps starting further requests."""


@dataclass(frozen=True, slots=True)
class _Done:
    wall_s: float
    after_last_byte_s: float


class _Refused(Exception):
    """An answer other than 202; the message has its status and body."""


def prepare_request(url: str, load: Load) -> memoryview:
    """Return the head and body of the request that all clients send."""
    target = urlsplit(url)
    body, content_type = b"", "application/octet-stream"
    if load.file is not None:
        path = Path(load.file)
        part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\nContent-Type: text/csv\r\n\r\n'
        body, content_type = part.encode() + path.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"
    head = f"POST {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return memoryview(head.encode() + body)


async def read_answer(connection: socket.socket) -> tuple[int, bytes]:
    """Read one answer to the end of its Content-Length; return its status and body."""
    loop, received = asyncio.get_running_loop(), b""
    while (head := received.partition(b"\r\n\r\n"))[1] == b"" or len(head[2]) < _find_length(head[0]):
        data = await loop.sock_recv(connection, 65536)
        if not data:
            raise ConnectionError(f"The server closed the connection after {received!r}.")
        received += data
    return int(received.split(b" ", 2)[1]), head[2]


def _find_length(head: bytes) -> int:
    fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return next((int(value) for name, _, value in fields if name.strip().lower() == b"content-length"), 0)


async def open_connection(url: str) -> socket.socket:
    """Open a non-blocking connection that sends without delay (TCP_NODELAY)."""
    target = urlsplit(url)
    connection = socket.socket()
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(connection, (str(target.hostname), int(target.port or 80)))
    return connection


async def send_load(url: str, load: Load) -> Mapping[str, Any]:
    """Send the load; return the times in total and for each request answered with 202, and the failures of the others with their counts."""
    request = prepare_request(url, load)
    begun = time.monotonic()
    done: list[_Done] = []
    failures: Counter[str] = Counter()

    async def run_client() -> None:
        connection = await open_connection(url)
        with connection:
            sent = 0
            while sent < load.requests or time.monotonic() < begun + load.seconds:
                sent += 1
                try:
                    done.append(await _send_one(connection, request, load))
                except (_Refused, ConnectionError) as failure:
                    # The server closes the connection of a request that it refused, so this client stops.
                    failures[f"{type(failure).__name__} {failure}"] += 1
                    return

    async with asyncio.TaskGroup() as clients:
        for _ in range(load.clients):
            clients.create_task(run_client())
    ended = time.monotonic()
    return {
        "wall_s": ended - begun,
        "cpu_s": time.process_time(),
        "walls_s": [each.wall_s for each in done],
        "failures": failures,
        "after_last_byte_s": [each.after_last_byte_s for each in done],
    }


async def _send_one(connection: socket.socket, request: memoryview, load: Load) -> _Done:
    loop, begun = asyncio.get_running_loop(), time.monotonic()
    for start in range(0, len(request), PIECE_BYTES):
        if load.bytes_per_s is not None:
            await asyncio.sleep(begun + start * load.clients / load.bytes_per_s - time.monotonic())
        await loop.sock_sendall(connection, request[start : start + PIECE_BYTES])
    sent = time.monotonic()
    status, body = await read_answer(connection)
    ended = time.monotonic()
    if status != 202:
        raise _Refused(f"{status} {body.decode(errors='replace')}")
    return _Done(wall_s=ended - begun, after_last_byte_s=ended - sent)


if __name__ == "__main__":
    json.dump(asyncio.run(send_load(sys.argv[1], Load(**json.loads(sys.argv[2])))), sys.stdout)

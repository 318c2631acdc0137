"""GET one URL again and again until standard input ends, from a separate process: `python -m bench.run_prober URL`.

Requests start at fixed times, whether or not earlier ones were answered, so a server that stalls cannot hide how many would have waited. Every second
request uses a new connection, and opening it counts; the others use a free one of several kept connections, so that each process of the server gets its
share.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bench.run_load import open_connection, read_answer

PER_SECOND = 50
KEPT_CONNECTIONS = 8
READY = "ready"


@dataclass
class _Prober:
    url: str
    free: list[socket.socket] = field(default_factory=list)
    asked: list[tuple[float, float, bool, int, float]] = field(default_factory=list)
    """For each request: when it was sent, seconds to its whole answer, whether on a new connection, status, and how late it was sent."""

    async def ask(self, due: float, *, is_new: bool) -> None:
        """Send one request and record it; a failure has status 0."""
        begun = time.monotonic()
        connection: socket.socket | None = self.free.pop(0) if self.free and not is_new else None
        status = 0
        try:
            connection = connection or await open_connection(self.url)
            target = urlsplit(self.url)
            request = f"GET {target.path} HTTP/1.1\r\nHost: {target.netloc}\r\n{'Connection: close' if is_new else 'Connection: keep-alive'}\r\n\r\n"
            await asyncio.get_running_loop().sock_sendall(connection, request.encode())
            status, _ = await read_answer(connection)
        except OSError:
            pass
        finally:
            self.asked.append((begun, time.monotonic() - begun, is_new, status, begun - due))
            if connection is not None and (is_new or status == 0 or len(self.free) >= KEPT_CONNECTIONS):
                connection.close()
            elif connection is not None:
                self.free.append(connection)


async def probe(url: str) -> Mapping[str, Any]:
    """Send requests until standard input ends; return them as columns, with times in seconds of the machine's monotonic clock."""
    prober = _Prober(url)
    prober.free = [await open_connection(url) for _ in range(KEPT_CONNECTIONS)]
    stop = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(READY, flush=True)
    begun, number = time.monotonic(), 0
    async with asyncio.TaskGroup() as requests:
        while not stop.done():
            due = begun + number / PER_SECOND
            await asyncio.sleep(due - time.monotonic())
            requests.create_task(prober.ask(due, is_new=bool(number % 2)))
            number += 1
    for connection in prober.free:
        connection.close()
    names = ("at", "wall_s", "is_new", "status", "late_s")
    return {name: [each[index] for each in prober.asked] for index, name in enumerate(names)}


if __name__ == "__main__":
    json.dump(asyncio.run(probe(sys.argv[1])), sys.stdout)

"""Webhook receivers for the bench: `python -m bench.run_receiver ANSWERING HANGING` opens that many ports of each kind.

Prints one line of JSON with the ports, and another when its input ends: when each job's first webhook arrived, as a Unix timestamp.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


class Receivers:
    """The servers of this process, and when each job's first webhook arrived."""

    def __init__(self) -> None:
        self.heard: dict[str, float] = {}
        self._servers: list[asyncio.Server] = []

    async def open(self, count: int, *, hangs: bool) -> list[int]:
        """Open `count` more receivers and return their ports."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                body = json.loads(await reader.readexactly(int(length.partition(b":")[2])))
                self.heard.setdefault(body["job_id"], time.time())
                if hangs:
                    await reader.read()
                else:
                    writer.write(ANSWER)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            finally:
                writer.close()

        opened = [await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024) for _ in range(count)]
        self._servers += opened
        return [server.sockets[0].getsockname()[1] for server in opened]


async def main() -> None:
    """Receive until standard input ends."""
    answering, hanging = (int(argument) for argument in sys.argv[1:])
    receivers = Receivers()
    ports = {"answering": await receivers.open(answering, hangs=False), "hanging": await receivers.open(hanging, hangs=True)}
    print(json.dumps(ports), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    print(json.dumps(receivers.heard), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

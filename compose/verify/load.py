"""Clients that go on while containers are replaced: one polls 20 times a second, one uploads without a pause, one listens to events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from compose.verify.jobs import make_csv
from compose.verify.stack import Unproven, require, say

POLL_EVERY_S = 0.05
POLLS_PER_S = 5
"""How many polls have to be answered in a second on average; a machine that is busy building images does not get to all of them."""
PATIENCE_S = 180.0
"""How long a client waits for an answer."""


class ClientThread(threading.Thread):
    """A thread of clients whose exception is kept, so that clients that have ended early are not taken for clients that saw no failure."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._exception: BaseException | None = None

    def run(self) -> None:
        """Do the work."""
        try:
            self._work()
        except BaseException as exception:  # noqa: BLE001  # told by `require_ended`
            self._exception = exception

    def require_ended(self, what: str) -> None:
        """Raise `Unproven` unless the work has ended, and without an exception."""
        require(not self.is_alive(), f"The clients did not end within {PATIENCE_S:.0f} s after {what}.")
        if self._exception is not None:
            raise Unproven(f"The clients broke down during {what}: {self._exception!r}") from self._exception


@dataclass
class Requests:
    """What became of the requests of one kind."""

    answered: int = 0
    longest_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    def note(self, begun: float, problem: str | None) -> None:
        """Count a request that was begun at `begun`."""
        self.longest_s = max(self.longest_s, time.monotonic() - begun)
        if problem is None:
            self.answered += 1
        else:
            self.failures.append(f"{problem} after {time.monotonic() - begun:.1f} s")


class Clients:
    """The three clients of one job."""

    def __init__(self, url: str, job_id: str) -> None:
        self.polls, self.uploads, self.streams = Requests(), Requests(), Requests()
        self._url = url
        self._job = f"/api/jobs/{job_id}"
        self._over = threading.Event()

    def stop(self) -> None:
        """Send no more requests."""
        self._over.set()

    def run(self) -> None:
        """Send requests until `stop` is called, and wait for the answers."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE_S, limits=limits) as client, asyncio.TaskGroup() as group:
            listener = group.create_task(self._listen(client))
            uploader = group.create_task(self._upload(client))
            while not self._over.is_set():
                group.create_task(self._request(self.polls, client.build_request("GET", self._job), client))
                await asyncio.sleep(POLL_EVERY_S)
            await uploader
            listener.cancel()

    async def _request(self, counted: Requests, request: httpx.Request, client: httpx.AsyncClient) -> None:
        begun = time.monotonic()
        problem = None
        try:
            answer = await client.send(request)
            problem = None if answer.is_success else f"{answer.status_code}: {answer.text}"
        except httpx.HTTPError as error:
            problem = repr(error)
        counted.note(begun, problem)

    async def _upload(self, client: httpx.AsyncClient) -> None:
        while not self._over.is_set():
            body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n' + make_csv(1000) + b"\r\n--x--\r\n"
            headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(len(body))}
            request = client.build_request("POST", "/api/files/upload", content=send_slowly(body), headers=headers)
            await self._request(self.uploads, request, client)

    async def _listen(self, client: httpx.AsyncClient) -> None:
        """Listen as a browser does: whenever a stream ends, open the next one."""
        while True:
            begun = time.monotonic()
            problem = None
            try:
                async with client.stream("GET", "/api/events") as answer:
                    problem = None if answer.is_success else f"{answer.status_code}"
                    async for _ in answer.aiter_bytes():
                        self.streams.longest_s = max(self.streams.longest_s, time.monotonic() - begun)
                        begun = time.monotonic()
            except httpx.HTTPError as error:
                problem = repr(error)
            self.streams.note(begun, problem)
            await asyncio.sleep(0.2)


async def send_slowly(body: bytes) -> AsyncIterator[bytes]:
    """Send a body within two seconds, in eight pieces."""
    size = len(body) // 7
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(0.25)


@contextmanager
def clients_running(url: str, job_id: str, what: str) -> Iterator[Clients]:
    """Let the clients run for the block; afterwards say what they saw. Raises `Unproven` if any request failed, or too few were sent."""
    clients = Clients(url, job_id)
    thread = ClientThread(clients.run)
    begun = time.monotonic()
    thread.start()
    try:
        yield clients
    finally:
        clients.stop()
        elapsed_s = time.monotonic() - begun
        thread.join(PATIENCE_S)
    kinds = {"polls": clients.polls, "uploads": clients.uploads, "event streams": clients.streams}
    for name, seen in kinds.items():
        say(f"  {what}: {seen.answered} {name} answered, {len(seen.failures)} failed; the longest took {1000 * seen.longest_s:.0f} ms")
    failures = [f"{name}: {failure}" for name, seen in kinds.items() for failure in seen.failures]
    require(not failures, f"Requests failed during {what}:\n  " + "\n  ".join(failures[:20]))
    thread.require_ended(what)
    for name, least in (("polls", elapsed_s * POLLS_PER_S), ("uploads", 1), ("event streams", 1)):
        answered = kinds[name].answered
        require(answered >= least, f"Only {answered} {name} were answered during {what}, which took {elapsed_s:.0f} s; at least {least:.0f} were expected.")

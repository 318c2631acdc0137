"""Two observers of a stack: one records the progress of jobs, the other receives their webhooks."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections import defaultdict
from typing import Any

import asyncpg

POLL_S = 0.1
_LOOK = """
SELECT id::text, attempt, progress, rows_processed FROM jobs
WHERE deleted_at IS NULL AND (status = 'PROCESSING' OR completed_at > now() - interval '3 seconds')
"""


class ProgressWatch:
    """Polls every running job in a separate thread; goes on when the database comes back."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._highest: dict[tuple[str, int], tuple[int, int]] = {}
        self._falls: list[tuple[str, int, tuple[int, int], tuple[int, int]]] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), name="progress-watch", daemon=True)
        self._thread.start()

    def falls(self) -> list[tuple[str, int, tuple[int, int], tuple[int, int]]]:
        """Job, attempt, and the progress before and after, for each time that progress fell within one attempt."""
        return list(self._falls)

    def close(self) -> None:
        self._done.set()
        self._thread.join(10)

    async def _watch(self) -> None:
        while not self._done.is_set():
            try:
                await self._look_until_done()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(POLL_S)

    async def _look_until_done(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=2)
        try:
            while not self._done.is_set():
                for row in await connection.fetch(_LOOK, timeout=5):
                    self._note(row["id"], row["attempt"], (row["progress"], row["rows_processed"]))
                await asyncio.sleep(POLL_S)
        finally:
            connection.terminate()

    def _note(self, job_id: str, attempt: int, seen: tuple[int, int]) -> None:
        before = self._highest.get((job_id, attempt), (0, 0))
        if seen[0] < before[0] or seen[1] < before[1]:
            self._falls.append((job_id, attempt, before, seen))
        self._highest[job_id, attempt] = seen


class WebhookReceiver:
    """Answers 200 to every webhook and remembers it."""

    def __init__(self) -> None:
        told: list[tuple[str, dict[str, Any]]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                told.append((self.headers["webhook-id"], body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._told = told
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="webhooks", daemon=True).start()

    def list_told(self) -> dict[str, dict[str, str]]:
        """Return the events received for each job, by their webhook-id; an event that came twice counts once."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        for delivery_id, body in list(self._told):
            found[body["job_id"]][delivery_id] = body["type"]
        return found

    def count(self, job_id: str) -> int:
        """Return how many requests came for a job."""
        return sum(body["job_id"] == job_id for _, body in list(self._told))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

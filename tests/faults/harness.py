"""A whole service whose parts can be killed, stopped and cut off one by one, and the questions that every fault must answer."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from compose.processes import Child, Command, wait_until
from compose.services import Service, free_port, start_postgres, start_valkey
from shared.broker import create_celery
from shared.settings import Settings

ROOT = Path(__file__).parent.parent.parent
IS_LONG = "FAULT_SEEDS" in os.environ
"""Whether this is `make faults`, and not the short form within `make test`."""
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
LEASE_S = 3.0
FAST = {
    "JOB_LEASE_S": str(LEASE_S),
    "PROGRESS_INTERVAL_S": "0.2",
    "CHUNK_ROWS": "100",
    "WORKER_SHUTDOWN_TIMEOUT_S": "0.5",
    "MIN_FREE_DISK_BYTES": "0",
    "LOG_FORMAT": "text",
    "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true",
}
Place = tuple[int, int | None, str, str | None]


@dataclass(frozen=True)
class Sample:
    """A file and all that is wrong with it."""

    content: bytes
    rows: int
    errors: frozenset[Place]


def make_sample(rows: int, *, seed: int = 1, bad_share: float = 0.02) -> Sample:
    """A CSV file of `rows` records with bad cells at known places."""
    chance = random.Random(seed)
    lines, errors = ["id,name,born"], set()
    for row in range(2, rows + 2):
        cells: list[str] = [str(row), f"Name {row}", "2001-02-03"]
        if chance.random() < bad_share:
            column, value, kind = chance.choice([(1, "x", "type-error"), (2, "", "required-error"), (3, "soon", "type-error")])
            cells[column - 1] = value
            errors.add((row, column, kind, value))
        lines.append(",".join(cells))
    return Sample(("\n".join(lines) + "\n").encode(), rows, frozenset(errors))


@dataclass
class Stack:
    """PostgreSQL, Valkey, API, workers and dispatcher, each a child process of this one."""

    folder: Path
    settings: dict[str, str]
    parts: dict[str, Child] = field(default_factory=dict)
    servers: dict[str, Service] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    restarts: int = 0

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    def start(self) -> None:
        self.uploads.mkdir(parents=True)
        self.servers["postgres"] = start_postgres(self.folder)
        self.servers["valkey"] = start_valkey(self.folder)
        port = free_port()
        self.environment = {
            **os.environ,
            **FAST,
            **self.settings,
            "DATABASE_URL": self.servers["postgres"].url,
            "REDIS_URL": self.servers["valkey"].url,
            "UPLOAD_DIR": str(self.uploads),
        }
        self.client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        migration = Child(self._command("alembic", "alembic", "upgrade", "head"), log_file=self.folder / "logs" / "alembic.log")
        assert wait_until(lambda: migration.exit_status() is not None, timeout_s=60)
        assert migration.exit_status() == 0, list(migration.last_lines)
        self.start_part("api", "uvicorn", "main:app", "--port", str(port))
        self.start_worker("worker")
        self.start_part("dispatcher", "celery", "-A", "celery_app", "worker", "-Q", "webhooks,maintenance", "-P", "threads", "-c", "32", "-B")
        assert wait_until(self.is_ready, timeout_s=90), self.tail()

    def start_worker(self, name: str) -> None:
        self.start_part(name, "celery", "-A", "celery_app", "worker", "-Q", "processing", "-c", "4", "-n", f"{name}@%h")

    def start_part(self, name: str, *arguments: str) -> None:
        self.restarts += 1
        self.parts[name] = Child(self._command(name, *arguments), log_file=self.folder / "logs" / f"{name}-{self.restarts}.log")

    def restart_part(self, name: str) -> None:
        """Start it again as it was started before."""
        arguments = list(self.parts[name].command.arguments)[2:]
        self.parts[name].kill()
        self.start_part(name, *arguments)

    def _command(self, name: str, *arguments: str) -> Command:
        return Command(name=name, arguments=[sys.executable, "-m", *arguments], environment=self.environment, directory=ROOT)

    def is_ready(self) -> bool:
        try:
            health = self.client.get("/api/health")
        except httpx.TransportError:
            return False
        return health.status_code == 200 and health.json()["workers"]["status"] == "alive"

    def kill(self, name: str) -> None:
        """SIGKILL to the part's own process, not to its children."""
        os.kill(self.parts[name].pid, signal.SIGKILL)

    def stop_server(self, name: str, number: signal.Signals) -> None:
        os.kill(self.servers[name].pid, number)

    def restart_server(self, name: str) -> None:
        """Start a server that has ended on its old port with its old data."""
        command = self.servers[name].child.command
        child = self.servers[name].child
        wait_until(lambda: child.exit_status() is not None, timeout_s=30)
        (self.folder / "postgres" / "postmaster.pid").unlink(missing_ok=True) if name == "postgres" else None
        self.servers[name] = Service(self.servers[name].url, Child(command, log_file=child.log_file))

    def upload(self, sample: Sample, *, name: str = "people.csv", **fields: str) -> str:
        response = self.client.post("/api/files/upload", files={"file": (name, sample.content)}, data=fields)
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/api/jobs/{job_id}").json())

    def wait_for(self, job_id: str, condition: Callable[[dict[str, Any]], bool], *, timeout_s: float = 60) -> dict[str, Any]:
        def holds() -> bool:
            try:
                return condition(self.job(job_id))
            except (httpx.TransportError, KeyError):
                return False

        assert wait_until(holds, timeout_s=timeout_s), (self.job(job_id), self.tail())
        return self.job(job_id)

    def wait_until_running(self, job_id: str, *, rows: int = 1) -> dict[str, Any]:
        return self.wait_for(job_id, lambda job: job["status"] == "PROCESSING" and job["rows_processed"] >= rows)

    def wait_until_ended(self, job_id: str, *, timeout_s: float = 90) -> dict[str, Any]:
        return self.wait_for(job_id, lambda job: job["status"] in ENDED, timeout_s=timeout_s)

    def query(self, statement: str, *arguments: Any) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.servers["postgres"].url.replace("+asyncpg", ""))
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return asyncio.run(run())

    def send_task(self, name: str, *, queue: str, **payload: str) -> None:
        settings = Settings(
            _env_file=None,
            database_url=self.environment["DATABASE_URL"],
            redis_url=self.environment["REDIS_URL"],
            upload_dir=self.uploads,
        )
        create_celery(settings).send_task(name, kwargs=payload, queue=queue, ignore_result=True)

    def find_holder(self, *, timeout_s: float = 20) -> int:
        """The pid of the worker child that has a recording transaction open."""
        found: list[int] = []

        def look() -> bool:
            rows = self.query(
                "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'rowgate-tasks-%' AND state LIKE 'idle in transaction%'"
            )
            found[:] = [int(row["application_name"].rpartition("-")[2]) for row in rows]
            return bool(found)

        assert wait_until(look, timeout_s=timeout_s, interval_s=0.02), self.tail()
        return found[0]

    def assert_completed(self, job_id: str, sample: Sample, *, timeout_s: float = 90) -> dict[str, Any]:
        """The job is COMPLETED, and what is stored of it is exactly what is wrong with its file."""
        job = self.wait_until_ended(job_id, timeout_s=timeout_s)
        assert job["status"] == "COMPLETED", (job, self.tail())
        assert (job["rows_processed"], job["total_rows"], job["progress"]) == (sample.rows, sample.rows, 100)
        assert job["error_count"] == len(sample.errors)
        rows = self.query(
            "SELECT e.row_number, e.column_number, e.error_type, e.raw_value FROM processing_errors e"
            " JOIN jobs j ON j.id = e.job_id AND j.attempt = e.attempt WHERE j.id = $1",
            job_id,
        )
        stored = [tuple(row) for row in rows]
        assert len(stored) == len(set(stored))
        assert set(stored) == sample.errors
        return job

    def assert_quiet(self) -> None:
        """Nothing is left over: no open transaction, no file without a job."""

        def is_quiet() -> bool:
            return not self.query("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rowgate-%' AND state LIKE 'idle in transaction%'")

        assert wait_until(is_quiet, timeout_s=10)
        known = {str(row["id"]) for row in self.query("SELECT id FROM jobs")}
        assert {path.name.partition("_")[0] for path in self.uploads.iterdir()} <= known

    def tail(self) -> str:
        """The last lines of every log."""
        logs = sorted((self.folder / "logs").glob("*.log"))
        return "\n".join(f"== {path}\n" + "\n".join(path.read_text().splitlines()[-12:]) for path in logs)

    def close(self) -> None:
        self.client.close()
        for part in self.parts.values():
            part.send(signal.SIGCONT)
            part.kill()
        for server in reversed(self.servers.values()):
            server.child.send(signal.SIGCONT)
            server.child.kill()


@contextmanager
def running_stack(folder: Path, **settings: str) -> Iterator[Stack]:
    stack = Stack(folder, settings)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


@contextmanager
def watching_progress(stack: Stack, job_id: str) -> Iterator[None]:
    """Fails where the job's progress falls within one attempt."""
    import threading

    seen: list[tuple[int, int, int]] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            try:
                seen.extend(tuple(row) for row in stack.query("SELECT attempt, progress, rows_processed FROM jobs WHERE id = $1", job_id))
            except (OSError, asyncpg.PostgresError):
                time.sleep(0.2)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert seen == sorted(seen), seen

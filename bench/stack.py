"""Run the service's own processes for the bench, as durable as in `make run`: PostgreSQL, Valkey, API processes, one worker with one child."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import obstore

from bench.measure import ROOT, Plan, Run, RunFailed
from bench.probe import cpu_seconds, peak_memory_mib
from compose.local import API_DEFAULTS, DEFAULTS
from compose.object_store import Store, start_store
from compose.processes import Child, Command, wait_until
from compose.services import HTTP_OPTIONS, Service, free_port, start_postgres, start_valkey
from shared.settings import Settings
from shared.storage.names import MARKER

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
POLL_S = 0.3
"""Each poll takes some milliseconds from the measured job, since both run on the same two cores."""
JOB_TIMEOUT_S = 900.0
START_TIMEOUT_S = 60.0
MAX_UPLOAD_BYTES = 2 * 2**30
PREFIX = "bench"


class Stack:
    """The running processes. Start them from the main thread."""

    def __init__(self, folder: Path, postgres: Service, valkey: Service, store: Store | None, *, settings: dict[str, str]) -> None:
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        self.store = store
        """The S3 store that files are kept in; None: they are kept in `uploads`."""
        self._folder = folder
        self.database_url = postgres.url
        self.redis_url = valkey.url
        self._dsn = postgres.url.replace("+asyncpg", "")
        self._environment = {
            **DEFAULTS,
            **os.environ,
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            **({"UPLOAD_DIR": str(self.uploads)} if store is None else store.list_settings(PREFIX)),
            "MAX_UPLOAD_SIZE_BYTES": str(MAX_UPLOAD_BYTES),
            **settings,
        }
        self.settings = Settings(database_url=postgres.url, redis_url=valkey.url, upload_dir=self.uploads)
        self._dispatcher: Child | None = None
        self._worker: Child | None = None
        self._api: Child | None = None
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    @property
    def api_pid(self) -> int:
        """The API's process id; if it has several processes, that of the one that started them."""
        assert self._api is not None
        return self._api.pid

    def start_api(self, *, processes: int = 1) -> None:
        """Bring the database up to date and start the API as in `make run`, except for the number of its processes."""
        subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=self._environment, check=True, capture_output=True)
        workers = ("--workers", str(processes)) if processes > 1 else ()
        self._api = self._start("api", "uvicorn", "main:app", *HTTP_OPTIONS, *workers, "--port", str(self._port), settings=API_DEFAULTS)
        self._wait_for(self._api, lambda: self._get("/api/health/live") is not None)

    def serve_api(self) -> None:
        """Start the API by its own command in place of the running one: one process, forked from one that has loaded the application."""
        if self._api is not None:
            self._api.stop()
        self._api = self._start("api", "shared.web.serve", "--port", str(self._port), settings={**API_DEFAULTS, "API_PROCESSES": "1"})
        self._wait_for(self._api, lambda: self._get("/api/health/live") is not None)

    def start_worker(self, *, slots: int = 1) -> None:
        """Start a worker with so many children, replacing a running one."""
        self.stop_worker()
        self._worker = self._start("worker", "celery", "-A", "celery_app", "worker", "-Q", "processing", "-c", str(slots))
        self._wait_for(self._worker, lambda: bool(self.child_pids()))

    def start_dispatcher(self) -> None:
        """Start the dispatcher."""
        self._dispatcher = self._start("dispatcher", "celery", "-A", "celery_app", "worker", "-Q", "webhooks,maintenance", "-P", "threads", "-c", "32", "-B")
        dispatcher = self._dispatcher
        self._wait_for(dispatcher, lambda: any("ready." in line for line in list(dispatcher.last_lines)))

    def stop_worker(self) -> None:
        """Stop the worker if it is running."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def stop(self) -> None:
        """Stop all processes that are running."""
        self.stop_worker()
        for child in (self._dispatcher, self._api):
            if child is not None:
                child.stop()

    def upload(self, path: Path, **fields: str) -> str:
        """Upload a file and return its job's id."""
        with path.open("rb") as file:
            answer = httpx.post(f"{self.url}/api/files/upload", files={"file": (path.name, file)}, data=fields, timeout=120)
        return str(answer.raise_for_status().json()["job_id"])

    def run_job(self, path: Path, *, table_schema: str) -> tuple[str, Run]:
        """Upload the file and wait until its job has ended; return the job's id and its time from started_at to completed_at. Raises `RunFailed`.

        The CPU seconds are those of the worker's children, 0 if one of them was replaced.
        """
        before = {pid: cpu_seconds(pid) for pid in self.child_pids()}
        job_id = self.upload(path, schema=table_schema)
        with httpx.Client(base_url=self.url, timeout=120) as client:
            deadline = time.monotonic() + JOB_TIMEOUT_S
            while (job := client.get(f"/api/jobs/{job_id}").json())["status"] not in ENDED:
                if time.monotonic() > deadline:
                    raise RunFailed(f"The job {job_id} of {path.name} did not end within {JOB_TIMEOUT_S:g} s.")
                time.sleep(POLL_S)
        if job["status"] != "COMPLETED":
            raise RunFailed(f"The job of {path.name} ended {job['status']}: {job['error_message']}")
        wall_s = (_parse_time(job["completed_at"]) - _parse_time(job["started_at"])).total_seconds()
        # A worker replaces its child after ten jobs, so the child may already be gone.
        after = self.child_pids()
        cpu_s = sum(cpu_seconds(pid) - before[pid] for pid in after) if set(after) == before.keys() else 0.0
        peak_mib = max((peak_memory_mib(pid) for pid in after), default=0.0)
        return job_id, Run(wall_s=wall_s, cpu_s=cpu_s, peak_mib=peak_mib, rows=job["rows_processed"], errors=job["error_count"])

    def clear(self) -> None:
        """Empty the tables, remove the uploaded files, and let the database write everything to disk."""
        self.query("TRUNCATE jobs, deleted_jobs, error_pieces, outputs, submitter_turns, webhook_deliveries, webhook_attempts")
        self.query("CHECKPOINT")
        self.remove_uploads()

    def remove_uploads(self) -> None:
        """Remove the uploaded files and wait until the disk is idle, so that every run starts from the same state."""
        if self.store is not None:
            _empty_bucket(self.store)
        for path in self.uploads.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif not path.name.startswith(MARKER):
                path.unlink()
        os.sync()

    def query(self, statement: str, *values: object) -> None:
        """Run one statement."""
        self._with_connection(lambda connection: connection.execute(statement, *values))

    def export_errors(self, target: Path, columns: Sequence[str]) -> None:
        """Write all pieces of error records to `target` in COPY's format, and remove them from the table."""

        async def export(connection: Any) -> None:  # noqa: ANN401  # asyncpg is untyped
            await connection.copy_from_query(f"SELECT {', '.join(columns)} FROM error_pieces", output=str(target), format="binary")
            await connection.execute("TRUNCATE error_pieces")
            await connection.execute("CHECKPOINT")

        self._with_connection(export)

    def copy_errors(self, source: Path, columns: Sequence[str]) -> Run:
        """Measure COPY alone, into the empty table with its indexes, until its commit."""
        wall_s = 0.0

        async def copy(connection: Any) -> None:  # noqa: ANN401  # asyncpg is untyped
            nonlocal wall_s
            begun = time.perf_counter()
            await connection.copy_to_table("error_pieces", source=str(source), columns=columns, format="binary")
            wall_s = time.perf_counter() - begun

        self._with_connection(copy)
        return Run(wall_s=wall_s)

    def _with_connection(self, use: Any) -> None:  # noqa: ANN401  # a coroutine function over asyncpg's untyped connection
        async def run() -> None:
            connection = await asyncpg.connect(self._dsn, command_timeout=600)
            try:
                await use(connection)
            finally:
                await connection.close()

        asyncio.run(run())

    def _start(self, name: str, *arguments: str, settings: dict[str, str] | None = None) -> Child:
        environment = {**(settings or {}), **self._environment}
        command = Command(name=name, arguments=[sys.executable, "-m", *arguments], environment=environment, directory=ROOT)
        return Child(command, log_file=self._folder / "logs" / f"{name}.log")

    def _wait_for(self, child: Child, is_ready: Any) -> None:  # noqa: ANN401  # a function without arguments whose result is a truth value
        if not wait_until(lambda: child.exit_status() is not None or is_ready(), timeout_s=START_TIMEOUT_S) or child.exit_status() is not None:
            raise RunFailed(f"{child.name} did not start:\n  " + "\n  ".join(child.last_lines))

    def _get(self, path: str) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            return httpx.get(self.url + path, timeout=5)
        return None

    def child_pids(self) -> list[int]:
        """Return the process ids of the worker's children."""
        assert self._worker is not None
        return _list_children(self._worker.pid)

    def served_pid(self) -> int:
        """Return the process id of the API's only process, if it was started by `serve_api`; the judge of schemas is a child as well."""
        [pid] = (pid for pid in _list_children(self.api_pid) if b"shared.web.serve" in Path(f"/proc/{pid}/cmdline").read_bytes())
        return pid

    def api_child_pids(self) -> list[int]:
        """Return the process ids of the API's processes, if it has several."""
        return [pid for pid in _list_children(self.api_pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@contextmanager
def running_stack(plan: Plan, *, api_processes: int = 1, has_store: bool = False, **settings: str) -> Iterator[Stack]:
    """Run a stack with its API but no worker yet, and its data in a temporary folder; `settings` are those of the README's table."""
    plan.data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as resources:
        folder = Path(tempfile.mkdtemp(prefix="stack-", dir=plan.data))
        folder.chmod(0o711)  # if root runs this, PostgreSQL runs as nobody, which must be able to reach its data
        resources.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = start_postgres(folder)
        resources.callback(postgres.stop)
        valkey = start_valkey(folder)
        resources.callback(valkey.stop)
        store = start_store(folder) if has_store else None
        if store is not None:
            resources.callback(store.stop)
        stack = Stack(folder, postgres, valkey, store, settings=settings)
        resources.callback(stack.stop)
        stack.start_api(processes=api_processes)
        yield stack


def _empty_bucket(store: Store) -> None:
    bucket = store.open()
    for batch in obstore.list(bucket):
        obstore.delete(bucket, [found["path"] for found in batch if MARKER not in found["path"]])


def _list_children(pid: int) -> list[int]:
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def _parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)

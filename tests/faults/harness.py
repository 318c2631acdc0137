"""A whole service whose parts can be killed, stopped and cut off one by one, and the checks that must hold after every fault."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from compose.object_store import start_store
from compose.processes import Child, Command, wait_until
from compose.services import HTTP_OPTIONS, Service, free_port, start_postgres, start_valkey
from shared.settings import Settings
from shared.storage.names import MARKER
from shared.worker.celery_settings import create_celery
from tests.faults.store_proxy import StoreProxy
from tests.faults.stored import PREFIX, Stored, StoredInBucket, StoredInFolder
from tests.faults.watching import ProgressWatch, WebhookReceiver
from tests.faults.wire import Wire
from tests.paths import ROOT

IS_LONG = "FAULT_SEEDS" in os.environ
"""Whether this is `make faults` rather than the short form within `make test`."""
SEED = int(os.environ.get("FAULT_SEED", "1"))
"""Seed of tests with random parts; `make faults SEEDS=n` runs the fully random tests with n seeds."""
IN_BUCKET = os.environ.get("FAULT_STORAGE") == "s3"
"""Whether files are kept in an S3 store (`make faults STORAGE=s3`); then there are two APIs, and each part has scratch space of its own."""
ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
LEASE_S = 3.0
TAKEN_BACK_S = LEASE_S + 30.0
"""A job is taken back within this time after its worker's last sign of life."""
FAST = {
    "JOB_LEASE_S": str(LEASE_S),
    "PROGRESS_INTERVAL_S": "0.2",
    "CHUNK_ROWS": "100",
    "WORKER_SHUTDOWN_TIMEOUT_S": "0.5",
    "MIN_FREE_DISK_BYTES": "0",
    "FAULT_PAUSE_S": "0.2",
    "LOG_FORMAT": "text",
    "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true",
}
EVERYWHERE = () if IS_LONG else ("hurry",)
"""Alterations of every part; the long form has none and runs at the service's own pace."""
Place = tuple[int, int | None, str, str | None]


@dataclass(frozen=True)
class Sample:
    """A file and all its errors."""

    content: bytes
    rows: int
    errors: frozenset[Place]


def make_sample(rows: int, *, seed: int = 1, bad_share: float = 0.02) -> Sample:
    """Make a CSV file of `rows` rows with bad cells at known places; a very short file has none, since they could change the inferred type."""
    chance = random.Random(seed)
    lines, errors = ["id,name,born"], set()
    for row in range(2, rows + 2):
        cells: list[str] = [str(row), f"Name {row}", "2001-02-03"]
        if rows >= 100 and chance.random() < bad_share:
            column, value, kind = chance.choice([(1, "x", "type-error"), (2, "", "required-error"), (3, "soon", "type-error")])
            cells[column - 1] = value
            errors.add((row, column, kind, value))
        lines.append(",".join(cells))
    return Sample(("\n".join(lines) + "\n").encode(), rows, frozenset(errors))


@dataclass
class Accepted:
    """A job that the service has promised to bring to an end."""

    sample: Sample
    ends: int = 1
    """How many ends its webhook has to report: one, and one more for each retry; none for a job without a webhook."""
    is_deleted: bool = False
    has_file: bool = True
    is_told: bool = True
    """Whether its webhook goes to the stack's own receiver."""


@dataclass(frozen=True)
class Part:
    """A process of the service, and how it was started."""

    arguments: Sequence[str]
    altered: Sequence[str]
    child: Child


@dataclass
class Stack:
    """PostgreSQL, Valkey, API, workers and dispatcher, each a child process of this one."""

    folder: Path
    settings: dict[str, str]
    altered: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The alterations of each part whenever it is started; see `altered.py`."""
    parts: dict[str, Part] = field(default_factory=dict)
    servers: dict[str, Service] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    other_client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))
    """That of the second API, if there is one."""
    accepted: dict[str, Accepted] = field(default_factory=dict)
    receiver: WebhookReceiver = field(default_factory=WebhookReceiver)
    patience: float = 1.0
    """Factor for all waiting times; less than 1 if a failure is expected."""
    starts: int = 0
    in_bucket: bool = IN_BUCKET
    wire: Wire = field(init=False)
    store: StoreProxy = field(init=False)
    """What stands before the S3 store, if there is one."""
    stored: Stored = field(init=False)
    watch: ProgressWatch = field(init=False)
    _settled: set[str] = field(default_factory=set)

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        self.servers["postgres"] = start_postgres(self.folder)
        self.servers["valkey"] = start_valkey(self.folder)
        valkey = urlsplit(self.servers["valkey"].url)
        self.wire = Wire(valkey.port or 0)
        port = free_port()
        self.environment = {
            **os.environ,
            **FAST,
            **self.settings,
            "DATABASE_URL": self.servers["postgres"].url,
            "REDIS_URL": valkey._replace(netloc=f":{valkey.password}@127.0.0.1:{self.wire.port}").geturl(),
            **self._place_files(),
        }
        self.client.base_url = httpx.URL(f"http://127.0.0.1:{port}")
        migration = Child(self._command("alembic", [], "alembic", "upgrade", "head"), log_file=self.logs / "alembic.log")
        assert wait_until(lambda: migration.exit_status() is not None, timeout_s=60)
        assert migration.exit_status() == 0, list(migration.last_lines)
        self.watch = ProgressWatch(self.database_dsn)
        self.start_part("api", "uvicorn", "main:app", *HTTP_OPTIONS, "--port", str(port))
        if self.in_bucket:
            second = free_port()
            self.start_part("api2", "uvicorn", "main:app", *HTTP_OPTIONS, "--port", str(second))
            self.other_client.base_url = httpx.URL(f"http://127.0.0.1:{second}")
        self.start_worker("worker")
        self.start_dispatcher("dispatcher")
        assert wait_until(self.is_api_up, timeout_s=90), self.tail()
        if self.in_bucket:
            assert wait_until(lambda: is_up(self.other_client), timeout_s=30), self.tail()
        self.wait_until_alive("worker")
        self.wait_until_alive("dispatcher")

    def _place_files(self) -> dict[str, str]:
        """Return the settings that say where files are kept, and begin to keep them there."""
        if not self.in_bucket:
            self.uploads.mkdir()
            self.stored = StoredInFolder(self.uploads)
            return {"UPLOAD_DIR": str(self.uploads)}
        store = start_store(self.folder)
        self.servers["store"] = store
        self.store = StoreProxy(store.url)
        self.stored = StoredInBucket(store)
        return store.list_settings(PREFIX) | {"AWS_ENDPOINT_URL": self.store.url}

    @property
    def database_dsn(self) -> str:
        return self.servers["postgres"].url.replace("+asyncpg", "")

    def start_worker(self, name: str, *, slots: int = 4, altered: Sequence[str] = (), **environment: str) -> None:
        arguments = ("celery", "-A", "celery_app", "worker", "-Q", "processing", "-c", str(slots), "-n", f"{name}@%h")
        self.start_part(name, *arguments, altered=altered, **environment)

    def start_dispatcher(self, name: str, *, altered: Sequence[str] = ()) -> None:
        arguments = ("celery", "-A", "celery_app", "worker", "-Q", "webhooks,maintenance", "-P", "threads", "-c", "32", "-B", "-n", f"{name}@%h")
        self.start_part(name, *arguments, altered=altered)

    def start_part(self, name: str, *arguments: str, altered: Sequence[str] = (), prefix: Sequence[str] = (), **environment: str) -> None:
        """Start a program of the service with the alterations in `altered` (see `altered.py`) and a command that begins with `prefix`."""
        self.starts += 1
        command = self._command(name, [*self.altered.get(name, ()), *altered], *arguments, prefix=prefix, **environment)
        self.parts[name] = Part(arguments, altered, Child(command, log_file=self.logs / f"{name}-{self.starts}.log"))

    def restart_part(self, name: str, *, altered: Sequence[str] = (), prefix: Sequence[str] = (), **environment: str) -> None:
        """Start the part again as before, except for its alterations."""
        self.parts[name].child.kill()
        self.start_part(name, *self.parts[name].arguments, altered=altered, prefix=prefix, **environment)

    def restart_api(self, *, altered: Sequence[str] = (), prefix: Sequence[str] = ()) -> None:
        """Restart the API, and wait until it answers."""
        self.restart_part("api", altered=altered, prefix=prefix)
        assert wait_until(self.is_api_up, timeout_s=30), self.tail()

    def stop_part(self, name: str) -> None:
        """Ask the part to end, wait until it has ended, and forget it."""
        self.parts[name].child.stop()
        del self.parts[name]

    def _command(self, name: str, altered: Sequence[str], *arguments: str, prefix: Sequence[str] = (), **environment: str) -> Command:
        names = [*EVERYWHERE, *altered]
        if self.in_bucket:
            scratch = self.folder / f"scratch-{name}"
            scratch.mkdir(exist_ok=True)
            environment = {"SPILL_DIR": str(scratch), **environment}
        program = ["-m", "tests.faults.altered", ",".join(names), *arguments] if names else ["-m", *arguments]
        return Command(name=name, arguments=[*prefix, sys.executable, *program], environment={**self.environment, **environment}, directory=ROOT)

    def is_api_up(self) -> bool:
        return is_up(self.client)

    def is_healthy(self) -> bool:
        """Whether the API reaches database and broker."""
        return self.client.get("/api/health").status_code == 200

    def wait_until_alive(self, worker: str) -> None:
        """Wait until the worker or dispatcher takes messages."""
        assert wait_until(lambda: "ready." in self.read_log(worker), timeout_s=60), self.tail()

    def read_log(self, name: str) -> str:
        """Return what a part has written since it was last started."""
        return self.parts[name].child.log_file.read_text() if self.parts[name].child.log_file.exists() else ""

    def kill(self, name: str) -> None:
        """Send SIGKILL to the part's own process, not to its children."""
        os.kill(self.parts[name].child.pid, signal.SIGKILL)

    def send(self, name: str, number: signal.Signals) -> None:
        self.parts[name].child.send(number)

    def children_of(self, name: str) -> list[int]:
        """Return the pids of the processes that a part has forked; none if it has ended."""
        pid = self.parts[name].child.pid
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def stop_server(self, name: str, number: signal.Signals) -> None:
        if name == "valkey" and number not in {signal.SIGSTOP, signal.SIGCONT}:
            self.wire.unplug()
        os.kill(self.servers[name].pid, number)

    def restart_server(self, name: str) -> None:
        """Restart a server that has ended, on its old port and with its old data."""
        command = self.servers[name].child.command
        child = self.servers[name].child
        wait_until(lambda: child.exit_status() is not None, timeout_s=30)
        (self.folder / "postgres" / "postmaster.pid").unlink(missing_ok=True) if name == "postgres" else None
        self.servers[name] = Service(self.servers[name].url, Child(command, log_file=child.log_file))
        if name == "valkey":
            self.wire.plug()

    def upload(self, sample: Sample, *, name: str = "people.csv", **fields: str) -> str:
        response = self.try_upload(sample, name=name, **fields)
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def try_upload(self, sample: Sample, *, name: str = "people.csv", key: str | None = None, **fields: str) -> httpx.Response:
        """Send the file; an accepted job is checked by `assert_settled`. With a `key` the file may be sent again if no answer came."""
        is_told = "webhook_url" not in fields
        headers = {} if key is None else {"Idempotency-Key": key}
        form = {"webhook_url": self.receiver.url, **fields}
        response = self.client.post("/api/files/upload", files={"file": (name, sample.content)}, data=form, headers=headers)
        if response.is_success:
            self.accepted[response.json()["job_id"]] = Accepted(sample, is_told=is_told)
        return response

    def cancel(self, job_id: str) -> bool:
        """Send a DELETE; return whether the job still exists (it was running and is now cancelled) rather than being gone."""
        assert self.client.delete(f"/api/jobs/{job_id}").status_code == 204
        self.accepted[job_id].is_deleted = self.client.get(f"/api/jobs/{job_id}").status_code == 404
        return not self.accepted[job_id].is_deleted

    def retry(self, job_id: str) -> None:
        response = self.client.post(f"/api/jobs/{job_id}/retry")
        assert response.status_code == 202, response.text
        self.accepted[job_id].ends += 1
        self._settled.discard(job_id)

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/api/jobs/{job_id}").json())

    def row(self, job_id: str) -> Any:
        """Return the job's row in the database, including what clients do not see."""
        [row] = self.query("SELECT * FROM jobs WHERE id = $1", job_id)
        return row

    def wait_for(self, job_id: str, condition: Callable[[dict[str, Any]], bool], *, timeout_s: float = 60) -> dict[str, Any]:
        def holds() -> bool:
            try:
                return condition(self.job(job_id))
            except (httpx.TransportError, KeyError):
                return False

        assert wait_until(holds, timeout_s=timeout_s * self.patience), (self.job(job_id), self.tail())
        return self.job(job_id)

    def wait_for_row(self, job_id: str, condition: Callable[[Any], bool], *, timeout_s: float = 60) -> Any:
        """Wait until the job's row in the database satisfies `condition`, and return it; its values are read together."""
        assert wait_until(lambda: condition(self.row(job_id)), timeout_s=timeout_s * self.patience), (self.row(job_id), self.tail())
        return self.row(job_id)

    def wait_until_running_anew(self, job_id: str, *, timeout_s: float = 60) -> None:
        """Wait until an attempt after the first has recorded something."""
        self.wait_for_row(job_id, lambda row: row["status"] == "PROCESSING" and row["attempt"] > 1 and row["rows_processed"] > 0, timeout_s=timeout_s)

    def wait_until_running(self, job_id: str, *, rows: int = 1) -> dict[str, Any]:
        return self.wait_for(job_id, lambda job: job["status"] == "PROCESSING" and job["rows_processed"] >= rows)

    def start_jobs(self, count: int, sample: Sample) -> list[str]:
        """Start `count` jobs that run at the same time; each is seen running before the next is uploaded, whose message may have to be sent again."""
        jobs = []
        for _ in range(count):
            jobs.append(self.upload(sample))
            self.wait_until_running(jobs[-1])
        return jobs

    def wait_until_ended(self, job_id: str, *, timeout_s: float = 90) -> dict[str, Any]:
        return self.wait_for(job_id, lambda job: job["status"] in ENDED, timeout_s=timeout_s)

    def query(self, statement: str, *arguments: Any) -> list[Any]:
        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.database_dsn)
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return asyncio.run(run())

    def make_celery(self) -> Any:
        """Make a Celery app for the stack's broker."""
        settings = Settings(
            database_url=self.environment["DATABASE_URL"],
            redis_url=self.environment["REDIS_URL"],
            upload_dir=Path(os.devnull),
        )
        return create_celery(settings)

    def send_task(self, name: str, *, queue: str, **payload: str) -> None:
        self.make_celery().send_task(name, kwargs=payload, queue=queue, ignore_result=True)

    def find_holder(self, *, timeout_s: float = 20) -> int:
        """Return the pid of a worker child that has a recording transaction open."""
        found: list[int] = []

        def look() -> bool:
            rows = self.query(
                "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'rowgate-tasks-%' AND state LIKE 'idle in transaction%'"
            )
            # A dispatcher has transactions too; only a forked child can hold a job.
            open_in = {int(row["application_name"].rpartition("-")[2]) for row in rows}
            found[:] = open_in & {pid for name in self.parts for pid in self.children_of(name)}
            return bool(found)

        assert wait_until(look, timeout_s=timeout_s, interval_s=0.02), self.tail()
        return found[0]

    def assert_completed(self, job_id: str, sample: Sample | None = None, *, timeout_s: float = 90) -> dict[str, Any]:
        """Assert that the job is COMPLETED and that its stored errors are exactly its file's errors; return the job."""
        sample = sample or self.accepted[job_id].sample
        job = self.wait_until_ended(job_id, timeout_s=timeout_s)
        assert job["status"] == "COMPLETED", (job, self.tail())
        assert (job["rows_processed"], job["total_rows"], job["progress"]) == (sample.rows, sample.rows, 100), job
        self._assert_errors(job_id, job, sample)
        return job

    def _assert_errors(self, job_id: str, job: dict[str, Any], sample: Sample) -> None:
        """Assert that the stored and shown errors are those of the processed rows, each once."""
        expected = {error for error in sample.errors if error[0] <= job["rows_processed"] + 1}
        rows = self.query(
            "SELECT e.row_number, e.column_number, e.error_type, e.raw_value FROM processing_errors e"
            " JOIN jobs j ON j.id = e.job_id AND j.attempt = e.attempt WHERE j.id = $1",
            job_id,
        )
        stored = Counter(tuple(row) for row in rows)
        assert stored == Counter(expected), (job, stored - Counter(expected), Counter(expected) - stored)
        assert job["error_count"] == len(expected), job
        assert self.client.get(f"/api/jobs/{job_id}/errors", params={"page_size": 1}).json()["total"] == len(expected)

    def assert_settled(self, *, timeout_s: float = 90) -> None:
        """Assert everything that must hold after a fault; may be called any number of times.

        Every accepted job is at an end, with the errors of its rows stored once and one delivery for each end of an attempt; progress never fell within
        an attempt; no file is without a job or output and none of these without its file; no transaction is open; every part runs.
        """
        for job_id, accepted in self.accepted.items():
            if job_id not in self._settled and not accepted.is_deleted:
                job = self.wait_until_ended(job_id, timeout_s=timeout_s)
                if job["status"] == "COMPLETED":
                    self.assert_completed(job_id)
                else:
                    self._assert_errors(job_id, job, accepted.sample)
        self._assert_deliveries()
        self._assert_files()
        self._assert_outputs()
        self._assert_no_transaction()
        assert self.watch.falls() == []
        ended = {name for name, part in self.parts.items() if part.child.exit_status() is not None}
        assert not ended, self.tail()
        self._settled |= set(self.accepted)

    def _assert_deliveries(self) -> None:
        new = [job_id for job_id in self.accepted if job_id not in self._settled]

        def find() -> list[Any]:
            statement = "SELECT d.job_id::text, d.id::text, d.attempt, d.event, d.status::text FROM webhook_deliveries d WHERE d.job_id = ANY($1::uuid[])"
            return self.query(statement + " ORDER BY d.attempt", new)

        assert wait_until(lambda: all(row["status"] != "PENDING" for row in find()), timeout_s=40 * self.patience, interval_s=0.2), (find(), self.tail())
        deliveries = find()
        told = self.receiver.list_told()
        for job_id in new:
            accepted = self.accepted[job_id]
            own = [row for row in deliveries if row["job_id"] == job_id]
            assert len({row["attempt"] for row in own}) == len(own), own
            if accepted.is_deleted:
                continue
            assert len(own) == accepted.ends, (own, accepted.ends)
            assert own == [] or own[-1]["event"] == f"job.{self.job(job_id)['status'].lower()}"
            if accepted.is_told and accepted.ends:
                assert {row["status"] for row in own} == {"DELIVERED"}, own
                assert {row["id"]: row["event"] for row in own} == told[job_id]

    def _assert_files(self) -> None:
        live = {job_id for job_id, accepted in self.accepted.items() if not accepted.is_deleted and accepted.has_file}
        found = self.stored.list_files()
        assert sorted(name.partition("_")[0] for name in found) == sorted(live), found
        known = {str(row["id"]) for row in self.query("SELECT id FROM jobs WHERE deleted_at IS NULL")}
        assert known == {job_id for job_id, accepted in self.accepted.items() if not accepted.is_deleted}

    def list_output_files(self) -> dict[str, tuple[int, str]]:
        """Return the size and the SHA-256 of every output that is stored, by its name."""
        return self.stored.list_outputs()

    def _assert_outputs(self) -> None:
        """Assert that every output is at an end, and that, after a sweep, only the files of those that are READY are there, as they are told."""
        statement = "SELECT id::text, claim, name, status::text, size_bytes, sha256, error_message FROM outputs"
        ends = {"READY", "FAILED"}
        assert wait_until(lambda: {row["status"] for row in self.query(statement)} <= ends, timeout_s=60 * self.patience), (self.query(statement), self.tail())
        rows = self.query(statement)
        assert all(row["error_message"] for row in rows if row["status"] == "FAILED"), rows
        expected = {f"{row['id']}-{row['claim']}-{row['name']}": (row["size_bytes"], row["sha256"]) for row in rows if row["status"] == "READY"}
        if self.list_output_files() != expected:
            self.send_task("outputs.sweep_files", queue="maintenance")
        assert wait_until(lambda: self.list_output_files() == expected, timeout_s=20), (self.list_output_files(), expected, self.tail())

    def _assert_no_transaction(self) -> None:
        def is_quiet() -> bool:
            return not self.query("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'rowgate-%' AND state LIKE 'idle in transaction%'")

        assert wait_until(is_quiet, timeout_s=10)

    def tail(self) -> str:
        """Return the last lines of every log."""
        logs = sorted(self.logs.glob("*.log"))
        return "\n".join(f"== {path}\n" + "\n".join(path.read_text().splitlines()[-12:]) for path in logs)

    def close(self) -> None:
        self.client.close()
        self.other_client.close()
        with suppress(AttributeError):  # never started
            self.watch.close()
        for part in self.parts.values():
            part.child.send(signal.SIGCONT)
            part.child.kill()
        for server in reversed(self.servers.values()):
            server.child.send(signal.SIGCONT)
            server.child.kill()
        with suppress(AttributeError):
            self.wire.close()
        with suppress(AttributeError):
            self.store.close()
        self.receiver.close()


def is_up(client: httpx.Client) -> bool:
    """Whether an API answers."""
    try:
        return client.get("/api/health/live").status_code == 200
    except httpx.TransportError:
        return False


needs_folder = pytest.mark.skipif(IN_BUCKET, reason="it is about a folder, and files are kept in an S3 store")


def list_files(folder: Path) -> list[Path]:
    """Return every file below the folder; folders and files may be removed meanwhile, and the folder need not be there."""
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]


@contextmanager
def running_stack(
    folder: Path, *, altered: Mapping[str, Sequence[str]] | None = None, patience: float = 1.0, in_bucket: bool = IN_BUCKET, **settings: str
) -> Iterator[Stack]:
    stack = Stack(folder, settings, altered=altered or {}, patience=patience, in_bucket=in_bucket)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()


@contextmanager
def file_size_limit(pids: Sequence[int], size_bytes: int) -> Iterator[None]:
    """Limit the size of files that these processes may write, as a disk quota would."""
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_, hard) in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        for pid, limits in zip(pids, before, strict=True):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def mounting(folder: Path, *, size_bytes: int, is_marked: bool = True) -> Sequence[str]:
    """Return the prefix of a command that is to see an empty disk of this size at `folder`; other processes do not see that disk.

    Unless it is not to be marked, it has the marker that `folder` has, if it has one.
    """
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    marking = f'[ -z "$marker" ] || printf %s "$marker" >"$1/{MARKER}"' if is_marked else ":"
    script = f'marker=$(cat "$1/{MARKER}" 2>/dev/null); mount -t tmpfs -o size={size_bytes} tmpfs "$1" && {{ {marking}; }} && shift && exec "$@"'
    return [shutil.which("unshare") or "unshare", "--mount", *as_root, "sh", "-c", script, "sh", str(folder)]


def can_mount() -> bool:
    """Whether this system lets this user mount such a disk."""
    command = [*mounting(ROOT, size_bytes=4096), "true"]
    return shutil.which(command[0]) is not None and subprocess.run(command, check=False, capture_output=True).returncode == 0


def seen_by(pid: int, folder: Path) -> Path:
    """Return the path of the folder as that process sees it."""
    return Path(f"/proc/{pid}/root{folder.resolve()}")


def measure(function: Callable[[], Any]) -> float:
    """Return how many seconds `function` takes."""
    start = time.monotonic()
    function()
    return time.monotonic() - start

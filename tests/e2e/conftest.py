"""Run the service's own processes with the README's commands, on the session's PostgreSQL and Valkey."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from compose.processes import Child, Command, wait_until
from compose.services import HTTP_OPTIONS, free_port
from tests.paths import ROOT
from tests.services import Servers

ENDED = {"COMPLETED", "FAILED", "CANCELLED"}


@dataclass
class Service:
    """A running service and how to talk to it."""

    url: str
    environment: dict[str, str]
    logs: Path
    client: httpx.Client
    pids: dict[str, int]
    """The main process of each part, by the part's name."""

    def upload(self, name: str, content: bytes, **fields: str) -> str:
        response = self.client.post("/api/files/upload", files={"file": (name, content)}, data=fields)
        assert response.status_code == 202, response.text
        return str(response.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/api/jobs/{job_id}").json())

    def wait_for(self, job_id: str, condition: Callable[[dict[str, Any]], bool] | None = None, *, timeout_s: float = 60) -> dict[str, Any]:
        condition = condition or (lambda job: job["status"] in ENDED)
        assert wait_until(lambda: condition(self.job(job_id)), timeout_s=timeout_s), (self.job(job_id), self.tail())
        return self.job(job_id)

    def tail(self) -> str:
        return "\n".join(f"== {path.name}\n" + "\n".join(path.read_text().splitlines()[-15:]) for path in sorted(self.logs.glob("*.log")))


@dataclass(frozen=True)
class Api:
    """One API process without a worker, and its upload folder."""

    port: int
    uploads: Path
    client: httpx.Client
    pid: int
    database_url: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_api(servers: Servers, folder: Path, *, program: Sequence[str] = ("uvicorn",), **settings: str) -> Iterator[Api]:
    """Run an API with its own database; `program` is what runs `uvicorn`, if something is altered before."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": new_database(servers.database_url),
        "REDIS_URL": servers.redis_url.removesuffix("/0") + "/1",
        "UPLOAD_DIR": str(folder / "uploads"),
        "MIN_FREE_DISK_BYTES": "0",
        **settings,
    }
    (folder / "uploads").mkdir()
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=environment, check=True, timeout=60)
    child = Child(command("api", environment, *program, "main:app", *HTTP_OPTIONS, "--port", str(port)), log_file=folder / "api.log")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return client.get("/api/health/live").is_success
            return False

        try:
            assert wait_until(answers, timeout_s=60), list(child.last_lines)
            yield Api(port, folder / "uploads", client, child.pid, environment["DATABASE_URL"].replace("+asyncpg", ""))
        finally:
            child.stop()
            shutil.rmtree(folder, ignore_errors=True)


def command(name: str, environment: dict[str, str], *arguments: str) -> Command:
    return Command(name=name, arguments=[sys.executable, "-m", *arguments], environment=environment, directory=ROOT)


@pytest.fixture(scope="module")
def service(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(servers, tmp_path_factory.mktemp("service")) as running:
        yield running


UVICORN = ("uvicorn", "main:app", *HTTP_OPTIONS)


@contextmanager
def running_service(
    servers: Servers, folder: Path, *, waits_for_worker: bool = True, api: Sequence[str] = UVICORN, slots: str = "4", **settings: str
) -> Iterator[Service]:
    """Run API, worker and dispatcher with a database of their own, and wait for the API, or until a worker has shown that it is alive."""
    port = free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": new_database(servers.database_url),
        "REDIS_URL": servers.redis_url.removesuffix("/0") + "/1",
        "UPLOAD_DIR": str(folder / "uploads"),
        "WEBHOOK_ALLOW_PRIVATE_ADDRESSES": "true",
        "PROGRESS_INTERVAL_S": "0.2",
        "MIN_FREE_DISK_BYTES": "0",
        **settings,
    }
    (folder / "uploads").mkdir()
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=environment, check=True, timeout=60)
    logs = folder / "logs"
    programs = {
        "api": (*api, "--port", str(port)),
        "worker": ("celery", "-A", "celery_app", "worker", "-Q", "processing", "-c", slots),
        "dispatcher": ("celery", "-A", "celery_app", "worker", "-Q", "webhooks,maintenance", "-P", "threads", "-c", "32", "-B"),
    }
    children = {name: Child(command(name, environment, *arguments), log_file=logs / f"{name}.log") for name, arguments in programs.items()}
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, timeout=30) as client:
        running = Service(url, environment, logs, client, {name: child.pid for name, child in children.items()})
        try:
            assert wait_until(lambda: is_ready(client, waits_for_worker=waits_for_worker), timeout_s=60), running.tail()
            yield running
        finally:
            stop_all(list(children.values()))
            shutil.rmtree(folder, ignore_errors=True)


def stop_all(children: Sequence[Child]) -> None:
    """End them side by side: each takes seconds to end by itself."""
    with ThreadPoolExecutor(len(children)) as pool:
        list(pool.map(Child.stop, children))


def execute(database_url: str, statement: str, *values: object) -> None:
    """Run a statement; in a thread of its own, since a browser's driver keeps an event loop running in that of the tests."""

    async def run() -> None:
        connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(run())).result()


def new_database(database_url: str) -> str:
    """Create a database for this module only, so that no other test empties it meanwhile; return its URL."""
    name = f"service_{time.monotonic_ns()}"
    execute(database_url, f"CREATE DATABASE {name}")
    return database_url.rpartition("/")[0] + f"/{name}"


def is_ready(client: httpx.Client, *, waits_for_worker: bool = True) -> bool:
    try:
        health = client.get("/api/health")
    except httpx.TransportError:
        return False
    return health.status_code == 200 and (not waits_for_worker or health.json()["workers"]["status"] == "alive")

"""Metrics and logs of the real processes: an API with two processes, a worker whose child ends after ten tasks, and a dispatcher."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from compose.processes import Child, wait_until
from compose.services import free_port
from shared.worker.runtime import DISPATCHER_POOL
from tests.e2e.conftest import command, new_database, stop_all
from tests.paths import ROOT
from tests.services import Servers

CSV = b"id,name\n1,Ada\n2,Grace\nx,Linus\n"
JOBS = 12
"""More jobs than a worker's child runs before it ends."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes through /proc")


@dataclass
class Watched:
    """The running processes, with their metrics addresses and logs."""

    client: httpx.Client
    children: dict[str, Child]
    logs: Path
    folder: Path
    ports: dict[str, int]
    secrets: list[str]

    def children_of(self, name: str) -> list[int]:
        pid = self.children[name].pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def scrape(self, name: str) -> dict[str, float]:
        """Return the sums of the samples, by name."""
        response = httpx.get(f"http://127.0.0.1:{self.ports[name]}/metrics", timeout=10)
        assert response.status_code == 200
        sums: dict[str, float] = {}
        for family in text_string_to_metric_families(response.text):
            for sample in family.samples:
                sums[sample.name] = sums.get(sample.name, 0) + sample.value
        return sums

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Read the process's log, every line of which must be JSON."""
        return [dict(json.loads(line)) for line in (self.logs / f"{name}.log").read_text().splitlines()]

    def run_job(self, number: int) -> str:
        headers = {"X-Request-ID": f"request-{number}"}
        response = self.client.post("/api/files/upload", files={"file": ("SECRETNAME.csv", CSV)}, headers=headers)
        assert response.headers["X-Request-ID"] == f"request-{number}"
        return str(response.json()["job_id"])

    def is_completed(self, job_id: str) -> bool:
        return bool(self.client.get(f"/api/jobs/{job_id}").json()["status"] == "COMPLETED")

    def is_ready(self) -> bool:
        try:
            health = self.client.get("/api/health").json()
        except httpx.TransportError:
            return False
        workers = health["workers"]
        return bool(health["status"] == "healthy" and workers["workers_alive"] == workers["dispatchers_alive"] == 1)


@pytest.fixture(scope="module")
def watched(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    ports = {name: free_port() for name in ("api", "worker", "dispatcher")}
    common = {
        **os.environ,
        "DATABASE_URL": new_database(servers.database_url),
        "REDIS_URL": servers.redis_url.removesuffix("/0") + "/2",
        "UPLOAD_DIR": str(folder / "uploads"),
        "MIN_FREE_DISK_BYTES": "0",
        "API_PROCESSES": "2",
    }
    (folder / "uploads").mkdir()
    subprocess.run([sys.executable, "-m", "alembic", "upgrade", "head"], cwd=ROOT, env=common, check=True, timeout=60)

    def start(name: str, *arguments: str) -> Child:
        environment = {**common, "METRICS_PORT": str(ports[name]), "PROMETHEUS_MULTIPROC_DIR": str(folder / name)}
        return Child(command(name, environment, *arguments), log_file=folder / "logs" / f"{name}.log")

    worker = ["celery", "-A", "celery_app", "worker"]
    children = {
        "api": start("api", "shared.web.serve", "--port", str(ports["api"])),
        "worker": start("worker", *worker, "-Q", "processing", "-c", "1"),
        "dispatcher": start("dispatcher", *worker, "-Q", "webhooks,maintenance", "-P", "threads", "-c", "32", "-B"),
    }
    secrets = [secret for url in (servers.database_url, servers.redis_url) if (secret := urlsplit(url).password)]
    with httpx.Client(base_url=f"http://127.0.0.1:{ports['api']}", timeout=30) as client:
        running = Watched(client, children, folder / "logs", folder, ports, secrets)
        try:
            assert wait_until(running.is_ready, timeout_s=60), [path.read_text() for path in (folder / "logs").iterdir()]
            yield running
        finally:
            stop_all(list(children.values()))


@pytest.fixture(scope="module")
def job_ids(watched: Watched) -> list[str]:
    [first] = watched.children_of("worker")
    ids: list[str] = []
    for number in range(JOBS):
        # One after the other: of several that wait, a message may lead to another one than its own.
        ids.append(watched.run_job(number))
        assert wait_until(lambda: watched.is_completed(ids[-1]), timeout_s=60)
    assert first not in watched.children_of("worker")
    return ids


def test_counts_of_children_that_have_ended_are_kept_in_the_same_files(watched: Watched, job_ids: list[str]) -> None:
    samples = watched.scrape("worker")
    assert samples["rowgate_rows_processed_total"] == 3 * JOBS
    assert samples["rowgate_rows_failed_total"] == samples["rowgate_row_errors_total"] == JOBS
    assert samples["rowgate_attempt_duration_seconds_count"] == samples["rowgate_job_wait_seconds_count"] == JOBS
    assert samples["rowgate_stage_seconds_total"] > 0
    claims = [line["job_id"] for line in watched.lines("worker") if line["event"] == "job claimed"]
    assert sorted(claims) == sorted(job_ids)
    locks = {path.name for path in (watched.folder / "worker").glob("*.lock")}
    assert locks == {"0.lock", "1.lock"}  # the main process and its one child, whichever it is


def test_dispatcher_serves_its_own(watched: Watched) -> None:
    assert wait_until(lambda: watched.scrape("dispatcher")["rowgate_db_pool_limit"] == sum(DISPATCHER_POOL.values()), timeout_s=30)
    assert watched.scrape("dispatcher")["rowgate_leases_taken_back_total"] == 0


def test_killed_api_process_takes_no_count_along(watched: Watched) -> None:
    for _ in range(40):
        assert watched.client.get("/api/jobs", headers={"Connection": "close"}).status_code == 200

    def count() -> set[float]:
        name = "rowgate_http_request_duration_seconds_count"
        texts = [httpx.get(f"http://127.0.0.1:{watched.ports['api']}/metrics").text for _ in range(6)]
        return {float(found) for text in texts for found in re.findall(rf'{name}\{{method="GET",route="/api/jobs",status="200"\}} (\S+)', text)}

    assert count() == {40}
    workers = [pid for pid in watched.children_of("api") if b"shared.web.serve" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(workers) == 2
    is_replaced = "a process of the API has ended and is replaced"
    os.kill(workers[0], signal.SIGKILL)
    assert wait_until(lambda: any(line["event"] == is_replaced and line["process"] == workers[0] for line in watched.lines("api")), timeout_s=20)
    assert wait_until(watched.is_ready, timeout_s=30)
    assert count() == {40}


def test_every_line_of_a_job_names_it_and_the_request_it_came_with(watched: Watched, job_ids: list[str]) -> None:
    lines = [line for line in watched.lines("worker") if line.get("job_id") == job_ids[3]]
    assert [line["event"] for line in lines] == ["job claimed", "job completed"]
    assert {(line["attempt"], line["request_id"], line["task"]) for line in lines} == {(1, "request-3", "processing.process_job")}
    [line] = [line for line in watched.lines("api") if line.get("request_id") == "request-3" and line["event"] == "request"]
    assert (line["status"], line["path"]) == (202, "/api/files/upload")


def test_lines_are_json_and_hold_no_secrets_and_no_contents(watched: Watched, job_ids: list[str]) -> None:
    assert watched.secrets
    for name in watched.ports:
        lines = watched.lines(name)
        assert lines
        assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines)
        text = (watched.logs / f"{name}.log").read_text()
        assert not [secret for secret in (*watched.secrets, "Grace", "Linus") if secret in text]

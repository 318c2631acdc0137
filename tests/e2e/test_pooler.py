"""The whole service through a PgBouncer in transaction mode, which has fewer connections to the server than its clients have to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from compose.processes import wait_until
from compose.services import free_port
from tests.e2e.conftest import Service, running_service
from tests.pooler import running_pgbouncer
from tests.services import Servers

pytestmark = pytest.mark.timeout(180)

SERVER_CONNECTIONS = 10
JOBS, ROWS = 6, 6000
CONTENT = "".join(("id,born\n", *(f"{number if number % 2 else 'x'},{'2001-02-03' if number % 3 else 'soon'}\n" for number in range(ROWS)))).encode()
SCHEMA = json.dumps({"fields": [{"name": "id", "type": "integer", "constraints": {"unique": True}}, {"name": "born", "type": "date"}]})
SLOW_ROWS = 1_000_000
SLOW = "".join(("id\n", *(f"{'' if number % 10 else 'x'}{number}\n" for number in range(SLOW_ROWS)))).encode()
# RE2 has no look-ahead, so each of these values is checked separately.
SLOW_SCHEMA = json.dumps({"fields": [{"name": "id", "type": "string", "constraints": {"pattern": "(?=[0-9])[0-9]+"}}]})
EXPECTED_ERRORS = sum(not number % 2 for number in range(ROWS)) + sum(not number % 3 for number in range(ROWS))


class Pooler:
    """A PgBouncer that can be replaced by another at the same place."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._port = free_port()
        self._running = ExitStack()
        self.url = self.start()

    def start(self) -> str:
        return self._running.enter_context(running_pgbouncer(self._database_url, server_connections=SERVER_CONNECTIONS, port=self._port))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def pooler(servers: Servers) -> Iterator[Pooler]:
    pooler = Pooler(servers.database_url)
    yield pooler
    pooler.stop()


@pytest.fixture
def pooled(servers: Servers, pooler: Pooler, tmp_path: Path) -> Iterator[Service]:
    through = Servers(pooler.url, servers.redis_url)
    with running_service(through, tmp_path, DATABASE_POOLER="transaction", LOG_FORMAT="json") as service:
        yield service


def test_jobs_outputs_and_events_are_exact_and_nothing_is_complained_of(pooled: Service, servers: Servers) -> None:
    client = pooled.client

    def do(number: int) -> None:
        job_id = pooled.upload(f"{number}.csv", CONTENT, schema=SCHEMA, external_id=f"order-{number}")
        job = pooled.wait_for(job_id)
        assert (job["status"], job["error_count"], job["total_rows"]) == ("COMPLETED", EXPECTED_ERRORS, ROWS), job
        page = client.get(f"/api/jobs/{job_id}/errors", params={"page_size": 5}).json()
        assert (page["total"], len(page["errors"])) == (EXPECTED_ERRORS, 5)
        assert client.put(f"/api/jobs/{job_id}/outputs/errors.csv").is_success
        assert wait_until(lambda: client.get(f"/api/jobs/{job_id}/outputs/errors.csv").status_code == 200, timeout_s=60), pooled.tail()
        again = client.post(f"/api/jobs/{job_id}/check-again", json={}).json()["job_id"]
        assert pooled.wait_for(again)["error_count"] == EXPECTED_ERRORS
        if number % 3 == 0:
            assert client.delete(f"/api/jobs/{job_id}").is_success
            assert client.get(f"/api/jobs/{job_id}").status_code == 404

    with client.stream("GET", "/api/events") as events, ThreadPoolExecutor(JOBS) as pool:
        list(pool.map(do, range(JOBS)))
        seen: set[str] = set()
        for line in events.iter_lines():
            if line.startswith("data: "):
                seen.add(line)
            if len(seen) >= JOBS:
                break
    assert client.get("/api/jobs").json()["total"] == 2 * JOBS - JOBS // 3
    assert client.get("/api/health").json()["status"] == "healthy"
    time.sleep(3)  # periodic tasks run
    lines = [line for path in pooled.logs.glob("*.log") for line in path.read_text().splitlines()]
    assert [line for line in lines if '"level": "error"' in line or ('"level": "warning"' in line and "py.warnings" not in line)] == []
    # The service has more connections than the server: what they share was taken in turns.
    assert 0 < asyncio.run(count_connections(servers.database_url)) <= SERVER_CONNECTIONS


def test_job_is_exact_and_counts_no_crash_when_the_pooler_is_replaced(pooled: Service, pooler: Pooler) -> None:
    job_id = pooled.upload("slow.csv", SLOW, schema=SLOW_SCHEMA)
    pooled.wait_for(job_id, lambda job: job["status"] == "PROCESSING" and job["progress"] > 0)
    pooler.stop()
    assert pooled.client.get(f"/api/jobs/{job_id}").status_code == 503
    time.sleep(1)
    pooler.start()
    assert wait_until(lambda: pooled.client.get(f"/api/jobs/{job_id}").is_success, timeout_s=20), pooled.tail()
    job = pooled.wait_for(job_id)
    assert (job["status"], job["error_count"], job["total_rows"]) == ("COMPLETED", SLOW_ROWS // 10, SLOW_ROWS), (job, pooled.tail())
    assert "job crashed" not in (pooled.logs / "worker.log").read_text()


async def count_connections(database_url: str) -> int:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'rowgate-%' AND datname LIKE 'service_%'"))
    finally:
        await connection.close()

"""Database and broker go away, hang, forget: nothing is lost, uploads are taken, and no job is called FAILED that is not."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import redis

from compose.processes import wait_until
from tests.faults.harness import IS_LONG, Stack, make_sample

pytestmark = pytest.mark.timeout(1800 if IS_LONG else 300)

SAMPLE = make_sample(100_000)
SMALL = make_sample(200, seed=2)


@contextmanager
def broker_stopped(stack: Stack) -> Iterator[None]:
    """Valkey is killed, and comes back with what it had written."""
    stack.stop_server("valkey", signal.SIGKILL)
    try:
        yield
    finally:
        stack.restart_server("valkey")


@pytest.mark.parametrize("slots", [0, 1, 2, 3, 4] if IS_LONG else [0, 3])
def test_broker_that_dies_with_busy_slots_loses_nothing(stack: Stack, slots: int) -> None:
    jobs = [stack.upload(SAMPLE) for _ in range(slots)]
    for job_id in jobs:
        stack.wait_until_running(job_id)
    with broker_stopped(stack):
        start = time.monotonic()
        meanwhile = stack.upload(SMALL)
        assert time.monotonic() - start < 3
        time.sleep(3)
    for job_id in jobs:
        stack.assert_completed(job_id, SAMPLE)
    stack.assert_completed(meanwhile, SMALL)
    stack.assert_completed(stack.upload(SMALL), SMALL)
    assert stack.parts["worker"].exit_status() is None
    stack.assert_quiet()


def test_broker_that_hangs_holds_up_no_upload(stack: Stack) -> None:
    stack.stop_server("valkey", signal.SIGSTOP)
    try:
        times = []
        jobs = []
        for _ in range(4):
            start = time.monotonic()
            jobs.append(stack.upload(SMALL))
            times.append(time.monotonic() - start)
        health = stack.client.get("/api/health")
        assert health.status_code == 503
        assert health.json()["database"]["status"] == "healthy"
        assert max(times) < 3
    finally:
        stack.stop_server("valkey", signal.SIGCONT)
    for job_id in jobs:
        stack.assert_completed(job_id, SMALL, timeout_s=60)
    stack.assert_quiet()


def test_broker_that_forgets_its_backlog_is_told_again(stack: Stack) -> None:
    stack.parts["worker"].send(signal.SIGSTOP)
    jobs = [stack.upload(SMALL) for _ in range(6)]
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.flushall()
    stack.parts["worker"].send(signal.SIGCONT)
    start = time.monotonic()
    for job_id in jobs:
        stack.assert_completed(job_id, SMALL)
    assert time.monotonic() - start < 40
    stack.assert_quiet()


def test_database_that_restarts_mid_job_gives_the_exact_result(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    stack.stop_server("postgres", signal.SIGQUIT)
    time.sleep(1)
    stack.restart_server("postgres")
    stack.assert_completed(job_id, SAMPLE)
    [row] = stack.query("SELECT crashes FROM jobs WHERE id = $1", job_id)
    assert row["crashes"] == 0
    stack.assert_quiet()


def test_database_away_for_longer_than_a_lease_is_no_crash(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    stack.stop_server("postgres", signal.SIGQUIT)
    try:
        time.sleep(0.5)
        for method, path in (("GET", "/api/jobs"), ("GET", f"/api/jobs/{job_id}"), ("DELETE", f"/api/jobs/{job_id}")):
            start = time.monotonic()
            response = stack.client.request(method, path)
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            assert time.monotonic() - start < 10
        response = stack.client.post("/api/files/upload", files={"file": ("a.csv", SMALL.content)})
        assert response.status_code == 503
        time.sleep(10)
    finally:
        stack.restart_server("postgres")
    job = stack.assert_completed(job_id, SAMPLE)
    assert job["error_message"] is None
    [row] = stack.query("SELECT crashes FROM jobs WHERE id = $1", job_id)
    assert row["crashes"] == 0
    stack.assert_quiet()


def test_api_that_is_killed_mid_upload_leaves_no_job(stack: Stack) -> None:
    before = {row["id"] for row in stack.query("SELECT id FROM jobs")}
    head = (
        b"POST /api/files/upload HTTP/1.1\r\nhost: rowgate\r\ncontent-length: 100000000\r\ncontent-type: multipart/form-data; boundary=b\r\n\r\n"
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    )
    url = stack.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(head + b"1,2,3\n" * 300_000)
        assert wait_until(lambda: any(path.name.endswith(".part") for path in stack.uploads.iterdir()), timeout_s=10)
        stack.kill("api")
    stack.restart_part("api")
    assert wait_until(stack.is_ready, timeout_s=60)
    assert {row["id"] for row in stack.query("SELECT id FROM jobs")} == before
    [left] = [path for path in stack.uploads.iterdir() if path.name.endswith(".part")]
    os.utime(left, (0, 0))
    stack.send_task("upload.sweep_files", queue="maintenance")
    assert wait_until(lambda: not left.exists(), timeout_s=20), stack.tail()
    stack.assert_quiet()


def test_dispatcher_that_dies_only_delays(stack: Stack) -> None:
    told: list[bytes] = []
    server = socket.create_server(("127.0.0.1", 0))

    def receive() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            told.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            connection.close()

    threading.Thread(target=receive, daemon=True).start()
    stack.kill("dispatcher")
    job_id = stack.upload(SMALL, webhook_url=f"http://127.0.0.1:{server.getsockname()[1]}/")
    stack.assert_completed(job_id, SMALL)
    assert told == []
    stack.restart_part("dispatcher")
    assert wait_until(lambda: bool(told), timeout_s=30), stack.tail()

    def is_delivered() -> bool:
        [delivery] = stack.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"]
        return bool(delivery["status"] == "DELIVERED")

    assert wait_until(is_delivered, timeout_s=10)
    server.close()
    time.sleep(6)
    assert len(told) == 1
    stack.assert_quiet()


def test_cancel_against_the_end_gives_one_end_with_its_delivery(stack: Stack) -> None:
    ends: dict[str, int] = {}
    for number in range(attempts := 500 if IS_LONG else 10):
        job_id = stack.upload(make_sample(3_000, seed=number), webhook_url="http://127.0.0.1:9/")
        wait_until(lambda job_id=job_id: stack.job(job_id)["status"] != "QUEUED", timeout_s=20, interval_s=0.005)  # type: ignore[misc]
        time.sleep(0.02 * (number % 12))
        response = stack.client.delete(f"/api/jobs/{job_id}")
        assert response.status_code == 204
        if stack.client.get(f"/api/jobs/{job_id}").status_code == 404:  # it had ended before it could be cancelled
            ends["deleted"] = ends.get("deleted", 0) + 1
            continue
        job = stack.wait_until_ended(job_id, timeout_s=20)
        ends[job["status"]] = ends.get(job["status"], 0) + 1
        events = [delivery["event"] for delivery in stack.client.get(f"/api/jobs/{job_id}/deliveries").json()["deliveries"]]
        assert events == [f"job.{job['status'].lower()}"]
    assert sum(ends.values()) == attempts
    stack.assert_quiet()


def test_health_recovers_by_itself(stack: Stack) -> None:
    assert wait_until(stack.is_ready, timeout_s=60)
    with httpx.Client(base_url=stack.client.base_url) as client:
        assert client.get("/api/health").json()["status"] == "healthy"

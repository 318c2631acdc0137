"""Database and broker go away, hang, or lose data: nothing is lost, uploads are accepted, and no job is wrongly FAILED."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import redis

from compose.processes import wait_until
from tests.faults.harness import IS_LONG, LEASE_S, Stack, make_sample, measure

pytestmark = pytest.mark.timeout(600 if IS_LONG else 300)

SAMPLE = make_sample(30_000)
LONG = make_sample(60_000, seed=3)
"""Takes so long that jobs started one after the other run at the same time, however busy the machine is."""
SMALL = make_sample(200, seed=2)
OUTAGE_S = 60.0 if IS_LONG else 5.0
UPLOAD_S = 3.0
RUNG_S = 60.0 if IS_LONG else 30.0
"""All jobs have ended within this time after an outage; it includes the time that a job takes."""


@contextmanager
def broker_stopped(stack: Stack) -> Iterator[None]:
    """Kill Valkey for the block; it comes back with the data that it had written."""
    stack.stop_server("valkey", signal.SIGKILL)
    try:
        yield
    finally:
        stack.restart_server("valkey")


@contextmanager
def broker_hanging(stack: Stack) -> Iterator[None]:
    stack.stop_server("valkey", signal.SIGSTOP)
    try:
        yield
    finally:
        stack.stop_server("valkey", signal.SIGCONT)


def upload_for(stack: Stack, seconds: float, *, pause_s: float) -> list[str]:
    """Upload continuously for `seconds`, asserting that no answer takes long; return the job ids."""
    jobs, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        assert measure(lambda: jobs.append(stack.upload(SMALL))) < UPLOAD_S
        time.sleep(pause_s)
    return jobs


@pytest.mark.parametrize("slots", [0, 1, 2, 3, 4] if IS_LONG else [0, 3])
def test_broker_that_dies_with_busy_slots_loses_nothing(stack: Stack, slots: int) -> None:
    jobs = stack.start_jobs(slots, SAMPLE)
    with broker_stopped(stack):
        jobs += upload_for(stack, 2, pause_s=0.5)
    for job_id in jobs:
        stack.assert_completed(job_id, timeout_s=RUNG_S)
    stack.assert_completed(stack.upload(SMALL))
    assert stack.parts["worker"].child.exit_status() is None


@pytest.mark.parametrize("absence", [broker_stopped, broker_hanging])
def test_broker_that_is_away_holds_up_no_upload_and_no_job(stack: Stack, absence: Callable[[Stack], Iterator[None]]) -> None:
    running = stack.start_jobs(2, SAMPLE)
    with absence(stack):  # type: ignore[attr-defined]  # a context manager
        waiting = upload_for(stack, OUTAGE_S, pause_s=OUTAGE_S / 20)
        health = stack.client.get("/api/health")
        assert health.status_code == 503
        assert (health.json()["database"]["status"], health.json()["redis"]["status"]) == ("healthy", "unhealthy")
        for job_id in running:
            assert stack.assert_completed(job_id, timeout_s=20)["started_at"]
    for job_id in waiting:
        stack.assert_completed(job_id, timeout_s=RUNG_S)
    assert wait_until(stack.is_healthy, timeout_s=10)


def test_connections_that_are_dead_without_a_word_are_made_anew(stack: Stack) -> None:
    running = stack.start_jobs(2, SAMPLE)
    assert stack.wire.fall_silent() > 3
    jobs = upload_for(stack, 3, pause_s=0.5)
    for job_id in (*running, *jobs):
        stack.assert_completed(job_id, timeout_s=60)
    # The worker is told of new jobs at once again, and not only through the sweep.
    assert wait_until(lambda: is_heard_at_once(stack), timeout_s=60)
    assert wait_until(lambda: run_at_once(stack, 4), timeout_s=120), f"a slot was lost: {stack.tail()}"
    assert all(part.child.exit_status() is None for part in stack.parts.values())


def is_heard_at_once(stack: Stack) -> bool:
    job_id = stack.upload(SMALL)
    stack.assert_completed(job_id)
    return bool(stack.row(job_id)["rings"] == 0)


def run_at_once(stack: Stack, count: int) -> bool:
    """Whether `count` jobs were seen running at the same time; a slot that still waits for a dead connection may be free at the next try."""
    jobs = [stack.upload(LONG) for _ in range(count)]

    def are_running() -> bool:
        return all(stack.job(job_id)["status"] == "PROCESSING" for job_id in jobs)

    together = wait_until(are_running, timeout_s=10)
    for job_id in jobs:
        stack.assert_completed(job_id)
    return together


def test_broker_that_forgets_its_backlog_is_told_again(stack: Stack) -> None:
    stack.send("worker", signal.SIGSTOP)
    jobs = [stack.upload(SMALL) for _ in range(6)]
    with redis.Redis.from_url(stack.environment["REDIS_URL"]) as client:
        client.flushall()
    stack.send("worker", signal.SIGCONT)
    start = time.monotonic()
    for job_id in jobs:
        stack.assert_completed(job_id, SMALL)
    assert time.monotonic() - start < 40


def test_database_that_restarts_mid_job_gives_the_exact_result(stack: Stack) -> None:
    jobs = stack.start_jobs(2, SAMPLE)
    stack.stop_server("postgres", signal.SIGQUIT)
    time.sleep(1)
    stack.restart_server("postgres")
    for job_id in jobs:
        stack.assert_completed(job_id)
        assert stack.row(job_id)["crashes"] == 0


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
        assert stack.try_upload(SMALL).status_code == 503
        time.sleep(60 if IS_LONG else 2 * LEASE_S)
    finally:
        stack.restart_server("postgres")
    job = stack.assert_completed(job_id)
    assert job["error_message"] is None
    assert stack.row(job_id)["crashes"] == 0

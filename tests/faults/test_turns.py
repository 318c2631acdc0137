"""How real workers share their slots: ten submitters, one of them with many large files, and what a stop or an older release leaves behind."""

from __future__ import annotations

import time
from typing import Any

import pytest

from compose.processes import wait_until
from shared.db.models import MAX_SMALL_BYTES
from tests.faults.harness import Stack, make_sample

pytestmark = pytest.mark.timeout(300)

SAMPLE = make_sample(10_000, seed=11)
SMALL = make_sample(20, seed=12)
FLOOD = 12
OTHERS = "bcdefghij"
SLOTS = 4
READY_S = 8.0
"""Sooner than a message that was lost is sent again."""


@pytest.fixture(autouse=True)
def one_worker(stack: Stack) -> None:
    if "worker" not in stack.parts:
        stack.start_worker("worker")
        stack.wait_until_alive("worker")


def send_as(stack: Stack, submitter: str, *, is_large: bool = False) -> str:
    """Upload a file while no worker runs; what makes it large is its row, which is all that a claim looks at."""
    job_id = stack.upload(SAMPLE if is_large else SMALL)
    stack.query("UPDATE jobs SET submitted_by = $2 WHERE id = $1", job_id, submitter)
    if is_large:
        stack.query("UPDATE jobs SET file_size = $2 WHERE id = $1", job_id, MAX_SMALL_BYTES + 1)
    return job_id


def count_large_running(stack: Stack) -> int:
    [row] = stack.query("SELECT count(*) AS n FROM jobs WHERE status = 'PROCESSING' AND file_size > $1", MAX_SMALL_BYTES)
    return int(row["n"])


def list_starts(stack: Stack, job_ids: list[str]) -> dict[str, Any]:
    return {job_id: stack.row(job_id)["started_at"] for job_id in job_ids}


def test_small_files_of_nine_start_before_a_second_large_one_of_the_tenth(stack: Stack) -> None:
    stack.stop_part("worker")
    large = [send_as(stack, "a", is_large=True) for _ in range(FLOOD)]
    small = [send_as(stack, other) for other in OTHERS]
    stack.start_worker("worker", slots=SLOTS)
    most = 0

    def look() -> bool:
        nonlocal most
        most = max(most, count_large_running(stack))
        return all(stack.job(job_id)["status"] == "COMPLETED" for job_id in small) and most > 1

    assert wait_until(look, timeout_s=60, interval_s=0.1), stack.tail()
    last_small = max(list_starts(stack, small).values())
    assert sum(started is not None and started < last_small for started in list_starts(stack, large).values()) <= SLOTS - 2
    # While the large ones go on, another's small file starts before any slot has become free of them.
    assert wait_until(lambda: count_large_running(stack) == SLOTS - 1, timeout_s=30), stack.tail()
    late = stack.upload(SMALL)
    running = stack.query("SELECT id FROM jobs WHERE status = 'PROCESSING' AND file_size > $1", MAX_SMALL_BYTES)
    stack.assert_completed(late)
    assert len(running) == SLOTS - 1
    ends = [row["completed_at"] for row in stack.query("SELECT completed_at FROM jobs WHERE id = ANY($1)", [row["id"] for row in running])]
    assert all(end is None or end > stack.row(late)["started_at"] for end in ends)

    def never_more() -> bool:
        assert count_large_running(stack) < SLOTS
        return all(stack.job(job_id)["status"] == "COMPLETED" for job_id in large)

    assert wait_until(never_more, timeout_s=90, interval_s=0.1), stack.tail()
    assert all(stack.row(job_id)["crashes"] == 0 for job_id in [*large, *small, late])


def test_one_submitter_has_all_slots(stack: Stack) -> None:
    stack.stop_part("worker")
    stack.query("TRUNCATE submitter_turns")
    large = [send_as(stack, "a", is_large=True) for _ in range(SLOTS + 2)]
    stack.start_worker("worker", slots=SLOTS)
    assert wait_until(lambda: count_large_running(stack) == SLOTS, timeout_s=30, interval_s=0.05), stack.tail()
    for job_id in large:
        stack.assert_completed(job_id)


def test_worker_that_holds_a_message_stops_at_once_and_the_message_is_used_by_the_next(stack: Stack) -> None:
    stack.stop_part("worker")
    large = [send_as(stack, "a", is_large=True) for _ in range(3)]
    stack.query("INSERT INTO submitter_turns (submitted_by, is_output, is_large) VALUES ('b', false, false)")
    stack.start_worker("worker", slots=2)  # one of which holds a message
    assert wait_until(lambda: count_large_running(stack) == 1, timeout_s=30), stack.tail()
    time.sleep(1)
    start = time.monotonic()
    stack.stop_part("worker")
    assert time.monotonic() - start < 10
    stack.start_worker("worker", slots=SLOTS)
    assert wait_until(lambda: count_large_running(stack) >= 2, timeout_s=READY_S + 10), stack.tail()
    for job_id in large:
        stack.assert_completed(job_id)


def test_output_that_a_release_before_asked_for_in_the_queue_of_jobs_is_made(stack: Stack) -> None:
    job_id = stack.upload(SMALL)
    stack.assert_completed(job_id)
    stack.stop_part("worker")
    assert stack.client.put(f"/api/jobs/{job_id}/outputs/valid.csv").status_code == 202
    [output] = stack.query("UPDATE outputs SET submitted_by = NULL, file_size = 0 WHERE job_id = $1 RETURNING id::text", job_id)
    with stack.make_celery().connection_for_write() as connection, connection.channel() as channel:
        channel.client.delete("outputs")
    stack.send_task("processing.make_output", queue="processing", output_id=output["id"])
    stack.start_worker("worker", slots=SLOTS)
    stack.wait_until_alive("worker")
    path = f"/api/jobs/{job_id}/outputs/valid.csv"
    assert wait_until(lambda: stack.client.get(path).status_code == 200, timeout_s=READY_S), stack.tail()

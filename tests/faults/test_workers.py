"""Whatever happens to a worker, its jobs end once, with every error stored once."""

from __future__ import annotations

import os
import signal
import time

import pytest

from compose.processes import wait_until
from tests.faults.harness import LEASE_S, Stack, make_sample, watching_progress

pytestmark = pytest.mark.timeout(240)

SAMPLE = make_sample(100_000)


def test_killed_child_costs_a_lease_and_nothing_else(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    with watching_progress(stack, job_id):
        stack.wait_until_running(job_id)
        os.kill(stack.find_holder(), signal.SIGKILL)
        stack.assert_completed(job_id, SAMPLE)
    [row] = stack.query("SELECT crashes FROM jobs WHERE id = $1", job_id)
    assert row["crashes"] == 1
    stack.assert_quiet()


def test_killed_worker_is_replaced_by_another(stack: Stack) -> None:
    stack.start_worker("second")
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    stack.kill("worker")
    stack.assert_completed(job_id, SAMPLE)
    stack.restart_part("worker")
    stack.parts["second"].stop()
    stack.assert_quiet()


def test_file_that_kills_its_worker_each_time_fails_after_three_and_others_go_on(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    for _ in range(3):
        stack.wait_until_running(job_id)
        os.kill(stack.find_holder(), signal.SIGKILL)
        wait_until(lambda: stack.job(job_id)["status"] != "PROCESSING", timeout_s=30)
    job = stack.wait_until_ended(job_id)
    assert job["status"] == "FAILED"
    assert "3 times" in job["error_message"]
    stack.assert_completed(stack.upload(SAMPLE), SAMPLE)
    stack.assert_quiet()


def test_sigterm_gives_the_job_back_and_another_worker_runs_it_at_once(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    stack.start_worker("second")
    stack.parts["worker"].send(signal.SIGTERM)
    start = time.monotonic()
    stack.assert_completed(job_id, SAMPLE)
    assert wait_until(lambda: stack.parts["worker"].exit_status() is not None, timeout_s=20)
    assert time.monotonic() - start < 60
    [row] = stack.query("SELECT crashes FROM jobs WHERE id = $1", job_id)
    assert row["crashes"] == 0
    stack.restart_part("worker")
    stack.parts["second"].stop()
    stack.assert_quiet()


def test_stopped_worker_is_fenced_out_when_it_goes_on(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    holder = stack.find_holder()
    os.kill(holder, signal.SIGSTOP)
    time.sleep(LEASE_S + 6)
    os.kill(holder, signal.SIGCONT)
    stack.assert_completed(job_id, SAMPLE)
    time.sleep(2)
    stack.assert_completed(job_id, SAMPLE)
    stack.assert_quiet()


def test_file_that_is_deleted_under_its_worker_fails_with_a_sentence(stack: Stack) -> None:
    stack.kill("worker")
    job_id = stack.upload(SAMPLE)
    for path in stack.uploads.glob(f"{job_id}*"):
        path.unlink()
    stack.restart_part("worker")
    job = stack.wait_until_ended(job_id)
    assert job["status"] == "FAILED"
    assert "no longer stored" in job["error_message"]
    stack.assert_quiet()


def test_same_message_fifty_times_is_one_execution(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    for _ in range(50):
        stack.send_task("processing.process_job", queue="processing", job_id=job_id)
    stack.assert_completed(job_id, SAMPLE)
    time.sleep(2)
    [row] = stack.query("SELECT attempt FROM jobs WHERE id = $1", job_id)
    assert row["attempt"] == 1
    stack.assert_completed(job_id, SAMPLE)
    stack.assert_quiet()

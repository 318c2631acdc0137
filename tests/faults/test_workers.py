"""Whatever happens to a worker or a dispatcher, each job ends once, with every error stored once."""

from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest

from compose.processes import wait_until
from tests.faults.altered import HANG, POISON
from tests.faults.harness import IS_LONG, LEASE_S, TAKEN_BACK_S, Stack, make_sample

pytestmark = pytest.mark.timeout(300)

SAMPLE = make_sample(30_000)
SMALL = make_sample(200, seed=2)
HOUR_S = 3600
SLOTS = 4


WORKER_NAMES = ("worker", "second")


@pytest.fixture(autouse=True)
def two_workers(stack: Stack) -> None:
    """Two workers, so that one can take over the jobs of the other."""
    if "second" not in stack.parts:
        stack.start_worker("second")
        stack.wait_until_alive("second")


def test_killed_child_costs_a_lease_and_nothing_else(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    os.kill(stack.find_holder(), signal.SIGKILL)
    stack.wait_for_row(job_id, lambda row: row["attempt"] > 1, timeout_s=TAKEN_BACK_S)
    stack.assert_completed(job_id)
    assert stack.row(job_id)["crashes"] == 1


def test_killed_worker_is_replaced_by_another(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    name, _ = find_holder(stack)
    stack.kill(name)
    stack.assert_completed(job_id)
    stack.restart_part(name)
    stack.wait_until_alive(name)


def test_file_that_kills_its_worker_each_time_fails_after_three_and_others_go_on(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE, name=POISON)
    others = []
    for crashes in (1, 2, 3):
        others.append(stack.upload(SMALL))
        stack.wait_for_row(job_id, lambda row, crashes=crashes: row["crashes"] == crashes)  # type: ignore[misc]
    job = stack.job(job_id)
    assert job["status"] == "FAILED"
    assert "3 times" in job["error_message"]
    assert job["rows_processed"] > 0
    for other in others:
        assert stack.assert_completed(other)["completed_at"] < job["completed_at"]
    stack.retry(job_id)
    assert stack.row(job_id)["crashes"] == 0
    wait_until(lambda: stack.job(job_id)["status"] == "PROCESSING", timeout_s=20)
    assert stack.cancel(job_id)


def test_file_that_is_checked_for_ever_fails_when_its_time_is_over_and_its_slot_comes_back(stack: Stack) -> None:
    stack.stop_part("second")
    stack.restart_part("worker", altered=["hang=4"], JOB_TIME_LIMIT_S="2")
    stack.wait_until_alive("worker")
    job_id = stack.upload(SAMPLE, name=HANG)
    holder = stack.find_holder()
    assert holder in stack.children_of("worker")
    job = stack.wait_until_ended(job_id, timeout_s=20)
    assert job["status"] == "FAILED"
    assert "longer than the 2 seconds" in job["error_message"]
    # Its thread cannot be cancelled, so the child is killed with everything in it.
    assert wait_until(lambda: holder not in stack.children_of("worker"), timeout_s=20)
    assert wait_until(lambda: len(stack.children_of("worker")) == SLOTS, timeout_s=20)
    stack.assert_completed(stack.upload(SMALL))
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


def test_soft_limit_of_celery_fails_the_job_and_leaves_its_process_alone(stack: Stack) -> None:
    """Celery keeps the time, the job ends by the right transition, and the process goes on with the next job."""
    stack.stop_part("second")
    stack.restart_part("worker", altered=["pause=0.2"], JOB_TIME_LIMIT_S="2")
    stack.wait_until_alive("worker")
    job_id = stack.upload(SAMPLE)
    holder = stack.find_holder()
    job = stack.wait_until_ended(job_id, timeout_s=20)
    assert job["status"] == "FAILED"
    assert "longer than the 2 seconds" in job["error_message"]
    assert any("reached its time limit" in line and job_id in line for line in stack.read_log("worker").splitlines())
    row = stack.row(job_id)
    assert timedelta(seconds=1.5) <= row["completed_at"] - row["started_at"] < timedelta(seconds=15)
    assert row["crashes"] == 0
    assert holder in stack.children_of("worker")
    stack.assert_completed(stack.upload(SMALL))
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT], ids=["warm", "cold"])
def test_worker_that_is_told_to_stop_finishes_or_gives_back_within_its_time(stack: Stack, number: signal.Signals) -> None:
    """Celery's warm stop waits for its tasks, its cold stop for `worker_soft_shutdown_timeout`; a short job ends in that time, a long one is given back."""
    time_s = 4
    stack.stop_part("second")
    stack.restart_part("worker", altered=["pause=0.05"], WORKER_SHUTDOWN_TIMEOUT_S=str(time_s))
    stack.wait_until_alive("worker")
    long = stack.upload(SAMPLE)
    stack.wait_until_running(long)
    short = stack.upload(make_sample(3_000, seed=4))
    stack.wait_until_running(short)
    stack.send("worker", number)
    stack.wait_for_row(long, lambda row: row["status"] == "QUEUED", timeout_s=2 * time_s)
    assert stack.job(short)["status"] == "COMPLETED"
    assert wait_until(lambda: stack.parts["worker"].child.exit_status() is not None, timeout_s=time_s + 10)
    assert (stack.row(long)["crashes"], stack.row(short)["attempt"]) == (0, 1)
    stack.restart_part("worker")
    stack.wait_until_alive("worker")
    stack.assert_completed(long)
    stack.assert_completed(short)


def test_sigterm_gives_the_job_back_and_another_worker_runs_it_at_once(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    name, _ = find_holder(stack)
    stack.send(name, signal.SIGTERM)
    stack.wait_until_running_anew(job_id, timeout_s=2 * LEASE_S)
    stack.assert_completed(job_id)
    assert wait_until(lambda: stack.parts[name].child.exit_status() == 0, timeout_s=20)
    assert (stack.row(job_id)["crashes"], stack.row(job_id)["rings"]) == (0, 0)
    stack.restart_part(name)
    stack.wait_until_alive(name)


def test_sigterm_and_then_kill_goes_the_way_of_the_lease(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    name, child = find_holder(stack)
    os.kill(child, signal.SIGSTOP)  # so that it cannot give the job back in time
    stack.send(name, signal.SIGTERM)
    time.sleep(1)
    assert stack.parts[name].child.exit_status() is None
    stack.parts[name].child.kill()
    stack.assert_completed(job_id)
    assert stack.row(job_id)["crashes"] == 1
    stack.restart_part(name)
    stack.wait_until_alive(name)


def test_stopped_worker_is_fenced_out_when_it_goes_on(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id, rows=SAMPLE.rows // 2)
    name, holder = find_holder(stack)
    os.kill(holder, signal.SIGSTOP)
    try:
        stack.wait_until_running_anew(job_id)
    finally:
        os.kill(holder, signal.SIGCONT)
    stack.assert_completed(job_id)
    assert wait_until(lambda: any("no longer ours" in line and job_id in line for line in stack.read_log(name).splitlines()), timeout_s=10)
    stack.assert_completed(job_id)


def test_retry_while_the_old_worker_still_has_it_is_one_result(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id, rows=SAMPLE.rows // 2)
    holder = stack.find_holder()
    os.kill(holder, signal.SIGSTOP)
    try:
        assert stack.cancel(job_id)
        stack.retry(job_id)
        stack.wait_until_running(job_id)
    finally:
        os.kill(holder, signal.SIGCONT)
    stack.assert_completed(job_id)
    assert stack.row(job_id)["crashes"] == 0


def test_file_that_is_deleted_under_its_worker_fails_with_a_sentence(stack: Stack) -> None:
    for name in WORKER_NAMES:
        stack.send(name, signal.SIGSTOP)
    job_id = stack.upload(SAMPLE)
    stack.accepted[job_id].has_file = False
    stack.stored.remove_files_of(job_id)
    for name in WORKER_NAMES:
        stack.send(name, signal.SIGCONT)
    job = stack.wait_until_ended(job_id)
    assert job["status"] == "FAILED"
    assert "no longer stored" in job["error_message"]


def test_file_that_is_deleted_while_it_is_read_is_read_to_its_end(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    stack.accepted[job_id].has_file = False
    stack.stored.remove_files_of(job_id)
    stack.assert_completed(job_id)


def test_same_message_fifty_times_is_one_execution(stack: Stack) -> None:
    job_id = stack.upload(SAMPLE)
    for _ in range(50):
        stack.send_task("processing.process_job", queue="processing", job_id=job_id)
    stack.assert_completed(job_id)
    wait_until(lambda: count_waiting(stack) == 0, timeout_s=10)
    assert stack.row(job_id)["attempt"] == 1
    assert count_claims(stack, job_id) == 1


def test_visibility_timeout_during_a_job_is_one_execution(stack: Stack) -> None:
    """Celery redelivers a message that was not acknowledged within the visibility timeout, here while its job is running."""
    job_id = stack.upload(SAMPLE)
    stack.wait_until_running(job_id)
    with stack.make_celery().connection_for_write() as connection:
        connection.transport_options = {**connection.transport_options, "visibility_timeout": 0}
        with connection.channel() as channel:
            assert any(job_id in message.decode() for message in channel.client.hvals("unacked"))
            channel.qos.restore_visible(num=100)
            # A worker with free slots takes the message again at once.
            assert wait_until(lambda: channel.client.llen("processing") == 0, timeout_s=5)
    assert stack.job(job_id)["status"] == "PROCESSING"
    stack.assert_completed(job_id)
    assert stack.row(job_id)["attempt"] == 1
    assert count_claims(stack, job_id) == 1


@pytest.mark.parametrize("ahead_s", [HOUR_S, -HOUR_S] if IS_LONG else [HOUR_S])
def test_clock_that_is_an_hour_off_takes_no_job_back_early(stack: Stack, ahead_s: int) -> None:
    stack.stop_part("second")
    stack.restart_part("worker", altered=[f"move_clock={ahead_s}", "pause=0.08"])
    stack.start_dispatcher("astray", altered=[f"move_clock={ahead_s}"])
    stack.stop_part("dispatcher")
    stack.wait_until_alive("worker")
    sample = make_sample(8_000, seed=3)
    job_id = stack.upload(sample)
    stack.wait_until_running(job_id)
    start = time.monotonic()
    stack.assert_completed(job_id)
    assert time.monotonic() - start > 2 * LEASE_S
    assert (stack.row(job_id)["attempt"], stack.row(job_id)["crashes"]) == (1, 0)
    assert abs(stack.row(job_id)["completed_at"] - datetime.now(UTC)) < timedelta(minutes=1)
    moved = datetime.now(UTC) + timedelta(seconds=ahead_s)
    for name in ("worker", "astray"):  # its log shows that it had the wrong time
        assert any(abs(moved - at) < timedelta(minutes=1) for at in read_times(stack, name)), stack.read_log(name)
    stack.start_dispatcher("dispatcher")
    stack.stop_part("astray")
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


def test_two_dispatchers_act_as_one(stack: Stack) -> None:
    stack.start_dispatcher("other")
    stack.wait_until_alive("other")
    jobs = stack.start_jobs(2, SAMPLE)
    for name in WORKER_NAMES:
        for child in stack.children_of(name):
            os.kill(child, signal.SIGKILL)
    for job_id in jobs:
        stack.assert_completed(job_id)
        assert stack.row(job_id)["crashes"] == 1
    said = [line for name in ("dispatcher", "other") for line in stack.read_log(name).splitlines() if "took a job back" in line]
    assert sorted(job_id for job_id in jobs for line in said if job_id in line) == sorted(jobs)
    stack.assert_settled()
    assert [stack.receiver.count(job_id) for job_id in jobs] == [1, 1]
    stack.stop_part("other")


def test_dispatcher_that_dies_only_delays(stack: Stack) -> None:
    stack.kill("dispatcher")
    told = stack.upload(SMALL)
    crashed = stack.upload(SAMPLE)
    stack.assert_completed(told)
    stack.wait_until_running(crashed)
    os.kill(stack.find_holder(), signal.SIGKILL)
    time.sleep(LEASE_S + 1)
    assert stack.receiver.count(told) == 0
    assert stack.job(crashed)["status"] == "PROCESSING"
    stack.restart_part("dispatcher")
    stack.assert_completed(crashed)
    stack.assert_settled()
    assert stack.receiver.count(told) == 1


def test_worker_that_dies_between_end_and_message_leaves_the_delivery_to_the_sweep(stack: Stack) -> None:
    stack.stop_part("second")
    stack.restart_part("worker", altered=["die_before_message"])
    job_id = stack.upload(SMALL)
    stack.assert_completed(job_id)
    stack.assert_settled()
    assert stack.row(job_id)["attempt"] == 1
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


def find_holder(stack: Stack) -> tuple[str, int]:
    """Return which of two workers runs the only running job, and the pid of its child that does."""
    child = stack.find_holder()
    [name] = [name for name in WORKER_NAMES if child in stack.children_of(name)]
    return name, child


def count_waiting(stack: Stack) -> int:
    with stack.make_celery().connection_for_write() as connection, connection.channel() as channel:
        return int(channel.client.llen("processing"))


def count_claims(stack: Stack, job_id: str) -> int:
    return sum("job claimed" in line and job_id in line for name in WORKER_NAMES for line in stack.read_log(name).splitlines())


def read_times(stack: Stack, name: str) -> list[datetime]:
    """Return the time of each line of a part's log."""
    words = (line.split(" ", 1)[0] for line in stack.read_log(name).splitlines())
    return [datetime.fromisoformat(word) for word in words if word[:2] == "20" and word.endswith("Z")]

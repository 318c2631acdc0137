"""Whatever happens while an output is made or sent, it ends READY once with the right file, or FAILED with a sentence, and nothing is left on disk."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.processes import wait_until
from shared.storage.names import OUTPUTS_FOLDER
from tests.faults.harness import (
    IS_LONG,
    LEASE_S,
    SEED,
    TAKEN_BACK_S,
    Sample,
    Stack,
    can_mount,
    file_size_limit,
    list_files,
    make_sample,
    mounting,
    needs_folder,
    seen_by,
)

pytestmark = pytest.mark.timeout(1200 if IS_LONG else 300)

only_long = pytest.mark.skipif(not IS_LONG, reason="it takes half a minute: `make faults` runs it")
needs_mount = pytest.mark.skipif(not can_mount(), reason="this system lets its users mount no disk of their own")
SAMPLE = make_sample(20_000, seed=7)
SMALL = make_sample(300, seed=8)
LARGE = Sample(SAMPLE.content.replace(b",Name ", b",Name " + b"x" * 400), SAMPLE.rows, SAMPLE.errors)
"""Its good rows are some 8 MB: more than the buffers between server and client hold."""
NAMES = ("worker", "second")
KILLS = 20 if IS_LONG else 2


@pytest.fixture(autouse=True)
def two_workers(stack: Stack) -> None:
    """Two workers; those that a test has left otherwise are started anew."""
    for name in NAMES:
        if name not in stack.parts:
            stack.start_worker(name)
        elif stack.parts[name].altered or stack.parts[name].child.exit_status() is not None:
            stack.restart_part(name)
        else:
            continue
        stack.wait_until_alive(name)


def good_rows(sample: Sample) -> bytes:
    bad = {error[0] for error in sample.errors}
    return b"".join(line for number, line in enumerate(sample.content.splitlines(keepends=True), 1) if number not in bad)


def ended_job(stack: Stack, sample: Sample = SAMPLE) -> str:
    job_id = stack.upload(sample)
    stack.assert_completed(job_id)
    return job_id


def ask(stack: Stack, job_id: str, name: str = "valid.csv") -> None:
    answer = stack.client.put(f"/api/jobs/{job_id}/outputs/{name}")
    assert answer.status_code == 202, answer.text


def row_of(stack: Stack, job_id: str, name: str = "valid.csv") -> Any:
    [row] = stack.query("SELECT * FROM outputs WHERE job_id = $1 AND name = $2", job_id, name)
    return row


def is_written(stack: Stack, job_id: str) -> bool:
    """Whether a file of an output of this job is stored, or, if that is elsewhere, is being made in scratch space."""
    return bool(stack.stored.list_outputs(job_id)) or any(stack.folder.glob("scratch-*/rowgate-scratch-*/valid.csv"))


def start(stack: Stack, sample: Sample = SAMPLE) -> str:
    """Have an output made, and return its job when the file is being written."""
    job_id = ended_job(stack, sample)
    ask(stack, job_id)
    assert wait_until(lambda: is_written(stack, job_id), timeout_s=30, interval_s=0.01), stack.tail()
    return job_id


def find_writer(stack: Stack) -> tuple[str, int]:
    """Return the worker, and its child, that has a file of an output open."""
    found: list[tuple[str, int]] = []

    def look() -> bool:
        for name in NAMES:
            for pid in stack.children_of(name):
                try:
                    opened = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
                except OSError:
                    continue
                if any(f"/{OUTPUTS_FOLDER}/" in path or path.endswith("/valid.csv") for path in opened):
                    found.append((name, pid))
                    return True
        return False

    assert wait_until(look, timeout_s=20, interval_s=0.01), stack.tail()
    return found[0]


def assert_ready(stack: Stack, job_id: str, sample: Sample = SAMPLE, *, timeout_s: float = 60) -> Any:
    assert wait_until(lambda: row_of(stack, job_id)["status"] == "READY", timeout_s=timeout_s), (row_of(stack, job_id), stack.tail())
    answer = stack.client.get(f"/api/jobs/{job_id}/outputs/valid.csv")
    assert answer.status_code == 200
    assert answer.content == good_rows(sample)
    row = row_of(stack, job_id)
    assert row["sha256"] == hashlib.sha256(answer.content).hexdigest()
    return row


def test_killed_child_costs_a_lease_and_leaves_no_half_file(stack: Stack) -> None:
    job_id = start(stack)
    os.kill(find_writer(stack)[1], signal.SIGKILL)
    assert stack.client.get(f"/api/jobs/{job_id}/outputs/valid.csv").status_code == 202
    row = assert_ready(stack, job_id, timeout_s=TAKEN_BACK_S + 30)
    assert (row["crashes"], row["claim"]) == (1, 3)


def test_worker_killed_at_any_moment_of_an_output_ends_in_one_right_file(stack: Stack) -> None:
    chance = random.Random(SEED)
    jobs = []
    for _ in range(KILLS):
        jobs.append(start(stack))
        time.sleep(chance.uniform(0, 2.2))
        name = chance.choice(NAMES)
        stack.kill(name)
        stack.restart_part(name)
        stack.wait_until_alive(name)
    for job_id in jobs:
        assert_ready(stack, job_id, timeout_s=TAKEN_BACK_S + 60)


@pytest.mark.parametrize("moment", ["before", pytest.param("after", marks=only_long)])
def test_worker_killed_when_the_file_is_renamed_makes_it_again(stack: Stack, moment: str) -> None:
    stack.stop_part("second")
    stack.restart_part("worker", altered=[f"die_completing={moment}"])
    stack.wait_until_alive("worker")
    job_id = start(stack)
    row = assert_ready(stack, job_id, timeout_s=TAKEN_BACK_S + 30)
    assert row["crashes"] == 1


@only_long
def test_output_that_kills_its_worker_each_time_fails_after_three(stack: Stack) -> None:
    stack.stop_part("second")
    stack.restart_part("worker", altered=["die_completing=always"])
    stack.wait_until_alive("worker")
    job_id = start(stack, SMALL)
    assert wait_until(lambda: row_of(stack, job_id)["status"] == "FAILED", timeout_s=3 * TAKEN_BACK_S), (row_of(stack, job_id), stack.tail())
    answer = stack.client.get(f"/api/jobs/{job_id}/outputs/valid.csv")
    assert (answer.status_code, "3 times" in answer.json()["detail"]) == (409, True)
    stack.restart_part("worker")
    stack.wait_until_alive("worker")
    ask(stack, job_id)
    assert_ready(stack, job_id, SMALL)


@only_long
def test_worker_stopped_for_longer_than_its_lease_is_fenced_out(stack: Stack) -> None:
    job_id = start(stack)
    _, writer = find_writer(stack)
    os.kill(writer, signal.SIGSTOP)
    try:
        assert wait_until(lambda: row_of(stack, job_id)["claim"] == 3, timeout_s=TAKEN_BACK_S, interval_s=0.05), stack.tail()
    finally:
        os.kill(writer, signal.SIGCONT)
    row = assert_ready(stack, job_id)
    assert (row["claim"], row["crashes"]) == (3, 1)


def test_sigterm_gives_the_output_back_and_another_worker_makes_it(stack: Stack) -> None:
    job_id = start(stack)
    name, _ = find_writer(stack)
    stack.send(name, signal.SIGTERM)
    assert wait_until(lambda: row_of(stack, job_id)["claim"] >= 2, timeout_s=10), stack.tail()
    row = assert_ready(stack, job_id, timeout_s=2 * LEASE_S + 30)
    assert (row["crashes"], row["claim"]) == (0, 3)
    assert wait_until(lambda: stack.parts[name].child.exit_status() is not None, timeout_s=20)
    stack.restart_part(name)
    stack.wait_until_alive(name)


def test_many_who_ask_at_once_get_one_file(stack: Stack) -> None:
    job_id = ended_job(stack, SMALL)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: stack.client.put(f"/api/jobs/{job_id}/outputs/valid.csv").status_code, range(32)))
    assert set(answers) <= {200, 202}
    assert assert_ready(stack, job_id, SMALL)["claim"] == 1


def test_delete_during_an_output_leaves_nothing(stack: Stack) -> None:
    job_id = start(stack)
    assert not stack.cancel(job_id)
    assert stack.query("SELECT 1 FROM outputs WHERE job_id = $1", job_id) == []
    assert wait_until(lambda: not is_written(stack, job_id), timeout_s=10)
    assert stack.client.get(f"/api/jobs/{job_id}/outputs/valid.csv").status_code == 404


def test_retry_during_an_output_leaves_nothing_of_it(stack: Stack) -> None:
    job_id = stack.upload(make_sample(60_000, seed=10))
    stack.wait_until_running(job_id)
    assert stack.cancel(job_id)
    ask(stack, job_id)
    assert wait_until(lambda: is_written(stack, job_id), timeout_s=30, interval_s=0.01), stack.tail()
    old = row_of(stack, job_id)["id"]
    stack.retry(job_id)
    stack.assert_completed(job_id)
    assert stack.query("SELECT 1 FROM outputs WHERE job_id = $1", job_id) == []
    assert wait_until(lambda: not is_written(stack, job_id), timeout_s=10)
    ask(stack, job_id)
    row = assert_ready(stack, job_id, stack.accepted[job_id].sample)
    assert row["id"] != old


def test_file_over_the_size_that_the_system_allows_fails_with_a_sentence(stack: Stack) -> None:
    job_id = ended_job(stack)
    pids = [pid for name in NAMES for pid in (stack.parts[name].child.pid, *stack.children_of(name))]
    with file_size_limit(pids, 100_000):
        ask(stack, job_id)
        assert wait_until(lambda: row_of(stack, job_id)["status"] == "FAILED", timeout_s=30), (row_of(stack, job_id), stack.tail())
    assert "not enough disk space" in row_of(stack, job_id)["error_message"]
    assert not is_written(stack, job_id)
    ask(stack, job_id)
    assert_ready(stack, job_id)


@needs_folder
@needs_mount
def test_full_disk_fails_the_output_and_leaves_nothing(stack: Stack) -> None:
    job_id = ended_job(stack)
    stack.stop_part("second")
    folder = stack.uploads / OUTPUTS_FOLDER
    folder.mkdir(exist_ok=True)
    stack.restart_part("worker", prefix=mounting(folder, size_bytes=2**18))
    stack.wait_until_alive("worker")
    ask(stack, job_id)
    assert wait_until(lambda: row_of(stack, job_id)["status"] == "FAILED", timeout_s=30), (row_of(stack, job_id), stack.tail())
    assert "not enough disk space" in row_of(stack, job_id)["error_message"]
    seen = seen_by(stack.parts["worker"].child.pid, folder)
    assert list_files(seen) == []
    stack.restart_part("worker")
    stack.wait_until_alive("worker")
    ask(stack, job_id)
    assert_ready(stack, job_id)


@only_long
def test_broker_that_forgets_its_messages_is_told_again(stack: Stack) -> None:
    job_id = ended_job(stack)
    for name in NAMES:
        stack.stop_part(name)
    ask(stack, job_id)
    with stack.make_celery().connection_for_write() as connection:
        connection.default_channel.client.flushall()
    for name in NAMES:
        stack.start_worker(name)
    assert_ready(stack, job_id, timeout_s=90)


def test_broker_that_dies_during_an_output_loses_nothing(stack: Stack) -> None:
    job_id = start(stack)
    stack.stop_server("valkey", signal.SIGKILL)
    waiting = stack.client.put(f"/api/jobs/{job_id}/outputs/rejected.csv")
    assert waiting.status_code == 202
    stack.restart_server("valkey")
    assert_ready(stack, job_id, timeout_s=90)
    assert wait_until(lambda: row_of(stack, job_id, "rejected.csv")["status"] == "READY", timeout_s=90), stack.tail()


def test_download_that_is_cut_is_resumed_by_range(stack: Stack) -> None:
    job_id = ended_job(stack, LARGE)
    ask(stack, job_id)
    expected = good_rows(LARGE)
    assert wait_until(lambda: row_of(stack, job_id)["status"] == "READY", timeout_s=120), stack.tail()
    url = f"/api/jobs/{job_id}/outputs/valid.csv"
    got, etag, cuts = b"", "", 0
    while len(got) < len(expected):
        headers = {"Range": f"bytes={len(got)}-", "If-Range": etag} if got else {}
        try:
            with stack.client.stream("GET", url, headers=headers) as answer:
                assert answer.status_code == (206 if got else 200)
                etag = answer.headers["etag"]
                for part in answer.iter_raw(65_536):
                    got += part
                    if cuts == 0 and len(got) > 2**20:
                        cuts += 1
                        stack.kill("api")
        except httpx.TransportError:
            stack.restart_api()
    if not stack.is_api_up():
        stack.restart_api()
    assert cuts == 1
    assert hashlib.sha256(got).hexdigest() == etag.strip('"')
    assert got == expected

"""An S3 store that fails in every way, with two APIs and two workers that share nothing but it: nothing is lost, no job fails for it, nothing is left over."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from compose.processes import wait_until
from tests.faults.conftest import WORKERS
from tests.faults.harness import Stack, make_sample, running_stack
from tests.faults.store_proxy import Action
from tests.faults.stored import StoredInBucket

SMALL = make_sample(500, seed=11)
LARGE = make_sample(600_000, seed=12)
"""18 MB: four parts, three ranges."""
MIDDLE = make_sample(20_000, seed=13)


@pytest.fixture(scope="module")
def service() -> Iterator[Stack]:
    folder = Path(tempfile.mkdtemp(prefix="rowgate-faults-"))
    folder.chmod(0o711)
    altered = {**{name: [] for name in WORKERS}, "dispatcher": ["sweep_soon"]}
    with running_stack(folder / "stack", altered=altered, in_bucket=True, UPLOAD_IDLE_TIMEOUT_S="1", CHUNK_ROWS="10000") as stack:
        stack.start_worker("second", slots=2)
        stack.wait_until_alive("second")
        yield stack
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stack(service: Stack) -> Iterator[Stack]:
    """The module's stack; after each test everything holds that must, and no process has left scratch."""
    yield service
    assert wait_until(service.is_healthy, timeout_s=30), service.tail()
    sweep_strays(service)
    service.assert_settled()
    assert faults_counted(service) == []
    assert wait_until(lambda: list_scratch(service) == [], timeout_s=10), list_scratch(service)


def sweep_strays(stack: Stack) -> None:
    """Have the sweep take files that a store wrote although it had not answered in time, and that have no job therefore."""

    def is_swept() -> bool:
        known = {job_id for job_id, accepted in stack.accepted.items() if not accepted.is_deleted}
        if {name.partition("_")[0] for name in bucket(stack).list_files()} <= known:
            return True
        stack.send_task("upload.sweep_files", queue="maintenance")
        return False

    assert wait_until(is_swept, timeout_s=30, interval_s=1.0), stack.tail()


def bucket(stack: Stack) -> StoredInBucket:
    assert isinstance(stack.stored, StoredInBucket)
    return stack.stored


def faults_counted(stack: Stack) -> list[object]:
    """Return the jobs that a fault of the store was counted against; there must be none."""
    return stack.query("SELECT id, machine_faults, crashes, error_message FROM jobs WHERE machine_faults > 0 OR crashes > 0 OR status = 'FAILED'")


def list_scratch(stack: Stack) -> list[Path]:
    return [path for part in stack.folder.glob("scratch-*") for path in part.glob("rowgate-scratch-*")]


def assert_nothing_unfinished(stack: Stack) -> None:
    """Assert that what an upload left in the store is gone: it was aborted at once, or the sweep aborts it."""

    def is_clean() -> bool:
        if bucket(stack).count_unfinished():
            stack.send_task("upload.sweep_files", queue="maintenance")
            return False
        return True

    assert wait_until(is_clean, timeout_s=40, interval_s=1.0), stack.tail()


CREATE, FIRST, THIRD, COMPLETE = ("POST", "uploads"), ("PUT", "partNumber=1&"), ("PUT", "partNumber=3&"), ("POST", "uploadId=")


@pytest.mark.parametrize(
    ("action", "step"),
    [("error", CREATE), ("error", FIRST), ("error", THIRD), ("error", COMPLETE), ("hang", FIRST), ("hang", COMPLETE), ("refuse", THIRD), ("forbid", THIRD)],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else value,
)
def test_upload_whose_store_fails_at_a_step_is_refused_and_leaves_nothing(stack: Stack, action: Action, step: tuple[str, ...]) -> None:
    before = bucket(stack).list_files()
    with stack.store.failing(action, *step) as fault:
        response = stack.try_upload(LARGE)
        assert fault.hits > 0
    assert (response.status_code, response.json()["type"]) == (503, "/problems/storage-unavailable")
    assert wait_until(lambda: bucket(stack).list_files() == before, timeout_s=15)
    assert_nothing_unfinished(stack)
    stack.assert_completed(stack.upload(SMALL))


@pytest.mark.parametrize(("action", "step"), [("error", THIRD), ("refuse", FIRST), ("hang", THIRD), ("error", COMPLETE)])
def test_upload_of_which_one_request_fails_is_accepted_all_the_same(stack: Stack, action: Action, step: tuple[str, ...]) -> None:
    with stack.store.failing(action, *step, times=1) as fault:
        response = stack.try_upload(LARGE)
        assert fault.hits == 1
    if response.status_code == 202:
        stack.assert_completed(response.json()["job_id"])
    else:
        assert step is COMPLETE  # which alone may not be repeated
        assert (response.status_code, response.json()["type"]) == (503, "/problems/storage-unavailable")
    assert_nothing_unfinished(stack)


@pytest.mark.parametrize("step", [("PUT", "people.csv"), THIRD], ids=["small", "large"])
def test_store_that_is_full_is_told_as_a_full_disk_is(stack: Stack, step: tuple[str, ...]) -> None:
    with stack.store.failing("full", *step):
        response = stack.try_upload(LARGE if step is THIRD else SMALL)
    assert (response.status_code, response.json()["type"]) == (507, "/problems/disk-full")
    assert_nothing_unfinished(stack)


def test_small_upload_is_one_put_and_is_refused_if_that_fails(stack: Stack) -> None:
    stack.store.lines.clear()
    job_id = stack.upload(SMALL)
    assert next(line.split()[0] for line in stack.store.lines if job_id in line) == "PUT"
    assert not any(job_id in line and "uploads" in line for line in stack.store.lines)
    with stack.store.failing("error", "PUT", "people.csv"):
        assert stack.try_upload(SMALL).status_code == 503
    assert stack.other_client.get(f"/api/jobs/{job_id}").status_code == 200


@pytest.mark.parametrize(("action", "words"), [("error", ("HEAD",)), ("error", ("GET",)), ("hang", ("GET",)), ("refuse", ("GET",)), ("cut", ("GET",))])
def test_job_whose_store_fails_while_it_is_read_waits_and_is_completed(stack: Stack, action: Action, words: tuple[str, ...]) -> None:
    with stack.store.failing(action, *words, "_people.csv") as fault:
        job_id = stack.upload(LARGE)
        assert wait_until(lambda: fault.hits > 1, timeout_s=20), stack.tail()
        time.sleep(2)
        assert stack.job(job_id)["status"] in {"QUEUED", "PROCESSING"}
    stack.assert_completed(job_id)


@pytest.mark.parametrize("action", ["error", "hang", "refuse"])
def test_output_whose_store_fails_is_made_when_it_is_back(stack: Stack, action: Action) -> None:
    job_id = stack.upload(LARGE)
    stack.assert_completed(job_id)
    with stack.store.failing(action, "outputs/") as fault:
        assert stack.client.put(f"/api/jobs/{job_id}/outputs/valid.csv").status_code in {202, 503}
        assert wait_until(lambda: fault.hits > 0, timeout_s=30), stack.tail()
        time.sleep(1)
    stack.client.put(f"/api/jobs/{job_id}/outputs/valid.csv")
    assert wait_until(lambda: stack.client.get(f"/api/jobs/{job_id}/outputs/valid.csv").status_code == 200, timeout_s=60), stack.tail()
    assert_nothing_unfinished(stack)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_store_that_is_away_refuses_uploads_lets_jobs_wait_and_loses_nothing(stack: Stack, number: signal.Signals) -> None:
    running = [stack.upload(sample) for sample in (LARGE, MIDDLE, SMALL)]
    stack.stop_server("store", number)
    try:
        refused = stack.try_upload(SMALL)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable")
        assert wait_until(lambda: "STORAGE_URL" in str(stack.client.get("/api/health").json()["storage"]["reason"]), timeout_s=30)
        assert wait_until(lambda: stack.client.get("/api/health").status_code == 503, timeout_s=30)
        started = time.monotonic()
        assert stack.client.delete(f"/api/jobs/{uuid.uuid4()}").status_code == 404
        assert stack.client.get("/api/jobs").status_code == 200
        assert time.monotonic() - started < 15
        time.sleep(2)
    finally:
        if number is signal.SIGKILL:
            stack.restart_server("store")
        else:
            stack.stop_server("store", signal.SIGCONT)
    assert wait_until(stack.is_healthy, timeout_s=60), stack.tail()
    for job_id in running:
        stack.assert_completed(job_id)
    assert_nothing_unfinished(stack)


def test_key_that_the_store_refuses_is_told_and_fails_no_job(stack: Stack) -> None:
    with stack.store.failing("forbid"):
        assert wait_until(lambda: stack.client.get("/api/health").status_code == 503, timeout_s=20)
        assert "refuses these credentials" in stack.client.get("/api/health").json()["storage"]["reason"]
        assert stack.try_upload(SMALL).status_code == 503
    with stack.store.failing("skew"):
        assert wait_until(lambda: "clock" in (stack.client.get("/api/health").json()["storage"]["reason"] or ""), timeout_s=20)
    assert wait_until(stack.is_healthy, timeout_s=20)
    stack.start_worker("stray", slots=1, AWS_SECRET_ACCESS_KEY="not-the-secret-of-this-store")
    stack.wait_until_alive("stray")
    for job_id in [stack.upload(SMALL) for _ in range(8)]:
        stack.assert_completed(job_id)
    stack.stop_part("stray")


def test_slow_store_makes_it_slow_and_nothing_else(stack: Stack) -> None:
    with stack.store.failing("slow"):
        for job_id in [stack.upload(sample) for sample in (SMALL, LARGE, SMALL)]:
            stack.assert_completed(job_id)


def test_machine_whose_clock_is_ahead_takes_no_new_file_for_an_old_one(stack: Stack) -> None:
    stray = f"{uuid.uuid4()}_a.csv"
    stack.restart_part("dispatcher", altered=["move_clock=86400"])
    stack.wait_until_alive("dispatcher")
    bucket(stack).put(stray, b"a\n1\n")
    stack.store.lines.clear()
    stack.send_task("upload.sweep_files", queue="maintenance")
    # Unfinished uploads are listed last, when all files have been looked at.
    assert wait_until(lambda: any(line.startswith("GET ") and "uploads=" in line for line in stack.store.lines), timeout_s=60), stack.tail()
    assert stray in bucket(stack).list_files()
    stack.restart_part("dispatcher")
    stack.wait_until_alive("dispatcher")

    def is_swept() -> bool:
        stack.send_task("upload.sweep_files", queue="maintenance")
        return stray in bucket(stack).list_trash()

    # It is taken when it is old by the store's clock.
    assert wait_until(is_swept, timeout_s=30, interval_s=1.0), stack.tail()


def test_api_that_is_killed_in_an_upload_leaves_parts_that_the_sweep_aborts(stack: Stack) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n' + b"1,2\n" * 3_000_000
    head = f"POST /api/files/upload HTTP/1.1\r\nhost: rowgate\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: {len(form) + 9}\r\n\r\n"
    url = stack.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(head.encode() + form)
        assert wait_until(lambda: bucket(stack).count_unfinished() == 1, timeout_s=10)
        stack.kill("api")
    assert stack.other_client.get("/api/jobs").status_code == 200
    stack.restart_api()
    assert_nothing_unfinished(stack)


@pytest.mark.parametrize("moment", ["die_before_row", "die_before_commit"])
def test_api_that_is_killed_between_file_and_row_leaves_a_file_that_the_sweep_takes(stack: Stack, moment: str) -> None:
    before = bucket(stack).list_files()
    stack.restart_api(altered=[moment])
    with pytest.raises(httpx.TransportError):
        stack.try_upload(SMALL)
    stack.restart_api()
    assert len(bucket(stack).list_files()) == len(before) + 1
    sweep_strays(stack)
    assert bucket(stack).list_files() == before


def test_client_that_goes_away_leaves_nothing(stack: Stack) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b\n' + b"1,2\n" * 3_000_000
    head = f"POST /api/files/upload HTTP/1.1\r\nhost: rowgate\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: {len(form) + 9}\r\n\r\n"
    url = stack.client.base_url
    before = bucket(stack).list_files()
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(head.encode() + form)
        assert wait_until(lambda: bucket(stack).count_unfinished() == 1, timeout_s=10)
    assert wait_until(lambda: bucket(stack).count_unfinished() == 0, timeout_s=10)
    assert bucket(stack).list_files() == before


def test_worker_that_is_killed_while_it_fetches_leaves_no_scratch(stack: Stack) -> None:
    with stack.store.failing("hang", "GET", "_people.csv"):
        job_id = stack.upload(LARGE)
        assert wait_until(lambda: list_scratch(stack) != [], timeout_s=15), stack.tail()
        [scratch] = list_scratch(stack)
        name = "worker" if "scratch-worker" in str(scratch) else "second"
        # The crash is counted, which is right: it was no fault of the store.
        for child in stack.children_of(name):
            os.kill(child, signal.SIGKILL)
    stack.assert_completed(job_id)

    def is_gone() -> bool:
        """Whether the next job on that machine has removed it."""
        stack.assert_completed(stack.upload(SMALL))
        return not scratch.exists()

    assert wait_until(is_gone, timeout_s=40), list_scratch(stack)
    stack.query("UPDATE jobs SET crashes = 0 WHERE id = $1", uuid.UUID(job_id))


def test_many_jobs_through_both_apis_under_faults_of_the_store_end_with_exactly_their_errors(stack: Stack) -> None:
    chance = random.Random(23)
    actions: tuple[Action, ...] = ("error", "refuse", "cut", "slow", "hang")
    for number in range(12):
        sample = make_sample(chance.choice([0, 1, 500, 20_000, 250_000]), seed=number)
        stack.client, stack.other_client = stack.other_client, stack.client
        with stack.store.failing(chance.choice(actions), chance.choice(["GET", "PUT", "POST", "HEAD"]), times=chance.choice([1, 2, 5])):
            for _ in range(60):
                try:
                    response = stack.try_upload(sample, key=f"store-{number}")
                except httpx.TransportError:
                    continue
                if response.is_success:
                    break
                assert response.status_code == 503, response.text
                time.sleep(0.5)
            else:
                pytest.fail(f"file {number} was never accepted")
            time.sleep(chance.random())
    assert_nothing_unfinished(stack)

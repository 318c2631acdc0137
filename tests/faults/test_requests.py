"""The API is killed at the worst moments, clients change their minds, disks are full, rows are huge."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from compose.processes import wait_until
from tests.faults.harness import IS_LONG, SEED, Accepted, Sample, Stack, can_mount, file_size_limit, make_sample, mounting, needs_folder, seen_by
from tests.faults.huge import HUGE, HUGE_ERRORS, HUGE_ROWS
from tests.paths import list_stored

pytestmark = pytest.mark.timeout(1200 if IS_LONG else 300)

needs_mount = pytest.mark.skipif(not can_mount(), reason="this system lets its users mount no disk of their own")
LARGE = make_sample(25_000, seed=4)
LONG = make_sample(90_000, seed=5)
"""Takes ten seconds or more, so that its job still runs when another one has been started, however busy the machine is."""
SMALL = make_sample(200, seed=2)
CANCELLATIONS = 500 if IS_LONG else 15
DISK_BYTES = 2**19
HUGE_BYTES = 100 * 2**20


@needs_folder
def test_api_that_is_killed_mid_upload_leaves_no_job(stack: Stack) -> None:
    with slow_upload(stack):
        stack.kill("api")
    stack.restart_api()
    sweep_files(stack, expect=1)


@needs_folder
@pytest.mark.parametrize("moment", ["die_before_row", "die_before_commit"])
def test_api_that_is_killed_between_file_and_row_leaves_no_job_and_no_file(stack: Stack, moment: str) -> None:
    stack.restart_api(altered=[moment])
    with pytest.raises(httpx.TransportError):
        stack.try_upload(SMALL)
    stack.restart_api()
    sweep_files(stack, expect=1)


def test_api_that_is_killed_between_commit_and_message_has_its_job_run(stack: Stack) -> None:
    stack.restart_api(altered=["die_before_message"])
    with pytest.raises(httpx.TransportError):
        stack.try_upload(SMALL)
    [row] = stack.query("SELECT id::text FROM jobs WHERE NOT id = ANY($1::uuid[]) AND deleted_at IS NULL", list(stack.accepted))
    stack.accepted[row["id"]] = Accepted(SMALL)
    stack.restart_api()
    stack.assert_completed(row["id"], timeout_s=30)


def test_message_leaves_after_its_commit_and_is_heard_at_once(stack: Stack) -> None:
    stack.restart_api(altered=["commit_slowly=0.3"])
    for _ in range(3):
        job_id = stack.upload(SMALL)
        stack.assert_completed(job_id)
        assert stack.row(job_id)["rings"] == 0
    stack.restart_api()


@needs_folder
def test_api_that_is_asked_to_stop_finishes_the_upload_that_it_has(stack: Stack) -> None:
    with slow_upload(stack) as connection:
        stack.send("api", signal.SIGTERM)
        time.sleep(1)
        assert stack.parts["api"].child.exit_status() is None
        connection.sendall(b"\r\n--b--\r\n")
        answer = connection.makefile("rb")
        assert b"202" in answer.readline()
        body = next(line for line in answer if line.startswith(b"{"))
    assert wait_until(lambda: stack.parts["api"].child.exit_status() is not None, timeout_s=10)
    stack.restart_api()
    job_id = json.loads(body)["job_id"]
    stack.accepted[job_id] = Accepted(Sample(b"", SLOW_ROWS, frozenset()), ends=0)
    stack.assert_completed(job_id)


def test_cancel_against_the_end_gives_one_end_with_its_delivery(stack: Stack) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    stack.restart_part("worker", altered=[])
    samples = [make_sample(chance.choice([100, 1_000, 3_000]), seed=number) for number in range(10)]
    typical_s = {sample.rows: 0.2 for sample in samples}
    ends: dict[str, int] = {}
    for _ in range(CANCELLATIONS):
        sample = chance.choice(samples)
        job_id = stack.upload(sample)
        started = time.monotonic()
        wait_until(lambda job_id=job_id: stack.job(job_id)["status"] != "QUEUED", timeout_s=20, interval_s=0.005)  # type: ignore[misc]
        time.sleep(max(0.0, chance.gauss(typical_s[sample.rows], 0.04)))
        end = "deleted"  # it ended before it could be cancelled
        if stack.cancel(job_id):
            end = stack.wait_until_ended(job_id, timeout_s=20)["status"]
        # The next job of the same size is cancelled at about the time at which this one ended.
        typical_s[sample.rows] = max(0.0, typical_s[sample.rows] + (0.01 if end == "CANCELLED" else -0.01))
        ends[end] = ends.get(end, 0) + 1
        assert time.monotonic() - started < 20
    print(ends)
    assert set(ends) <= {"CANCELLED", "deleted"}
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


def test_delete_while_queued_and_while_running_leaves_nothing(stack: Stack) -> None:
    running, cancelled = stack.start_jobs(2, LONG)
    stopped = stack.children_of("worker")
    for part in ("worker", "dispatcher"):  # nobody takes back the jobs of a worker that is stopped
        stack.send(part, signal.SIGSTOP)
    queued = stack.upload(SMALL)
    assert not stack.cancel(queued)
    stop_between_updates(stack, stopped, [running, cancelled])  # their transactions stay open
    try:
        assert stack.cancel(running)  # its worker does not know
        assert not stack.cancel(running)
        assert stack.cancel(cancelled)
        assert stack.client.get("/api/jobs", params={"page_size": 3}).json()["jobs"][0]["id"] == cancelled
    finally:
        for child in stopped:
            os.kill(child, signal.SIGCONT)
        for part in ("worker", "dispatcher"):
            stack.send(part, signal.SIGCONT)
    stack.assert_settled()

    def is_purged() -> bool:
        gone = [running, queued]
        left = stack.query("SELECT id FROM jobs WHERE id = ANY($1::uuid[])", gone)
        return not left and not stack.query("SELECT 1 FROM processing_errors WHERE job_id = ANY($1::uuid[])", gone)

    # A job whose worker hung in its transaction was skipped; the periodic task purges it later.
    stack.send_task("errors.purge_due", queue="maintenance")
    assert wait_until(is_purged, timeout_s=20), stack.tail()
    assert stack.client.get(f"/api/jobs/{cancelled}/errors").json()["total"] == stack.job(cancelled)["error_count"]
    # The old workers resume, find their jobs lost, and are free for others.
    assert wait_until(lambda: stack.read_log("worker").count("no longer ours") >= 2, timeout_s=20)
    stack.assert_completed(stack.upload(SMALL))


@needs_folder
def test_upload_over_the_size_that_the_system_allows_is_a_507(stack: Stack) -> None:
    with file_size_limit([stack.parts["api"].child.pid], DISK_BYTES):
        response = stack.try_upload(LARGE)
        assert response.status_code == 507, response.text
        assert stack.try_upload(SMALL).status_code == 202


@needs_folder
@needs_mount
def test_upload_to_a_full_disk_is_a_507_and_leaves_nothing(stack: Stack) -> None:
    stack.restart_api(prefix=mounting(stack.uploads, size_bytes=DISK_BYTES))
    own = seen_by(stack.parts["api"].child.pid, stack.uploads)
    for _ in range(2):
        response = stack.try_upload(LARGE)
        assert response.status_code == 507, response.text
        assert response.json()["type"] == "/problems/disk-full"
        assert list_stored(own) == []
    job_id = stack.upload(SMALL)
    stack.accepted[job_id].has_file = False  # on a disk that no worker sees
    assert [path.name.partition("_")[0] for path in list_stored(own)] == [job_id]
    assert stack.wait_until_ended(job_id)["status"] == "FAILED"
    stack.restart_api()


def make_keys(rows: int) -> tuple[Sample, dict[str, str]]:
    """Make a file whose first column must be unique, and the form fields that say so."""
    lines = [f"key-{number:08},x" for number in range(rows)]
    lines[-1] = lines[0]
    fields = [{"name": "key", "type": "string", "constraints": {"unique": True}}, {"name": "other", "type": "string"}]
    content = "\n".join(["key,other", *lines]) + "\n"
    return Sample(content.encode(), rows, frozenset({(rows + 1, 1, "unique-error", "key-00000000")})), {"schema": json.dumps({"fields": fields})}


def assert_blamed_on_the_service(stack: Stack, job_id: str) -> None:
    others = [stack.upload(SMALL) for _ in range(3)]
    job = stack.wait_until_ended(job_id)
    row = stack.row(job_id)
    assert (job["status"], row["machine_faults"], row["crashes"]) == ("FAILED", 3, 0)
    assert "ran out of disk space" in job["error_message"]
    for other in others:
        stack.assert_completed(other)


def list_deleted_files(stack: Stack, part: str, folder: Path) -> list[str]:
    """Return the files of a folder that processes of a part hold open although they are deleted."""
    links = [link for pid in stack.children_of(part) for link in Path(f"/proc/{pid}/fd").iterdir()]
    found = []
    for link in links:
        with suppress(FileNotFoundError):
            found.append(str(link.readlink()))
    return [name for name in found if name.startswith(str(folder)) and name.endswith("(deleted)")]


@pytest.mark.skipif(can_mount() and not IS_LONG, reason="shown by a full disk here; both in the long form")
def test_worker_that_may_not_spill_blames_no_file_and_others_go_on(stack: Stack) -> None:
    sample, fields = make_keys(20_000)
    stack.restart_part("worker", altered=["spill_early=10000"])
    stack.wait_until_alive("worker")
    with file_size_limit([stack.parts["worker"].child.pid, *stack.children_of("worker")], 4096):
        job_id = stack.upload(sample, **fields)
        assert_blamed_on_the_service(stack, job_id)
    stack.retry(job_id)
    stack.assert_completed(job_id)
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


@needs_mount
def test_disk_that_is_full_while_spilling_blames_no_file_and_others_go_on(stack: Stack) -> None:
    sample, fields = make_keys(60_000)
    folder = stack.folder / "spill"
    folder.mkdir(exist_ok=True)
    stack.restart_part("worker", altered=["spill_early=10000"], prefix=mounting(folder, size_bytes=DISK_BYTES), SPILL_DIR=str(folder), CHUNK_ROWS="10000")
    job_id = stack.upload(sample, **fields)
    assert_blamed_on_the_service(stack, job_id)
    assert "spill-disk-full" in stack.read_log("worker")
    assert list(seen_by(stack.parts["worker"].child.pid, folder).iterdir()) == []
    assert list_deleted_files(stack, "worker", folder) == []
    stack.restart_part("worker")
    stack.wait_until_alive("worker")


def test_rows_and_cells_of_100_mb_take_bounded_memory(stack: Stack, tmp_path: Path) -> None:
    stack.stop_part("worker")
    stack.start_worker("single", slots=1, MALLOC_ARENA_MAX="1")  # measures the memory in use, not the number of heaps that the C library keeps
    peaks = []
    for size_bytes in (HUGE_BYTES // 5, HUGE_BYTES):
        with peak_memory(stack, "single") as peak:
            for name, make in HUGE.items():
                job_id = stack.upload(Sample(make(tmp_path, size_bytes), HUGE_ROWS, HUGE_ERRORS), name=name)
                stack.accepted[job_id].sample = Sample(b"", HUGE_ROWS, HUGE_ERRORS)  # the bytes are too many to keep
                stack.assert_completed(job_id)
        peaks.append(max(peak))
    print(f"peaks of {peaks[0] / 2**20:.0f} and {peaks[1] / 2**20:.0f} MB")
    assert peaks[1] - peaks[0] < HUGE_BYTES // 2
    stack.start_worker("worker")
    stack.stop_part("single")
    stack.wait_until_alive("worker")


@contextmanager
def peak_memory(stack: Stack, name: str) -> Iterator[list[int]]:
    """Collect the highest resident sizes of a worker's children during the block, in bytes; the children come and go."""
    peaks: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            for child in stack.children_of(name):
                with suppress(OSError, ProcessLookupError):
                    lines = Path(f"/proc/{child}/status").read_text().splitlines()
                    peaks.extend(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


SLOW_ROWS = 20_000


@contextmanager
def slow_upload(stack: Stack) -> Iterator[socket.socket]:
    """Send an upload of `SLOW_ROWS` rows except for its end."""
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\na,b,c\n' + b"1,2,a text of some length\n" * SLOW_ROWS
    head = "POST /api/files/upload HTTP/1.1\r\nhost: rowgate\r\ncontent-type: multipart/form-data; boundary=b\r\n"
    url = stack.client.base_url
    with socket.create_connection((url.host, url.port or 80)) as connection:
        connection.sendall(f"{head}content-length: {len(form) + 9}\r\n\r\n".encode() + form)
        assert wait_until(lambda: any(path.name.endswith(".part") for path in list_stored(stack.uploads)), timeout_s=10)
        yield connection


def sweep_files(stack: Stack, *, expect: int) -> None:
    """Assert that files without a job are kept while they are fresh, and removed when they are old."""
    known = [job_id for job_id, accepted in stack.accepted.items() if not accepted.is_deleted]
    left = [path for path in list_stored(stack.uploads) if path.name.partition("_")[0] not in known]
    assert len(left) == expect
    for path in left:
        os.utime(path, (0, 0))
    stack.send_task("upload.sweep_files", queue="maintenance")
    assert wait_until(lambda: not any(path.exists() for path in left), timeout_s=20), stack.tail()


def stop_between_updates(stack: Stack, children: Sequence[int], jobs: Sequence[str]) -> None:
    """Stop processes while none of them holds the row of a job: one that is stopped in the middle of its update would keep every request waiting."""
    free = "SELECT id FROM jobs WHERE id = ANY($1::uuid[]) FOR NO KEY UPDATE SKIP LOCKED"
    for _ in range(100):
        for child in children:
            os.kill(child, signal.SIGSTOP)
        if len(stack.query(free, list(jobs))) == len(jobs):
            return
        for child in children:
            os.kill(child, signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError("the workers hold their jobs all the time")

"""The upload folder that is not mounted, is another database's, or is there again: nothing is lost, and nobody's job fails for it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compose.processes import wait_until
from shared.storage.names import MARKER
from tests.faults.harness import Accepted, Stack, can_mount, make_sample, mounting, needs_folder

pytestmark = needs_folder
needs_mount = pytest.mark.skipif(not can_mount(), reason="this system lets its users mount no disk of their own")
SAMPLE = make_sample(500, seed=9)


@contextmanager
def unmounted(folder: Path) -> Iterator[Path]:
    """Have an empty folder in place of this one for the block, as if its disk were not mounted."""
    away = folder.rename(folder.with_name(f"{folder.name}-away"))
    folder.mkdir()
    try:
        yield folder
    finally:
        assert list(folder.iterdir()) == [], "something was written beside the disk"
        folder.rmdir()
        away.rename(folder)


def test_folder_that_is_not_mounted_refuses_uploads_keeps_jobs_and_says_so(stack: Stack) -> None:
    before = stack.upload(SAMPLE)
    stack.assert_completed(before)
    with unmounted(stack.uploads):
        assert wait_until(lambda: stack.client.get("/api/health").status_code == 503, timeout_s=10)
        health = stack.client.get("/api/health").json()
        assert (health["status"], health["storage"]["status"], health["database"]["status"]) == ("unhealthy", "unhealthy", "healthy")
        assert "mounted?" in health["storage"]["reason"]
        refused = stack.try_upload(SAMPLE)
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable")
        assert refused.headers["retry-after"]
        for path, method in (
            (f"/api/jobs/{before}/outputs/valid.csv", "PUT"),
            (f"/api/jobs/{before}/check-again", "POST"),
            (f"/api/jobs/{before}/rows", "GET"),
        ):
            answer = stack.client.request(method, path)
            assert (answer.status_code, answer.json()["type"]) == (503, "/problems/storage-unavailable"), path
        assert stack.client.get(f"/api/jobs/{before}").json()["status"] == "COMPLETED"
        waiting = insert_job(stack)
        stack.send_task("processing.process_job", queue="processing", job_id=waiting)
        stack.send_task("upload.sweep_files", queue="maintenance")
        time.sleep(3)
        assert stack.job(waiting)["status"] == "QUEUED"
        assert (stack.row(waiting)["machine_faults"], stack.row(waiting)["crashes"]) == (0, 0)
        assert "must not be used" in stack.read_log("worker")
    (stack.uploads / f"{waiting}_a.csv").write_bytes(SAMPLE.content)
    assert wait_until(lambda: stack.client.get("/api/health").status_code == 200, timeout_s=10)
    stack.assert_completed(waiting)
    stack.assert_completed(stack.upload(SAMPLE))


def insert_job(stack: Stack) -> str:
    """Put a job into the database whose upload has ended; its file is where it was stored."""
    job_id = str(uuid.uuid4())
    stack.accepted[job_id] = Accepted(SAMPLE, ends=0)
    stack.query(
        "INSERT INTO jobs (id, filename, file_type, file_size, sha256) VALUES ($1, 'a.csv', 'csv', $2, $3)", uuid.UUID(job_id), len(SAMPLE.content), "0" * 64
    )
    return job_id


@needs_mount
def test_worker_on_a_share_that_is_not_mounted_leaves_all_jobs_to_the_others(stack: Stack) -> None:
    stack.start_part("stray", *stack.parts["worker"].arguments[:-1], "stray@%h", prefix=mounting(stack.uploads, size_bytes=2**19, is_marked=False))
    stack.wait_until_alive("stray")
    try:
        jobs = [stack.upload(SAMPLE) for _ in range(12)]
        for job_id in jobs:
            stack.assert_completed(job_id)
        assert [row["machine_faults"] for row in stack.query("SELECT machine_faults FROM jobs WHERE machine_faults > 0")] == []
        assert "must not be used" in stack.read_log("stray")
    finally:
        stack.stop_part("stray")


def test_folder_with_the_marker_of_another_database_is_not_swept(stack: Stack) -> None:
    marker = stack.uploads / MARKER
    own = marker.read_text()
    stray = stack.uploads / f"{uuid.uuid4()}_wanted.csv"
    stray.write_text("a\n1\n")
    os.utime(stray, (1e9, 1e9))
    marker.write_text(own.replace(own.split('"')[3], str(uuid.uuid4())))
    try:
        stack.send_task("upload.sweep_files", queue="maintenance")
        assert wait_until(lambda: "belongs to another database" in stack.read_log("dispatcher"), timeout_s=20)
        assert stray.exists()
    finally:
        marker.write_text(own)
    stack.send_task("upload.sweep_files", queue="maintenance")
    assert wait_until(lambda: not stray.exists(), timeout_s=20)
    [trashed] = (stack.uploads / "trash").rglob("*_wanted.csv")
    assert trashed.read_text() == "a\n1\n"

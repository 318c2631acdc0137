"""A file that needs more memory than a worker's child may use costs its job, not the host, and the slot goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from features.processing import run, tasks
from features.processing.engine import inspect_file
from features.processing.readers.excel.xls import child as xls_child
from shared.contracts import PROCESS_JOB, PROCESSING_QUEUE, ProcessJob
from shared.db.models import Job, JobStatus
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.worker.celery_settings import create_celery
from tests.factories import Factory
from tests.paths import ROOT

LIMIT_BYTES = 200 * 2**20
ROWS = b"id,name\n" + b"".join(b"%d,Name %d\n" % (n, n) for n in range(1, 1001))


@contextmanager
def running_worker(settings: Settings, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker with one slot and a low bound; the check of a file named …hog.csv takes more and more memory."""
    environment = {
        **os.environ,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "UPLOAD_DIR": str(settings.upload_folder),
        "WORKER_MEMORY_LIMIT_BYTES": str(LIMIT_BYTES),
        "CHUNK_ROWS": "100",
        "LOG_FORMAT": "text",
    }
    command = [sys.executable, "-m", "tests.faults.altered", "hog", "celery", "-A", "celery_app", "worker", "-Q", PROCESSING_QUEUE, "-c", "1"]
    with log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True)
        try:
            yield worker
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


async def wait_for_end(factory: Factory, job: Job) -> Job:
    ended = {JobStatus.COMPLETED, JobStatus.FAILED}
    for _ in range(400):
        found = await factory.get(job.id)
        assert found is not None
        if found.status in ended:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"job {job.id} does not end")


async def test_child_over_its_bound_fails_its_job_and_its_slot_goes_on(settings: Settings, factory: Factory, tmp_path: Path) -> None:
    hog = await factory.job(content=ROWS, filename="hog.csv")
    small = await factory.job(content=ROWS)
    celery = create_celery(settings)
    for job in (hog, small):
        celery.send_task(PROCESS_JOB.name, kwargs={"job_id": str(job.id)}, queue=PROCESSING_QUEUE)
    with running_worker(settings, tmp_path / "worker.log"):
        failed, done = await wait_for_end(factory, hog), await wait_for_end(factory, small)
    assert failed.status == JobStatus.FAILED
    assert failed.error_message is not None
    assert failed.error_message.startswith("This file needs more memory than the 200 MiB")
    assert (failed.crashes, failed.attempt) == (0, 1)
    assert (done.status, done.rows_processed) == (JobStatus.COMPLETED, 1000)


async def test_want_of_memory_in_reading_or_checking_fails_the_job_with_a_sentence(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inspect(*arguments: object, **options: object) -> object:
        inspection = inspect_file(*arguments, **options)  # type: ignore[arg-type]  # passed on as they are
        first = inspection.reports()

        def reports() -> Iterator[object]:
            yield from first
            # More than any machine has, so this is a MemoryError of the interpreter's own.
            yield bytearray(2**62)

        monkeypatch.setattr(inspection, "reports", reports)
        return inspection

    monkeypatch.setattr(run, "inspect_file", inspect)
    job = await factory.job(content=ROWS + b"x,Bad\n")
    await tasks.process_job(context, ProcessJob(job_id=job.id))
    done = await factory.get(job.id)
    assert done is not None
    assert (done.status, done.crashes) == (JobStatus.FAILED, 0)
    assert done.error_count == done.errors_stored == len(await factory.list_errors(job.id))
    assert done.error_message is not None
    assert done.error_message.startswith("This file needs more memory than the 1,024 MiB")


_WATCHED = """
import asyncio, sys, threading, time
import structlog
from shared.worker import memory_limit
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
memory_limit.start_watch(2**26)

def take_slowly():
    taken = []
    for _ in range(4000):
        taken.append(bytearray(2**18))
        time.sleep(0.0005)

def take_at_once():
    [0] * 2**28

async def main():
    watch = asyncio.create_task(memory_limit.wait_until_exceeded())
    work = asyncio.create_task(asyncio.to_thread({"slowly": take_slowly, "at-once": take_at_once}[sys.argv[1]]))
    done, _ = await asyncio.wait({watch, work}, return_when=asyncio.FIRST_COMPLETED)
    print("watch" if watch in done else "work", flush=True)
    try:
        await work
    except MemoryError:
        print("MemoryError", flush=True)
    print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM:")).split()[1])
    watch.cancel()

asyncio.run(main())
"""


@pytest.mark.parametrize(("how", "seen"), [("slowly", ["watch", "MemoryError"]), ("at-once", ["work", "MemoryError"])])
def test_watch_tells_the_task_and_the_kernel_stops_what_it_cannot_see(how: str, seen: list[str]) -> None:
    result = subprocess.run([sys.executable, "-c", _WATCHED, how], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    *told, peak_kb = result.stdout.splitlines()
    assert told == seen
    assert int(peak_kb) * 1024 < 2**26 + 2**28 + 2**27


_WITHOUT_MEMORY = """
import asyncio, os
from shared.worker import memory_limit
memory_limit.start_watch(2**40)
pread, looks = os.pread, []

def raise_error(*arguments):
    raise MemoryError

def pread_at_second_look(*arguments):
    looks.append(arguments)
    return pread(*arguments) if len(looks) > 1 else raise_error()

async def main():
    memory_limit._limit_mapped = raise_error
    os.pread = pread_at_second_look
    memory_limit._watch._limit_bytes = 0
    await asyncio.wait_for(memory_limit.wait_until_exceeded(), 30)

asyncio.run(main())
print("told", len(looks))
"""


def test_watch_tells_the_task_though_it_has_no_memory_for_anything_else() -> None:
    result = subprocess.run([sys.executable, "-c", _WITHOUT_MEMORY], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "told 2\n"


def test_reader_of_xls_has_a_bound() -> None:
    assert xls_child.MEMORY_BYTES <= 2**30

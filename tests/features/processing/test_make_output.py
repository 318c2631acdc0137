"""What happens around the writer of an output: whatever interrupts it, it ends once and leaves no file that is not its own."""

from __future__ import annotations

import asyncio
import csv
import errno
import hashlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from features.processing import make_output
from features.processing.exporting.writer import OutputUnmakeable
from features.processing.machine_faults import FileMissing
from features.processing.readers.base import FileUnreadable
from features.processing.tasks import make_output_of_job, process_job
from shared.contracts import MAKE_OUTPUT, MakeOutput, ProcessJob
from shared.db.models import Job, JobStatus, Output, OutputStatus
from shared.jobs import job_state, output_state
from shared.jobs.stored_files import get_storage
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from shared.storage.names import name_output
from shared.worker import shutdown
from tests.factories import Factory
from tests.features.outputs.plain_export import PlainExport

ROWS = 2_000
CSV = b"id,name\n" + b"".join(b"%d,Name %d\n" % (n, n) for n in range(2, ROWS + 1)) + b"x,Linus\n"


@pytest.fixture(autouse=True)
def plain_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_output, "Export", PlainExport)


def change(context: TaskContext, **values: Any) -> TaskContext:
    return TaskContext(settings=context.settings.model_copy(update=values), database=context.database, redis=context.redis)


async def ask(context: TaskContext, factory: Factory, name: str = "valid.csv", **values: Any) -> Output:
    job = await factory.job(content=CSV, **values)
    await process_job(context, ProcessJob(job_id=job.id))
    async with context.database.unit_of_work() as session:
        return await output_state.ask(session, job_id=job.id, attempt=1, name=name)


async def make(context: TaskContext, output: Output) -> Output:
    await make_output_of_job(context, MakeOutput(output_id=output.id))
    return await get(context, output.id)


async def get(context: TaskContext, output_id: uuid.UUID) -> Output:
    async with context.database.reading() as session:
        return (await session.scalars(select(Output).where(Output.id == output_id))).one()


def list_all(context: TaskContext) -> list[Path]:
    """Everything below the folder of outputs, but for the folders of jobs."""
    return sorted((context.settings.upload_folder / "outputs").glob("*/**/*"))


def act_at(monkeypatch: pytest.MonkeyPatch, act: Any, *, chunk: int = 2, pause_s: float = 0.0) -> None:
    """Call `act` in the thread of the export before it gives its `chunk`-th sign of life."""

    class Acting(PlainExport):
        def run(self) -> Iterator[float]:
            import time

            for number, _ in enumerate(super().run(), 1):
                if number == chunk:
                    act()
                time.sleep(pause_s)
                yield number / 20  # a small file is read at once

    monkeypatch.setattr(make_output, "Export", Acting)


async def test_output_is_made_once_and_told_with_its_hash(context: TaskContext, factory: Factory) -> None:
    output = await ask(context, factory)
    made = await make(context, output)
    [path] = list_all(context)
    assert path == context.settings.upload_folder / name_output(job_id=output.job_id, output_id=output.id, claim=1, name="valid.csv")
    assert (made.status, made.progress, made.row_count, made.size_bytes) == (OutputStatus.READY, 100, ROWS - 1, path.stat().st_size)
    assert made.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (made.lease_expires_at, made.crashes, made.error_message) == (None, 0, None)
    assert (await make(context, output)).claim == 1


async def test_inferred_schema_of_the_job_is_used_not_another(context: TaskContext, factory: Factory) -> None:
    output = await ask(context, factory, "rejected.csv")
    fields = [{"name": "id", "type": "string"}, {"name": "name", "type": "string", "constraints": {"enum": ["Linus"]}}]
    async with context.database.unit_of_work() as session:
        await session.execute(update(Job).values(schema_inferred={"fields": fields}))
    assert (await make(context, output)).row_count == ROWS - 1


@pytest.mark.parametrize("format_name", ["csv", "ndjson"])
async def test_errors_are_written_from_the_stored_records(context: TaskContext, factory: Factory, format_name: str) -> None:
    output = await ask(context, factory, f"errors.{format_name}")
    made = await make(context, output)
    [path] = list_all(context)
    [record] = await factory.list_errors(output.job_id)
    text_of = path.read_text("utf-8-sig")
    [row] = [json.loads(line) for line in text_of.splitlines()] if format_name == "ndjson" else list(csv.DictReader(text_of.splitlines()))
    assert (made.status, made.row_count) == (OutputStatus.READY, 1)
    assert (row["id"], row["cell"], row["error_type"], row["raw_value"]) == (str(record.id), f"A{ROWS + 1}", "type-error", "x")


async def test_errors_of_many_pieces_are_written_in_order(context: TaskContext, factory: Factory) -> None:
    job = await factory.ended_job(source={})
    places = [(row, column, "type-error") for row in range(2, 1_500) for column in (1, 2)]
    await factory.errors(job, places, piece_size=500)  # type: ignore[arg-type]
    async with context.database.unit_of_work() as session:
        output = await output_state.ask(session, job_id=job.id, attempt=1, name="errors.csv")
    assert (await make(context, output)).row_count == len(places)
    [path] = list_all(context)
    rows = list(csv.DictReader(path.read_text("utf-8-sig").splitlines()))
    assert [(int(row["row_number"]), int(row["column_number"])) for row in rows] == [place[:2] for place in places]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OutputUnmakeable("A sheet has at most 16,384 columns. Ask for CSV."), "Ask for CSV"),
        (FileUnreadable("The workbook is damaged. Please save it again."), "is damaged"),
        (OutputUnmakeable("x\0" * 2_000), "x\\x00x"),
        (OSError(errno.ENOSPC, "No space left on device"), "not enough disk space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "not enough disk space"),
        (OSError(errno.EFBIG, "File too large"), "not enough disk space"),
        (MemoryError(), "needs more memory"),
    ],
)
async def test_output_that_cannot_be_made_fails_with_a_sentence_and_leaves_nothing(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    output = await ask(context, factory)

    def fail() -> None:
        raise error

    act_at(monkeypatch, fail, chunk=1)
    made = await make(context, output)
    assert made.status is OutputStatus.FAILED
    assert words in (made.error_message or "")
    assert len(made.error_message or "") <= 1000
    assert list_all(context) == []


async def test_disk_without_its_reserve_fails_the_output(context: TaskContext, factory: Factory) -> None:
    output = await ask(context, factory)
    made = await make(change(context, min_free_disk_bytes=2**62), output)
    assert made.status is OutputStatus.FAILED
    assert "disk space" in (made.error_message or "")
    assert list_all(context) == []


async def test_exception_counts_as_a_crash_and_the_last_one_fails_the_output(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, sent: list[Message]
) -> None:
    output = await ask(context, factory)

    def crash() -> None:
        raise ZeroDivisionError

    act_at(monkeypatch, crash, chunk=1)
    for crashes in (1, 2):
        sent.clear()
        made = await make(context, output)
        assert (made.status, made.crashes, made.claim) == (OutputStatus.QUEUED, crashes, 2 * crashes)
        assert [message.task for message in sent] == [MAKE_OUTPUT.name]
    made = await make(context, output)
    assert (made.status, made.crashes) == (OutputStatus.FAILED, 3)
    assert "3 times" in (made.error_message or "")
    assert list_all(context) == []


@pytest.mark.parametrize(
    "fault", [OSError(errno.EIO, "Input/output error"), ChildProcessError("the process that reads the workbook was killed"), FileMissing()], ids=repr
)
async def test_fault_of_the_machine_gives_the_output_back_and_the_last_one_fails_it(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, sent: list[Message], fault: Exception
) -> None:
    output = await ask(context, factory)

    def fail() -> None:
        raise fault

    act_at(monkeypatch, fail, chunk=1)
    for crashes in (1, 2):
        sent.clear()
        made = await make(context, output)
        assert (made.status, made.crashes, made.error_message) == (OutputStatus.QUEUED, crashes, None)
        assert [message.task for message in sent] == [MAKE_OUTPUT.name]
    made = await make(context, output)
    assert (made.status, made.crashes) == (OutputStatus.FAILED, 3)
    assert "service" in (made.error_message or "")  # it blames the service, as that of a job does
    assert list_all(context) == []


async def test_worker_that_shuts_down_gives_the_output_back(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, sent: list[Message]
) -> None:
    output = await ask(context, factory)
    sent.clear()
    monkeypatch.setattr(shutdown, "must_stop", lambda: True)
    made = await make(context, output)
    assert (made.status, made.claim, made.crashes) == (OutputStatus.QUEUED, 2, 0)
    assert [message.task for message in sent] == [MAKE_OUTPUT.name]
    assert list_all(context) == []
    monkeypatch.setattr(shutdown, "must_stop", lambda: False)
    assert (await make(context, output)).status is OutputStatus.READY


async def test_output_that_takes_too_long_fails_and_says_so(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    output = await ask(context, factory)
    act_at(monkeypatch, lambda: None, pause_s=0.15)
    made = await make(change(context, job_time_limit_s=0.2, chunk_rows=20), output)
    assert made.status is OutputStatus.FAILED
    assert "longer than the 0.2 seconds" in (made.error_message or "")
    assert list_all(context) == []


async def test_progress_is_told_and_the_lease_renewed(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    output = await ask(context, factory)
    act_at(monkeypatch, lambda: None, pause_s=0.1)
    making = asyncio.create_task(make(change(context, progress_interval_s=0.1, job_lease_s=1, chunk_rows=20), output))
    seen = set()
    while not making.done():
        now = await get(context, output.id)
        seen.add(now.progress)
        if now.status is OutputStatus.RUNNING:
            assert now.lease_expires_at is not None
        await asyncio.sleep(0.05)
    assert (await making).status is OutputStatus.READY
    assert len(seen - {0, 100}) >= 3


@pytest.mark.parametrize("how", ["retry", "delete", "taken back"])
async def test_output_that_was_lost_stops_and_removes_its_file(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    output = await ask(context, factory)
    await factory.set(output.job_id, status=JobStatus.FAILED)
    act_at(monkeypatch, lambda: None, pause_s=1.0)
    making = asyncio.ensure_future(make_output_of_job(change(context, chunk_rows=20), MakeOutput(output_id=output.id)))
    while not list_all(context):
        await asyncio.sleep(0.01)
    async with context.database.unit_of_work() as session:
        if how == "retry":
            assert await job_state.retry(session, job_id=output.job_id)
        elif how == "delete":
            assert await job_state.hide(session, job_id=output.job_id)
        else:
            assert await output_state.release(session, output_id=output.id, claim=1)
    await asyncio.wait_for(making, 12)  # all of it would take 20 s
    assert list_all(context) == []
    async with context.database.reading() as session:
        left = (await session.scalars(select(Output.status))).all()
    assert left == ([OutputStatus.QUEUED] if how == "taken back" else [])


async def test_lost_after_the_file_is_there_removes_it(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    output = await ask(context, factory)
    store = make_output._store

    async def store_and_lose(*arguments: Any, **named: Any) -> None:
        await store(*arguments, **named)
        await lose()

    async def lose() -> None:
        async with context.database.unit_of_work() as session:
            await session.execute(text("UPDATE outputs SET claim = 7"))

    monkeypatch.setattr(make_output, "_store", store_and_lose)
    made = await make(context, output)
    assert (made.status, made.claim) == (OutputStatus.RUNNING, 7)
    assert list_all(context) == []


async def test_lost_while_the_store_hangs_ends_at_once(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    output = await ask(context, factory)

    async def hang(*_: Any, **__: Any) -> None:
        async with context.database.unit_of_work() as session:
            await session.execute(text("UPDATE outputs SET claim = 7"))
        await asyncio.Event().wait()

    monkeypatch.setattr(get_storage(context), "put_file", hang)
    monkeypatch.setattr(make_output, "STORE_PATIENCE_S", 0.1)
    made = await asyncio.wait_for(make(context, output), 10)
    assert (made.status, made.claim) == (OutputStatus.RUNNING, 7)
    assert list_all(context) == []


async def test_unknown_output_does_nothing(context: TaskContext) -> None:
    await make_output_of_job(context, MakeOutput(output_id=uuid.uuid4()))
    assert not (context.settings.upload_folder / "outputs").exists()


async def test_errors_that_are_not_recorded_are_told_of(context: TaskContext, factory: Factory) -> None:
    limited = change(context, max_stored_errors_per_job=1)
    output = await ask(limited, factory, "errors.csv", schema_given={"fields": [{"name": "id", "type": "integer"}, {"name": "name", "type": "integer"}]})
    assert (await make(context, output)).notes == [f"Of {ROWS + 1:,} errors the first 1 are recorded; rejected.csv has every row with an error."]
    async with context.database.unit_of_work() as session:
        await session.execute(update(Job).values(status=JobStatus.CANCELLED, error_count=1, rows_processed=7))
        await session.execute(update(Output).values(status=OutputStatus.QUEUED))
    assert (await make(context, output)).notes == ["The job ended before its last row was checked: these are the errors of its first 7 rows."]

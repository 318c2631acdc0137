from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from features.processing import guarded, machine_faults, run, tasks
from features.processing.checking.declarations import FileUncheckable
from features.processing.chunk_reports import ChunkReport
from features.processing.engine import inspect_file
from features.processing.readers.base import FileUnreadable, ReadAnew
from shared.contracts import ProcessJob
from shared.db import storage_identity
from shared.db.models import Job, JobStatus
from shared.db.session import Database
from shared.jobs import job_state
from shared.jobs.storage_guard import get_guard
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from shared.worker import shutdown, time_limit
from tests.factories import Factory
from tests.hostile.damage import make_xlsx

ROWS = b"id,name,age\n" + b"".join(b"%d,Name %d,%d\n" % (n, n, n % 90) for n in range(1, 101)) + b"oops,Bad,12\n101,,13\n102,Short\n\n103,Long,14,extra\n"


def change(context: TaskContext, **values: Any) -> TaskContext:
    return TaskContext(settings=context.settings.model_copy(update=values), database=context.database, redis=context.redis)


async def process(context: TaskContext, job: Job) -> None:
    await tasks.process_job(context, ProcessJob(job_id=job.id))


async def get(factory: Factory, job: Job) -> Job:
    found = await factory.get(job.id)
    assert found is not None
    return found


async def test_file_is_read_to_its_end_and_every_error_is_kept(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(content=ROWS)
    await process(context, job)
    done = await get(factory, job)
    assert (done.status, done.progress, done.error_message) == (JobStatus.COMPLETED, 100, None)
    assert (done.rows_processed, done.total_rows, done.rows_failed) == (105, 105, 5)
    assert done.started_at is not None
    assert done.completed_at is not None
    assert done.source == {"encoding": "utf-8", "delimiter": ",", "quote_char": '"', "sheet": None, "header_row": 1}
    assert done.lease_expires_at is None
    errors = [(error.row_number, error.column_number, error.column_name, error.error_type, error.raw_value) for error in await factory.list_errors(job.id)]
    assert errors == [
        (102, 1, "id", "type-error", "oops"),
        (103, 2, "name", "required-error", ""),
        (104, 3, "age", "missing-cell", None),
        (105, None, None, "blank-row", None),
        (106, 4, None, "extra-cell", "extra"),
    ]
    assert done.error_count == done.errors_stored == 5


async def test_given_schema_is_used_and_dialect_and_encoding_too(context: TaskContext, factory: Factory) -> None:
    names = ["Ädä", "Bob", "X", "Toolong", "lower"]
    of_name = {"required": True, "minLength": 2, "maxLength": 5, "pattern": "[A-ZÄ].*", "enum": names}
    schema = {
        "fields": [
            {"name": "id", "type": "integer", "constraints": {"unique": True, "minimum": 1, "maximum": 9}},
            {"name": "name", "type": "string", "constraints": of_name},
        ]
    }
    text = "id;name\n1;Ädä\n1;Bob\n0;Bob\n10;Bob\n3;\n4;X\n5;Toolong\n6;lower\n7;Eve\nx;Bob\n"
    job = await factory.job(content=text.encode("latin-1"), schema_given=schema, dialect={"delimiter": ";"}, encoding="iso8859-1")
    await process(context, job)
    done = await get(factory, job)
    assert done.status == JobStatus.COMPLETED
    assert done.schema_inferred is None
    assert [(error.row_number, error.error_type) for error in await factory.list_errors(job.id)] == [
        (3, "unique-error"), (4, "minimum-error"), (5, "maximum-error"), (6, "required-error"), (7, "min-length-error"), (8, "max-length-error"),
        (9, "pattern-error"), (10, "enum-error"), (11, "type-error"),
    ]  # fmt: skip


async def test_inferred_schema_is_stored_and_gives_the_same_errors_when_sent_again(context: TaskContext, factory: Factory) -> None:
    first = await factory.job(content=ROWS)
    await process(context, first)
    inferred = (await get(factory, first)).table_schema
    assert inferred is not None
    assert {field["name"]: field["type"] for field in inferred["fields"]} == {"id": "integer", "name": "string", "age": "integer"}
    second = await factory.job(content=ROWS, schema_given=json.loads(json.dumps(inferred)))
    await process(context, second)

    async def places(job: Job) -> list[tuple[Any, ...]]:
        return [(error.row_number, error.column_number, error.error_type, error.error_message) for error in await factory.list_errors(job.id)]

    assert await places(first) == await places(second)


async def test_header_without_rows_is_completed_with_none(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(content=b"a,b\n")
    await process(context, job)
    done = await get(factory, job)
    assert (done.status, done.progress, done.rows_processed, done.total_rows) == (JobStatus.COMPLETED, 100, 0, 0)


async def test_file_that_cannot_be_read_fails_with_a_sentence(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(content=b"\n\n\n", webhook_url="http://127.0.0.1:1/")
    await process(context, job)
    failed = await get(factory, job)
    assert failed.status == JobStatus.FAILED
    assert str(failed.error_message).endswith(".")
    assert failed.crashes == 0
    assert failed.completed_at is not None


@pytest.mark.parametrize(
    ("stored", "start"),
    [
        ({"schema_given": {"fields": [{"name": "id", "type": "nothing"}]}}, "The schema of this job can no longer be used: /schema/fields/0/type: "),
        ({"dialect": {"delimiter": ";;"}}, "The dialect of this job can no longer be used: /dialect/delimiter: "),
    ],
)
async def test_stored_descriptor_that_is_no_longer_accepted_fails_the_job_and_says_why(
    context: TaskContext, factory: Factory, stored: dict[str, Any], start: str
) -> None:
    job = await factory.job(content=ROWS, **stored)
    await process(context, job)
    failed = await get(factory, job)
    assert (failed.status, failed.crashes) == (JobStatus.FAILED, 0)
    assert str(failed.error_message).startswith(start)


async def test_missing_directory_for_temporary_files_is_not_blamed_on_the_file(
    context: TaskContext, factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "inspect_file", lambda path, *, limits, **options: inspect_file(path, limits=replace(limits, spill_threshold_bytes=0), **options))
    job = await factory.job(content=make_xlsx(), filename="a.xlsx")
    await process(change(context, spill_dir=tmp_path / "gone"), job)
    back = await get(factory, job)
    assert (back.status, back.crashes, back.machine_faults, back.error_message) == (JobStatus.QUEUED, 0, 1, None)


async def test_file_that_breaks_off_keeps_what_was_found(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    break_off_after(monkeypatch, 2, FileUnreadable("The workbook is damaged. Please save it again."))
    job = await factory.job(content=ROWS)
    await process(change(context, chunk_rows=51), job)
    failed = await get(factory, job)
    assert (failed.status, failed.error_message) == (JobStatus.FAILED, "The workbook is damaged. Please save it again.")
    assert failed.rows_processed > 100
    assert failed.progress < 100
    assert failed.error_count == len(await factory.list_errors(job.id)) > 0


@pytest.mark.parametrize("interval_s", [0.0, 1000.0])
@pytest.mark.parametrize("error", [FileUnreadable("Damaged."), FileUncheckable("Too slow."), MemoryError()])
async def test_counts_and_records_agree_however_a_job_fails(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, error: Exception, interval_s: float
) -> None:
    break_off_after(monkeypatch, 2, error)
    job = await factory.job(content=ROWS)
    await process(change(context, chunk_rows=51, progress_interval_s=interval_s), job)
    failed = await get(factory, job)
    assert (failed.status, failed.crashes) == (JobStatus.FAILED, 0)
    assert failed.error_count == failed.errors_stored == len(await factory.list_errors(job.id))
    # Without memory only the errors are kept that were committed before it ran out.
    if interval_s == 0.0 or not isinstance(error, MemoryError):
        assert failed.errors_stored > 0


async def test_running_it_twice_does_nothing_the_second_time(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(content=ROWS)
    await asyncio.gather(*(process(context, job) for _ in range(5)))
    done = await get(factory, job)
    await process(context, job)
    assert (await get(factory, job)).completed_at == done.completed_at
    assert len(await factory.list_errors(job.id)) == 5
    assert done.attempt == 1


async def test_stored_errors_are_limited_and_counts_are_exact(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(content=b"id\n" + b"1\n" * 9_000 + b"x\n" * 1_500)
    await process(change(context, max_stored_errors_per_job=100), job)
    done = await get(factory, job)
    assert (done.error_count, done.errors_stored, done.rows_failed, done.errors_truncated) == (1_500, 100, 1_500, True)
    assert len(await factory.list_errors(job.id)) == 100


async def test_labels_and_values_that_the_database_cannot_hold_are_escaped(context: TaskContext, factory: Factory) -> None:
    label = "n" * 300
    job = await factory.job(content=f"id,{label},z\x00z\n1,a,b\nx\x00y,a,b\n3,a,b\n4,a,b\n".encode())
    await process(context, job)
    done = await get(factory, job)
    assert done.status == JobStatus.COMPLETED
    [error] = await factory.list_errors(job.id)
    assert error.raw_value == "x\\x00y"


async def test_progress_and_errors_are_committed_together(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int, int, int]] = []
    slow_down(monkeypatch, 0.03)
    job = await factory.job(content=b"id\n" + b"1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n" * 30)
    running = asyncio.create_task(process(change(context, progress_interval_s=0.1, chunk_rows=10), job))
    while not running.done():
        await asyncio.sleep(0.04)
        now = await get(factory, job)
        seen.append((now.progress, now.rows_processed, now.error_count, len(await factory.list_errors(job.id))))
    await running
    during = [entry for entry in seen if 0 < entry[1] < 300]
    assert len({entry[1] for entry in during}) >= 3
    assert all(rows == 10 * errors for _progress, rows, errors, _stored in during)
    assert [entry[0] for entry in seen] == sorted(entry[0] for entry in seen)
    assert all(progress < 100 for progress, *_ in during)
    done = await get(factory, job)
    assert (done.rows_processed, done.error_count, done.progress) == (300, 30, 100)


async def test_cancelled_job_stops_at_its_next_chunk_and_keeps_what_was_committed(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch, 0.05)
    job = await factory.job(content=b"id\n" + b"1\n2\n3\n4\n5\n6\n7\n8\n9\nx\n" * 200)
    running = asyncio.create_task(process(change(context, progress_interval_s=0.05, chunk_rows=10), job))
    while (await get(factory, job)).rows_processed == 0:
        await asyncio.sleep(0.02)
    async with context.database.unit_of_work() as session:
        assert await job_state.cancel(session, job_id=job.id)
    await running
    cancelled = await get(factory, job)
    assert cancelled.status == JobStatus.CANCELLED
    assert 0 < cancelled.rows_processed < 2000
    errors = await factory.list_errors(job.id)
    assert len(errors) == cancelled.error_count
    assert all(error.row_number <= cancelled.rows_processed + 1 for error in errors)


async def test_worker_that_lost_its_job_writes_nothing_more(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 0.05)
    job = await factory.job(content=b"id\n" + b"1\n2\n3\nx\n" * 100)
    running = asyncio.create_task(process(change(context, chunk_rows=20), job))
    while (await get(factory, job)).status != JobStatus.PROCESSING:
        await asyncio.sleep(0.02)
    held = await get(factory, job)
    async with context.database.unit_of_work() as session:
        assert await job_state.release(session, job_id=job.id, attempt=held.attempt)
    await running
    left = await get(factory, job)
    assert (left.status, left.rows_processed) == (JobStatus.QUEUED, 0)
    assert await factory.count_pieces(job.id) == 0


async def test_unexpected_failure_is_a_crash_and_the_third_one_ends_the_job(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, sent: list[Message]
) -> None:
    break_off_after(monkeypatch, 1, ZeroDivisionError("bug"))
    job = await factory.job(content=ROWS, webhook_url="http://127.0.0.1:1/")
    for crashes in (1, 2):
        await process(context, job)
        again = await get(factory, job)
        assert (again.status, again.crashes) == (JobStatus.QUEUED, crashes)
        assert sent[-1].task == "processing.process_job"
    await process(context, job)
    failed = await get(factory, job)
    assert (failed.status, failed.crashes) == (JobStatus.FAILED, 3)
    assert "3 times" in str(failed.error_message)
    assert sent[-1].task == "webhooks.send_delivery"


async def test_job_that_runs_too_long_fails_and_says_so(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 0.1)
    job = await factory.job(content=b"id\n" + b"1\n2\n3\nx\n" * 200)
    await process(change(context, chunk_rows=10, job_time_limit_s=0.5, progress_interval_s=0.1), job)
    failed = await get(factory, job)
    assert failed.status == JobStatus.FAILED
    assert "0.5 seconds" in str(failed.error_message)
    assert failed.error_count == len(await factory.list_errors(job.id))


async def test_job_that_had_little_of_its_time_is_given_back_not_failed(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery times the task; if the claim had to wait for the database, the file is not to blame."""
    slow_down(monkeypatch, 0.1)
    job = await factory.job(content=b"id\n" + b"1\n2\n3\nx\n" * 200)
    reached = asyncio.Event()
    time_limit.announce(reached)
    asyncio.get_running_loop().call_later(0.5, reached.set)
    await process(change(context, chunk_rows=10, job_time_limit_s=60.0, progress_interval_s=0.1), job)
    again = await get(factory, job)
    assert (again.status, again.crashes) == (JobStatus.QUEUED, 0)


async def test_job_that_had_to_begin_anew_has_no_more_time_than_others(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 0.1)
    read = run._process

    async def read_wrongly_at_first(*arguments: Any, needs_all: bool) -> Any:
        if not needs_all:
            await asyncio.sleep(1.5)
            raise ReadAnew
        return await read(*arguments, needs_all=needs_all)

    monkeypatch.setattr(run, "_process", read_wrongly_at_first)
    monkeypatch.setattr(guarded, "CLAIM_PATIENCE_S", 1.0)
    job = await factory.job(content=b"id\n" + b"1\n2\n3\nx\n" * 200)
    reached = asyncio.Event()
    time_limit.announce(reached)
    asyncio.get_running_loop().call_later(5.0, reached.set)
    await process(change(context, chunk_rows=10, job_time_limit_s=5.0, progress_interval_s=0.1), job)
    failed = await get(factory, job)
    assert (failed.status, failed.attempt, failed.crashes) == (JobStatus.FAILED, 2, 0)
    assert "5 seconds" in str(failed.error_message)
    assert failed.rows_processed > 0


async def test_shutdown_gives_the_job_back_and_it_runs_again(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, sent: list[Message]
) -> None:
    monkeypatch.setattr(shutdown, "must_stop", lambda: True)
    job = await factory.job(content=ROWS)
    await process(change(context, chunk_rows=10), job)
    released = await get(factory, job)
    assert (released.status, released.crashes, released.rows_processed) == (JobStatus.QUEUED, 0, 0)
    assert [message.payload for message in sent] == [{"job_id": str(job.id)}]
    assert await factory.count_pieces(job.id) == 0
    monkeypatch.setattr(shutdown, "must_stop", lambda: False)
    await process(context, job)
    done = await get(factory, job)
    assert (done.status, done.error_count) == (JobStatus.COMPLETED, 5)


async def test_lease_is_renewed_during_a_long_chunk(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 1.0)
    job = await factory.job(content=b"id\n1\n2\n")
    leases = set()
    running = asyncio.create_task(process(change(context, job_lease_s=0.6), job))
    while not running.done():
        await asyncio.sleep(0.1)
        leases.add((await get(factory, job)).lease_expires_at)
    await running
    assert len(leases) >= 4


def slow_down(monkeypatch: pytest.MonkeyPatch, pause_s: float) -> None:
    """Make every chunk take `pause_s` longer."""
    wrap_reports(monkeypatch, lambda reports: _paused(reports, pause_s))


async def test_notes_that_only_the_end_of_a_file_tells_are_kept_with_the_others(context: TaskContext, factory: Factory) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in (["Sales of May"], [], ["id", "name", "amount"], [1, "north", 2], [2, None, 3], [4111111111111111, "south", 4]):
        sheet.append(row)
    sheet.merge_cells("B4:B5")
    book.create_sheet("Prices").append(["a", "b"])
    data = BytesIO()
    book.save(data)
    job = await factory.job(filename="sales.xlsx", file_type="xlsx", content=data.getvalue())
    await process(context, job)
    done = await get(factory, job)
    assert done.status == JobStatus.COMPLETED
    assert [note["code"] for note in done.notes or ()] == ["other-sheets", "rows-above-header", "merged-cells", "digits-lost"]
    assert done.source is not None
    assert (done.source["sheet"], done.source["header_row"]) == ("Sheet", 3)


def _paused(reports: Iterator[ChunkReport], pause_s: float) -> Iterator[ChunkReport]:
    for report in reports:
        time.sleep(pause_s)
        yield report


def break_off_after(monkeypatch: pytest.MonkeyPatch, chunks: int, error: Exception) -> None:
    """Raise `error` after the first `chunks` chunks."""

    def broken(reports: Iterator[ChunkReport]) -> Iterator[ChunkReport]:
        for number, report in enumerate(reports, start=1):
            if number > chunks:
                break
            yield report
        raise error

    wrap_reports(monkeypatch, broken)


def wrap_reports(monkeypatch: pytest.MonkeyPatch, wrap: Any) -> None:
    real = inspect_file

    class Wrapped:
        def __init__(self, inspection: Any) -> None:
            self.source, self.table_schema, self.notes = inspection.source, inspection.table_schema, inspection.notes
            self.close, self._inspection = inspection.close, inspection

        def reports(self) -> Iterator[ChunkReport]:
            return iter(wrap(self._inspection.reports()))

    monkeypatch.setattr(run, "inspect_file", lambda path, **options: Wrapped(real(path, **options)))


async def test_errors_carry_what_their_sentences_say_for_programs(context: TaskContext, client: httpx.AsyncClient, factory: Factory) -> None:
    schema = {
        "fields": [
            {"name": "id", "type": "integer", "constraints": {"unique": True, "minimum": 1}},
            {"name": "day", "type": "date", "format": "%d.%m.%Y"},
            {"name": "kind", "type": "string", "constraints": {"enum": ["a", "b"], "pattern": "[a-c]", "maxLength": 3}},
        ],
        "primaryKey": ["kind", "day"],
        "foreignKeys": [{"fields": ["id"], "reference": {"resource": "", "fields": ["id"]}}],
    }
    rows = ["1,01.02.2026,a", "0,02.02.2026,b", "1,2026-02-03,c", "3,01.02.2026,a", "4,05.02.2026", "1,06.02.2026,long"]
    job = await factory.job(content="\n".join(["id,day,kind", *rows]).encode(), schema_given=schema)
    await process(context, job)
    listed = (await client.get(f"/api/jobs/{job.id}/errors")).json()["errors"]
    told = [(error["row_number"], error["cell"], error["error_type"], error["params"]) for error in listed]
    assert told == [
        (3, "A3", "minimum-error", {"minimum": 1}),
        (4, "A4", "unique-error", {"first_row_number": 2}),
        (4, "B4", "type-error", {"type": "date", "format": "%d.%m.%Y"}),
        (4, "C4", "enum-error", {"enum": ["a", "b"]}),
        (5, None, "primary-key-error", {"fields": ["kind", "day"], "first_row_number": 2}),
        (6, "C6", "missing-cell", {"expected_cells": 3}),
        (7, "A7", "unique-error", {"first_row_number": 2}),
        (7, "C7", "enum-error", {"enum": ["a", "b"]}),
    ]
    assert [(error.row_number, error.params) for error in await factory.list_errors(job.id)] == [(row, params) for row, _, _, params in told]
    [filtered] = (await client.get(f"/api/jobs/{job.id}/errors", params={"error_type": "primary-key-error"})).json()["errors"]
    assert filtered["params"] == {"fields": ["kind", "day"], "first_row_number": 2}


def away(context: TaskContext) -> TaskContext:
    """Return the context of a worker whose upload folder is not mounted."""
    folder = context.settings.upload_folder.with_name("not-mounted")
    folder.mkdir(exist_ok=True)
    return change(context, upload_dir=folder)


async def mark(database: Database) -> None:
    async with database.unit_of_work() as session:
        await storage_identity.note_marked(session)


async def test_worker_without_the_storage_claims_nothing_and_leaves_the_message_to_others(
    context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_faults, "PASS_ON_S", (0.0, 0.01))
    await mark(context.database)
    job = await factory.job(content=ROWS)
    await process(away(context), job)
    waiting = await get(factory, job)
    assert (waiting.status, waiting.attempt, waiting.machine_faults) == (JobStatus.QUEUED, 0, 0)
    assert [message.payload for message in sent] == [{"job_id": str(job.id)}]
    assert waiting.next_ring_at is not None
    assert waiting.next_ring_at > datetime.now(UTC) + timedelta(seconds=50)  # or else messages would multiply
    sent.clear()
    ended = await factory.ended_job()
    await process(away(context), ended)
    assert [message.payload for message in sent] == [{"job_id": str(job.id)}]  # its job was claimed with the message of this one, which still waits
    sent.clear()
    await factory.set(job.id, status=JobStatus.CANCELLED)
    paused = await factory.job(content=ROWS, not_before=datetime.now(UTC) + timedelta(minutes=9))
    await process(away(context), paused)
    await process(away(context), ended)
    assert sent == []
    await factory.set(job.id, status=JobStatus.QUEUED)
    await process(context, job)
    assert (await get(factory, job)).status is JobStatus.COMPLETED


async def test_storage_that_is_lost_under_a_job_gives_it_back_uncounted(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    await mark(context.database)
    job = await factory.job(content=ROWS)
    folder = context.settings.upload_folder
    worker = change(context)
    assert await get_guard(worker).find_problem() is None
    mounted = folder.rename(folder.with_name("mounted"))
    folder.mkdir()
    await process(worker, job)  # it looked a moment ago
    back = await get(factory, job)
    assert (back.status, back.crashes, back.machine_faults, back.not_before, back.error_message) == (JobStatus.QUEUED, 0, 0, None, None)
    assert len(sent) == 1
    folder.rmdir()
    mounted.rename(folder)
    assert await get_guard(worker).find_problem(fresh=True) is None
    await process(worker, job)
    assert (await get(factory, job)).status is JobStatus.COMPLETED


def fill_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kill_child(*_: object, **__: object) -> None:
    raise ChildProcessError("the process that reads the workbook was killed")


def lose_disk(*_: object, **__: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("fail", "kind", "words"),
    [(fill_disk, "spill-disk-full", "ran out of disk space"), (kill_child, "killed", "was killed"), (lose_disk, "storage", "could not read its own storage")],
)
async def test_fault_of_the_machine_is_tried_three_times_and_blames_no_file(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, fail: Callable[..., None], kind: str, words: str
) -> None:
    monkeypatch.setattr(run, "inspect_file", fail)
    job = await factory.job(content=ROWS)
    worker = change(context, fault_pause_s=0)
    before, failed_before = count_faults(kind), count_failed()
    for faults in (1, 2):
        await process(worker, job)
        waiting = await get(factory, job)
        assert (waiting.status, waiting.machine_faults, waiting.crashes, waiting.error_message) == (JobStatus.QUEUED, faults, 0, None)
    assert count_failed() == failed_before
    with capture_logs() as lines:
        await process(worker, job)
    assert [line["event"] for line in lines] == ["job claimed", "job failed: a fault of this machine", "job failed"]
    assert count_failed() == failed_before + 1
    ended = await get(factory, job)
    assert ended.status is JobStatus.FAILED
    assert words in str(ended.error_message)
    assert "may be in order" in str(ended.error_message)
    assert count_faults(kind) - before == 3


def count_faults(kind: str) -> float:
    return REGISTRY.get_sample_value("rowgate_machine_faults_total", {"kind": kind}) or 0.0


def count_failed() -> float:
    return REGISTRY.get_sample_value("rowgate_attempt_duration_seconds_count", {"outcome": "failed"}) or 0.0


async def test_missing_file_is_looked_for_three_times(context: TaskContext, factory: Factory) -> None:
    job = await factory.job(content=None)
    worker = change(context, fault_pause_s=0)
    for _ in range(3):
        assert (await get(factory, job)).status is JobStatus.QUEUED
        await process(worker, job)
    ended = await get(factory, job)
    assert ended.status is JobStatus.FAILED
    assert "no longer stored" in str(ended.error_message)
    assert "upload it again" in str(ended.error_message)

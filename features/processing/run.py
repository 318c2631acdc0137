"""One attempt at one job: claim, read, check, record, end; and the response to everything that can interrupt it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from features.processing.checking.declarations import FileUncheckable
from features.processing.engine import Inspection, inspect_file
from features.processing.metrics import Outcome, count_attempt, count_claim, measured
from features.processing.readers.base import FileUnreadable, Note, ReadLimits
from features.processing.readers.prefetch import Prefetch
from features.processing.recording.packer import Batch, Packer
from features.processing.recording.recorder import JobLost, Recorder
from features.processing.types import Hold
from shared.db.errors import is_database_unavailable
from shared.descriptors.problems import DescriptorInvalid
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from shared.jobs import job_state
from shared.jobs.storage import stored_path
from shared.observing.frames import describe_frames
from shared.settings import MEBIBYTE
from shared.worker import memory_limit, shutdown, time_limit

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from shared.db.models import Job
    from shared.messages.tasks import TaskContext
    from shared.settings import Settings

DATABASE_PAUSE_S = 1.0
CLAIM_PATIENCE_S = 5.0
"""A job that was claimed later than this after its task began is released at the task's time limit, not failed: it did not have its time."""
MEMORY_PATIENCE_S = 2.0
"""How long a reader that has used too much memory may go on after its job has failed."""
LAST_WORDS_S = 5.0
"""How long the work beside a job may take to end after the job; cancelling it in a transaction costs the connection."""

log = structlog.get_logger(__name__)


class StopRequested(Exception):  # a request, not an error
    """This process must end; the job goes back to the queue."""


async def run_job(context: TaskContext, *, job_id: uuid.UUID) -> None:
    """Claim the job if it is QUEUED, and bring it to an end; a second call does nothing."""
    settings = context.settings
    async with context.database.unit_of_work() as session:
        job = await job_state.claim(session, job_id=job_id, lease_s=settings.job_lease_s)
    if job is None:
        return
    hold = Hold(job_id=job_id, attempt=job.attempt, lease_s=settings.job_lease_s)
    with structlog.contextvars.bound_contextvars(job_id=str(job_id), attempt=hold.attempt):
        log.info("job claimed", file_size=job.file_size, file_type=job.file_type)
        count_claim(job)
        start = time.perf_counter()
        async with (
            _beside(partial(_renew_lease, context, hold)),
            _beside(partial(_fail_at_time_limit, context, hold)),
            _beside(partial(_fail_at_memory_limit, context, hold)),
        ):
            outcome = await _attempt(context, job, hold)
        count_attempt(outcome, duration_s=time.perf_counter() - start)


async def _attempt(context: TaskContext, job: Job, hold: Hold) -> Outcome:
    """Process the file; an interruption leads to the one transition of the job that fits it."""
    try:
        async with Recorder(context.database, hold) as recorder:
            return await _process(context, job, hold, recorder)
    except JobLost:
        log.info("job is no longer ours")
        return "lost"
    except StopRequested:
        await _release(context, hold)
        log.info("job released: this worker is shutting down")
        return "released"
    except MemoryError:
        # Errors that were counted but not yet written are lost, so the job keeps the figures and errors that were committed last.
        log.warning("job failed: no more memory")
        return "failed" if await _fail(context, hold, asyncio.Event(), _too_much_memory(context.settings)) else "lost"
    except Exception as error:  # noqa: BLE001  # logged below, without its message
        if is_database_unavailable(error):
            log.warning("database became unavailable", reason=repr(error))
            await _release(context, hold)
            return "released"
        # Error messages of libraries quote the cell that they failed on.
        log.error("job crashed", exception=describe_frames(error))  # noqa: TRY400  # log.exception would log the message too
        await _count_crash(context, hold)
        return "crashed"


async def _process(context: TaskContext, job: Job, hold: Hold, recorder: Recorder) -> Outcome:
    """Read the file to its end, or to the point where it breaks off, and end the job accordingly."""
    settings = context.settings
    packer = Packer(hold, interval_s=settings.progress_interval_s, max_stored=settings.max_stored_errors_per_job)
    try:
        async with _open(job, settings) as inspection:
            described = await _describe(context, job, hold, inspection)
            await recorder.require_hold()
            async with aclosing(_run_ahead(packer.pack(inspection.reports()))) as batches:
                async for batch in batches:
                    with measured("recording"):
                        await recorder.record(batch)
                    if shutdown.must_stop():
                        raise StopRequested
            if inspection.notes != described:
                # Some of them concern cells that are read last.
                await _describe(context, job, hold, inspection)
    except (FileUnreadable, FileUncheckable) as unreadable:
        # The reason is in the job only, since it may name the file's sheets.
        log.info("file cannot be read to its end", exception=describe_frames(unreadable.__cause__) if unreadable.__cause__ is not None else None)
        with measured("recording"):
            await recorder.fail(str(unreadable), packer.progress)
        return "failed"
    with measured("recording"):
        await recorder.finish(packer.progress)
    log.info("job completed")
    return "completed"


@asynccontextmanager
async def _open(job: Job, settings: Settings) -> AsyncIterator[Inspection]:
    path = stored_path(settings.upload_dir, job.id, job.filename)
    try:
        with measured("reading"):
            inspection = await asyncio.to_thread(_inspect, path, job, settings)
    except FileNotFoundError as error:
        # Any other file that is missing, such as a directory for temporary files, is the machine's fault.
        if str(error.filename) != str(path):
            raise
        raise FileUnreadable("The file of this job is no longer stored. Please upload it again.") from error
    try:
        yield inspection
    finally:
        await asyncio.to_thread(inspection.close)


def _inspect(path: Path, job: Job, settings: Settings) -> Inspection:
    """Open the file in a thread, since the descriptors of a job may take a second to be parsed again."""
    try:
        table_schema = parse_table_schema(job.schema_given) if job.schema_given is not None else None
        dialect = parse_table_dialect(job.dialect) if job.dialect is not None else None
    except DescriptorInvalid as invalid:
        # It was accepted by a version of this service with other rules.
        problem = invalid.problems[0]
        name = problem.pointer.split("/")[1]
        raise FileUnreadable(f"The {name} of this job can no longer be used: {problem.pointer}: {problem.message}") from invalid
    return inspect_file(
        path,
        table_schema=table_schema,
        dialect=dialect,
        encoding=job.encoding,
        limits=ReadLimits(
            chunk_rows=settings.chunk_rows,
            max_row_bytes=settings.max_row_bytes,
            spill_dir=settings.spill_dir,
            excel_reader=settings.excel_reader,
        ),
    )


async def _run_ahead(batches: Iterator[Batch]) -> AsyncGenerator[Batch]:
    """Yield the batches; each is made in a thread while the previous one is written. A slow database slows the reading down."""
    ahead = Prefetch(batches)
    try:
        while (batch := await asyncio.to_thread(next, ahead, None)) is not None:
            yield batch
    finally:
        # A thread cannot be cancelled, so the file may only be closed once it has ended.
        await asyncio.to_thread(ahead.close)


async def _describe(context: TaskContext, job: Job, hold: Hold, inspection: Inspection) -> Sequence[Note]:
    """Store what was found in the file so far, so that clients see it before the rows are read, and return the notes. Raises `JobLost`."""
    notes = inspection.notes
    inferred = dict(inspection.table_schema.descriptor) if job.schema_given is None else None
    async with context.database.unit_of_work() as session:
        held = await job_state.describe(
            session,
            job_id=hold.job_id,
            attempt=hold.attempt,
            source=asdict(inspection.source),
            notes=[note.to_json() for note in notes],
            schema_inferred=inferred,
        )
    if not held:
        raise JobLost
    return notes


@asynccontextmanager
async def _beside(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run `work` during the block. Its event is set when the block ends; it then has `LAST_WORDS_S` to finish before it is cancelled."""
    over = asyncio.Event()
    running = asyncio.create_task(work(over))
    try:
        yield
    finally:
        over.set()
        done, _ = await asyncio.wait([running], timeout=LAST_WORDS_S)
        if not done:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


async def _is_over_within(over: asyncio.Event, seconds: float) -> bool:
    """Wait for the event, but no longer than `seconds`; return whether it was set."""
    try:
        await asyncio.wait_for(over.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _renew_lease(context: TaskContext, hold: Hold, over: asyncio.Event) -> None:
    """Renew the lease on a separate connection until it is lost. If renewing fails, the fence protects the job."""
    held = True
    while held and not await _is_over_within(over, hold.lease_s / job_state.RENEWALS_PER_LEASE):
        try:
            async with context.database.unit_of_work() as session:
                held = await job_state.renew(session, job_id=hold.job_id, attempt=hold.attempt, lease_s=hold.lease_s)
        except Exception as error:  # noqa: BLE001  # it is tried again in a moment; the lease shows when it is too late
            log.warning("lease not renewed", reason=repr(error))


async def _fail_at_time_limit(context: TaskContext, hold: Hold, over: asyncio.Event) -> None:
    """Fail the job when its time is over, whatever its reader is doing; the job keeps the figures that were committed last.

    The reader finds the job lost at its next chunk; a reader that never gets there is killed with its process (`ENDING_S`).
    """
    limit_s = context.settings.job_time_limit_s
    loop = asyncio.get_running_loop()
    start = loop.time()
    if not await _comes_before(over, time_limit.wait_until_reached(limit_s)):
        return
    if limit_s - (loop.time() - start) > CLAIM_PATIENCE_S:
        # Celery times the task, and the database did not answer for a part of that time. The job starts anew.
        await _release(context, hold)
        return
    message = f"Checking this file took longer than the {limit_s:g} seconds that are allowed. Please split it."
    if await _fail(context, hold, over, message):
        log.warning("job failed: it reached its time limit", limit_s=limit_s)


async def _fail_at_memory_limit(context: TaskContext, hold: Hold, over: asyncio.Event) -> None:
    """Fail the job when this process uses too much memory, whatever its reader is doing, and end the process if the reader does not stop soon."""
    if not await _comes_before(over, memory_limit.wait_until_exceeded()):
        return
    if await _fail(context, hold, over, _too_much_memory(context.settings)):
        log.warning("job failed: it reached the memory limit")
    if not await _is_over_within(over, MEMORY_PATIENCE_S):
        log.warning("process ends: its job does not stop using memory")
        os._exit(1)


def _too_much_memory(settings: Settings) -> str:
    mebibytes = settings.worker_memory_limit_bytes // MEBIBYTE
    return f"This file needs more memory than the {mebibytes:,} MiB that one file may use here. Please split it, or make its rows and cells smaller."


async def _comes_before(over: asyncio.Event, waiting: Coroutine[Any, Any, None]) -> bool:
    """Wait for `waiting` or for the event; return whether `waiting` ended and the event was not set."""
    reached, ended = asyncio.create_task(waiting), asyncio.create_task(over.wait())
    try:
        await asyncio.wait({reached, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reached.cancel()
        ended.cancel()
    return not over.is_set()


async def _fail(context: TaskContext, hold: Hold, over: asyncio.Event, message: str) -> bool:
    """Fail the job with the figures that were committed last, and return whether it was still ours; a database that fails is asked again until `over`."""
    while True:
        try:
            async with context.database.unit_of_work() as session:
                return await job_state.fail(session, job_id=hold.job_id, attempt=hold.attempt, message=message, progress=None)
        except Exception as error:  # noqa: BLE001  # a job must not exceed its limits because the database was briefly unavailable
            log.warning("job could not be failed at its limit yet", reason=repr(error))
            if await _is_over_within(over, DATABASE_PAUSE_S):
                return False


async def _release(context: TaskContext, hold: Hold) -> None:
    """Give the job back as soon as the database answers; an unavailable database does not count as a crash."""
    while True:
        try:
            async with context.database.unit_of_work() as session:
                await job_state.release(session, job_id=hold.job_id, attempt=hold.attempt)
        except Exception as error:
            if not is_database_unavailable(error):
                raise
            await asyncio.sleep(DATABASE_PAUSE_S)
        else:
            return


async def _count_crash(context: TaskContext, hold: Hold) -> None:
    async with context.database.unit_of_work() as session:
        await job_state.count_crash(session, job_id=hold.job_id, attempt=hold.attempt, max_crashes=context.settings.max_crashes)

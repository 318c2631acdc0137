"""One attempt at one job: claim, read, check, record, end. What can interrupt it is in `guarded.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import structlog

from features.processing.checking.declarations import FileUncheckable
from features.processing.engine import Inspection, inspect_file
from features.processing.guarded import require_no_stop, run_guarded
from features.processing.machine_faults import FileMissing
from features.processing.metrics import Outcome, count_attempt, count_claim, measured
from features.processing.readers.base import FileUnreadable, Note
from features.processing.readers.prefetch import Prefetch
from features.processing.reading import get_reading_options
from features.processing.recording.packer import Batch, Packer
from features.processing.recording.recorder import JobLost, Recorder
from features.processing.types import Hold
from shared.db.models import JobStatus
from shared.jobs import job_state
from shared.jobs.storage import stored_path
from shared.observing.frames import describe_frames

if TYPE_CHECKING:
    import uuid
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job
    from shared.messages.tasks import TaskContext
    from shared.settings import Settings

_ENDS: dict[Outcome, str] = {"completed": "job completed", "failed": "job failed", "lost": "job stopped: it was cancelled, deleted or taken back"}
"""How an attempt's last line in the log begins. `guarded.py` says what a worker gives back, or crashes on."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that was claimed, and what interrupts it."""

    hold: Hold
    kind: ClassVar[str] = "job"

    @property
    def lease_s(self) -> float:
        """The length of its lease."""
        return self.hold.lease_s

    async def renew(self, session: AsyncSession) -> bool:
        """Extend the lease; False if it is lost."""
        return await job_state.renew(session, job_id=self.hold.job_id, attempt=self.hold.attempt, lease_s=self.hold.lease_s)

    async def fail(self, session: AsyncSession, message: str) -> bool:
        """End it as FAILED with the figures and errors that were committed last; False if it is lost."""
        return await job_state.fail(session, job_id=self.hold.job_id, attempt=self.hold.attempt, message=message, progress=None)

    async def release(self, session: AsyncSession) -> None:
        """Give it back without counting a crash."""
        await job_state.release(session, job_id=self.hold.job_id, attempt=self.hold.attempt)

    async def count_machine_fault(self, session: AsyncSession, message: str, *, pause_s: float, max_crashes: int) -> bool:
        """Give it back for later, or end it as FAILED at its last fault of the machine; return whether it has FAILED."""
        del max_crashes  # faults of the machine are counted by themselves
        hold = self.hold
        counted = await job_state.count_machine_fault(session, job_id=hold.job_id, attempt=hold.attempt, message=message, pause_s=pause_s)
        return counted is not None and counted.status is JobStatus.FAILED

    async def count_crash(self, session: AsyncSession, *, max_crashes: int) -> None:
        """Give it back, or end it as FAILED at its last crash."""
        await job_state.count_crash(session, job_id=self.hold.job_id, attempt=self.hold.attempt, max_crashes=max_crashes)

    def explain_time_limit(self, limit_s: float) -> str:
        """Return the sentence for a file that takes too long."""
        return f"Checking this file took longer than the {limit_s:g} seconds that are allowed. Please split it."

    def explain_memory_limit(self, mebibytes: int) -> str:
        """Return the sentence for a file that needs too much memory."""
        return f"This file needs more memory than the {mebibytes:,} MiB that one file may use here. Please split it, or make its rows and cells smaller."


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
        packer = Packer(hold, interval_s=settings.progress_interval_s, max_stored=settings.max_stored_errors_per_job)
        outcome = await run_guarded(context, ClaimedJob(hold), partial(_attempt, context, job, hold, packer))
        duration_s = time.perf_counter() - start
        count_attempt(outcome, duration_s=duration_s)
        if outcome in _ENDS:
            progress = packer.progress
            log.info(_ENDS[outcome], rows=progress.rows_processed, errors=progress.error_count, seconds=round(duration_s, 3))


async def _attempt(context: TaskContext, job: Job, hold: Hold, packer: Packer) -> Outcome:
    async with Recorder(context.database, hold) as recorder:
        return await _process(context, job, hold, recorder, packer)


async def _process(context: TaskContext, job: Job, hold: Hold, recorder: Recorder, packer: Packer) -> Outcome:
    """Read the file to its end, or to the point where it breaks off, and end the job accordingly."""
    settings = context.settings
    try:
        async with _open(job, settings) as inspection:
            described = await _describe(context, job, hold, inspection)
            await recorder.require_hold()
            async with aclosing(_run_ahead(packer.pack(inspection.reports()))) as batches:
                async for batch in batches:
                    with measured("recording"):
                        await recorder.record(batch)
                    require_no_stop()
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
        raise FileMissing from error
    try:
        yield inspection
    finally:
        await asyncio.to_thread(inspection.close)


def _inspect(path: Path, job: Job, settings: Settings) -> Inspection:
    """Open the file in a thread, since the descriptors of a job may take a second to be parsed again."""
    return inspect_file(path, **get_reading_options(job, settings))


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

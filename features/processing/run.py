"""One attempt at one job: claim, read, check, record, end. What can interrupt it is in `guarded.py`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import structlog

from features.processing.checking.declarations import FileUncheckable
from features.processing.checkout import check_out
from features.processing.claiming import Line, niceness_of, run_next
from features.processing.engine import Inspection, inspect_file
from features.processing.guarded import require_no_stop, run_guarded
from features.processing.metrics import Outcome, count_attempt, count_claim, measured
from features.processing.readers.base import FileUnreadable, Note, ReadAnew
from features.processing.readers.prefetch import Prefetch
from features.processing.reading import get_reading_options
from features.processing.recording.packer import Batch, Packer
from features.processing.recording.recorder import JobLost, Recorder
from features.processing.types import Hold
from shared.contracts import PROCESS_JOB, PROCESSING_QUEUE
from shared.db.models import JobStatus
from shared.jobs import job_state
from shared.observing.frames import describe_frames
from shared.observing.tracing import describe_message, span

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job
    from shared.messages.tasks import TaskContext
    from shared.observing.tracing import Span
    from shared.settings import Settings
    from shared.storage.base import CheckedOut

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

    async def release(self, session: AsyncSession, *, pause_s: float = 0.0) -> None:
        """Give it back without counting a crash, for later if there is a pause."""
        await job_state.release(session, job_id=self.hold.job_id, attempt=self.hold.attempt, pause_s=pause_s)

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
    """Claim the job whose turn it is, and bring it to an end; `job_id` is the one that the message was sent for. A second call finds nothing to do."""
    lease_s = context.settings.job_lease_s
    line = Line(
        queue=PROCESSING_QUEUE,
        own_id=job_id,
        claim=lambda session, may_be_large: job_state.claim(session, lease_s=lease_s, may_be_large=may_be_large),
        is_any_waiting=job_state.is_any_waiting,
        pass_on=partial(job_state.pass_on, job_id=job_id),
    )
    await run_next(context, line, _run_claimed)


async def _run_claimed(context: TaskContext, job: Job) -> None:
    """Bring a job to an end that was claimed, by a second attempt if the first one has read its file in a wrong way while it was fetched."""
    since = asyncio.get_running_loop().time()
    next_attempt = await _run_attempt(context, job, needs_all=False, since=since)
    if next_attempt is not None:
        await _run_attempt(context, next_attempt, needs_all=True, since=since)


async def _run_attempt(context: TaskContext, job: Job, *, needs_all: bool, since: float) -> Job | None:
    """Run one attempt, and return the job as claimed for the next one if it has to begin anew."""
    settings = context.settings
    hold = Hold(job_id=job.id, attempt=job.attempt, lease_s=settings.job_lease_s)
    with structlog.contextvars.bound_contextvars(job_id=str(job.id), attempt=hold.attempt), _open_span(job) as attempt:
        log.info("job claimed", file_size=job.file_size, file_type=job.file_type)
        count_claim(job)
        start = time.perf_counter()
        packer = Packer(hold, interval_s=settings.progress_interval_s, max_stored=settings.max_stored_errors_per_job)
        next_attempts: list[Job] = []
        work = partial(_attempt, context, job, hold, packer, next_attempts, needs_all=needs_all)
        outcome = await run_guarded(context, ClaimedJob(hold), work, since=since)
        duration_s = time.perf_counter() - start
        count_attempt(outcome, duration_s=duration_s)
        progress = packer.progress
        attempt.set({"rowgate.job.outcome": outcome, "rowgate.job.rows": progress.rows_processed, "rowgate.job.errors": progress.error_count})
        if outcome in _ENDS:
            log.info(_ENDS[outcome], rows=progress.rows_processed, errors=progress.error_count, seconds=round(duration_s, 3))
    return next_attempts[0] if next_attempts else None


def _open_span(job: Job) -> Span:
    """Begin the span of the attempt, in the trace of the request that made the job, however often its message was lost or sent."""
    attributes = {
        **describe_message("process", queue=PROCESS_JOB.queue),
        "rowgate.job.id": str(job.id),
        "rowgate.job.attempt": job.attempt,
        "rowgate.job.rings": job.rings,
        "rowgate.file.type": job.file_type,
        "rowgate.file.bytes": job.file_size,
    }
    return span("process job", kind="consumer", parent=job.traceparent, attributes=attributes)


async def _attempt(context: TaskContext, job: Job, hold: Hold, packer: Packer, next_attempts: list[Job], *, needs_all: bool) -> Outcome:
    try:
        async with Recorder(context.database, hold) as recorder:
            return await _process(context, job, hold, recorder, packer, needs_all=needs_all)
    except ReadAnew:
        log.info("job begins anew: the whole file shows another encoding than its beginning")
    async with context.database.unit_of_work() as session:
        begun = await job_state.begin_anew(session, job_id=hold.job_id, attempt=hold.attempt, lease_s=hold.lease_s)
    if begun is None:
        raise JobLost
    next_attempts.append(begun)
    return "begun anew"


async def _process(context: TaskContext, job: Job, hold: Hold, recorder: Recorder, packer: Packer, *, needs_all: bool) -> Outcome:
    """Read the file to its end, or to the point where it breaks off, and end the job accordingly."""
    try:
        async with _open(context, job, needs_all=needs_all) as (inspection, let_go):
            described = await _describe(context, job, hold, inspection)
            await recorder.require_hold()
            with span("check rows"):
                async with aclosing(_run_ahead(packer.pack(inspection.reports()), let_go, niceness=niceness_of(job))) as batches:
                    async for batch in batches:
                        with measured("recording"):
                            await recorder.record(batch)
                        require_no_stop()
            if inspection.notes != described:
                # Some of them concern cells that are read last.
                await _describe(context, job, hold, inspection)
            # Before the file is closed and removed from scratch space, for which nobody has to wait.
            with measured("recording"), span("record end"):
                await recorder.finish(packer.progress)
    except (FileUnreadable, FileUncheckable) as unreadable:
        # The reason is in the job only, since it may name the file's sheets.
        log.info("file cannot be read to its end", exception=describe_frames(unreadable.__cause__) if unreadable.__cause__ is not None else None)
        with measured("recording"), span("record end"):
            await recorder.fail(str(unreadable), packer.progress)
        return "failed"
    return "completed"


@asynccontextmanager
async def _open(context: TaskContext, job: Job, *, needs_all: bool) -> AsyncIterator[tuple[Inspection, Callable[[], None]]]:
    """Open the file for the block; calling the function ends all waiting for bytes of it that are not there yet."""
    async with check_out(context, job, needs_all=needs_all) as file:
        with measured("reading"), span("open file"):
            inspection = await asyncio.to_thread(_inspect, file, job, context.settings)
        try:
            yield inspection, file.let_go
        finally:
            # Whatever ends the attempt must not wait for a store that is slow; after the last row nobody waits.
            file.let_go()
            await asyncio.to_thread(inspection.close)


def _inspect(file: CheckedOut, job: Job, settings: Settings) -> Inspection:
    """Open the file in a thread, since the descriptors of a job may take a second to be parsed again."""
    return inspect_file(file.path, **get_reading_options(job, settings, file.arrival))


async def _run_ahead(batches: Iterator[Batch], let_go: Callable[[], None], *, niceness: int) -> AsyncGenerator[Batch]:
    """Yield the batches; each is made in a thread while the previous one is written. A slow database slows the reading down."""
    ahead = Prefetch(batches, niceness=niceness)
    try:
        while (batch := await asyncio.to_thread(next, ahead, None)) is not None:
            yield batch
    finally:
        # A thread cannot be cancelled, so the file may only be closed once it has ended; it must not wait for a store meanwhile.
        let_go()
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

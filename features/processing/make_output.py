"""Make one output of a job: claim, write, hash, store, end. What can interrupt it is in `guarded.py`."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

import structlog

from features.processing import queries
from features.processing.checking.declarations import FileUncheckable
from features.processing.checkout import check_out
from features.processing.claiming import Line, niceness_of, run_next
from features.processing.engine import Inspection, inspect_file
from features.processing.error_tables import tabulate_piece
from features.processing.exporting.error_records import ERROR_SCHEMA, open_error_records
from features.processing.exporting.export import Export
from features.processing.exporting.writer import CheckRoom, OutputUnmakeable, Written
from features.processing.guarded import require_no_stop, run_guarded
from features.processing.metrics import OUTPUT_BYTES, Outcome, count_output
from features.processing.readers.base import FileUnreadable
from features.processing.readers.prefetch import Prefetch
from features.processing.reading import get_reading_options, parse_descriptor
from features.processing.types import ClaimLost, OutputHold
from shared.contracts import MAKE_OUTPUT, OUTPUTS_QUEUE
from shared.db.models import JobStatus, OutputStatus
from shared.descriptors.table_schema import parse_table_schema
from shared.downloads import describe_download
from shared.jobs import output_state
from shared.jobs.output_state import Made
from shared.jobs.stored_files import get_storage
from shared.observing.frames import describe_frames
from shared.observing.tracing import describe_message, span
from shared.output_names import OutputName
from shared.storage.base import is_disk_full
from shared.storage.names import name_output
from shared.texts import make_storable

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.db.models import Job, Output
    from shared.messages.tasks import TaskContext
    from shared.observing.tracing import Span
    from shared.settings import Settings
    from shared.storage.base import CheckedOut, Storage

ERRORS = "errors"
"""The kind that is made of stored records, without its file."""
BLOCK_BYTES = 2**20
LOOK_S = 0.1
"""How often it is looked whether the output is still wanted; each chunk is, if it takes longer."""
STORE_PATIENCE_S = 2.0
"""How long an output that is not wanted any more may go on being stored; then that is cancelled, and the sweep removes what came of it."""
MAX_PERCENT = 99
DISK_FULL = "There is not enough disk space left to make this output. Ask for it again later, or tell whoever runs this service."

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClaimedOutput:
    """An output that was claimed, and what interrupts it."""

    hold: OutputHold
    kind: ClassVar[str] = "output"

    @property
    def lease_s(self) -> float:
        """The length of its lease."""
        return self.hold.lease_s

    async def renew(self, session: AsyncSession) -> bool:
        """Extend the lease; False if it is lost."""
        return await output_state.renew(session, output_id=self.hold.output_id, claim=self.hold.claim, lease_s=self.hold.lease_s)

    async def fail(self, session: AsyncSession, message: str) -> bool:
        """End it as FAILED; False if it is lost."""
        return await output_state.fail(session, output_id=self.hold.output_id, claim=self.hold.claim, message=make_storable(message))

    async def release(self, session: AsyncSession, *, pause_s: float = 0.0) -> None:
        """Give it back without counting a crash."""
        del pause_s  # an output has none
        await output_state.release(session, output_id=self.hold.output_id, claim=self.hold.claim)

    async def count_machine_fault(self, session: AsyncSession, message: str, *, pause_s: float, max_crashes: int) -> bool:
        """Give it back, or end it as FAILED with the message at its last crash, among which faults of the machine are; return whether it has FAILED."""
        del pause_s  # an output has none
        hold = self.hold
        counted = await output_state.count_crash(session, output_id=hold.output_id, claim=hold.claim, max_crashes=max_crashes, message=message)
        return counted is not None and counted.status is OutputStatus.FAILED

    async def count_crash(self, session: AsyncSession, *, max_crashes: int) -> None:
        """Give it back, or end it as FAILED at its last crash."""
        await output_state.count_crash(session, output_id=self.hold.output_id, claim=self.hold.claim, max_crashes=max_crashes)

    def explain_time_limit(self, limit_s: float) -> str:
        """Return the sentence for an output that takes too long."""
        return f"Making this output took longer than the {limit_s:g} seconds that are allowed. Ask for another format, or split the file."

    def explain_memory_limit(self, mebibytes: int) -> str:
        """Return the sentence for an output that needs too much memory."""
        return f"This output needs more memory than the {mebibytes:,} MiB that one file may use here. Ask for another format, or split the file."


async def make_output(context: TaskContext, *, output_id: uuid.UUID) -> None:
    """Claim the output whose turn it is, and bring it to an end; `output_id` is the one that the message was sent for. A second call finds nothing to do."""
    lease_s = context.settings.job_lease_s
    line = Line(
        queue=OUTPUTS_QUEUE,
        own_id=output_id,
        claim=lambda session, may_be_large: output_state.claim(session, lease_s=lease_s, may_be_large=may_be_large),
        is_any_waiting=output_state.is_any_waiting,
        pass_on=partial(output_state.pass_on, output_id=output_id),
    )
    await run_next(context, line, _make_claimed)


async def _make_claimed(context: TaskContext, output: Output) -> None:
    async with context.database.reading() as session:
        job = await queries.get_job(session, job_id=output.job_id)
    if job is None:
        return
    hold = OutputHold(output_id=output.id, claim=output.claim, lease_s=context.settings.job_lease_s)
    with structlog.contextvars.bound_contextvars(job_id=str(job.id), output=output.name, claim=hold.claim), _open_span(output, job) as making:
        log.info("output claimed")
        start = time.perf_counter()
        outcome = await run_guarded(context, ClaimedOutput(hold), partial(_attempt, context, output, job, hold))
        count_output(output.name, outcome, duration_s=time.perf_counter() - start)
        making.set({"rowgate.output.outcome": outcome})


def _open_span(output: Output, job: Job) -> Span:
    """Begin the span of the output, in the trace of whoever asked for it: a request, or the end of the job."""
    attributes = {
        **describe_message("process", queue=MAKE_OUTPUT.queue),
        "rowgate.job.id": str(job.id),
        "rowgate.output.name": output.name,
        "rowgate.output.claim": output.claim,
        "rowgate.file.type": job.file_type,
        "rowgate.file.bytes": job.file_size,
    }
    return span("write output", kind="consumer", parent=output.traceparent or job.traceparent, attributes=attributes)


async def _attempt(context: TaskContext, output: Output, job: Job, hold: OutputHold) -> Outcome:
    """Make the output, and end it as READY, or as FAILED with the sentence that says why; whatever interrupts it leaves no file."""
    storage = get_storage(context)
    target = name_output(job_id=job.id, output_id=output.id, claim=hold.claim, name=output.name)
    try:
        async with storage.make_workplace(target) as folder:
            watch = _Watch(context, hold)
            written = await _write(context, output, job, folder / output.name, watch)
            made = await _in_thread(partial(_describe, folder / output.name, written))
            await _store(storage, folder / output.name, target, watch, headers=describe_download(output.name, job.filename))
    except (FileUnreadable, FileUncheckable, OutputUnmakeable) as unmakeable:
        cause = unmakeable.__cause__
        # The reason is in the output only, since it may name the file's sheets.
        log.info("output cannot be made", exception=describe_frames(cause) if cause is not None else None)
        return await _fail(context, hold, str(unmakeable))
    except OSError as error:
        if not is_disk_full(error):
            await _require_hold(context, hold)
            raise
        log.warning("output failed: the disk is full")
        return await _fail(context, hold, DISK_FULL)
    # From here on the file stays if the database does not tell whether the output has become READY; if it has not, the sweep removes the file.
    async with context.database.unit_of_work() as session:
        held = await output_state.finish(session, output_id=hold.output_id, claim=hold.claim, made=made)
    if not held:
        await _remove(storage, target)
        raise ClaimLost
    OUTPUT_BYTES.labels(output.name).inc(made.size_bytes)
    log.info("output made", size_bytes=made.size_bytes, row_count=made.row_count)
    return "completed"


async def _fail(context: TaskContext, hold: OutputHold, message: str) -> Outcome:
    async with context.database.unit_of_work() as session:
        if not await output_state.fail(session, output_id=hold.output_id, claim=hold.claim, message=make_storable(message)):
            raise ClaimLost
    return "failed"


async def _require_hold(context: TaskContext, hold: OutputHold) -> None:
    """Raise `ClaimLost` if the output is no longer ours."""
    async with context.database.reading() as session:
        if not await output_state.is_held(session, output_id=hold.output_id, claim=hold.claim):
            raise ClaimLost


async def _store(storage: Storage, path: Path, target: str, watch: _Watch, *, headers: Mapping[str, str]) -> None:
    """Store the file durably under its name; after an exception nothing of it is left, unless the store does not answer: then the sweep removes it."""
    storing = asyncio.ensure_future(storage.put_file(path, target, headers=headers))
    try:
        while not (await asyncio.wait({storing}, timeout=LOOK_S))[0]:
            await watch.look(1.0)
        storing.result()
    except BaseException:
        await _end(storing)
        await _remove(storage, target)
        raise


async def _end(storing: asyncio.Future[None]) -> None:
    """Let it end if that is soon, and cancel it otherwise."""
    await asyncio.wait({storing}, timeout=STORE_PATIENCE_S)
    storing.cancel()
    if storing.done() and not storing.cancelled():
        storing.exception()  # whoever waited for it has a reason of its own


async def _remove(storage: Storage, target: str) -> None:
    """Remove what nobody will ask for; what cannot be removed now is left to the sweep."""
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(storage.remove(target), STORE_PATIENCE_S)


def _describe(path: Path, written: Written) -> Made:
    """Hash the file, and return what is told of it; runs in a thread."""
    digest = hashlib.sha256()
    size_bytes = 0
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            size_bytes += len(block)
    return Made(size_bytes=size_bytes, row_count=written.row_count, sha256=digest.hexdigest(), notes=[make_storable(note) for note in written.notes])


def make_room_check(folder: Path, *, min_free_bytes: int) -> CheckRoom:
    """Return a function that raises `OSError` (`ENOSPC`) if less than `min_free_bytes` are free where `folder` is."""

    def check_room() -> None:
        if shutil.disk_usage(folder).free < min_free_bytes:
            raise OSError(errno.ENOSPC, "the reserve of free disk space is reached")

    return check_room


async def _write(context: TaskContext, output: Output, job: Job, path: Path, watch: _Watch) -> Written:
    """Write the file; stops if the output is lost, or this worker shuts down."""
    name = OutputName(*output.name.split("."))
    check_room = make_room_check(path.parent, min_free_bytes=context.settings.min_free_disk_bytes)
    if name.kind == ERRORS:
        return await _write_errors(context, job, path, name.format, check_room, watch)
    # Rows that were written in a wrong encoding could not be taken back.
    async with check_out(context, job, needs_all=job.encoding is None) as file:
        options = await asyncio.to_thread(get_reading_options, job, context.settings)
        export = Export(partial(_open, file, job, context.settings), {name: path}, limits=options["limits"], check_room=check_room)
        try:
            async with aclosing(_run_ahead(export, file.let_go, niceness=niceness_of(output))) as fractions:
                async for fraction in fractions:
                    await watch.look(fraction)
        finally:
            file.let_go()
            await asyncio.to_thread(export.close)
    [written] = export.written
    return written


def _open(file: CheckedOut, job: Job, settings: Settings) -> Inspection:
    """Open the file by the rules of the job's own attempt, its inferred schema included; runs in a thread. Raises `FileUnreadable`."""
    known_schema = None if job.schema_given is not None else parse_descriptor(parse_table_schema, job.schema_inferred)
    options = get_reading_options(job, settings, file.arrival)
    options["limits"] = replace(options["limits"], keep_rows=True)
    return inspect_file(file.path, known_schema=known_schema, **options)


async def _run_ahead(export: Export, let_go: Callable[[], None], *, niceness: int) -> AsyncGenerator[float]:
    """Run the export in a thread, and yield how far it is."""
    ahead = Prefetch(export.run(), niceness=niceness)
    try:
        while (fraction := await asyncio.to_thread(next, ahead, None)) is not None:
            yield fraction
    finally:
        # A thread cannot be cancelled, so files may only be closed once it has ended; it must not wait for a store meanwhile.
        let_go()
        await asyncio.to_thread(ahead.close)


async def _write_errors(context: TaskContext, job: Job, path: Path, format_name: str, check_room: CheckRoom, watch: _Watch) -> Written:
    """Write the stored error records, a piece of a few thousand at a time; no transaction is open while the file is written."""
    writer = await _in_thread(partial(open_error_records, format_name, path, names=ERROR_SCHEMA.names, check_room=check_room))
    try:
        done, place = 0, (-1, -1)
        while True:
            async with context.database.reading() as session:
                piece = await queries.get_piece_after(session, job_id=job.id, attempt=job.attempt, place=place)
            if piece is None:
                break
            await _in_thread(lambda piece=piece: writer.write(tabulate_piece(piece)))  # type: ignore[misc]
            done, place = done + piece.record_count, (piece.first_row, piece.first_column)
            await watch.look(done / max(done, job.errors_stored))
        written = await _in_thread(writer.finish)
        written.notes += _note_missing_records(job)
        return written
    finally:
        await asyncio.to_thread(writer.close)


def _note_missing_records(job: Job) -> list[str]:
    """Return what is to be said of the errors of a job that are not among its records."""
    notes = []
    if job.errors_truncated:
        notes.append(f"Of {job.error_count:,} errors the first {job.errors_stored:,} are recorded; rejected.csv has every row with an error.")
    if job.status is not JobStatus.COMPLETED:
        notes.append(f"The job ended before its last row was checked: these are the errors of its first {job.rows_processed:,} rows.")
    return notes


async def _in_thread(function: Callable[[], T]) -> T:
    """Run the function in a thread, and wait for its end even if this is cancelled meanwhile: what it writes to must not be closed before."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.wait([running])


class _Watch:
    """Looks, between chunks, whether the output is still held and the worker may go on, and records the progress."""

    def __init__(self, context: TaskContext, hold: OutputHold) -> None:
        self._context, self._hold = context, hold
        self._looked_at = self._advanced_at = time.monotonic()

    async def look(self, fraction: float) -> None:
        """Record what is done. Raises `ClaimLost` or `StopRequested`."""
        require_no_stop()
        now = time.monotonic()
        if now - self._advanced_at >= self._context.settings.progress_interval_s:
            await self._advance(min(MAX_PERCENT, int(fraction * 100)))
            self._looked_at = self._advanced_at = now
        elif now - self._looked_at >= LOOK_S:
            await _require_hold(self._context, self._hold)
            self._looked_at = now

    async def _advance(self, percent: int) -> None:
        async with self._context.database.unit_of_work() as session:
            held = await output_state.advance(session, output_id=self._hold.output_id, claim=self._hold.claim, percent=percent, lease_s=self._hold.lease_s)
        if not held:
            raise ClaimLost

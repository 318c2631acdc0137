"""Errors and progress into the database: in bulk, fenced, committed together every few seconds, so that what a client sees always agrees."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from features.processing.piece_writer import PieceWriter
from features.processing.records import split_rows, take_findings
from features.processing.tally import ErrorTally
from shared import job_state
from shared.job_state import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.engine import ChunkReport
    from features.processing.readers.base import Finding
    from features.processing.schemas import Hold
    from shared.db.session import Database


RECORDS_AT_ONCE = 100_000
"""So many, of whole rows, are packed at a time: a chunk in which every cell is bad is many more."""


class JobLost(Exception):  # a state, not a mistake
    """The job is not this worker's any more: cancelled, taken back or gone. Nothing more may be written."""


class Recorder:
    """Records the reports of one attempt, in their order.

    Its transaction stays open while the file is read and is committed every `interval_s`; left by an exception, what was not committed is rolled back.
    """

    def __init__(self, database: Database, hold: Hold, *, interval_s: float, most_stored: int) -> None:
        self._database = database
        self._hold = hold
        self._interval_s = interval_s
        self._most_stored = most_stored
        self._tally = ErrorTally()
        self._writer = PieceWriter(hold)
        self._rows_processed = 0
        self._rows_failed = 0
        self._percent = 0
        self._transaction = AsyncExitStack()
        self._session: AsyncSession | None = None
        self._committed_at = time.monotonic()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._session = None
        await self._transaction.__aexit__(kind, error, trace)

    async def require_hold(self) -> AsyncSession:
        """The open transaction, in which the job was seen to be ours just now. Raises `JobLost`."""
        await self._writer.settle()
        if self._session is None:
            self._session = await self._transaction.enter_async_context(self._database.unit_of_work())
            self._transaction.push_async_callback(self._writer.settle)
        if not await job_state.is_held(self._session, job_id=self._hold.job_id, attempt=self._hold.attempt):
            raise JobLost
        return self._session

    async def record(self, report: ChunkReport) -> None:
        """Count and store the report's errors; commits them with the progress when it is time. Raises `JobLost`."""
        stored = self._choose_stored(report.findings)
        self._tally.add(report.findings, stored=stored)
        self._rows_processed += report.rows_processed
        self._rows_failed += report.rows_failed
        self._percent = max(self._percent, min(99, int(report.fraction_read * 100)))
        for findings in split_rows(stored, RECORDS_AT_ONCE):
            # The records before these may still be on their way into the database.
            packed = await self._writer.pack(findings)
            session = await self.require_hold()
            if packed is not None:
                await self._writer.write(session, packed)
        if time.monotonic() - self._committed_at >= self._interval_s:
            await self._commit_checkpoint()

    def _choose_stored(self, findings: Sequence[Finding]) -> Sequence[Finding]:
        if self._most_stored == 0:
            return findings
        return take_findings(findings, self._most_stored - self._tally.stored_count)

    async def finish(self) -> None:
        """Every row was read: end the job COMPLETED. Raises `JobLost`."""
        session = await self.require_hold()
        await self._writer.flush(session)
        if not await job_state.finish(session, job_id=self._hold.job_id, attempt=self._hold.attempt, progress=self._get_progress()):
            raise JobLost
        await self._commit()

    async def fail(self, message: str) -> None:
        """The file cannot be read to its end: end the job FAILED, with what was found until here. Raises `JobLost`."""
        session = await self.require_hold()
        await self._writer.flush(session)
        if not await job_state.fail(session, job_id=self._hold.job_id, attempt=self._hold.attempt, message=message, progress=self._get_progress()):
            raise JobLost
        await self._commit()

    async def _commit_checkpoint(self) -> None:
        session = await self.require_hold()
        await self._writer.flush(session)
        held = await job_state.checkpoint(
            session,
            job_id=self._hold.job_id,
            attempt=self._hold.attempt,
            progress=self._get_progress(),
            lease_s=self._hold.lease_s,
        )
        if not held:
            raise JobLost
        await self._commit()

    async def _commit(self) -> None:
        self._session = None
        await self._transaction.aclose()
        self._committed_at = time.monotonic()

    def _get_progress(self) -> Progress:
        return Progress(
            percent=self._percent,
            rows_processed=self._rows_processed,
            rows_failed=self._rows_failed,
            total_rows=None,
            error_count=self._tally.error_count,
            errors_stored=self._tally.stored_count,
            error_tally=self._tally.to_json(),
        )

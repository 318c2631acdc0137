"""Errors and progress into the database: in bulk, fenced, committed together every few seconds, so that what a client sees always agrees."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from features.processing.recording.piece_writer import PieceWriter
from shared.jobs import job_state

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.recording.packer import Batch
    from features.processing.types import Hold
    from shared.db.session import Database
    from shared.jobs.job_state import Progress


class JobLost(Exception):  # a state, not a mistake
    """The job is not this worker's any more: cancelled, taken back or gone. Nothing more may be written."""


class Recorder:
    """Writes the batches of one attempt, in their order.

    Its transaction stays open while the file is read and is committed at every checkpoint; left by an exception, what was not committed is rolled back.
    """

    def __init__(self, database: Database, hold: Hold) -> None:
        self._database = database
        self._hold = hold
        self._writer = PieceWriter(hold)
        self._transaction = AsyncExitStack()
        self._session: AsyncSession | None = None

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

    async def record(self, batch: Batch) -> None:
        """Write the batch, of which the last may still be on its way when this returns; commit at a checkpoint. Raises `JobLost`."""
        if batch.packed is not None:
            await self._writer.write(await self.require_hold(), batch.packed)
        elif not self._writer.is_writing:
            await self.require_hold()
        if batch.checkpoint is not None:
            await self._commit_checkpoint(batch.checkpoint)

    async def finish(self, progress: Progress) -> None:
        """Every row was read: end the job COMPLETED. Raises `JobLost`."""
        session = await self.require_hold()
        if not await job_state.finish(session, job_id=self._hold.job_id, attempt=self._hold.attempt, progress=progress):
            raise JobLost
        await self._commit()

    async def fail(self, message: str, progress: Progress) -> None:
        """The file cannot be read to its end: end the job FAILED, with what was found until here. Raises `JobLost`."""
        session = await self.require_hold()
        if not await job_state.fail(session, job_id=self._hold.job_id, attempt=self._hold.attempt, message=message, progress=progress):
            raise JobLost
        await self._commit()

    async def _commit_checkpoint(self, progress: Progress) -> None:
        session = await self.require_hold()
        if not await job_state.checkpoint(session, job_id=self._hold.job_id, attempt=self._hold.attempt, progress=progress, lease_s=self._hold.lease_s):
            raise JobLost
        await self._commit()

    async def _commit(self) -> None:
        self._session = None
        await self._transaction.aclose()

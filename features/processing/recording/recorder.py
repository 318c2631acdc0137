"""Write errors and progress to the database: in bulk, fenced, and committed together every few seconds, so that clients see consistent data."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from features.processing.recording.piece_writer import PieceWriter
from features.processing.types import ClaimLost
from shared.jobs import job_state
from shared.texts import make_storable

if TYPE_CHECKING:
    from types import TracebackType

    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.recording.packer import Batch
    from features.processing.types import Hold
    from shared.db.session import Database
    from shared.jobs.job_state import Progress


class JobLost(ClaimLost):
    """This worker no longer holds the job: it was cancelled, taken back or deleted. Nothing more may be written."""


class Recorder:
    """Writes the batches of one attempt, in order.

    Its transaction stays open while the file is read and is committed at every checkpoint; if the context is left with an exception, everything that was
    not committed is rolled back.
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
        """Return the session with the open transaction, after checking in it that this attempt still holds the job. Raises `JobLost` if it does not."""
        await self._writer.settle()
        if self._session is None:
            self._session = await self._transaction.enter_async_context(self._database.unit_of_work())
            self._transaction.push_async_callback(self._writer.settle)
        if not await job_state.is_held(self._session, job_id=self._hold.job_id, attempt=self._hold.attempt):
            raise JobLost
        return self._session

    async def record(self, batch: Batch) -> None:
        """Write the batch, and commit at a checkpoint; without one, writing may continue after this returns. Raises `JobLost`."""
        if batch.packed is not None:
            await self._writer.write(await self.require_hold(), batch.packed)
        elif not self._writer.is_writing:
            await self.require_hold()
        if batch.checkpoint is not None:
            await self._commit_checkpoint(batch.checkpoint)

    async def finish(self, progress: Progress) -> None:
        """End the job as COMPLETED, after every row was read. Raises `JobLost`."""
        session = await self.require_hold()
        if not await job_state.finish(session, job_id=self._hold.job_id, attempt=self._hold.attempt, progress=progress):
            raise JobLost
        await self._commit()

    async def fail(self, message: str, progress: Progress) -> None:
        """End the job as FAILED, because the file cannot be read to its end; keeps the errors found so far. Raises `JobLost`."""
        session = await self.require_hold()
        if not await job_state.fail(session, job_id=self._hold.job_id, attempt=self._hold.attempt, message=make_storable(message), progress=progress):
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

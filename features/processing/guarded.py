"""Work on something that was claimed, under its lease; and the one transition that each interruption of the work leads to."""

# ruff: noqa: G004  # events are named after what was claimed, a job or an output
from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from features.processing.machine_faults import FAULT_MESSAGES, PASS_ON_S, find_fault
from features.processing.types import ClaimLost
from shared.db.errors import is_database_unavailable
from shared.jobs.job_state import RENEWALS_PER_LEASE
from shared.jobs.storage_guard import get_guard
from shared.observing.frames import describe_frames
from shared.observing.metrics import MACHINE_FAULTS
from shared.observing.tracing import record_error
from shared.settings import MEBIBYTE
from shared.storage.arrival import FetchStopped
from shared.storage.base import StoreAway
from shared.worker import memory_limit, shutdown, time_limit

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from features.processing.machine_faults import FaultKind
    from features.processing.metrics import Outcome
    from shared.messages.tasks import TaskContext

DATABASE_PAUSE_S = 1.0
CLAIM_PATIENCE_S = 5.0
"""What was claimed later than this after its task began is released at the task's time limit, not failed: it did not have its time."""
MEMORY_PATIENCE_S = 2.0
"""How long a reader that has used too much memory may go on after its work has failed."""
LAST_WORDS_S = 5.0
"""How long the work beside the block may take to end after it; cancelling it in a transaction costs the connection."""

log = structlog.get_logger(__name__)


class StopRequested(Exception):  # a request, not an error
    """This process must end; what it has claimed goes back to the queue."""


class Claimed(Protocol):
    """What a worker has claimed, and its transitions, each fenced by the claim."""

    @property
    def kind(self) -> str:
        """What it is, as in the log: `job` or `output`."""
        ...

    @property
    def lease_s(self) -> float:
        """The length of its lease."""
        ...

    async def renew(self, session: AsyncSession) -> bool:
        """Extend the lease; False if it is lost."""
        ...

    async def fail(self, session: AsyncSession, message: str) -> bool:
        """End it as FAILED; False if it is lost."""
        ...

    async def release(self, session: AsyncSession, *, pause_s: float = 0.0) -> None:
        """Give it back without counting a crash; a job waits for so long then, an output does not."""
        ...

    async def count_machine_fault(self, session: AsyncSession, message: str, *, pause_s: float, max_crashes: int) -> bool:
        """Give it back, or end it as FAILED at its last fault; return whether it has FAILED.

        A job has a count of its own for faults, and pauses that grow from `pause_s`; an output counts them among its crashes.
        """
        ...

    async def count_crash(self, session: AsyncSession, *, max_crashes: int) -> None:
        """Give it back, or end it as FAILED at its last crash."""
        ...

    def explain_time_limit(self, limit_s: float) -> str:
        """Return the sentence for work that took too long."""
        ...

    def explain_memory_limit(self, mebibytes: int) -> str:
        """Return the sentence for work that needs too much memory."""
        ...


def require_no_stop() -> None:
    """Raise `StopRequested` if this process must end."""
    if shutdown.must_stop():
        raise StopRequested


async def run_guarded(context: TaskContext, claimed: Claimed, work: Callable[[], Awaitable[Outcome]], *, since: float | None = None) -> Outcome:
    """Run `work` while the lease is renewed and its limits are watched; an interruption leads to the one transition that fits it.

    `since`: when it began by the clock of the event loop, if that was before this call.
    """
    start = asyncio.get_running_loop().time() if since is None else since
    async with (
        _beside(partial(_renew_lease, context, claimed)),
        _beside(partial(_fail_at_time_limit, context, claimed, start)),
        _beside(partial(_fail_at_memory_limit, context, claimed)),
    ):
        return await _attempt(context, claimed, work)


async def _attempt(context: TaskContext, claimed: Claimed, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
    try:
        return await work()
    except ClaimLost:
        log.info(f"{claimed.kind} is no longer ours")
        return "lost"
    except (StopRequested, FetchStopped):
        await _release(context, claimed)
        log.info(f"{claimed.kind} released: this worker is shutting down")
        return "released"
    except MemoryError:
        # What was counted but not yet committed is lost.
        log.warning(f"{claimed.kind} failed: no more memory")
        return "failed" if await _fail(context, claimed, asyncio.Event(), _too_much_memory(context, claimed)) else "lost"
    except Exception as error:  # noqa: BLE001  # logged, without its message
        return await _give_back(context, claimed, error)


async def _give_back(context: TaskContext, claimed: Claimed, error: Exception) -> Outcome:
    """Give the work back after an exception, by whose fault it was: the database's, the machine's, or, as far as can be told, its own."""
    fault = find_fault(error)
    if is_database_unavailable(error):
        log.warning("database became unavailable", reason=repr(error))
        await _release(context, claimed)
        return "released"
    if fault is not None:
        return await _count_fault(context, claimed, fault, error)
    # Error messages of libraries quote the cell that they failed on.
    log.error(f"{claimed.kind} crashed", exception=describe_frames(error))
    record_error(error)
    async with context.database.unit_of_work() as session:
        await claimed.count_crash(session, max_crashes=context.settings.max_crashes)
    return "crashed"


async def _count_fault(context: TaskContext, claimed: Claimed, fault: FaultKind, error: Exception) -> Outcome:
    """Give back what the machine failed: to whoever has the storage, if it is away here, and otherwise after a pause, until it has FAILED."""
    MACHINE_FAULTS.labels(fault).inc()
    record_error(error)
    is_away = await get_guard(context).find_problem(fresh=True) is not None
    settings, has_failed = context.settings, False
    if is_away:
        await _release(context, claimed)
    elif isinstance(error, StoreAway):
        # It answers, but not to everything, or not in time: that is no fault of the job, however often it happens.
        await asyncio.sleep(random.uniform(*PASS_ON_S))  # noqa: S311  # who is next
        await _release(context, claimed, pause_s=settings.fault_pause_s)
    else:
        async with context.database.unit_of_work() as session:
            has_failed = await claimed.count_machine_fault(session, FAULT_MESSAGES[fault], pause_s=settings.fault_pause_s, max_crashes=settings.max_crashes)
    end = "failed" if has_failed else "given back"
    log.error(f"{claimed.kind} {end}: a fault of this machine", fault=fault, storage_is_away=is_away, exception=describe_frames(error))
    return "failed" if has_failed else "released"


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


async def _renew_lease(context: TaskContext, claimed: Claimed, over: asyncio.Event) -> None:
    """Renew the lease on a separate connection until it is lost. If renewing fails, the fence protects what was claimed."""
    held = True
    while held and not await _is_over_within(over, claimed.lease_s / RENEWALS_PER_LEASE):
        try:
            async with context.database.unit_of_work() as session:
                held = await claimed.renew(session)
        except Exception as error:  # noqa: BLE001  # it is tried again in a moment; the lease shows when it is too late
            log.warning("lease not renewed", reason=repr(error))


async def _fail_at_time_limit(context: TaskContext, claimed: Claimed, start: float, over: asyncio.Event) -> None:
    """Fail the work when its time is over, whatever its reader is doing; what was committed last stays.

    The reader finds its claim lost at its next chunk; a reader that never gets there is killed with its process (`ENDING_S`).
    """
    limit_s = context.settings.job_time_limit_s
    if not await _comes_before(over, time_limit.wait_until_reached(limit_s)):
        return
    if limit_s - (asyncio.get_running_loop().time() - start) > CLAIM_PATIENCE_S:
        # Celery times the task, and the database did not answer for a part of that time. The work starts anew.
        await _release(context, claimed)
        return
    if await _fail(context, claimed, over, claimed.explain_time_limit(limit_s)):
        log.warning(f"{claimed.kind} failed: it reached its time limit", limit_s=limit_s)


async def _fail_at_memory_limit(context: TaskContext, claimed: Claimed, over: asyncio.Event) -> None:
    """Fail the work when this process uses too much memory, whatever its reader is doing, and end the process if the reader does not stop soon."""
    if not await _comes_before(over, memory_limit.wait_until_exceeded()):
        return
    if await _fail(context, claimed, over, _too_much_memory(context, claimed)):
        log.warning(f"{claimed.kind} failed: it reached the memory limit")
    if not await _is_over_within(over, MEMORY_PATIENCE_S):
        log.warning(f"process ends: its {claimed.kind} does not stop using memory")
        os._exit(1)


def _too_much_memory(context: TaskContext, claimed: Claimed) -> str:
    return claimed.explain_memory_limit(context.settings.worker_memory_limit_bytes // MEBIBYTE)


async def _comes_before(over: asyncio.Event, waiting: Coroutine[Any, Any, None]) -> bool:
    """Wait for `waiting` or for the event; return whether `waiting` ended and the event was not set."""
    reached, ended = asyncio.create_task(waiting), asyncio.create_task(over.wait())
    try:
        await asyncio.wait({reached, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reached.cancel()
        ended.cancel()
    return not over.is_set()


async def _fail(context: TaskContext, claimed: Claimed, over: asyncio.Event, message: str) -> bool:
    """Fail the work with what was committed last, and return whether it was still ours; a database that fails is asked again until `over`."""
    while True:
        try:
            async with context.database.unit_of_work() as session:
                return await claimed.fail(session, message)
        except Exception as error:  # noqa: BLE001  # nothing may exceed its limits because the database was briefly unavailable
            log.warning(f"{claimed.kind} could not be failed at its limit yet", reason=repr(error))
            if await _is_over_within(over, DATABASE_PAUSE_S):
                return False


async def _release(context: TaskContext, claimed: Claimed, *, pause_s: float = 0.0) -> None:
    """Give the work back as soon as the database answers; an unavailable database does not count as a crash."""
    while True:
        try:
            async with context.database.unit_of_work() as session:
                await claimed.release(session, pause_s=pause_s)
        except Exception as error:
            if not is_database_unavailable(error):
                raise
            await asyncio.sleep(DATABASE_PAUSE_S)
        else:
            return

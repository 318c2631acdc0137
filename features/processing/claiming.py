"""Claim what is next in a line. A message that may claim nothing yet, although something waits, is held for a moment and then passed on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog

from shared.messages.bell import Bell
from shared.worker import large_places, shutdown

if TYPE_CHECKING:
    import uuid

    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messages.tasks import TaskContext

HOLD_S = 3.0
"""How long a message is held: no longer, because it keeps a slot from the other line, and what it claims at last has that much less of its time limit."""
NICENESS_OF_LARGE = 10
"""Threads that read and check a large file give way to everything else on the machine: small files beside them took a third less time, large ones as long."""
LOOK_S = (0.2, 0.4)
"""How often something is looked for meanwhile, at random between these, so that processes do not look at the same moment; a new message is noticed at once."""

log = structlog.get_logger(__name__)


class Claimable(Protocol):
    """What is claimed: a job, or an output of one."""

    @property
    def id(self) -> uuid.UUID:
        """Its id."""
        ...

    @property
    def is_large(self) -> bool:
        """Whether the job's file is large."""
        ...


C = TypeVar("C", bound=Claimable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Generic[C]):
    """What waits to be claimed, and the message of it that came."""

    queue: str
    own_id: uuid.UUID
    """What the message was sent for."""
    claim: Callable[[AsyncSession, bool], Awaitable[C | None]]
    """Claims what is next; with False nothing large, if a slot is to be spared for other submitters."""
    is_any_waiting: Callable[[AsyncSession], Awaitable[bool]]
    pass_on: Callable[[AsyncSession], Awaitable[None]]
    """Sends the message again."""


async def run_next(context: TaskContext, line: Line[C], run: Callable[[TaskContext, C], Awaitable[None]]) -> None:
    """Claim what is next and run it, counted as this worker's meanwhile; nothing is run if nothing waits, or the message was passed on."""
    try:
        claimed = await _claim_or_pass_on(context, line)
        if claimed is not None:
            if claimed.id != line.own_id:
                # It came with another request than the message.
                structlog.contextvars.unbind_contextvars("request_id")
            await run(context, claimed)
    finally:
        large_places.give_back()


async def _claim_or_pass_on(context: TaskContext, line: Line[C]) -> C | None:
    loop = asyncio.get_running_loop()
    end = loop.time() + HOLD_S
    async with Bell(context.redis, line.queue) as bell:
        while True:
            claimed = await _claim(context, line)
            if claimed is not None:
                return claimed
            async with context.database.reading() as session:
                if not await line.is_any_waiting(session):
                    return None
            if shutdown.is_requested() or loop.time() >= end:
                break
            await bell.wait(random.uniform(*LOOK_S))  # noqa: S311  # when to look
    async with context.database.unit_of_work() as session:
        await line.pass_on(session)
    log.debug("message passed on: what waits is not for this process now")
    return None


async def _claim(context: TaskContext, line: Line[C]) -> C | None:
    """Claim what is next, with a place for it if it is large."""
    claimed = None
    may_be_large = large_places.take()
    try:
        async with context.database.unit_of_work() as session:
            claimed = await line.claim(session, may_be_large)
    finally:
        if claimed is None or not claimed.is_large:
            large_places.give_back()
    return claimed


def niceness_of(claimed: Claimable) -> int:
    """Return the niceness of threads that work on the file of what was claimed."""
    return NICENESS_OF_LARGE if claimed.is_large else 0

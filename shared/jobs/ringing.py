"""Send the messages of what waits again: at growing intervals, and all at once if the broker has lost them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog
from redis.exceptions import RedisError

from shared.db.session import SENT
from shared.messages.redis_client import explain

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from shared.messages.tasks import TaskContext

RING_AT_ONCE = 500

Forget = Callable[["AsyncSession"], Awaitable[int]]
"""Makes every message due now; returns how many."""
Ring = Callable[["AsyncSession", int], Awaitable[int]]
"""Sends messages that are due, at most so many; returns how many."""

log = structlog.get_logger(__name__)


async def ring_unanswered(context: TaskContext, *, memory_key: str, forget: Forget, ring: Ring) -> int:
    """Send every message that is due, and all of them if the broker has lost its messages; returns how many were sent again.

    `memory_key` is a key in the broker's own Redis: if it is gone, the messages are gone too.
    """
    try:
        if not await context.redis.exists(memory_key):
            async with context.database.unit_of_work() as session:
                forgotten = await forget(session)
            await context.redis.set(memory_key, "yes")
            if forgotten:
                log.warning("the broker had lost its messages: they are sent again", messages=forgotten)
        await context.redis.ping()
    except RedisError as error:
        log.warning("the broker is unreachable: no message is sent again until it is back", reason=explain(error))
        return 0
    total, rung, sent = 0, RING_AT_ONCE, True
    while rung == RING_AT_ONCE and sent:
        async with context.database.unit_of_work() as session:
            rung = await ring(session, RING_AT_ONCE)
        sent = bool(session.info[SENT])
        total += rung
        if rung:
            log.info("sent messages of what is QUEUED again", messages=rung, taken=sent)
    if not sent:
        await _forget_broker(context, memory_key)
    return total


async def _forget_broker(context: TaskContext, memory_key: str) -> None:
    """Make the next sweep send every message again: messages that the broker did not take were recorded as sent."""
    try:
        await context.redis.delete(memory_key)
    except RedisError as error:
        log.warning("the broker is unreachable", reason=explain(error))

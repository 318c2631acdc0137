"""Database access for sending: requests that many deliveries make at about the same time are combined into one transaction."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from features.webhooks import queries
from features.webhooks.types import ClaimedDelivery, Outcome
from shared.concurrency.grouping import Grouping

if TYPE_CHECKING:
    from shared.db.session import Database

MAX_AT_ONCE = 200
"""Most keys in one batch."""

K = TypeVar("K")
R = TypeVar("R")


def group_by_key(work: Callable[[Sequence[K]], Awaitable[Mapping[K, R]]]) -> Grouping[K, R | None]:
    """Answer requests for single keys by asking `work` about many at once: while one batch runs, the next one gathers.

    The answer is None if `work` returns nothing for the key, or if the key was requested more than once in the batch and the first request got the
    answer.
    """

    async def answer(keys: Sequence[K]) -> Sequence[R | None]:
        answers = dict(await work(list(dict.fromkeys(keys))))
        return [answers.pop(key, None) for key in keys]

    return Grouping(answer, max_items=MAX_AT_ONCE, patience_s=None)


class Ledger:
    """Claims deliveries and records outcomes for one process."""

    def __init__(self, database: Database, *, round_s: float) -> None:
        self._database = database
        self._round_s = round_s
        self._urls = group_by_key(self._list_urls)
        self._claims = group_by_key(self._claim)
        self._outcomes = group_by_key(self._record)

    async def get_url(self, delivery_id: uuid.UUID) -> str | None:
        """Return the delivery's URL; None if it is not due."""
        return await self._urls.do(delivery_id)

    async def claim(self, delivery_id: uuid.UUID) -> ClaimedDelivery | None:
        """Claim the delivery for one attempt now; None if it is not due, or claimed by someone else."""
        return await self._claims.do(delivery_id)

    async def record(self, outcome: Outcome) -> None:
        """Record the outcome; returns after its commit."""
        # What came of an attempt is recorded even if whoever made it is cancelled meanwhile.
        await asyncio.shield(self._outcomes.do(outcome))

    async def _list_urls(self, delivery_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
        async with self._database.unit_of_work() as session:
            return await queries.list_due_urls(session, delivery_ids=delivery_ids)

    async def _claim(self, delivery_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, ClaimedDelivery]:
        async with self._database.unit_of_work() as session:
            claimed = await queries.claim_deliveries(session, delivery_ids=delivery_ids, round_s=self._round_s)
        return {delivery.id: delivery for delivery in claimed}

    async def _record(self, outcomes: Sequence[Outcome]) -> Mapping[Outcome, None]:
        async with self._database.unit_of_work() as session:
            await queries.record_outcomes(session, outcomes=outcomes)
        return {}

"""The database's side of sending: what many deliveries ask for at about the same time is one transaction."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from features.webhooks import queries
from features.webhooks.schemas import ClaimedDelivery, Outcome

if TYPE_CHECKING:
    from shared.db.session import Database

MAX_AT_ONCE = 200
"""Of one batch."""

K = TypeVar("K")
R = TypeVar("R")


class Batcher(Generic[K, R]):
    """Runs `work` for single keys in batches: while one batch is under way, the next one gathers."""

    def __init__(self, work: Callable[[Sequence[K]], Awaitable[Mapping[K, R]]]) -> None:
        self._work = work
        self._asked: deque[tuple[K, asyncio.Future[R | None]]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def ask(self, key: K) -> R | None:
        """What `work` says of this key; None where it says nothing, or where the same key was asked for together and somebody else was told.

        Raises what `work` raised.
        """
        future: asyncio.Future[R | None] = asyncio.get_running_loop().create_future()
        self._asked.append((key, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._asked:
            batch = [self._asked.popleft() for _ in range(min(MAX_AT_ONCE, len(self._asked)))]
            try:
                answers = dict(await self._work(list(dict.fromkeys(key for key, _ in batch))))
            except Exception as error:  # noqa: BLE001  # it is raised by those who asked
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for key, future in batch:
                    if not future.done():  # whoever asked has not been cancelled
                        future.set_result(answers.pop(key, None))


class Ledger:
    """What is claimed and what is recorded, for one process."""

    def __init__(self, database: Database, *, round_s: float) -> None:
        self._database = database
        self._round_s = round_s
        self._urls = Batcher(self._list_urls)
        self._claims = Batcher(self._claim)
        self._outcomes = Batcher(self._record)

    async def get_url(self, delivery_id: uuid.UUID) -> str | None:
        """Where the delivery is to go; None where it is not due."""
        return await self._urls.ask(delivery_id)

    async def claim(self, delivery_id: uuid.UUID) -> ClaimedDelivery | None:
        """The delivery, for one attempt now; None where it is not due, or somebody else's."""
        return await self._claims.ask(delivery_id)

    async def record(self, outcome: Outcome) -> None:
        """Returns when it is committed."""
        await self._outcomes.ask(outcome)

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

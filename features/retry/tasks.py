"""The sweeps that keep jobs from being lost: dead workers and lost messages."""

from __future__ import annotations

import time

import structlog
from redis.exceptions import RedisError

from shared import job_state
from shared.contracts import MAINTENANCE_QUEUE
from shared.db.session import ping
from shared.messaging import Nothing, TaskContext, TaskRef, task

TAKE_BACK = TaskRef("retry.take_back", MAINTENANCE_QUEUE, Nothing)
RING_AGAIN = TaskRef("retry.ring_again", MAINTENANCE_QUEUE, Nothing)
MEMORY_KEY = "rowgate:broker-remembers"
"""Lies in the broker's own Redis: when it is gone, so are the messages."""

EVERY_S = 5.0
AWAY_S = 4 * EVERY_S
"""Without contact for so long, the database was away from us, and so perhaps from every worker."""

log = structlog.get_logger(__name__)


class Contact:
    """When this process last reached the database: after an outage every worker gets a whole lease to be heard again."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._patient_until_s = 0.0

    def note(self, now_s: float, *, lease_s: float) -> bool:
        """The database answered at `now_s` (monotonic); whether the silence of a worker means anything."""
        if self._last_s is not None and now_s - self._last_s > AWAY_S:
            self._patient_until_s = now_s + lease_s
        self._last_s = now_s
        return now_s >= self._patient_until_s


_contact = Contact()


@task(TAKE_BACK, every_s=EVERY_S, time_limit_s=30)
async def take_back(context: TaskContext, _: Nothing) -> None:
    """Take back jobs whose worker has been silent for longer than its lease."""
    async with context.database.unit_of_work() as session:
        await ping(session)
        if not _contact.note(time.monotonic(), lease_s=context.settings.job_lease_s):
            return
        taken = await job_state.take_back_expired(
            session,
            lease_s=context.settings.job_lease_s,
            max_crashes=context.settings.max_crashes,
        )
    for job in taken:
        log.warning("took a job back from a silent worker", job_id=str(job.job_id), status=job.status.value, crashes=job.crashes)


@task(RING_AGAIN, every_s=EVERY_S, time_limit_s=30)
async def ring_again(context: TaskContext, _: Nothing) -> None:
    """Send the messages of unanswered QUEUED jobs again; all of them where the broker has lost its memory."""
    try:
        remembered = await context.redis.exists(MEMORY_KEY)
        async with context.database.unit_of_work() as session:
            rung = await job_state.ring_again(session, everyone=not remembered)
        await context.redis.set(MEMORY_KEY, "yes")
    except RedisError as error:
        log.warning("the broker is away: no message is sent again before it is back", reason=repr(error))
        return
    if rung:
        log.info("sent messages of QUEUED jobs again", jobs=rung, broker_forgot=not remembered)

"""Forget jobs that were deleted a while ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from features.events import queries
from shared.contracts import MAINTENANCE_QUEUE
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

FORGET_DELETED = TaskRef("events.forget_deleted", MAINTENANCE_QUEUE, Nothing)
KEPT = timedelta(days=1)
"""How long a client may be away and still be told which jobs were deleted meanwhile."""


@task(FORGET_DELETED, every_s=3600)
async def forget_deleted(context: TaskContext, _: Nothing) -> None:
    """Delete what event streams need of deleted jobs after a day."""
    async with context.database.unit_of_work() as session:
        await queries.forget_deleted(session, before=datetime.now(UTC) - KEPT)

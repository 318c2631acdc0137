"""Periodic tasks: remove ended jobs after the retention period, merge the rows that totals of jobs are summed from, and remove turns that are superseded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from features.jobs import queries
from shared.contracts import MAINTENANCE_QUEUE
from shared.db.turns import forget_turns
from shared.jobs import job_state
from shared.messages.refs import Nothing, TaskRef
from shared.messages.tasks import TaskContext, task

APPLY_RETENTION = TaskRef("jobs.apply_retention", MAINTENANCE_QUEUE, Nothing)
FOLD_COUNTS = TaskRef("jobs.fold_counts", MAINTENANCE_QUEUE, Nothing)
FORGET_TURNS = TaskRef("jobs.forget_turns", MAINTENANCE_QUEUE, Nothing)
BATCH_JOBS = 500
FOLDED_FROM = 2000
"""Number of `job_counts` rows from which they are merged; summing fewer takes next to no time."""

log = structlog.get_logger(__name__)


@task(APPLY_RETENTION, every_s=600, time_limit_s=540)
async def apply_retention(context: TaskContext, _: Nothing) -> None:
    """Hide jobs that ended more than `JOB_RETENTION_DAYS` ago, in batches; their errors and files are purged later."""
    days = context.settings.job_retention_days
    if days == 0:
        return
    moment = datetime.now(UTC) - timedelta(days=days)
    hidden = BATCH_JOBS
    while hidden == BATCH_JOBS:
        async with context.database.unit_of_work() as session:
            hidden = await job_state.hide_ended_before(session, moment=moment, limit=BATCH_JOBS)
        if hidden:
            log.info("retention removed jobs", jobs=hidden)


@task(FOLD_COUNTS, every_s=30, time_limit_s=60)
async def fold_counts(context: TaskContext, _: Nothing) -> None:
    """Merge the rows of `job_counts` if there are many, so that totals are sums of few rows."""
    async with context.database.unit_of_work() as session:
        if await queries.count_unfolded(session, limit=FOLDED_FROM) == FOLDED_FROM:
            await queries.fold_counts(session)


@task(FORGET_TURNS, every_s=60, time_limit_s=60)
async def forget_superseded_turns(context: TaskContext, _: Nothing) -> None:
    """Leave the latest turn of each submitter, since each claim adds a row."""
    async with context.database.unit_of_work() as session:
        await forget_turns(session)

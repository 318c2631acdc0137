from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from features.events.models import DeletedJob
from features.events.tasks import forget_deleted
from shared.jobs import job_state
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from tests.factories import Factory


async def test_deleted_jobs_are_forgotten_after_a_day(context: TaskContext, factory: Factory) -> None:
    old, new = await factory.ended_job(submitted_by="ada"), await factory.ended_job()
    async with context.database.unit_of_work() as session:
        for job in (old, new):
            assert await job_state.hide(session, job_id=job.id)
    async with context.database.unit_of_work() as session:
        row = await session.get_one(DeletedJob, old.id)
        assert row.submitted_by == "ada"
        row.deleted_at = datetime.now(UTC) - timedelta(hours=25)
    for _ in range(2):
        await forget_deleted(context, Nothing())
        async with context.database.reading() as session:
            assert (await session.scalars(select(DeletedJob.id))).all() == [new.id]

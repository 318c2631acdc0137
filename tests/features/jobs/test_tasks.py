from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.jobs import tasks
from shared.db.models import JobStatus
from shared.messages.outbox import Message
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from tests.factories import Factory


async def apply(context: TaskContext, days: float) -> None:
    settings = context.settings.model_copy(update={"job_retention_days": days})
    await tasks.apply_retention(TaskContext(settings=settings, database=context.database, redis=context.redis), Nothing())


async def test_old_ended_jobs_are_hidden_and_purged_behind(
    context: TaskContext, factory: Factory, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH_JOBS", 2)
    long_ago = datetime.now(UTC) - timedelta(days=8)
    old = [await factory.ended_job(status, completed_at=long_ago) for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)]
    young = await factory.ended_job()
    waiting = await factory.job(created_at=long_ago)
    await apply(context, 7)
    for job in old:
        found = await factory.get(job.id)
        assert found is not None
        assert found.deleted_at is not None
    for job in (young, waiting):
        found = await factory.get(job.id)
        assert found is not None
        assert found.deleted_at is None
    assert sorted(str(message.payload["job_id"]) for message in sent) == sorted(str(job.id) for job in old)


async def test_zero_days_keep_everything(context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    await factory.ended_job(completed_at=datetime.now(UTC) - timedelta(days=4000))
    await apply(context, 0)
    assert sent == []

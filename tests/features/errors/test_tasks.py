from __future__ import annotations

import pytest

from features.errors import tasks
from shared.contracts import PurgeJob
from shared.db.models import JobStatus
from shared.jobs import job_state
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.storage.names import name_file
from tests.factories import Factory


async def test_deleted_job_goes_away_with_errors_and_file_in_batches(
    context: TaskContext, factory: Factory, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "BATCH_PIECES", 2)
    job = await factory.ended_job()
    await factory.errors(job, [(row, 1, "type-error") for row in range(2, 9)], piece_size=1)
    async with context.database.unit_of_work() as session:
        assert await job_state.hide(session, job_id=job.id)
    await tasks.purge_job(context, PurgeJob(job_id=job.id))
    assert await factory.get(job.id) is None
    assert await factory.count_pieces(job.id) == 0
    assert not (settings.upload_folder / name_file(job.id, job.filename)).exists()
    await tasks.purge_job(context, PurgeJob(job_id=job.id))


async def test_errors_of_older_attempts_go_away_and_the_present_ones_stay(context: TaskContext, factory: Factory) -> None:
    job = await factory.ended_job(JobStatus.FAILED)
    await factory.errors(job, [(2, 1, "type-error")])
    async with context.database.unit_of_work() as session:
        assert await job_state.retry(session, job_id=job.id)
    again = await factory.get(job.id)
    assert again is not None
    assert again.purge_due_at is not None
    await factory.errors(again, [(3, 1, "type-error")])
    assert await factory.count_pieces(job.id) == 2
    assert [error.row_number for error in await factory.list_errors(job.id)] == [3]
    await tasks.purge_due(context, Nothing())
    assert await factory.count_pieces(job.id) == 1
    assert [error.row_number for error in await factory.list_errors(job.id)] == [3]
    settled = await factory.get(job.id)
    assert settled is not None
    assert settled.purge_due_at is None


async def test_job_that_lives_is_left_alone(context: TaskContext, factory: Factory, settings: Settings) -> None:
    job = await factory.ended_job()
    await factory.errors(job, [(2, 1, "type-error")])
    await tasks.purge_job(context, PurgeJob(job_id=job.id))
    assert len(await factory.list_errors(job.id)) == 1
    assert (settings.upload_folder / name_file(job.id, job.filename)).exists()

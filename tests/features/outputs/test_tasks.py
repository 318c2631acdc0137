from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from features.outputs import sweep, tasks
from features.outputs.tasks import ring_again, sweep_files, take_back
from features.upload.tasks import sweep_files as sweep_uploads
from shared.db.models import Job, Output, OutputStatus
from shared.jobs import output_state
from shared.jobs.stored_files import get_storage
from shared.jobs.suspects import Suspects
from shared.messages.outbox import Message
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.storage.names import OUTPUTS_FOLDER, name_output
from tests.features.outputs.conftest import EndedJob, MakeAll, list_rows


async def ask(context: TaskContext, job: Job, name: str = "valid.csv") -> Output:
    async with context.database.unit_of_work() as session:
        return await output_state.ask(session, job_id=job.id, attempt=job.attempt, name=name)


def put(path: Path, *, age_s: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def locate(context: TaskContext, output: Output, claim: int) -> Path:
    return context.settings.upload_folder / name_output(job_id=output.job_id, output_id=output.id, claim=claim, name=output.name)


async def test_file_of_the_present_claim_stays_and_others_go_at_once(context: TaskContext, ended_job: EndedJob) -> None:
    job = await ended_job()
    ready, running, failed = [await ask(context, job, name) for name in ("valid.csv", "rejected.csv", "errors.csv")]
    async with context.database.unit_of_work() as session:
        for _ in (ready, running, failed):
            assert await output_state.claim(session, lease_s=30)
        await session.execute(update(Output).where(Output.id == ready.id).values(status=OutputStatus.READY))
        await session.execute(update(Output).where(Output.id == failed.id).values(status=OutputStatus.FAILED))
    kept = [put(locate(context, ready, 1)), put(locate(context, running, 1)), put(locate(context, running, 1).with_suffix(".csv.part") / "valid.csv")]
    gone = [
        put(locate(context, ready, 0)),
        put(locate(context, ready, 1).with_suffix(".csv.part") / "valid.csv"),
        put(locate(context, running, 2)),
        put(locate(context, failed, 1)),
        put(locate(context, running, 0).with_suffix(".csv.part") / "a" / "b"),
        put(context.settings.upload_folder / OUTPUTS_FOLDER / str(uuid.uuid4()) / f"{uuid.uuid4()}-1-valid.csv"),
    ]
    await sweep_files(context, Nothing())
    assert [path.exists() for path in kept] == [True] * 3
    assert [path.exists() for path in gone] == [False] * 6


async def test_what_no_output_is_called_like_goes_when_it_is_old(context: TaskContext) -> None:
    folder = context.settings.upload_folder / OUTPUTS_FOLDER / str(uuid.uuid4())
    new, old = put(folder / "new"), put(folder / "old", age_s=2000)
    await sweep_files(context, Nothing())
    assert (new.exists(), old.exists()) == (True, False)
    new.unlink()
    os.utime(folder, (time.time() - 2000,) * 2)
    await sweep_files(context, Nothing())
    assert not folder.exists()


async def test_links_are_not_followed(context: TaskContext, tmp_path: Path) -> None:
    precious = put(tmp_path / "precious" / f"{uuid.uuid4()}-1-valid.csv")
    root = context.settings.upload_folder / OUTPUTS_FOLDER
    root.mkdir()
    (root / str(uuid.uuid4())).symlink_to(precious.parent)
    inner = root / str(uuid.uuid4())
    inner.mkdir()
    (inner / f"{uuid.uuid4()}-1-valid.csv").symlink_to(precious)
    await sweep_files(context, Nothing())
    assert precious.exists()
    assert list(inner.iterdir()) == []


async def test_file_that_cannot_be_removed_does_not_keep_the_others(context: TaskContext, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = context.settings.upload_folder / OUTPUTS_FOLDER / str(uuid.uuid4())
    paths = [put(folder / f"{uuid.uuid4()}-1-valid.csv") for _ in range(3)]
    unlink = Path.unlink

    def refuse(path: Path, **options: bool) -> None:
        if path == paths[1]:
            raise PermissionError(13, "Permission denied")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert await sweep.sweep_outputs(context.database, get_storage(context)) == 2
    assert [path.exists() for path in paths] == [False, True, False]


async def test_sweep_of_uploads_leaves_outputs_alone(context: TaskContext) -> None:
    path = put(context.settings.upload_folder / OUTPUTS_FOLDER / str(uuid.uuid4()) / f"{uuid.uuid4()}_valid.csv", age_s=5000)
    os.utime(path.parent.parent, (1, 1))
    await sweep_uploads(context, Nothing())
    assert path.exists()


async def test_output_of_a_silent_worker_is_taken_back_and_made(
    context: TaskContext, ended_job: EndedJob, make_all: MakeAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now_s = 0.0

        def monotonic(self) -> float:
            return self.now_s

    clock = Clock()
    monkeypatch.setattr(tasks, "_suspects", Suspects())
    monkeypatch.setattr(tasks, "time", clock)
    job = await ended_job()
    await ask(context, job)
    async with context.database.unit_of_work() as session:
        await output_state.claim(session, lease_s=30)
        await session.execute(update(Output).values(lease_expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    await take_back(context, Nothing())
    assert (await list_rows(context, job.id))[0].status is OutputStatus.RUNNING  # it may be that only the database was away
    clock.now_s = 15.0
    await take_back(context, Nothing())
    [row] = await list_rows(context, job.id)
    assert (row.status, row.crashes, row.claim) == (OutputStatus.QUEUED, 1, 2)
    await make_all()
    [row] = await list_rows(context, job.id)
    assert (row.status, row.crashes) == (OutputStatus.READY, 1)


async def test_messages_are_sent_again_when_the_broker_has_lost_them(context: TaskContext, ended_job: EndedJob, sent: list[Message]) -> None:
    output = await ask(context, await ended_job())
    await ring_again(context, Nothing())
    sent.clear()
    await ring_again(context, Nothing())
    assert sent == []
    await context.redis.flushdb()
    await ring_again(context, Nothing())
    assert [message.payload for message in sent] == [{"output_id": str(output.id)}]

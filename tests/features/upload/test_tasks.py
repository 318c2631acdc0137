"""The sweep of files that belong to no job."""

from __future__ import annotations

import asyncio
import os
import stat
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from features.upload import tasks
from features.upload.tasks import UNTOUCHED_S, sweep_files
from shared.jobs.stored_files import get_storage
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.storage.names import MARKER
from tests.factories import CSV, Factory
from tests.paths import list_stored, read_mark, write_mark


def make_old(path: Path) -> Path:
    os.utime(path, times=(1e9, 1e9), follow_symlinks=False)
    return path


async def test_sweep_removes_files_without_a_job_and_nothing_else(context: TaskContext, factory: Factory) -> None:
    folder = context.settings.upload_folder
    job = await factory.job(content=None)
    kept = folder / f"{job.id}_a.csv"
    kept.write_text("a\n1\n")
    make_old(kept)
    left_over = folder / f"{uuid.uuid4()}_b.csv.part"
    left_over.write_text("a")
    make_old(left_over)
    new, foreign = folder / f"{uuid.uuid4()}_new.csv", folder / "notes.txt"
    new.write_text("a")
    foreign.write_text("a")
    make_old(foreign)
    subfolder, link = folder / f"{uuid.uuid4()}_folder.csv", folder / f"{uuid.uuid4()}_link.csv"
    (subfolder / "inner").mkdir(parents=True)
    link.symlink_to(foreign)
    dangling = folder / f"{uuid.uuid4()}_dangling.csv"
    dangling.symlink_to(folder / "nothing")
    for path in (subfolder, link, dangling):
        make_old(path)
    assert context.settings.upload_idle_timeout_s < UNTOUCHED_S
    await sweep_files(context, Nothing())
    assert set(list_stored(folder)) == {kept, new, foreign, subfolder, link, dangling}


@pytest.mark.parametrize("comes", [True, False], ids=["job inserted meanwhile", "no job"])
async def test_file_whose_age_counts_from_its_first_byte_is_looked_at_twice(
    context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch, comes: bool
) -> None:
    """Amazon S3 tells of a multipart upload when it began, and not when it was complete."""
    storage = get_storage(context)
    monkeypatch.setattr(storage, "ages_from_start", True, raising=False)
    monkeypatch.setattr(tasks, "SECOND_LOOK_S", 1.0)
    job_id = uuid.uuid4()
    path = context.settings.upload_folder / f"{job_id}_a.csv"
    path.write_text("a\n1\n")
    make_old(path)
    sweeping = asyncio.ensure_future(sweep_files(context, Nothing()))
    await asyncio.sleep(0.3)
    assert path.exists()
    if comes:
        await factory.job(id=job_id, content=None)
    await sweeping
    assert path.exists() is comes


async def test_only_the_service_itself_can_read_an_upload(client: httpx.AsyncClient, settings: Settings) -> None:
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", CSV)})
    assert answer.status_code == 202
    [path] = list_stored(settings.upload_folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_whole_file_without_a_job_is_kept_in_the_trash_for_days_and_half_of_one_is_not(context: TaskContext, factory: Factory) -> None:
    await factory.job()
    folder = context.settings.upload_folder
    whole, half = folder / f"{uuid.uuid4()}_a.csv", folder / f"{uuid.uuid4()}_b.csv.part"
    for path in (whole, half):
        path.write_text("a\n1\n")
        make_old(path)
    await sweep_files(context, Nothing())
    [day] = (folder / "trash").iterdir()
    assert [path.name for path in day.iterdir()] == [whole.name]
    assert (day / whole.name).read_text() == "a\n1\n"
    for ago, is_kept in ((6, True), (9, False)):
        day = day.rename(day.with_name((datetime.now(UTC).date() - timedelta(days=ago)).isoformat()))
        (folder / "trash" / "mine").mkdir(exist_ok=True)
        await sweep_files(context, Nothing())
        assert day.exists() is is_kept
    assert (folder / "trash" / "mine").exists()


async def test_trash_is_kept_for_ever_if_that_is_set(context: TaskContext) -> None:
    day = context.settings.upload_folder / "trash" / "2001-01-01"
    day.mkdir(parents=True)
    await sweep_files(replace(context, settings=context.settings.model_copy(update={"trash_retention_days": 0.0})), Nothing())
    assert day.exists()


async def test_nothing_is_swept_unless_the_folder_is_this_databases(context: TaskContext) -> None:
    folder = context.settings.upload_folder
    stray = folder / f"{uuid.uuid4()}_a.csv"
    stray.write_text("a")
    make_old(stray)
    marker = read_mark(folder)
    assert marker is not None
    write_mark(folder, uuid.uuid4())
    await sweep_files(context, Nothing())
    assert stray.exists()
    (folder / MARKER).unlink()
    await sweep_files(context, Nothing())
    assert stray.exists()
    write_mark(folder, marker)
    await sweep_files(context, Nothing())
    assert not stray.exists()

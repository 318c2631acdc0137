"""The sweep of files that belong to no job."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

import httpx

from features.upload.tasks import UNTOUCHED_S, sweep_files
from shared.messages.refs import Nothing
from shared.messages.tasks import TaskContext
from shared.settings import Settings
from tests.factories import CSV, Factory


def make_old(path: Path) -> Path:
    os.utime(path, times=(1e9, 1e9), follow_symlinks=False)
    return path


async def test_sweep_removes_files_without_a_job_and_nothing_else(context: TaskContext, factory: Factory) -> None:
    folder = context.settings.upload_dir
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
    assert set(folder.iterdir()) == {kept, new, foreign, subfolder, link, dangling}


async def test_only_the_service_itself_can_read_an_upload(client: httpx.AsyncClient, settings: Settings) -> None:
    settings.upload_dir.rmdir()
    settings.upload_dir.mkdir(mode=0o700)
    answer = await client.post("/api/files/upload", files={"file": ("a.csv", CSV)})
    assert answer.status_code == 202
    [path] = settings.upload_dir.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.upload import queries
from shared.concurrency.grouping import Grouping
from shared.messages.outbox import Message
from shared.settings import Settings
from shared.storage.folder_writer import FolderWriter, complete_files
from tests.factories import CSV, Factory
from tests.paths import list_stored

URL = "/api/files/upload"


async def upload_many(client: httpx.AsyncClient, count: int) -> Sequence[httpx.Response]:
    return await asyncio.gather(*(client.post(URL, files={"file": (f"{index}.csv", CSV)}, headers={"X-Request-ID": f"r{index}"}) for index in range(count)))


async def test_uploads_at_once_share_transactions_and_keep_their_own(
    client: httpx.AsyncClient, factory: Factory, settings: Settings, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = queries.insert_jobs

    async def insert_jobs(session: Any, *, creates: Sequence[Any]) -> Any:
        sizes.append(len(creates))
        await asyncio.sleep(0.03)
        return await real(session, creates=creates)

    monkeypatch.setattr(queries, "insert_jobs", insert_jobs)
    answers = await upload_many(client, 30)
    assert [answer.status_code for answer in answers] == [202] * 30
    assert sum(sizes) == 30
    assert len(sizes) < 15
    ids = {answer.json()["job_id"]: index for index, answer in enumerate(answers)}
    assert {message.payload["job_id"]: message.request_id for message in sent} == {job_id: f"r{index}" for job_id, index in ids.items()}
    for job_id, index in ids.items():
        job = await factory.get(uuid.UUID(job_id))
        assert job is not None
        assert job.filename == f"{index}.csv"
        assert (settings.upload_folder / f"{job_id}_{index}.csv").read_bytes() == CSV


async def test_a_row_that_the_database_refuses_fails_alone(client: httpx.AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    real = queries.insert_jobs

    async def insert_jobs(session: Any, *, creates: Sequence[Any]) -> Any:
        await asyncio.sleep(0.02)
        for create in creates:
            if create.filename == "3.csv":
                object.__setattr__(create, "file_type", "x" * 51)  # longer than its column
        return await real(session, creates=creates)

    monkeypatch.setattr(queries, "insert_jobs", insert_jobs)
    answers = await upload_many(client, 10)
    assert [answer.status_code for answer in answers] == [202, 202, 202, 500, *[202] * 6]
    assert len(list_stored(settings.upload_folder)) == 9


async def test_a_file_that_cannot_be_written_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_files: Grouping[FolderWriter, None] = Grouping(complete_files, max_items=32, patience_s=None)
    writers = [FolderWriter(tmp_path / f"{index}.csv", chunk_size_bytes=8192, min_free_bytes=0, small_files=small_files) for index in range(5)]
    (tmp_path / "2.csv.part").touch()
    folders: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink() == tmp_path:
            folders.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for writer in writers:
        writer.take(memoryview(CSV))
    outcomes = await asyncio.gather(*(writer.finish() for writer in writers), return_exceptions=True)
    assert [isinstance(outcome, OSError) for outcome in outcomes] == [False, False, True, False, False]
    assert [(tmp_path / f"{index}.csv").exists() for index in range(5)] == [True, True, False, True, True]
    # Four files on their own would need four.
    assert 1 <= len(folders) <= 2

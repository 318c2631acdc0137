from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.upload import grouping, queries
from features.upload.disk import FileWriter, complete_files
from features.upload.grouping import Grouping
from shared.messages.messaging import Message
from shared.settings import Settings
from tests.factories import CSV, Factory

URL = "/api/files/upload"
of_a_request: contextvars.ContextVar[str] = contextvars.ContextVar("of_a_request", default="none")


class Work:
    """Work that lasts until it is let go, and remembers its groups."""

    def __init__(self) -> None:
        self.groups: list[Sequence[int]] = []
        self.may_end = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int | BaseException]:
        self.groups.append(items)
        assert of_a_request.get() == "none"
        await self.may_end.wait()
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]


async def begin(group: Grouping[int, int], *items: int) -> Sequence[asyncio.Task[int]]:
    tasks = [asyncio.create_task(group.do(item)) for item in items]
    await asyncio.sleep(0.01)
    return tasks


async def test_who_asks_meanwhile_is_served_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "PATIENCE_S", 60.0)
    monkeypatch.setattr(grouping, "MAX_IN_GROUP", 3)
    of_a_request.set("this one")
    work = Work()
    group = Grouping(work)
    tasks = [*(await begin(group, 1)), *(await begin(group, 2, 3, -4, 5))]
    work.may_end.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert work.groups == [[1], [2, 3, -4], [5]]
    assert [str(result) for result in results] == ["10", "20", "30", "-4", "50"]
    assert isinstance(results[3], ValueError)
    assert await group.do(6) == 60


async def test_a_group_that_hangs_holds_up_nobody_else() -> None:
    work = Work()
    group = Grouping(work)
    await begin(group, 1)
    second = await begin(group, 2)
    await asyncio.sleep(4 * grouping.PATIENCE_S)
    assert work.groups == [[1], [2]]
    work.may_end.set()
    assert await second[0] == 20


async def test_who_leaves_before_its_group_begins_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "PATIENCE_S", 60.0)
    work = Work()
    group = Grouping(work)
    [first] = await begin(group, 1)
    second, third = await begin(group, 2, 3)
    first.cancel()
    second.cancel()
    await asyncio.wait([first, second])
    work.may_end.set()
    assert await third == 30
    assert work.groups == [[1], [3]]


async def test_what_the_work_raises_is_raised_for_all() -> None:
    async def fail(_: Sequence[int]) -> Sequence[int]:
        raise OSError(errno.EIO, "broken")

    tasks = await begin(Grouping(fail), 1, 2)
    for task in tasks:
        with pytest.raises(OSError, match="broken"):
            await task


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
        assert (settings.upload_dir / f"{job_id}_{index}.csv").read_bytes() == CSV


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
    assert len(list(settings.upload_dir.iterdir())) == 9


async def test_a_file_that_cannot_be_written_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_files: Grouping[FileWriter, None] = Grouping(complete_files)
    writers = [FileWriter(tmp_path / f"{index}.csv", chunk_size_bytes=8192, min_free_bytes=0, small_files=small_files) for index in range(5)]
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
    assert [isinstance(outcome, FileExistsError) for outcome in outcomes] == [False, False, True, False, False]
    assert [(tmp_path / f"{index}.csv").exists() for index in range(5)] == [True, True, False, True, True]
    # Four files, each alone, would be four.
    assert 1 <= len(folders) <= 2

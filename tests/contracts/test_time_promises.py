"""Promised time limits hold even if the work is slow."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from features.processing import run
from features.processing.engine import Inspection, inspect_file
from shared.db.models import JobStatus
from shared.messages.tasks import TaskContext
from tests.factories import Factory

pytestmark = pytest.mark.slow


async def test_job_whose_reader_hangs_is_failed_at_its_time_limit(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(self: Inspection) -> Iterator[Any]:
        time.sleep(6)
        yield from ()

    monkeypatch.setattr(Inspection, "reports", hang)
    limited = TaskContext(settings=context.settings.model_copy(update={"job_time_limit_s": 1.0}), database=context.database, redis=context.redis)
    job = await factory.job()
    running = asyncio.create_task(run.run_job(limited, job_id=job.id))
    await asyncio.sleep(3)
    ended = await factory.get(job.id)
    await running
    assert ended is not None
    assert ended.status is JobStatus.FAILED


async def test_file_that_opens_after_the_time_limit_is_closed(context: TaskContext, factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    real_close = Inspection.close

    def close(self: Inspection) -> None:
        closed.append(True)
        real_close(self)

    def open_slowly(*args: Any, **kwargs: Any) -> Inspection:
        time.sleep(2)
        return inspect_file(*args, **kwargs)

    monkeypatch.setattr(Inspection, "close", close)
    monkeypatch.setattr(run, "inspect_file", open_slowly)
    limited = TaskContext(settings=context.settings.model_copy(update={"job_time_limit_s": 1.0}), database=context.database, redis=context.redis)
    job = await factory.job()
    await run.run_job(limited, job_id=job.id)
    await asyncio.sleep(2)
    assert closed == [True]


async def test_large_schema_does_not_hold_up_other_requests(client: httpx.AsyncClient) -> None:
    import json

    properties = {f"p{n}": {"type": "string", "pattern": "(a+)+$"} for n in range(12_000)}
    schema = {"fields": [{"name": "a", "type": "object", "constraints": {"jsonSchema": {"type": "object", "properties": properties}}}]}
    longest_s = 0.0
    # What the tests before have left is no garbage that this process of the service would have to look through.
    gc.collect()
    gc.freeze()
    uploading = asyncio.create_task(client.post("/api/files/upload", files={"file": ("a.csv", b"a\n{}\n")}, data={"schema": json.dumps(schema)}))
    while not uploading.done():
        # Processor time of this thread: what the clock says depends on what else the machine does.
        start_s = time.thread_time()
        await asyncio.sleep(0.001)
        longest_s = max(longest_s, time.thread_time() - start_s)
    gc.unfreeze()
    assert (await uploading).status_code == 202
    assert longest_s < 0.5

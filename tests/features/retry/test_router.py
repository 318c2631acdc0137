from __future__ import annotations

import asyncio

import httpx
import pytest

from shared.db.models import JobStatus
from shared.messages.outbox import Message
from tests.factories import Factory


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
async def test_ended_job_starts_again_from_nothing(client: httpx.AsyncClient, factory: Factory, sent: list[Message], status: JobStatus) -> None:
    job = await factory.ended_job(status, rows_processed=9, rows_failed=3, total_rows=9, error_message="broken", crashes=3)
    await factory.errors(job, [(2, 1, "type-error")])
    response = await client.post(f"/api/jobs/{job.id}/retry")
    assert response.status_code == 202
    answer = response.json()
    assert answer["status"] == "QUEUED"
    assert [answer[name] for name in ("progress", "rows_processed", "rows_failed", "error_count")] == [0, 0, 0, 0]
    assert [answer[name] for name in ("error_message", "started_at", "completed_at", "total_rows")] == [None] * 4
    assert (await client.get(f"/api/jobs/{job.id}/errors")).json()["errors"] == []
    assert (await client.get(f"/api/jobs/{job.id}/errors/summary")).json()["error_count"] == 0
    assert [(message.task, message.payload) for message in sent] == [("processing.process_job", {"job_id": str(job.id)})]
    again = await factory.get(job.id)
    assert again is not None
    assert again.crashes == 0
    assert again.attempt > job.attempt


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.COMPLETED])
async def test_job_in_another_status_is_refused(client: httpx.AsyncClient, factory: Factory, sent: list[Message], status: JobStatus) -> None:
    job = await factory.job(status=status)
    response = await client.post(f"/api/jobs/{job.id}/retry")
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/not-retryable"
    assert status.value in response.json()["detail"]
    assert sent == []


async def test_job_whose_file_is_gone_is_refused(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.ended_job(JobStatus.FAILED, content=None)
    response = await client.post(f"/api/jobs/{job.id}/retry")
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/file-gone"
    unchanged = await factory.get(job.id)
    assert unchanged is not None
    assert unchanged.status == JobStatus.FAILED


async def test_two_retries_at_the_same_moment_start_it_once(client: httpx.AsyncClient, factory: Factory, sent: list[Message]) -> None:
    job = await factory.ended_job(JobStatus.FAILED)
    answers = await asyncio.gather(*(client.post(f"/api/jobs/{job.id}/retry") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 400, 400, 400, 400]
    assert len(sent) == 1

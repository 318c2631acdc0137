from __future__ import annotations

from typing import Any

import httpx
import pytest

from features.webhooks import tasks
from features.webhooks.messages import SendDelivery
from shared.db.models import JobStatus
from shared.messages.outbox import Message
from shared.messages.tasks import TaskContext
from tests.factories import Factory
from tests.features.webhooks.receiver import receiving, status


async def deliver(context: TaskContext, sent: list[Message]) -> None:
    message = sent.pop()
    assert message.task == "webhooks.send_delivery"
    await tasks.send_delivery(context, SendDelivery.model_validate(message.payload))


async def test_deliveries_show_every_attempt(client: httpx.AsyncClient, context: TaskContext, factory: Factory, sent: list[Message]) -> None:
    async with receiving(lambda _: status(200, b"thanks")) as receiver:
        job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url=receiver.url)
        await client.delete(f"/api/jobs/{job.id}")
        await deliver(context, sent)
    [delivery] = (await client.get(f"/api/jobs/{job.id}/deliveries")).json()["deliveries"]
    assert (delivery["event"], delivery["status"], delivery["url"]) == ("job.cancelled", "DELIVERED", job.webhook_url)
    [attempt] = delivery["attempts"]
    assert set(attempt) == {"number", "started_at", "duration_ms", "status_code", "error", "response_excerpt"}
    assert (attempt["number"], attempt["status_code"], attempt["error"], attempt["response_excerpt"]) == (1, 200, None, "thanks")


async def test_redeliver_sends_again_with_the_same_id_and_adds_its_attempts(
    client: httpx.AsyncClient, context: TaskContext, factory: Factory, sent: list[Message]
) -> None:
    async with receiving(lambda n: status(404 if n == 1 else 200)) as receiver:
        job = await factory.job(status=JobStatus.PROCESSING, attempt=1, webhook_url=receiver.url)
        await client.delete(f"/api/jobs/{job.id}")
        await deliver(context, sent)
        response = await client.post(f"/api/jobs/{job.id}/deliveries/redeliver")
        assert response.status_code == 202
        assert response.json()["status"] == "PENDING"
        await deliver(context, sent)
        first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    [delivery] = (await client.get(f"/api/jobs/{job.id}/deliveries")).json()["deliveries"]
    assert delivery["status"] == "DELIVERED"
    assert [(attempt["number"], attempt["status_code"]) for attempt in delivery["attempts"]] == [(1, 404), (2, 200)]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"status": JobStatus.QUEUED, "webhook_url": "http://127.0.0.1:1/"}, "QUEUED"),
        ({"status": JobStatus.PROCESSING, "webhook_url": "http://127.0.0.1:1/"}, "PROCESSING"),
        ({"status": JobStatus.COMPLETED}, "no webhook_url"),
    ],
)
async def test_redeliver_of_what_was_never_sent_is_refused(client: httpx.AsyncClient, factory: Factory, values: dict[str, Any], says: str) -> None:
    job = await factory.job(**values)
    response = await client.post(f"/api/jobs/{job.id}/deliveries/redeliver")
    assert response.status_code == 400
    assert response.json()["type"] == "/problems/nothing-to-redeliver"
    assert says in response.json()["detail"]


async def test_job_without_deliveries_has_an_empty_list(client: httpx.AsyncClient, factory: Factory) -> None:
    job = await factory.job()
    assert (await client.get(f"/api/jobs/{job.id}/deliveries")).json() == {"deliveries": []}

from __future__ import annotations

import asyncio
import base64
import json
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from redis import Redis
from structlog.testing import capture_logs

from compose.services import free_port
from shared.messages.broker import Broker
from shared.messages.outbox import Message
from shared.settings import Settings
from shared.worker.celery_settings import create_celery
from tests.collector import Collector

MESSAGE = Message(task="processing.process_job", queue="processing", payload={"job_id": "1"})


async def send_to(port: int, settings: Settings) -> tuple[bool, float, str]:
    """Send a message to whatever listens on `port`; return whether it was taken, how long that took, and the logged reason."""
    elsewhere = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0", "redis_timeout_s": 0.5})
    sender = Broker(elsewhere)
    start = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        taken = await sender.send([MESSAGE])
    await sender.aclose()
    return taken, asyncio.get_running_loop().time() - start, logs[-1]["reason"]


async def test_broker_that_is_down_is_an_answer_at_once_and_the_log_says_why(settings: Settings) -> None:
    taken, took_s, reason = await send_to(free_port(), settings)
    assert not taken
    assert took_s < 2
    assert "connect" in reason.lower()


async def test_message_that_was_not_taken_is_a_failed_span_of_its_trace(settings: Settings, collector: Collector) -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    sender = Broker(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"}))
    assert not await sender.send([replace(MESSAGE, traceparent=parent), MESSAGE])
    await sender.aclose()
    [sent] = await asyncio.to_thread(collector.wait_for, "send processing.process_job")
    assert (sent.trace_id, sent.parent_id, sent.kind) == ("a" * 32, "b" * 16, "producer")
    assert (sent.has_failed, sent.attributes["error.type"]) == (True, "ConnectionError")
    assert sent.attributes["messaging.destination.name"] == "processing"


async def test_broker_that_says_nothing_costs_bounded_time(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken, took_s, reason = await send_to(silent.getsockname()[1], settings)
    assert not taken
    assert took_s < 2
    assert "Timeout" in reason


def in_the_queue(settings: Settings, message: Message, *, send: Callable[[], object]) -> dict[str, Any]:
    """Send a message, and return what then stands in its queue, with its body unpacked."""
    with Redis.from_url(settings.redis_url) as redis:
        redis.delete(message.queue)
        send()
        [text] = redis.lrange(message.queue, 0, -1)
        redis.delete(message.queue)
    found: dict[str, Any] = json.loads(text)
    found["body"] = json.loads(base64.b64decode(found["body"]))
    return found


@pytest.mark.parametrize(
    "message",
    [
        Message("tests.nothing", "outputs", {}),
        Message("tests.number", "outputs", {"delivery_id": 7, "note": "ü'\"", "none": None}, expires_s=10.0),
        Message("processing.process_job", "outputs", {"job_id": str(uuid.uuid4())}),
    ],
)
def test_message_stands_in_its_queue_as_celery_and_kombu_would_put_it(settings: Settings, message: Message) -> None:
    app = create_celery(settings)
    sent = in_the_queue(
        settings,
        message,
        send=lambda: app.send_task(message.task, kwargs=dict(message.payload), queue=message.queue, expires=message.expires_s, ignore_result=True),
    )

    async def send() -> None:
        broker = Broker(settings)
        assert await broker.send([message])
        await broker.aclose()

    own = in_the_queue(settings, message, send=lambda: asyncio.run(send()))
    for found in (sent, own):
        headers, properties = found["headers"], found["properties"]
        assert headers["id"] == headers["root_id"] == properties["correlation_id"]
        if message.expires_s is not None:
            left_s = (datetime.fromisoformat(headers.pop("expires")) - datetime.now(UTC)).total_seconds()
            assert 0 < left_s <= message.expires_s
        for holder, name in ((headers, "id"), (headers, "root_id"), (properties, "correlation_id"), (properties, "delivery_tag")):
            assert uuid.UUID(holder.pop(name))
    # Nobody wants results; messages have no exchange that Redis would look for; and Redis' transport does not look at `expiration`, but workers at `expires`.
    assert own["properties"].pop("reply_to") == "" != sent["properties"].pop("reply_to")
    assert own["properties"]["delivery_info"].pop("exchange") == message.queue != sent["properties"]["delivery_info"].pop("exchange")
    assert (sent["properties"].pop("expiration", None) is None) == (message.expires_s is None)
    assert own == sent


def test_celery_has_the_limits_of_the_settings(settings: Settings) -> None:
    given = settings.model_copy(update={"job_time_limit_s": 100.0, "worker_shutdown_timeout_s": 7.0})
    conf = create_celery(given).conf
    assert (conf.task_soft_time_limit, conf.worker_soft_shutdown_timeout) == (100.0, 7.0)
    assert conf.task_time_limit > conf.task_soft_time_limit
    assert conf.broker_transport_options["visibility_timeout"] > conf.task_time_limit

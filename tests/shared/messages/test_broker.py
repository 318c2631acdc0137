from __future__ import annotations

import asyncio
import socket

from structlog.testing import capture_logs

from compose.services import free_port
from shared.messages.broker import Broker, create_celery
from shared.messages.outbox import Message
from shared.settings import Settings

MESSAGE = Message(task="processing.process_job", queue="processing", payload={"job_id": "1"})


async def send_to(port: int, settings: Settings) -> tuple[bool, float, str]:
    """Send a message to whatever listens on `port`; return whether it was taken, how long that took, and the logged reason."""
    elsewhere = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0", "redis_timeout_s": 0.5})
    sender = Broker(create_celery(elsewhere), elsewhere)
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


async def test_broker_that_says_nothing_costs_bounded_time(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        taken, took_s, reason = await send_to(silent.getsockname()[1], settings)
    assert not taken
    assert took_s < 2
    assert "Timeout" in reason


def test_celery_has_the_limits_of_the_settings(settings: Settings) -> None:
    given = settings.model_copy(update={"job_time_limit_s": 100.0, "worker_shutdown_timeout_s": 7.0})
    conf = create_celery(given).conf
    assert (conf.task_soft_time_limit, conf.worker_soft_shutdown_timeout) == (100.0, 7.0)
    assert conf.task_time_limit > conf.task_soft_time_limit
    assert conf.broker_transport_options["visibility_timeout"] > conf.task_time_limit

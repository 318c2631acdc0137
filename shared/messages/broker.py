"""The Celery app's settings, and sending messages within a time limit."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from celery import Celery
from kombu import Exchange, Queue
from redis import CredentialProvider

from shared.contracts import MAINTENANCE_QUEUE, PROCESSING_QUEUE, WEBHOOKS_QUEUE
from shared.messages.outbox import Message
from shared.messages.redis_client import explain, open_redis, redis_place
from shared.observing import metrics
from shared.settings import Settings

HARD_LIMIT_MARGIN_S = 60.0
PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger(__name__)


class _App(Celery):  # type: ignore[misc]  # Celery is untyped
    """A Celery app whose connections ask for their password when they are made; Celery has a setting for this only for its result backend."""

    credential_provider: CredentialProvider | None = None

    def _connection(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  # Celery's own
        connection = super()._connection(*arguments, **named)
        connection.credential_provider = self.credential_provider
        connection._initial_params["credential_provider"] = self.credential_provider  # noqa: SLF001  # used again at each reconnect
        return connection


def create_celery(settings: Settings) -> Celery:
    """Create the Celery app. Celery's defaults lose or repeat jobs; docs/adr/0004-celery-on-redis.md gives the reason for each of these settings."""
    place = redis_place(settings)
    app = _App("rowgate", broker=place["url"], backend=place["url"])
    app.credential_provider = place.get("credential_provider")
    app.conf.update(
        redis_backend_credential_provider=app.credential_provider,
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in (PROCESSING_QUEUE, WEBHOOKS_QUEUE, MAINTENANCE_QUEUE)],
        task_default_queue=MAINTENANCE_QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        result_expires=3600,
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        worker_concurrency=settings.worker_slots,
        worker_max_tasks_per_child=10,
        worker_max_memory_per_child=settings.worker_memory_limit_bytes // 1024,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_soft_shutdown_timeout=settings.worker_shutdown_timeout_s,
        task_soft_time_limit=settings.job_time_limit_s,
        task_time_limit=settings.job_time_limit_s + HARD_LIMIT_MARGIN_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": int(settings.job_time_limit_s * 2 + 600),
            "socket_timeout": 10.0,
            "socket_connect_timeout": settings.redis_timeout_s,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        redis_socket_timeout=settings.redis_timeout_s,
        redis_socket_connect_timeout=settings.redis_timeout_s,
        beat_max_loop_interval=1.0,
        # The schedule is kept in memory: tasks that run every few seconds need no schedule file, which a crash could damage.
        beat_scheduler="shared.worker.schedule:Schedule",
        timezone="UTC",
    )
    return app


class Broker:
    """Sends messages from one process, within a time limit. Messages that cannot be sent are logged and left to the periodic ring.

    Celery makes each message, and it is put into its queue as kombu would do it (message protocol 2,
    https://docs.celeryq.dev/en/stable/internals/protocol.html), but without kombu's thread, its look-up of bindings before each message and its
    declarations, which took a third of an upload's time.
    """

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._redis = open_redis(settings)
        self._timeout_s = settings.redis_timeout_s
        self._paused_until = 0.0

    async def send(self, messages: Sequence[Message]) -> bool:
        """Send all messages and return True, or log why that failed and return False; takes at most twice the Redis timeout."""
        if time.monotonic() < self._paused_until:
            metrics.MESSAGES_UNSENT.inc(len(messages))
            log.warning("messages left to the periodic ring: the broker failed a moment ago", messages=len(messages))
            return False
        packed: dict[str, list[str]] = {}
        for message in messages:
            packed.setdefault(message.queue, []).append(self._pack(message))
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                for queue, texts in packed.items():
                    await self._redis.lpush(queue, *texts)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with the broker, the rows are the outbox
            metrics.MESSAGES_UNSENT.inc(len(messages))
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            log.warning("messages left to the periodic ring: the broker did not take them", messages=len(messages), reason=explain(error))
            return False
        return True

    def _pack(self, message: Message) -> str:
        """Return the message in the form that its queue stores."""
        task_id = str(uuid.uuid4())
        task = self._app.amqp.as_task_v2(task_id, message.task, kwargs=dict(message.payload), expires=message.expires_s, ignore_result=True)
        envelope = {
            "body": base64.b64encode(json.dumps(task.body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": task.headers | ({"request_id": message.request_id} if message.request_id else {}),
            "properties": {
                **task.properties,
                "body_encoding": "base64",
                "delivery_info": {"exchange": message.queue, "routing_key": message.queue},
                "delivery_mode": 2,
                "delivery_tag": str(uuid.uuid4()),
                "priority": 0,
            },
        }
        return json.dumps(envelope)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._redis.aclose()

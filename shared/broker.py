"""The Celery app's settings, and sending one message within bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from celery import Celery
from kombu import Connection, Exchange, Queue

from shared.contracts import MAINTENANCE_QUEUE, PROCESSING_QUEUE, WEBHOOKS_QUEUE
from shared.messaging import Message
from shared.settings import Settings

HARD_LIMIT_MARGIN_S = 60.0
PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger(__name__)


def create_celery(settings: Settings) -> Celery:
    """The Celery app. Its defaults lose or repeat jobs; each of these settings has a reason in docs/adr/0004-celery-on-redis.md."""
    app = Celery("rowgate", broker=settings.redis_url, backend=settings.redis_url)
    app.conf.update(
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
        worker_concurrency=4,
        worker_max_tasks_per_child=10,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
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
        # In memory: what runs every few seconds needs no file that a crash can damage.
        beat_scheduler="celery.beat:Scheduler",
        timezone="UTC",
    )
    return app


class Broker:
    """Sends messages from one process: one connection, one thread, bounded time. What cannot be sent is logged and left to the periodic ring."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._url = settings.redis_url
        self._timeout_s = settings.redis_timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")
        self._connection: Connection | None = None
        self._producer: Any = None
        self._paused_until = 0.0

    async def send(self, messages: Sequence[Message]) -> bool:
        """Send all of them, or say in the log why not and return False; takes at most twice the Redis timeout."""
        if time.monotonic() < self._paused_until:
            log.warning("messages left to the periodic ring: the broker failed a moment ago", messages=len(messages))
            return False
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._send_all, messages)
        try:
            await asyncio.wait_for(asyncio.shield(future), timeout=2 * self._timeout_s)
        except Exception as error:  # noqa: BLE001  # whatever the broker's trouble is: the rows are the outbox
            self._paused_until = time.monotonic() + PAUSE_AFTER_FAILURE_S
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            log.warning("messages left to the periodic ring: the broker did not take them", messages=len(messages), reason=repr(error))
            return False
        return True

    def _send_all(self, messages: Sequence[Message]) -> None:
        try:
            for message in messages:
                self._app.send_task(
                    message.task,
                    kwargs=dict(message.payload),
                    queue=message.queue,
                    expires=message.expires_s,
                    producer=self._open_producer(),
                    ignore_result=True,
                    retry=False,
                )
        except Exception:
            self._drop_connection()
            raise

    def _open_producer(self) -> Any:  # noqa: ANN401  # kombu is untyped
        if self._producer is None:
            self._connection = Connection(
                self._url,
                transport_options={
                    "socket_timeout": self._timeout_s,
                    "socket_connect_timeout": self._timeout_s,
                    "socket_keepalive": True,
                    "health_check_interval": 10,
                    "max_retries": 1,
                    "interval_start": 0,
                    "retry_on_timeout": False,
                },
            )
            self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)
        return self._producer

    def _drop_connection(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    def close(self) -> None:
        """Close the connection and end the thread, without waiting for a broker that hangs."""
        self._thread.submit(self._drop_connection)
        self._thread.shutdown(wait=False)

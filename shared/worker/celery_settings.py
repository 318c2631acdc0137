"""The Celery app and its settings."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Exchange, Queue
from redis import CredentialProvider

from shared.contracts import MAINTENANCE_QUEUE, OUTPUTS_QUEUE, PROCESSING_QUEUE, WEBHOOKS_QUEUE
from shared.messages.redis_client import redis_place, split_tls
from shared.settings import Settings

HARD_LIMIT_MARGIN_S = 60.0


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
    url, tls = split_tls(place["url"])
    app = _App("rowgate", broker=url, backend=url)
    app.credential_provider = place.get("credential_provider")
    app.conf.update(
        broker_use_ssl=tls,
        redis_backend_use_ssl=tls,
        redis_backend_credential_provider=app.credential_provider,
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in (PROCESSING_QUEUE, OUTPUTS_QUEUE, WEBHOOKS_QUEUE, MAINTENANCE_QUEUE)],
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

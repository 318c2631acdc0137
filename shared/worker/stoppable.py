"""A Celery worker that tells its running tasks to stop, however it is stopped, and that leaves out what nobody here listens to."""

from __future__ import annotations

from typing import Any

from celery.apps.worker import Worker

from shared.worker import shutdown


class StoppableWorker(Worker):  # type: ignore[misc]  # Celery is untyped
    """Tells tasks about both of Celery's ways to stop.

    SIGTERM is the warm stop: the worker takes no more messages and waits for its tasks, which give their jobs back in time. SIGQUIT is the cold stop: the
    worker waits for `worker_soft_shutdown_timeout` and then ends; Celery announces nothing before it waits, so without this class tasks would not know.
    """

    def prepare_args(self, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # Celery's own
        """Start without gossip, mingling and event heartbeats: workers here know nothing of each other, and each announces itself (`presence.py`)."""
        return {**options, "without_gossip": True, "without_mingle": True, "without_heartbeat": True}

    def wait_for_soft_shutdown(self) -> None:
        """Have jobs given back while Celery waits. After a warm stop it waits only for what is left of that stop's time."""
        conf = self.app.conf
        within_s = conf.worker_soft_shutdown_timeout
        # Celery takes the time to wait from nowhere else.
        conf.worker_soft_shutdown_timeout = max(0.0, shutdown.request_stop(within_s=within_s))
        try:
            super().wait_for_soft_shutdown()
        finally:
            conf.worker_soft_shutdown_timeout = within_s

"""A Celery worker that tells its running tasks to stop, however it is stopped."""

from __future__ import annotations

from celery.apps.worker import Worker

from shared.worker import shutdown


class StoppableWorker(Worker):  # type: ignore[misc]  # Celery is untyped
    """SIGTERM is Celery's warm stop: it takes no more messages and waits for its tasks, which give their jobs back in time.

    SIGQUIT is its cold stop: it waits for `worker_soft_shutdown_timeout`, and then ends. It says nothing before it waits, so its tasks would not know.
    """

    def wait_for_soft_shutdown(self) -> None:
        """Have jobs given back while Celery waits; do not wait again after a warm stop whose time is over."""
        if shutdown.must_stop():
            return
        shutdown.request_stop(within_s=self.app.conf.worker_soft_shutdown_timeout)
        super().wait_for_soft_shutdown()

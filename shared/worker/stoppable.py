"""A Celery worker that tells its running tasks to stop, however it is stopped."""

from __future__ import annotations

from celery.apps.worker import Worker

from shared.worker import shutdown


class StoppableWorker(Worker):  # type: ignore[misc]  # Celery is untyped
    """Tells tasks about both of Celery's ways to stop.

    SIGTERM is the warm stop: the worker takes no more messages and waits for its tasks, which give their jobs back in time. SIGQUIT is the cold stop: the
    worker waits for `worker_soft_shutdown_timeout` and then ends; Celery announces nothing before it waits, so without this class tasks would not know.
    """

    def wait_for_soft_shutdown(self) -> None:
        """Request that jobs are given back while Celery waits; do not wait again if a warm stop has already used up its time."""
        if shutdown.must_stop():
            return
        shutdown.request_stop(within_s=self.app.conf.worker_soft_shutdown_timeout)
        super().wait_for_soft_shutdown()

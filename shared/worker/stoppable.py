"""A Celery worker that tells its running tasks to stop, however it is stopped, takes outputs where it takes jobs, and leaves out what nobody listens to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery.apps.worker import Worker

from shared.contracts import OUTPUTS_QUEUE, PROCESSING_QUEUE
from shared.worker import shutdown


def list_queues(option: str | Sequence[str] | None) -> list[str]:
    """Return the queues that a worker takes messages from, given its option `-Q`.

    Outputs are made by the workers of jobs, also where the command names the queue of jobs only, as it does since outputs had none of their own.
    """
    queues = [name.strip() for name in option.split(",")] if isinstance(option, str) else list(option or ())
    if PROCESSING_QUEUE in queues and OUTPUTS_QUEUE not in queues:
        queues.append(OUTPUTS_QUEUE)
    return queues


class StoppableWorker(Worker):  # type: ignore[misc]  # Celery is untyped
    """Tells tasks about both of Celery's ways to stop.

    SIGTERM is the warm stop: the worker takes no more messages and waits for its tasks, which give their jobs back in time. SIGQUIT is the cold stop: the
    worker waits for `worker_soft_shutdown_timeout` and then ends; Celery announces nothing before it waits, so without this class tasks would not know.
    """

    def prepare_args(self, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # Celery's own
        """Start without gossip, mingling and event heartbeats: workers here know nothing of each other, and each announces itself (`presence.py`)."""
        return {**options, "without_gossip": True, "without_mingle": True, "without_heartbeat": True}

    def setup_queues(self, include: str | Sequence[str] | None, exclude: str | Sequence[str] | None = None) -> None:
        """Take messages from the queues of the option, and of outputs where those of jobs are."""
        super().setup_queues(list_queues(include), exclude)

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

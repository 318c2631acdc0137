"""A worker's sign of life: a function that its own loop calls every few seconds while it takes messages, and a file that health checks look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, bootsteps

log = structlog.get_logger(__name__)


def call_while_working(app: Celery, function: Callable[[], None], *, every_s: float) -> None:
    """Have the main process of each worker of `app` call `function` at once and then every `every_s`, as long as it is connected and its loop runs."""

    class SignOfLife(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery is untyped
        """One timer on the worker's loop."""

        requires = ("celery.worker.consumer.tasks:Tasks",)
        timer: Any = None

        def start(self, parent: Any) -> None:  # noqa: ANN401  # Celery is untyped
            function()
            self.timer = parent.timer.call_repeatedly(every_s, function)

        def stop(self, parent: Any) -> None:  # noqa: ANN401, ARG002  # as above
            if self.timer is not None:
                self.timer.cancel()

        shutdown = stop

    app.steps["consumer"].add(SignOfLife)


def touch(path: Path) -> None:
    """Give the file the time of now; a failure is logged, and seen by whoever looks at the file."""
    try:
        path.touch()
    except OSError as error:
        log.warning("the sign of life could not be given", path=str(path), reason=error.strerror)

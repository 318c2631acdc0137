"""Each task is one coroutine, limited in time by Celery's soft limit or by the process's own clock."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from shared.messages.tasks import TaskContext
from shared.settings import Settings
from shared.worker import runtime as runtime_module
from shared.worker import time_limit
from shared.worker.runtime import CHILD_POOL, Runtime


@pytest.fixture
def runtime(settings: Settings) -> Iterator[Runtime]:
    made = Runtime(settings, **CHILD_POOL)
    yield made
    made.close()


@pytest.fixture
def soft_limit(runtime: Runtime) -> Iterator[None]:
    """Raise Celery's soft limit after 0.2 s as billiard does in a worker's child: by a signal, in the main thread."""

    del runtime  # made before the time begins

    def raise_limit(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, raise_limit)
    timer = threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGUSR1))
    timer.start()
    yield
    timer.join()
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("soft_limit")
def test_soft_limit_cancels_a_task_that_does_not_end_by_itself(runtime: Runtime) -> None:
    ends: list[str] = []

    async def work(_: TaskContext) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    with pytest.raises(TimeoutError):
        runtime.run(work, timeout_s=60)
    assert ends == ["cancelled"]


@pytest.mark.usefixtures("soft_limit")
def test_task_with_time_to_end_is_told_and_ends_in_its_own_way(runtime: Runtime) -> None:
    ends: list[str] = []

    async def work(_: TaskContext) -> None:
        await time_limit.wait_until_reached(60)
        await asyncio.sleep(0.3)
        ends.append("properly")

    runtime.run(work, timeout_s=60, ending_s=30)
    assert ends == ["properly"]


@pytest.mark.usefixtures("soft_limit")
def test_task_that_takes_longer_to_end_than_it_may_is_cancelled(runtime: Runtime) -> None:
    async def work(_: TaskContext) -> None:
        await time_limit.wait_until_reached(60)
        await asyncio.sleep(60)

    start = time.monotonic()
    with pytest.raises(TimeoutError):
        runtime.run(work, timeout_s=60, ending_s=0.3)
    assert time.monotonic() - start < 10


def test_own_clock_serves_where_celery_has_no_soft_limit(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "OWN_CLOCK_MARGIN_S", 0.1)
    with pytest.raises(TimeoutError):
        runtime.run(lambda _: asyncio.sleep(60), timeout_s=0.1)


def test_task_in_time_is_left_alone_and_its_failure_is_its_own(runtime: Runtime) -> None:
    async def fail(_: TaskContext) -> None:
        raise ZeroDivisionError

    runtime.run(lambda _: asyncio.sleep(0.01), timeout_s=60)
    with pytest.raises(ZeroDivisionError):
        runtime.run(fail, timeout_s=60)

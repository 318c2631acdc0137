"""The schedule starts periodic tasks in its own process, each only once at a time, and says whether it still looks."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path

import celery.beat
import pytest
from celery import Celery

from shared.worker import schedule
from shared.worker.schedule import Schedule
from tests.paths import ROOT

HEAVY = ("pandas", "pyarrow", "numpy", "openpyxl", "xlrd", "features.processing.engine", "features.processing.run")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Future[None]]]:
    """What was started, with what becomes done when it ends."""
    found: list[tuple[str, Future[None]]] = []

    def start(name: str) -> Future[None]:
        found.append((name, Future()))
        return found[-1][1]

    monkeypatch.setattr(Schedule, "start", staticmethod(start), raising=False)
    monkeypatch.setattr(Schedule, "_running", {})
    monkeypatch.setattr(Schedule, "_ticked_at", None)
    monkeypatch.setattr(Schedule, "_thread", None)
    return found


def make_schedule(**every_s: float) -> Schedule:
    app = Celery("test", broker="redis://127.0.0.1:1/0")
    app.conf.beat_schedule = {name: {"task": name, "schedule": seconds} for name, seconds in every_s.items()}
    return Schedule(app=app)


def test_task_that_is_due_is_started_without_a_broker(started: list[tuple[str, Future[None]]]) -> None:
    scheduled = make_schedule(often=0.001, seldom=3600)
    assert wait_for_ticks(scheduled, started, count=1) == ["often"]


def test_task_that_still_runs_is_not_started_again(started: list[tuple[str, Future[None]]]) -> None:
    scheduled = make_schedule(often=0.001)
    wait_for_ticks(scheduled, started, count=1)
    for _ in range(20):
        scheduled.tick()
    assert len(started) == 1
    started[0][1].set_result(None)
    assert wait_for_ticks(scheduled, started, count=2) == ["often", "often"]


def test_schedule_that_does_not_look_is_not_ticking(started: list[tuple[str, Future[None]]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert Schedule.is_ticking()  # a worker has none
    make_schedule(often=1).tick()
    assert Schedule.is_ticking()
    monkeypatch.setattr(schedule, "TICKS_WITHIN_S", 0.0)
    assert not Schedule.is_ticking()


class Broken(Schedule):
    """Ends its thread before it has looked at anything."""

    def __init__(self, *_: object, **__: object) -> None:
        raise RuntimeError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_schedule_whose_thread_has_ended_is_not_ticking_even_if_it_never_looked(started: list[tuple[str, Future[None]]]) -> None:
    thread = schedule.ScheduleThread(Celery("test"), scheduler_cls=Broken, max_interval=1)
    assert Schedule.is_ticking()
    thread.start()
    thread.join(10)
    assert not Schedule.is_ticking()


def test_schedule_is_ticking_while_its_thread_runs(started: list[tuple[str, Future[None]]], tmp_path: Path) -> None:
    schedule.run_in_thread()
    app = Celery("test", broker="redis://127.0.0.1:1/0")
    thread = celery.beat.EmbeddedService(app, scheduler_cls=Schedule, schedule_filename=str(tmp_path / "schedule"))
    thread.start()
    assert Schedule.is_ticking()
    thread.stop()
    thread.join(10)
    assert not Schedule.is_ticking()


def wait_for_ticks(scheduled: Schedule, started: list[tuple[str, Future[None]]], *, count: int) -> list[str]:
    for _ in range(1000):
        scheduled.tick()
        if len(started) == count:
            break
    return [name for name, _ in started]


def run_beside(code: str, tmp_path: Path) -> None:
    """Run code after `import celery_app` in a process of its own."""
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": "", "ALIVE_FILE": str(tmp_path / "alive"), "UPLOAD_DIR": str(tmp_path)}
    environment |= {"DATABASE_URL": "postgresql://u@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    program = f"import pathlib, sys, threading, time\nimport celery_app\nalive, heavy = pathlib.Path({str(tmp_path / 'alive')!r}), {HEAVY!r}\n{code}"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


def test_process_gives_signs_of_life_unless_its_schedule_hangs_or_has_ended(tmp_path: Path) -> None:
    run_beside(
        """
celery_app._announce()
assert alive.exists()
alive.unlink()
announced = []
class Present:
    def announce(self): announced.append(1)
    def withdraw(self): pass
celery_app._presence = Present()
celery_app._announce()
assert alive.exists() and announced == [1]
alive.unlink()
celery_app.Schedule._ticked_at = time.monotonic() - 60
celery_app._announce()
assert not alive.exists() and announced == [1]
celery_app.Schedule._ticked_at = time.monotonic()
celery_app._announce()
assert alive.exists() and announced == [1, 1]
alive.unlink()
celery_app.Schedule._thread = threading.Thread(target=int)
celery_app._announce()
assert not alive.exists() and announced == [1, 1]
""",
        tmp_path,
    )


def test_only_what_runs_jobs_loads_what_reads_files(tmp_path: Path) -> None:
    run_beside(
        """
class Instance: quiet = False
celery_app._choose_role("celery@d", Instance(), {"queues": "webhooks,maintenance"})
assert not [name for name in heavy if name in sys.modules]
celery_app._choose_role("celery@w", Instance(), {"queues": "processing"})
assert "features.processing.run" in sys.modules and "features.processing.make_output" in sys.modules and "pyarrow" in sys.modules
""",
        tmp_path,
    )

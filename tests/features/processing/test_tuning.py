"""Settings of a process for freed memory, and for switching threads."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from features.processing.tuning import tune_process
from tests.paths import ROOT

pytestmark = pytest.mark.slow


class RecordingLibrary:
    """A C library that records the settings made with `mallopt`."""

    def __init__(self) -> None:
        self.told: dict[int, int] = {}

    def mallopt(self, parameter: int, value: int) -> int:
        self.told[parameter] = value
        return 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingLibrary]:
    recording = RecordingLibrary()
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: recording)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(name, raising=False)
    interval_s = sys.getswitchinterval()
    tune_process.cache_clear()
    yield recording
    tune_process.cache_clear()
    sys.setswitchinterval(interval_s)


def test_freed_memory_is_kept_up_to_a_bound(library: RecordingLibrary) -> None:
    tune_process()
    assert library.told == {-3: 32 * 2**20, -1: 64 * 2**20}


def test_what_the_environment_says_stays(library: RecordingLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    tune_process()
    assert not library.told


def test_another_c_library_is_left_alone(library: RecordingLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    tune_process()
    assert not library.told


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize(("before_s", "after_s"), [(0.005, 0.0005), (0.0001, 0.0001)])
def test_threads_wait_a_shorter_time_for_each_other(before_s: float, after_s: float) -> None:
    sys.setswitchinterval(before_s)
    tune_process()
    assert sys.getswitchinterval() == pytest.approx(after_s, abs=1e-5)


@pytest.mark.parametrize("start", ["import features.processing.__main__", "import celery_app"])
@pytest.mark.parametrize(("given", "found"), [({}, ["0", "100"]), ({"MIMALLOC_ALLOW_THP": "1", "MIMALLOC_PURGE_DELAY": "0"}, ["1", "0"])])
def test_arrow_finds_its_settings_when_it_is_loaded(start: str, given: dict[str, str], found: list[str], tmp_path: Path) -> None:
    watch = (
        "import os, sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'pyarrow':\n"
        "            found = f\"found {os.environ.get('MIMALLOC_ALLOW_THP')} {os.environ.get('MIMALLOC_PURGE_DELAY')}\\n\"\n"
        "            os.write(1, found.encode())\n"  # what is printed becomes a line of the log
        "sys.meta_path.insert(0, Watch())\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MIMALLOC_")} | given
    environment |= {"DATABASE_URL": "postgresql+asyncpg://nobody@localhost/none", "REDIS_URL": "redis://localhost/0", "UPLOAD_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", f"{watch}{start}\nimport features.processing.engine"], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["found", *found]


@pytest.mark.parametrize("given", [{}, {"OPENBLAS_NUM_THREADS": "2"}])
def test_openblas_starts_no_threads_unless_the_environment_says_so(given: dict[str, str]) -> None:
    program = "import features.processing, numpy, os; print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | given
    if not sys.platform.startswith("linux"):
        pytest.skip("threads are counted by Linux")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    wanted, threads = map(int, done.stdout.split())
    assert wanted == int(given.get("OPENBLAS_NUM_THREADS", "1"))
    assert threads == min(wanted, len(os.sched_getaffinity(0)))

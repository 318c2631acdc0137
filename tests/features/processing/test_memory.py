"""What a process is told to do with freed memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from features.processing.memory import keep_freed_memory


class RecordingLibrary:
    """A C library that notes what its malloc was told."""

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
    keep_freed_memory.cache_clear()
    yield recording
    keep_freed_memory.cache_clear()


def test_freed_memory_is_kept_up_to_a_bound(library: RecordingLibrary) -> None:
    keep_freed_memory()
    assert library.told == {-3: 32 * 2**20, -1: 64 * 2**20}


def test_what_the_environment_says_stays(library: RecordingLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    keep_freed_memory()
    assert not library.told


def test_another_c_library_is_left_alone(library: RecordingLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())
    keep_freed_memory()
    assert not library.told

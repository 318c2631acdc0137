"""Number the processes that keep their metrics in one folder; each takes the lowest free number.

With process ids instead, a worker whose children end after ten jobs would leave a file for each of them for ever. Numbers are reused: a process that
takes over a number continues counting where the dead process stopped.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

PARENT = -1
"""The number of a process that counts nothing: its files are empty, and its gauges are not shown, since it holds no lock."""
_parents: set[int] = set()


def count_nothing_here() -> None:
    """Give this process no number of its own: it only loads what the processes that it forks will count with. Call it before the first metric is made."""
    _parents.add(os.getpid())


class ProcessSlots:
    """The numbers of one folder. A process holds its number by a file lock, which the kernel releases however the process ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._pid: int | None = None
        self._number = 0
        self._lock: int | None = None

    def own(self) -> int:
        """Return this process's number; a forked process takes a new one."""
        if os.getpid() in _parents:
            return PARENT
        if self._pid != os.getpid():
            if self._lock is not None:
                os.close(self._lock)  # the parent's lock, which the parent goes on holding
            self._number, self._lock = self._claim()
            self._pid = os.getpid()
        return self._number

    def list_files(self) -> Sequence[str]:
        """Return the metric files to add up: all files of counters and histograms, and the gauges of living processes."""
        alive: dict[int, bool] = {}
        files = []
        for path in sorted(self._folder.glob("*.db")):
            kind, _, number = path.stem.rpartition("_")
            if kind.startswith("gauge_") and not alive.setdefault(int(number), self._is_held(int(number))):
                continue
            # A file is empty between its creation and its first entry, and prometheus_client cannot read it then.
            if path.stat().st_size > 0:
                files.append(str(path))
        return files

    def _claim(self) -> tuple[int, int]:
        for number in count():
            lock = os.open(self._lock_path(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            for stale in self._folder.glob(f"gauge_*_{number}.db"):
                stale.unlink()
            return number, lock
        raise AssertionError

    def _is_held(self, number: int) -> bool:
        try:
            lock = os.open(self._lock_path(number), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _lock_path(self, number: int) -> Path:
        return self._folder / f"{number}.lock"

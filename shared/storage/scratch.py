"""Folders for the files that a process works on: each is gone with its block, and, if its process died, when the next one begins.

A folder is locked by the process that uses it (flock(2)), so one that nobody has locked is left over.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "rowgate-scratch-"


@contextmanager
def scratch_folder(spill_dir: Path | None) -> Iterator[Path]:
    """Make a folder in `spill_dir`, or in the system's temporary folder, for the block. Raises `OSError`."""
    folder, lock = _make(Path(spill_dir or tempfile.gettempdir()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        lock = -1
        with suppress(BlockingIOError, FileNotFoundError):  # somebody took it for left over before it was locked
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.stat().st_ino == os.fstat(lock).st_ino:
                return folder, lock
        if lock >= 0:
            os.close(lock)


def remove_leftovers(spill_dir: Path | None) -> int:
    """Remove the folders of processes that have died; returns how many."""
    removed = 0
    for folder in Path(spill_dir or tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed += 1
            finally:
                os.close(lock)
    return removed

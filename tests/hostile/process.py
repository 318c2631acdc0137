"""What a process holds, and what it has cost, from /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def read_memory(pid: int) -> int:
    """Return the resident memory in bytes; 0 of a process that has ended and is not waited for yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


def count_descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # names are enough


def read_cpu_s(pid: int) -> float:
    """Return the seconds of processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def list_descendants(pid: int) -> list[int]:
    """Return the processes that this one has started, and those that they have started."""
    below: list[int] = []
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with suppress(OSError):  # it has ended meanwhile
                waiting += map(int, task.read_text().split())
                below += map(int, task.read_text().split())
    return below

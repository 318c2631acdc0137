"""What a process took, told by itself. Standard library only: the peers' environment runs it too."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def report_run(work: Callable[[], Mapping[str, Any]]) -> None:
    """Run `work` and print, as one JSON object, what it returns, its wall and CPU seconds and the process's peak memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    json.dump({**result, "wall_s": wall, "cpu_s": cpu, "peak_mib": peak_memory_mib()}, sys.stdout)


def memory_mib(pid: int) -> float:
    """Resident memory of a process, now, in MiB (Linux)."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken so far, all its threads together (Linux: proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_mib(pid: int | None = None) -> float:
    """Peak resident memory of a process (of this one) in MiB."""
    status = Path(f"/proc/{'self' if pid is None else pid}/status")
    if status.exists():
        # Not getrusage: its figure outlives exec, so a child would begin with its parent's.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

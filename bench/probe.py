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
    return _read_status_mib(pid, "VmRSS")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken so far, all its threads together (Linux: proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_mib(pid: int | None = None) -> float:
    """Peak resident memory of a process (of this one) in MiB; 0 for another one that has ended."""
    if pid is None and not Path("/proc/self/status").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    try:
        # Not getrusage: its figure outlives exec, so a child would begin with its parent's.
        return _read_status_mib("self" if pid is None else pid, "VmHWM")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _read_status_mib(pid: int | str, name: str) -> float:
    """One figure of proc(5), status; 0 for a process that has ended and is waited for, which has none."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)

"""Measure a process from the inside. Uses only the standard library, because the peers' environment runs it too."""

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
    """Run `work` and print one JSON object: its result, its wall and CPU seconds, and the process's peak memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    json.dump({**result, "wall_s": wall, "cpu_s": cpu, "peak_mib": peak_memory_mib()}, sys.stdout)


def memory_mib(pid: int) -> float:
    """Return the current resident memory of a process in MiB (Linux)."""
    return _read_status_mib(pid, "VmRSS")


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that all threads of a process have used so far (Linux: proc(5), utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory_mib(pid: int | None = None) -> float:
    """Return the peak resident memory of a process (by default this one) in MiB; 0 if it has ended."""
    if pid is None and not Path("/proc/self/status").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    try:
        # getrusage is not used, because its figure survives exec: a child would start with its parent's.
        return _read_status_mib("self" if pid is None else pid, "VmHWM")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _read_status_mib(pid: int | str, name: str) -> float:
    """Return one figure of /proc/PID/status (proc(5)); 0 for a zombie, which has none."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)

"""Run a function in a process of its own, with limits of time and memory, and return what it found or how it ended."""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: `read`, `refused` (with its sentence), `failed` (any other exception), `killed` (time) or `died` (a signal, an exit)."""

    status: str
    value: Any = None
    """What the function returned."""
    sentence: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    """Of the process and of those that it started."""


class Refused(Exception):
    """The reader refused the file; the message is its sentence."""


def run_limited(function: Callable[[Path], Any], path: Path, *, limit_s: float, memory_bytes: int | None = None) -> Outcome:
    """Run `function(path)` in a forked process, which is killed after `limit_s`, and whose address space is limited to `memory_bytes`.

    Modules that are imported already need not be imported again: the times are those of reading.
    """
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            _run_and_exit(function, path, output.fileno(), memory_bytes)
        descriptor = os.pidfd_open(pid)
        try:
            is_over = bool(select.select([descriptor], [], [], limit_s)[0])
            if not is_over:
                os.killpg(pid, signal.SIGKILL)
        finally:
            os.close(descriptor)
        _, status, usage = os.wait4(pid, 0)
        wall_s = time.monotonic() - started
        facts: dict[str, Any] = {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}
        if not is_over:
            return Outcome(status="killed", sentence=f"not done after {limit_s:.0f} s", **facts)
        if status:
            return Outcome(status="died", sentence=f"wait status {status}", **facts)
        output.seek(0)
        ended, value = pickle.load(output)
    return Outcome(status=ended, value=value, **facts) if ended == "read" else Outcome(status=ended, sentence=value, **facts)


def _run_and_exit(function: Callable[[Path], Any], path: Path, output: int, memory_bytes: int | None) -> None:
    os.setsid()
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silence, stream)
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    try:
        result: tuple[str, Any] = ("read", function(path))
    except Refused as refused:
        result = ("refused", str(refused))
    except BaseException as error:  # noqa: BLE001  # whatever a reader raises is what is to be known
        result = ("failed", f"{type(error).__name__}: {error}"[:500])
    with os.fdopen(output, "wb") as file:
        pickle.dump(result, file, protocol=pickle.HIGHEST_PROTOCOL)
    os._exit(0)

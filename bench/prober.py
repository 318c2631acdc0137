"""Run the prober's process and read its results."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.measure import ROOT, RunFailed
from bench.run_prober import READY

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One request: when it was sent (the machine's monotonic clock), and its result."""

    at: float
    wall_s: float
    is_new: bool
    """Whether it used a new connection."""
    status: int
    """0 if there was no answer."""
    late_s: float
    """How much later than planned the prober sent it; this delay is the prober's own."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The results, available after the block of `probing`."""

    found: list[Probe] = field(default_factory=list)


@contextmanager
def probing(url: str) -> Iterator[Probes]:
    """Request `url` again and again during the block. Raises `RunFailed` if the prober itself fails."""
    probes = Probes()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.run_prober", url], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != READY:
            raise RunFailed(f"The prober did not start:\n{process.communicate()[1][-2000:]}")
        yield probes
        output, complaint = process.communicate(timeout=PATIENCE_S)
        if process.returncode:
            raise RunFailed(f"The prober failed:\n{complaint[-2000:]}")
        columns = json.loads(output)
        probes.found.extend(Probe(*values) for values in zip(*(columns[name] for name in Probe.__dataclass_fields__), strict=True))
    finally:
        process.kill()
        process.wait()


def count_failed(probes: Collection[Probe]) -> int:
    """Count the requests that were not answered with 200."""
    return sum(probe.status != 200 for probe in probes)

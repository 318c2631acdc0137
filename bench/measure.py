"""Run contestants in separate processes, in alternating order, and collect their times and memory."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "bench" / ".data"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much to measure."""

    rows: int = 1_000_000
    """Rows of the standard file; the other sizes are derived from it."""
    times: int = 5
    """Runs of each contestant; the median counts."""
    data: Path = DATA
    """Folder for files that are made once and reused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The measurements of one run."""

    wall_s: float
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    rows: int = 0
    errors: int = 0


class RunFailed(Exception):
    """A measured process failed; the message has the end of its output."""


def run_child(module: str, *arguments: str, python: str = sys.executable) -> Run:
    """Run a module that ends with `probe.report_run`. Raises `RunFailed`."""
    return to_run(run_json(module, *arguments, python=python))


def run_json(module: str, *arguments: str, python: str = sys.executable) -> Mapping[str, Any]:
    """Run a module that prints one JSON object, and return it. Raises `RunFailed`."""
    done = subprocess.run([python, "-m", module, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RunFailed(f"{module} {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def to_run(facts: Mapping[str, Any]) -> Run:
    """Turn what `probe.report_run` printed into a `Run`."""
    return Run(**{name: facts[name] for name in Run.__dataclass_fields__ if facts.get(name) is not None})


def alternate(contestants: Mapping[str, Callable[[], Run]], *, times: int) -> Mapping[str, Run]:
    """Return each contestant's median run (by wall time); every second round runs them in reverse order."""
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    for number in range(times):
        order = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        for name in order:
            say(f"  {name} {number + 1}/{times}")
            runs[name].append(contestants[name]())
    return {name: median_run(found) for name, found in runs.items()}


def median_run(runs: Sequence[Run]) -> Run:
    """Return the run whose wall time is the (lower) median, with the highest peak of all runs."""
    middle = statistics.median_low(run.wall_s for run in runs)
    chosen = next(run for run in runs if run.wall_s == middle)
    peak = max(run.peak_mib for run in runs)
    return Run(wall_s=chosen.wall_s, cpu_s=chosen.cpu_s, peak_mib=peak, rows=chosen.rows, errors=chosen.errors)


def percentile(values: Collection[float], share: float) -> float:
    """Return the smallest of `values` that is not below a share `share` (0 to 1) of them (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def warm(*paths: Path) -> None:
    """Read files into the page cache, so that the first run is like the others."""
    for path in paths:
        with path.open("rb") as file:
            while file.read(2**20):
                continue


def say(line: str) -> None:
    """Print one line of progress."""
    print(line, file=sys.stderr, flush=True)

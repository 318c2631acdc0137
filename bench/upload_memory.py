"""Measure the memory of one API process that takes 50 uploads at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import BYTES_PER_S, CLIENTS, FILE_BYTES
from bench.measure import Plan, say
from bench.probe import memory_mib
from bench.report import Section, at_most, describe_run
from bench.run_load import Load
from bench.stack import running_stack
from bench.upload_files import make_upload, name_size, run_load

MAX_GROWTH_MB = 64
SAMPLE_S = 0.02
MAX_ROUNDS = 3
MB_IN_MIB = 2**20 / 1e6


@dataclass
class _Memory:
    """Resident memory of a process, in MB."""

    before: float
    peak: float
    after: float = 0.0

    @property
    def growth(self) -> float:
        return self.peak - self.before


def measure_upload_memory(plan: Plan) -> Section:
    """Measure fresh API processes with paced and with unpaced uploads; the one that grew most counts."""
    file = make_upload(plan, round(FILE_BYTES * plan.rows / Plan.rows))
    rates = {"unpaced": None, f"{BYTES_PER_S / 1e6:g} MB/s in all": BYTES_PER_S}
    rounds = min(plan.times, MAX_ROUNDS)
    found = {name: max((_measure(plan, file, name, rate) for _ in range(rounds)), key=lambda memory: memory.growth) for name, rate in rates.items()}
    return Section(
        title="Memory of an API process with 50 uploads",
        about=(
            f"Resident memory (`VmRSS`, read every {SAMPLE_S * 1000:g} ms) of one uvicorn process that takes {CLIENTS} uploads of"
            f" {name_size(file.stat().st_size)} at once, compared with that after its first upload, just before."
        ),
        headings=("Uploads", "Before, MB", "Peak MB", "After, MB", "Growth MB"),
        rows=[[name, *(f"{value:.1f}" for value in (each.before, each.peak, each.after, each.growth))] for name, each in found.items()],
        verdicts=[at_most(f"Growth of an API process with {CLIENTS} uploads, {name}", each.growth, MAX_GROWTH_MB, " MB") for name, each in found.items()],
        conditions=describe_run(f"the worst of {rounds} runs of each"),
    )


def _measure(plan: Plan, file: Path, name: str, bytes_per_s: float | None) -> _Memory:
    say(f"{CLIENTS} uploads, {name}")
    with running_stack(plan) as stack:
        stack.upload(file)
        with _watching(stack.api_pid) as memory:
            run_load(f"{stack.url}/api/files/upload", Load(clients=CLIENTS, file=str(file), bytes_per_s=bytes_per_s))
        return memory


@contextmanager
def _watching(pid: int) -> Iterator[_Memory]:
    """Watch a process's memory during the block; its peak and final values are known after the block."""
    now = memory_mib(pid) * MB_IN_MIB
    memory, is_over = _Memory(before=now, peak=now), threading.Event()

    def watch() -> None:
        while not is_over.wait(SAMPLE_S):
            memory.peak = max(memory.peak, memory_mib(pid) * MB_IN_MIB)

    watcher = threading.Thread(target=watch, name="memory")
    watcher.start()
    try:
        yield memory
    finally:
        is_over.set()
        watcher.join()
    memory.after = memory_mib(pid) * MB_IN_MIB

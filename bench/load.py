"""Measure `GET /api/jobs/{id}` while 50 clients upload, as a client that polls a job experiences it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.charts import Chart, Line, draw_chart
from bench.measure import Plan, percentile, say
from bench.prober import Probe, count_failed, probing
from bench.report import Section, at_most, describe_run
from bench.run_load import Load
from bench.run_prober import KEPT_CONNECTIONS, PER_SECOND
from bench.stack import Stack, running_stack
from bench.upload_files import make_upload, name_size, run_load, try_load

API_PROCESSES = 4
CLIENTS, FILE_BYTES, BYTES_PER_S = 50, 50_000_000, 120_000_000
IDLE_S, WARM_UP_S = 15.0, 3.0
MAX_ROUNDS = 3
MAX_P99_S, AIM_P99_S = 0.1, 0.03


@dataclass
class _Phase:
    """What the prober measured in every round, and the load during it."""

    rounds: list[tuple[float, list[Probe]]] = field(default_factory=list)
    """When each round began, and its requests."""
    loads: list[Mapping[str, Any]] = field(default_factory=list)

    def list_walls(self, *, is_new: bool | None = None) -> list[float]:
        """Return the seconds of all requests, or only of those on new or on kept connections."""
        return [probe.wall_s for _, probes in self.rounds for probe in probes if is_new in {None, probe.is_new}]

    def count_failed_uploads(self) -> int:
        return sum(sum(load["failures"].values()) for load in self.loads)

    def list_probes(self) -> list[Probe]:
        return [probe for _, probes in self.rounds for probe in probes]


def measure_load(plan: Plan) -> Section:
    """Measure in rounds: with no uploads, with paced uploads, and with uploads as fast as they go."""
    file = make_upload(plan, round(FILE_BYTES * plan.rows / Plan.rows))
    size, rate = name_size(file.stat().st_size), f"{BYTES_PER_S / 1e6:g} MB/s"
    idle, paced, unpaced = "No uploads", f"{CLIENTS} uploads of {size}, {rate} in all", f"{CLIENTS} uploads of {size}, unpaced"
    phases = {name: _Phase() for name in (idle, paced, unpaced)}
    rounds = min(plan.times, MAX_ROUNDS)
    with running_stack(plan, api_processes=API_PROCESSES) as stack:
        job_url = f"{stack.url}/api/jobs/{stack.upload(file)}"
        _warm_up(stack, plan, job_url)
        works: Mapping[str, Callable[[], Mapping[str, Any] | None]] = {
            idle: partial(time.sleep, IDLE_S),
            paced: partial(_upload_all, stack, file, BYTES_PER_S),
            unpaced: partial(_upload_all, stack, file, None),
        }
        for number in range(rounds):
            for name, work in works.items():
                say(f"{name} {number + 1}/{rounds}")
                _measure_phase(phases[name], job_url, work)
                stack.remove_uploads()
    p99 = percentile(phases[paced].list_walls(), 0.99)
    asked = f"`GET /api/jobs/{{id}}`, {paced}"
    return Section(
        title="Polling a job during uploads",
        about=(
            f"`GET /api/jobs/{{id}}` {PER_SECOND} times a second, at fixed times, half of them on new connections (including opening) and half on"
            f" {KEPT_CONNECTIONS} kept ones; {API_PROCESSES} API processes, no worker, PostgreSQL, the senders' process and the prober's on the same machine."
            f" The aim is {AIM_P99_S * 1000:g} ms. Prober's own: how late it sent its requests, p99; its measurements include that delay."
        ),
        headings=(
            "During",
            "Requests",
            "p50 ms",
            "p99 ms",
            "New connection, p99 ms",
            "Kept, p99 ms",
            "Slowest ms",
            "Failed",
            "Uploads failed",
            "Prober's own ms",
            "Uploads MB/s",
            "Uploads' answers after the last byte, p99 ms",
        ),
        rows=[_describe(name, phase, file.stat().st_size) for name, phase in phases.items()],
        verdicts=[
            at_most(f"{asked}, p99", p99 * 1000, MAX_P99_S * 1000, " ms"),
            at_most(f"{asked}, failed", count_failed(phases[paced].list_probes()), 0, ""),
            *(at_most(f"{name}, failed", phases[name].count_failed_uploads(), 0, "") for name in (paced, unpaced)),
        ],
        conditions=describe_run(f"all requests of {rounds} rounds together"),
        figures=[draw_chart(plan, "latency-under-load", _make_chart(phases))],
    )


def _warm_up(stack: Stack, plan: Plan, job_url: str) -> None:
    """Let every process load its code and open its connections."""
    with probing(job_url):
        run_load(f"{stack.url}/api/files/upload", Load(clients=CLIENTS, file=str(make_upload(plan, 1_000)), seconds=WARM_UP_S))
    stack.remove_uploads()


def _upload_all(stack: Stack, file: Path, bytes_per_s: float | None) -> Mapping[str, Any]:
    facts = try_load(f"{stack.url}/api/files/upload", Load(clients=CLIENTS, file=str(file), bytes_per_s=bytes_per_s))
    for failure, count in facts["failures"].items():
        say(f"  {count} uploads failed: {failure}")
    return facts


def _measure_phase(phase: _Phase, job_url: str, work: Callable[[], Mapping[str, Any] | None]) -> None:
    with probing(job_url) as probes:
        begun = time.monotonic()
        load = work()
    phase.rounds.append((begun, probes.found))
    if load is not None:
        phase.loads.append(load)


def _describe(name: str, phase: _Phase, file_bytes: int) -> list[str]:
    walls = phase.list_walls()
    times_s = [percentile(walls, 0.5), percentile(walls, 0.99), *(percentile(phase.list_walls(is_new=is_new), 0.99) for is_new in (True, False)), max(walls)]
    own_s = percentile([probe.late_s for probe in phase.list_probes()], 0.99)
    uploaded_s = sum(load["wall_s"] for load in phase.loads)
    speed = f"{sum(len(load['walls_s']) for load in phase.loads) * file_bytes / uploaded_s / 1e6:.0f}" if uploaded_s else "-"
    answers = [answer_s for load in phase.loads for answer_s in load["after_last_byte_s"]]
    failed = [f"{count_failed(phase.list_probes())}", f"{phase.count_failed_uploads()}"]
    return [
        name,
        f"{len(walls):,}",
        *(f"{value * 1000:.1f}" for value in times_s),
        *failed,
        f"{own_s * 1000:.1f}",
        speed,
        f"{percentile(answers, 0.99) * 1000:.0f}" if answers else "-",
    ]


def _make_chart(phases: Mapping[str, _Phase]) -> Chart:
    """Chart the last round of each phase."""
    lines = []
    for name, phase in phases.items():
        begun, probes = phase.rounds[-1]
        lines.append(
            Line(label=name.replace(", ", ",\n"), x=[probe.at - begun for probe in probes], y=[probe.wall_s * 1000 for probe in probes], is_joined=False)
        )
    return Chart(
        title="GET /api/jobs/{id} over time, with and without uploads",
        x_label="s since the uploads began",
        y_label="ms to the whole answer",
        lines=lines,
        has_log_y=True,
        limit=(MAX_P99_S * 1000, "limit of the p99"),
    )

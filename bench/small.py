"""Measure uploads of 1 KB compared with an endpoint that only inserts a row."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from bench.measure import Plan, Run, alternate, percentile
from bench.probe import cpu_seconds
from bench.report import Section, at_least, describe_run
from bench.run_load import Load
from bench.sink_process import running_sinks
from bench.stack import running_stack
from bench.upload_files import make_upload, run_load

CLIENTS, FILE_BYTES, SECONDS = 16, 1_000, 8.0
MIN_RATE = 0.5
OURS, FLOOR = "Upload of 1 KB", "Insert a row"


def measure_small(plan: Plan) -> Section:
    """Measure both, as fast as 16 clients get answers."""
    file = str(make_upload(plan, FILE_BYTES))
    walls: dict[str, list[float]] = {OURS: [], FLOOR: []}
    with (
        running_stack(plan) as stack,
        running_sinks(plan, DATABASE_URL=stack.database_url, REDIS_URL=stack.redis_url, UPLOAD_DIR=str(stack.uploads)) as sinks,
    ):

        def run(name: str, pid: int, url: str, file: str | None, seconds: float) -> Run:
            before_s = cpu_seconds(pid)
            facts = run_load(url, Load(clients=CLIENTS, file=file, seconds=seconds))
            # The files are kept: for a minute after files are removed, ext4 skips each of their inodes one by one when it creates another file.
            os.sync()
            walls[name] += facts["walls_s"]
            count = len(facts["walls_s"])
            return Run(wall_s=facts["wall_s"] / count, cpu_s=(cpu_seconds(pid) - before_s) / count)

        contestants: dict[str, Callable[[float], Run]] = {
            OURS: partial(run, OURS, stack.api_pid, f"{stack.url}/api/files/upload", file),
            FLOOR: partial(run, FLOOR, sinks.pid, f"{sinks.url}/insert", None),
        }
        for contestant in contestants.values():
            contestant(1.0)
        for each in walls.values():
            each.clear()
        runs = alternate({name: partial(contestant, SECONDS) for name, contestant in contestants.items()}, times=plan.times)
    rates = {name: 1 / run.wall_s for name, run in runs.items()}
    return Section(
        title="Small uploads",
        about=(
            f"{CLIENTS} clients, each with a kept connection, send one request after another, for {SECONDS:g} s at a time, to one uvicorn process each."
            " An upload is durable with its file, its folder and its job; the other endpoint takes a request without a body and commits one INSERT into its own"
            " table, through the same engine and pool, into the same PostgreSQL."
        ),
        headings=("What", "Requests/s", "p50 ms", "p99 ms", "CPU of the server process for each, ms", "Requests"),
        rows=[
            [
                name,
                f"{rate:,.0f}",
                *(f"{percentile(walls[name], share) * 1000:.1f}" for share in (0.5, 0.99)),
                f"{runs[name].cpu_s * 1000:.2f}",
                f"{len(walls[name]):,}",
            ]
            for name, rate in rates.items()
        ],
        verdicts=[at_least("Rate of 1 KB uploads compared with inserting a row", rates[OURS] / rates[FLOOR], MIN_RATE)],
        conditions=describe_run(f"rates are medians of {plan.times} runs, latencies those of all requests"),
    )

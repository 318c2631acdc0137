"""Measure what a process costs before it does anything: the API and a worker, compared with the frameworks that they are made of, and by themselves."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial

from bench.measure import Plan, alternate, run_child, say
from bench.probe import memory_mib
from bench.report import Section, at_most, describe_run
from bench.stack import running_stack

FRAMEWORKS, API, WORKER = "The frameworks alone", "API: `import main`", "Worker: `import celery_app`, and what reads and checks files"
SERVED, CHILD = "A process of the API, idle", "A worker's child, idle"
MAX_API_MEMORY, MAX_API_CPU = 1.5, 2.0
MAX_API_MIB, MAX_API_CPU_S, MAX_CHILD_MIB = 90.0, 1.5, 120.0
SETTLE_S = 3.0


def measure_start(plan: Plan) -> Section:
    """Measure the import of each process's main module, and the memory of the processes that then wait for work."""
    kinds = {FRAMEWORKS: "frameworks", API: "main", WORKER: "celery_app"}
    runs = alternate({name: partial(run_child, "bench.run_start", kind) for name, kind in kinds.items()}, times=plan.times)
    idle = _measure_idle(plan)
    return Section(
        title="Start of a process",
        about=(
            "Time and memory until everything is imported, each in a process of its own. The frameworks alone: FastAPI, SQLAlchemy, asyncpg, Celery, redis,"
            " pydantic-settings, structlog, aiodns. The memory of the last two is what `ps` shows of processes that serve, and have answered one request, or"
            " have run no job yet: both are forked, and share most of it with their siblings."
        ),
        headings=("What", "Wall s", "CPU s", "MiB"),
        rows=[
            *([name, f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{run.peak_mib:.0f}"] for name, run in runs.items()),
            *([name, "", "", f"{mib:.0f}"] for name, mib in idle.items()),
        ],
        verdicts=[
            at_most("API's memory at its start compared with the frameworks alone", runs[API].peak_mib / runs[FRAMEWORKS].peak_mib, MAX_API_MEMORY),
            at_most("API's CPU time at its start compared with the frameworks alone", runs[API].cpu_s / runs[FRAMEWORKS].cpu_s, MAX_API_CPU),
            at_most("API's memory at its start", runs[API].peak_mib, MAX_API_MIB, " MiB"),
            at_most("Memory of an idle process of the API", idle[SERVED], MAX_API_MIB, " MiB"),
            at_most("API's CPU time at its start", runs[API].cpu_s, MAX_API_CPU_S, " s"),
            at_most("Memory of a worker's idle child", idle[CHILD], MAX_CHILD_MIB, " MiB"),
        ],
        conditions=describe_run(f"medians of {plan.times} runs"),
    )


def _measure_idle(plan: Plan) -> Mapping[str, float]:
    say("  idle processes")
    with running_stack(plan) as stack:
        stack.serve_api()
        stack.start_worker()
        time.sleep(SETTLE_S)
        [child] = stack.child_pids()
        return {SERVED: memory_mib(stack.served_pid()), CHILD: memory_mib(child)}

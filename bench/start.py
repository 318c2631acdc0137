"""Measure what a process costs before it does anything: the API and a worker, compared with the frameworks that they are made of."""

from __future__ import annotations

from functools import partial

from bench.measure import Plan, alternate, run_child
from bench.report import Section, at_most, describe_run

FRAMEWORKS, API, WORKER = "The frameworks alone", "API: `import main`", "Worker: `import celery_app`"
MAX_API_MEMORY, MAX_API_CPU = 1.5, 2.0


def measure_start(plan: Plan) -> Section:
    """Measure the import of each process's main module."""
    kinds = {FRAMEWORKS: "frameworks", API: "main", WORKER: "celery_app"}
    runs = alternate({name: partial(run_child, "bench.run_start", kind) for name, kind in kinds.items()}, times=plan.times)
    return Section(
        title="Start of a process",
        about=(
            "Time and memory until everything is imported, each in a process of its own. The frameworks alone: FastAPI, SQLAlchemy, asyncpg, Celery, redis,"
            " pydantic-settings, structlog, aiodns. The API runs four times on a machine; the children of a worker share what it imported before it forked."
        ),
        headings=("What", "Wall s", "CPU s", "Peak MiB"),
        rows=[[name, f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{run.peak_mib:.0f}"] for name, run in runs.items()],
        verdicts=[
            at_most("API's memory at its start compared with the frameworks alone", runs[API].peak_mib / runs[FRAMEWORKS].peak_mib, MAX_API_MEMORY),
            at_most("API's CPU time at its start compared with the frameworks alone", runs[API].cpu_s / runs[FRAMEWORKS].cpu_s, MAX_API_CPU),
        ],
        conditions=describe_run(f"medians of {plan.times} runs"),
    )

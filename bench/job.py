"""Measure whole jobs, from started_at to completed_at with every error stored, compared with frictionless, the engine alone, and COPY alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from bench.engine import SHARES, name_share, run_engine
from bench.files import TABLE_SCHEMA, BenchFile, make_csv
from bench.measure import Plan, Run, alternate, run_child, say, warm
from bench.peers import peer_versions, prepare_peers
from bench.report import Section, Verdict, at_least, at_most, describe_conditions
from bench.stack import Stack, running_stack
from features.processing.recording.copy_format import COLUMNS

FRICTIONLESS_TARGETS = {0.0: 40.0, 0.01: 30.0, 0.2: 60.0}
SLOW_SHARE = 0.2
SLOW_FILE = 0.1
"""Share of the file with many bad cells that frictionless reads; its time is scaled up."""
MAX_SLOW_RUNS = 3
"""How many times jobs with two million errors are measured."""
MAX_OVERHEAD = 1.5


def measure_job(plan: Plan) -> Section:
    """Measure whole jobs on the standard files."""
    python = prepare_peers()
    schema_file = plan.data / "schema.json"
    plan.data.mkdir(parents=True, exist_ok=True)
    schema_file.write_text(json.dumps(TABLE_SCHEMA))
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    with running_stack(plan, MAX_STORED_ERRORS_PER_JOB="0") as stack:
        stack.start_worker()
        for share in SHARES:
            file = make_csv(plan.data, rows=plan.rows, bad_share=share)
            warm(file.path)
            say(f"whole jobs, {share:.0%} bad cells")
            is_slow = share >= SLOW_SHARE
            times = min(plan.times, MAX_SLOW_RUNS) if is_slow else plan.times
            small = make_csv(plan.data, rows=round(plan.rows * SLOW_FILE), bad_share=share) if is_slow else None
            peer = partial(run_child, "bench.run_frictionless", str((small or file).path), str(schema_file), python=python)
            runs = _measure_parts(stack, file, times=times, records=plan.data / "pieces.bin", peers={} if is_slow else {_FRICTIONLESS: peer})
            remark = {}
            if small is not None:
                runs[_FRICTIONLESS] = _scale(peer(), 1 / SLOW_FILE)
                remark = {_FRICTIONLESS: f"measured on {round(plan.rows * SLOW_FILE):,} rows, scaled"}
            for name, run in runs.items():
                errors = f"{run.errors:,}" if run.errors else "-"
                rows.append([f"{name}, {name_share(share)}", f"{run.wall_s:.2f}", f"{plan.rows / run.wall_s / 1000:,.1f}", errors, remark.get(name, "")])
            whole, slower = runs[_WHOLE].wall_s, max(runs[_ENGINE].wall_s, runs[_COPY].wall_s)
            verdicts.append(
                at_least(f"Whole job compared with frictionless, {name_share(share)}", runs[_FRICTIONLESS].wall_s / whole, FRICTIONLESS_TARGETS[share])
            )
            verdicts.append(at_most(f"Whole job compared with the slower of engine and COPY, {name_share(share)}", whole / slower, MAX_OVERHEAD))
    return Section(
        title="Whole jobs",
        about=(
            "`started_at` to `completed_at` of a job in a worker process, with every error stored in a durable PostgreSQL on the same machine."
            " COPY alone: the same pieces of records, from a file, into the same table with the same indexes, in one transaction."
        ),
        headings=("What", "Wall s", "krows/s", "Errors", "Remark"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows)
        + f" With {SLOW_SHARE:.0%} bad cells frictionless runs once, jobs at most {MAX_SLOW_RUNS} times.",
        peers=peer_versions(),
    )


_WHOLE, _ENGINE, _COPY, _FRICTIONLESS = "Whole job", "Engine alone", "COPY alone", "frictionless"


def _measure_parts(stack: Stack, file: BenchFile, *, times: int, records: Path, peers: Mapping[str, Callable[[], Run]]) -> dict[str, Run]:
    schema = json.dumps(TABLE_SCHEMA)
    # This job owns the records that COPY inserts later. The table is cleared first, so that both find it equally empty.
    stack.clear()
    stack.run_job(file.path, table_schema=schema)

    def run_whole() -> Run:
        stack.clear()
        return stack.run_job(file.path, table_schema=schema)[1]

    def run_copy() -> Run:
        stack.export_errors(records, COLUMNS)
        return stack.copy_errors(records, COLUMNS)

    try:
        return dict(alternate({_WHOLE: run_whole, _ENGINE: lambda: run_engine(file.path), _COPY: run_copy, **peers}, times=times))
    finally:
        records.unlink(missing_ok=True)


def _scale(run: Run, factor: float) -> Run:
    return Run(wall_s=run.wall_s * factor, peak_mib=run.peak_mib, errors=round(run.errors * factor))

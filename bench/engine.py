"""Measure the engine alone: exactness on every cell, speed compared with DuckDB, and speed on a long file compared with a short one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bench.files import TABLE_SCHEMA, BenchFile, make_csv
from bench.measure import Plan, Run, alternate, run_child, say, warm
from bench.peers import peer_versions, prepare_peers
from bench.report import Section, Verdict, at_least, at_most, describe_conditions
from bench.truth import collect_errors, compare
from features.processing.engine import inspect_file
from shared.descriptors.table_schema import parse_table_schema

OURS, PEER = "Rowgate's engine", "DuckDB"
SHARES = (0.0, 0.01, 0.2)
DUCKDB_TARGETS = {0.0: 2.0, 0.01: 1.6, 0.2: 4.0}
MAX_CPU = 0.8
LONG_FILE, SHORT_FILE = 5.0, 0.1
"""As shares of the standard file's rows."""
MAX_SLOWDOWN = 1.1


def measure_engine(plan: Plan) -> Section:
    """Measure engine and DuckDB on the same files, then time per row on a short and on a long file."""
    python = prepare_peers()
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    for share in SHARES:
        file = make_csv(plan.data, rows=plan.rows, bad_share=share)
        warm(file.path)
        say(f"engine compared with DuckDB, {share:.0%} bad cells")
        runs = alternate(
            {OURS: partial(run_engine, file.path), PEER: partial(run_child, "bench.run_duckdb", str(file.path), python=python)},
            times=plan.times,
        )
        missed, spurious = _count_differences(file)
        for name, run in runs.items():
            exactness = f"{missed:,} missed, {spurious:,} spurious" if name != PEER else "-"
            rows.append([f"{name}, {name_share(share)}", *_figures(run, plan.rows), f"{run.errors:,}", exactness])
        ratio = runs[PEER].wall_s / runs[OURS].wall_s
        verdicts.append(at_least(f"Engine compared with DuckDB, {name_share(share)}", ratio, DUCKDB_TARGETS[share]))
        if not share:
            verdicts.append(at_most(f"CPU time of the engine compared with DuckDB's, {name_share(share)}", runs[OURS].cpu_s / runs[PEER].cpu_s, MAX_CPU))
        verdicts.append(Verdict(f"Errors missed or spurious, {name_share(share)}", "0", f"{missed + spurious:,}", missed + spurious == 0))
    short_run, long_run, long_rows = _measure_lengths(plan)
    rows.append([f"{OURS}, {long_rows:,} rows, 1% bad", *_figures(long_run, long_rows), f"{long_run.errors:,}", "-"])
    verdicts.append(
        at_most(f"Time per row at {long_rows:,} rows compared with {round(plan.rows * SHORT_FILE):,}", long_run.wall_s / short_run.wall_s, MAX_SLOWDOWN)
    )
    return Section(
        title="Reading and checking: the engine alone",
        about=(
            "One process for each run, from opening the file to its last error; 10 columns with types, patterns, an enum, bounds, lengths and a unique key,"
            " text with quotes, commas and line breaks. DuckDB: `read_csv(store_rejects)` with the same types, and the same constraints counted in SQL,"
            " 1 thread; it checks nothing more in a row that it rejects. Exactness compares (row, column, error type, raw value)."
        ),
        headings=("What", "Wall s", "CPU s", "krows/s", "Peak MiB", "Errors found", "Against the truth"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
        peers=peer_versions(),
    )


def run_engine(path: Path) -> Run:
    """Run the engine once in a separate process."""
    return run_child("bench.run_engine", str(path))


def name_share(share: float) -> str:
    """Return a file's name in a table."""
    return f"{share:.0%} bad" if share else "clean"


def _measure_lengths(plan: Plan) -> tuple[Run, Run, int]:
    """Return the median runs on the short file (read as often as it fits into the long one) and on the long file, and the long file's rows."""
    short_rows, long_rows = round(plan.rows * SHORT_FILE), round(plan.rows * LONG_FILE)
    short = make_csv(plan.data, rows=short_rows, bad_share=0.01)
    long = make_csv(plan.data, rows=long_rows, bad_share=0.01, keep_truth=False)
    warm(short.path, long.path)
    say("a short and a long file")
    # The short file is read many times in one process, so that the process's start-up time does not count as time per row.
    repeats = str(round(LONG_FILE / SHORT_FILE))
    runs = alternate(
        {"short": lambda: run_child("bench.run_engine", str(short.path), repeats), "long": lambda: run_engine(long.path)},
        times=min(plan.times, 3),
    )
    return runs["short"], runs["long"], long_rows


def _count_differences(file: BenchFile) -> tuple[int, int]:
    found = collect_errors(inspect_file(file.path, table_schema=parse_table_schema(dict(TABLE_SCHEMA))))
    difference = compare(found.errors, file.read_truth())
    return difference.missed.total(), difference.spurious.total()


def _figures(run: Run, rows: int) -> list[str]:
    return [f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{rows / run.wall_s / 1000:,.0f}", f"{run.peak_mib:.0f}"]

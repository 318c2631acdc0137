"""Measure workbooks: the engine with all its checks, compared with the loops of openpyxl and xlrd, which check nothing; the whole job of a full sheet."""

from __future__ import annotations

import json
from functools import partial

from bench.engine import run_engine
from bench.files import TABLE_SCHEMA, BenchFile
from bench.measure import Plan, Run, alternate, median_run, run_child, say, warm
from bench.report import Section, at_least, at_most, describe_conditions
from bench.stack import running_stack
from bench.workbooks import MAX_RECORDS, make_xls, make_xlsx

EXCEL_FILE, XLS_FILE = 0.1, 0.065
"""As a share of the standard file's rows. With its blank rows the second fills an XLS sheet."""
TARGET = 8.0
MAX_XLS = 1.2
MAX_FULL_S, MAX_FULL_MIB = 7.0, 300.0
OURS = "Rowgate's engine"


def measure_excel(plan: Plan) -> Section:
    """Measure ours and theirs on the same workbooks, and the job of a full sheet."""
    rows, old_rows = round(plan.rows * EXCEL_FILE), round(plan.rows * XLS_FILE)
    full_rows = min(MAX_RECORDS, round(plan.rows * MAX_RECORDS / Plan.rows))
    file, old, full = (make(plan.data, rows=count, bad_share=0.01) for make, count in ((make_xlsx, rows), (make_xls, old_rows), (make_xlsx, full_rows)))
    warm(file.path, old.path, full.path)
    say("engine compared with openpyxl")
    runs = alternate({OURS: partial(run_engine, file.path), "openpyxl, bare loop": partial(run_child, "bench.run_openpyxl", str(file.path))}, times=plan.times)
    say("engine compared with xlrd")
    old_runs = alternate({OURS: partial(run_engine, old.path), "xlrd, bare loop": partial(run_child, "bench.run_xlrd", str(old.path))}, times=plan.times)
    say("the job of a full sheet")
    job = _run_jobs(plan, full)
    return Section(
        title="Excel",
        about=(
            f"Workbooks of 10 columns, 1% of their cells bad: XLSX of {rows:,} rows, XLS of {old_rows:,}. openpyxl: `iter_rows(values_only=True)` of a"
            f" read-only workbook. xlrd: `row_values`. The whole job: an XLSX workbook of {full_rows:,} rows, `started_at` to `completed_at`."
        ),
        headings=("What", "Wall s", "CPU s", "krows/s", "Peak MiB", "Errors found"),
        rows=[
            [f"{name}, {what}", f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{count / run.wall_s / 1000:,.1f}", f"{run.peak_mib:.0f}", f"{run.errors:,}"]
            for what, count, found in (("XLSX", rows, runs), ("XLS", old_rows, old_runs), (f"XLSX of {full_rows:,} rows", full_rows, {"Whole job": job}))
            for name, run in found.items()
        ],
        verdicts=[
            at_least("XLSX engine compared with openpyxl's bare loop", runs["openpyxl, bare loop"].wall_s / runs[OURS].wall_s, TARGET),
            at_most("XLS engine compared with xlrd's bare loop", old_runs[OURS].wall_s / old_runs["xlrd, bare loop"].wall_s, MAX_XLS),
            at_most(f"Whole job of an XLSX workbook of {full_rows:,} rows", job.wall_s, MAX_FULL_S, " s"),
            at_most(f"Peak memory of a worker child, XLSX workbook of {full_rows:,} rows", job.peak_mib, MAX_FULL_MIB, " MiB"),
        ],
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )


def _run_jobs(plan: Plan, file: BenchFile) -> Run:
    runs = []
    with running_stack(plan) as stack:
        for _ in range(plan.times):
            stack.clear()
            stack.start_worker()
            runs.append(stack.run_job(file.path, table_schema=json.dumps(TABLE_SCHEMA))[1])
    return median_run(runs)

"""Measure the peak memory of a worker child, a fresh one for each job, for various file sizes and shares of bad cells."""

from __future__ import annotations

import json
from pathlib import Path

from bench.files import TABLE_SCHEMA, make_csv
from bench.measure import Plan, say
from bench.report import Section, at_most, describe_conditions
from bench.stack import running_stack
from bench.workbooks import MAX_RECORDS, make_xlsx

LARGE_FILE = 4
MAX_PEAK_MIB, AIM_MIB = 384, 300
MAX_SPREAD = 1.1


def measure_memory(plan: Plan) -> Section:
    """Run one job for each file."""
    jobs: dict[str, Path] = {}
    for share in (0.0, 1.0):
        for rows in (plan.rows, plan.rows * LARGE_FILE):
            file = make_csv(plan.data, rows=rows, bad_share=share, keep_truth=False)
            jobs[f"CSV, {file.path.stat().st_size / 1e6:,.0f} MB, {share:.0%} bad"] = file.path
    workbook_rows = min(MAX_RECORDS, round(plan.rows * MAX_RECORDS / Plan.rows))
    jobs[f"XLSX, {workbook_rows + 1:,} rows, 1% bad"] = make_xlsx(plan.data, rows=workbook_rows, bad_share=0.01).path
    peaks: dict[str, float] = {}
    rows_of_table: list[list[str]] = []
    with running_stack(plan) as stack:
        for name, path in jobs.items():
            say(f"memory: {name}")
            stack.start_worker()
            _, run = stack.run_job(path, table_schema=json.dumps(TABLE_SCHEMA))
            peaks[name] = run.peak_mib
            rows_of_table.append([name, f"{run.peak_mib:.0f}", f"{run.wall_s:.1f}", f"{run.rows:,}", f"{run.errors:,}"])
            stack.clear()
    small_good, large_good, small_bad, large_bad, _ = peaks.values()
    return Section(
        title="Memory of a worker child",
        about=(
            "Peak resident memory (`VmHWM`) of the Celery child that ran the job; each job has a fresh child."
            f" The limit is {MAX_PEAK_MIB} MiB, the aim {AIM_MIB} MiB."
            " Error records beyond 1,000,000 are counted but not stored, as by default."
        ),
        headings=("Job", "Peak MiB", "Job s", "Rows", "Errors"),
        rows=rows_of_table,
        verdicts=[
            at_most("Peak memory of a worker child", max(peaks.values()), MAX_PEAK_MIB, " MiB"),
            at_most("Peak memory for the large CSV compared with the small one, 0% bad", large_good / small_good, MAX_SPREAD),
            at_most("Peak memory for the large CSV compared with the small one, 100% bad", large_bad / small_bad, MAX_SPREAD),
            at_most("Highest peak of all files compared with the lowest", max(peaks.values()) / min(peaks.values()), MAX_SPREAD),
        ],
        conditions=describe_conditions(times=1, rows=plan.rows),
    )

"""Measure XLSX: the engine with all its checks, compared with openpyxl's own read-only loop, which checks nothing."""

from __future__ import annotations

from bench.engine import run_engine
from bench.measure import Plan, alternate, run_child, say, warm
from bench.report import Section, at_least, describe_conditions
from bench.workbooks import make_xlsx

EXCEL_FILE = 0.1
"""As a share of the standard file's rows."""
TARGET = 2.0


def measure_excel(plan: Plan) -> Section:
    """Measure both on the same workbook."""
    rows = round(plan.rows * EXCEL_FILE)
    file = make_xlsx(plan.data, rows=rows, bad_share=0.01)
    warm(file.path)
    say("engine compared with openpyxl")
    runs = alternate(
        {"Rowgate's engine": lambda: run_engine(file.path), "openpyxl, bare loop": lambda: run_child("bench.run_openpyxl", str(file.path))}, times=plan.times
    )
    return Section(
        title="Excel",
        about=f"An XLSX workbook of {rows:,} rows x 10 columns, 1% of its cells bad. openpyxl: `iter_rows(values_only=True)` of a read-only workbook.",
        headings=("What", "Wall s", "CPU s", "krows/s", "Peak MiB", "Errors found"),
        rows=[
            [name, f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{rows / run.wall_s / 1000:,.1f}", f"{run.peak_mib:.0f}", f"{run.errors:,}"]
            for name, run in runs.items()
        ],
        verdicts=[at_least("XLSX engine compared with openpyxl's bare loop", runs["openpyxl, bare loop"].wall_s / runs["Rowgate's engine"].wall_s, TARGET)],
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )

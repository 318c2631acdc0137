"""Measure the cost of a rule that spans columns: the engine with a `@row_check`, compared with the engine alone and with pandas alone."""

from __future__ import annotations

from functools import partial

from bench.engine import name_share, run_engine
from bench.files import make_csv
from bench.measure import Plan, alternate, run_child, say, warm
from bench.report import Section, at_most, describe_conditions

WITHOUT, WITH, PEER = "Engine without a row check", "Engine with a row check", "pandas alone, the same rule and no other"
MAX_COST = 1.5
SHARES = (0.0, 0.01)


def measure_row_check(plan: Plan) -> Section:
    """Measure a rule over a boolean, a date and a number, on a clean file and on one with bad cells."""
    rows: list[list[str]] = []
    verdicts = []
    for share in SHARES:
        file = make_csv(plan.data, rows=plan.rows, bad_share=share)
        warm(file.path)
        say(f"row check, {name_share(share)}")
        contestants = {
            WITHOUT: partial(run_engine, file.path),
            WITH: partial(run_child, "bench.run_row_check", "engine", str(file.path)),
        }
        if not share:  # pandas refuses a file with rows of different widths
            contestants[PEER] = partial(run_child, "bench.run_row_check", "pandas", str(file.path))
        runs = alternate(contestants, times=plan.times)
        for name, run in runs.items():
            rows.append(
                [f"{name}, {name_share(share)}", f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{plan.rows / run.wall_s / 1000:,.0f}", f"{run.peak_mib:.0f}"]
            )
        if PEER in runs:
            difference = abs(runs[WITH].errors - runs[PEER].errors) if runs[PEER].errors else runs[WITH].errors + 1
            verdicts.append(at_most(f"Rows that only one of engine and pandas rejects, {name_share(share)}", difference, 0, ""))
        verdicts.append(at_most(f"Engine with a row check compared with none, {name_share(share)}", runs[WITH].wall_s / runs[WITHOUT].wall_s, MAX_COST))
    return Section(
        title="Rules that span columns",
        about=(
            "One process for each run, without its start. The rule is over a boolean, a date and a number (`an active account that joined in the future"
            " must not have a balance`), as a `@row_check` on a typed pandas DataFrame for each chunk. pandas alone reads the file as a whole, into the same"
            " Arrow-backed types, and applies the same expression; it checks nothing else."
        ),
        headings=("What", "Wall s", "CPU s", "krows/s", "Peak MiB"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )

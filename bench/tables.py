"""Measure tables that are unlike the standard one: very wide, and with keys in every row."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import Plan, Run, alternate, run_child, say, warm
from bench.report import Section, Verdict, at_most, describe_conditions

CELLS = 16.0
"""Cells of the wide tables, as a multiple of the standard file's rows."""
WIDTHS = (10, 1_000, 16_000)
MAX_WIDE, MAX_KEYS = 2.0, 3.0
KEY_ROWS = 3.0
SEED = 20_261_201

KEY_FIELDS: Sequence[Mapping[str, Any]] = (
    {"name": "id", "type": "integer"},
    {"name": "email", "type": "string"},
    {"name": "code", "type": "string"},
    {"name": "city", "type": "string"},
    {"name": "amount", "type": "number"},
)
KEY_CONSTRAINTS: Mapping[str, Mapping[str, Any]] = {
    "email": {"unique": True, "pattern": "[a-z0-9]+@[a-z]+\\.com"},
    "code": {"pattern": "[A-Z]{2}-[0-9]{6}"},
}


def measure_tables(plan: Plan) -> Section:
    """Measure the time of a cell by the width of its table, and what keys and patterns add."""
    rows: list[list[str]] = []
    verdicts: list[Verdict] = []
    say("tables: wide ones")
    files = {width: _make_wide(plan, width) for width in WIDTHS}
    warm(*(path for path, _ in files.values()))
    contestants = {str(width): _run(path, {"fields": _wide_fields(width)}) for width, (path, _) in files.items()}
    runs = alternate(contestants, times=plan.times)
    per_cell = {width: runs[str(width)].wall_s / files[width][1] for width in WIDTHS}
    for width in WIDTHS:
        rows.append([f"{width:,} columns, {files[width][1]:,} cells", *_figures(runs[str(width)]), f"{per_cell[width] * 1e9:.0f}"])
        if width != WIDTHS[0]:
            verdicts.append(at_most(f"Time of a cell at {width:,} columns compared with {WIDTHS[0]}", per_cell[width] / per_cell[WIDTHS[0]], MAX_WIDE))
    say("tables: keys")
    path = _make_keys(plan)
    warm(path)
    plain, keyed = {"fields": list(KEY_FIELDS)}, {"fields": [_constrain(field) for field in KEY_FIELDS], "primaryKey": "id"}
    runs = alternate({"without": _run(path, plain), "with": _run(path, keyed)}, times=plan.times)
    count = round(plan.rows * KEY_ROWS)
    rows += [[f"{count:,} rows, {name} a primary key, a unique column and two patterns", *_figures(run), "-"] for name, run in runs.items()]
    ratio = runs["with"].wall_s / runs["without"].wall_s
    verdicts.append(at_most(f"{count:,} rows with a primary key, a unique column and two patterns compared with none", ratio, MAX_KEYS))
    return Section(
        title="Wide tables, and tables with keys",
        about=(
            "The engine alone, one process for each run. Wide: columns of whole numbers and of short texts in turn, all good."
            " Keys: numbers and texts of 16 to 23 bytes in no order, all different."
        ),
        headings=("What", "Wall s", "CPU s", "Peak MiB", "ns a cell"),
        rows=rows,
        verdicts=verdicts,
        conditions=describe_conditions(times=plan.times, rows=plan.rows),
    )


def _run(path: Path, schema: Mapping[str, Any]) -> Callable[[], Run]:
    # A command line cannot be as long as a schema of 16,000 fields.
    described = path.with_name(f"{path.stem}-{'keyed' if 'primaryKey' in schema else 'plain'}.schema.json")
    described.write_text(json.dumps(schema))
    return partial(run_child, "bench.run_tables", str(path), str(described))


def _figures(run: Run) -> list[str]:
    return [f"{run.wall_s:.2f}", f"{run.cpu_s:.2f}", f"{run.peak_mib:.0f}"]


def _wide_fields(width: int) -> list[Mapping[str, Any]]:
    return [{"name": f"c{column}", "type": "integer" if column % 2 else "string"} for column in range(width)]


def _make_wide(plan: Plan, width: int) -> tuple[Path, int]:
    count = max(1, round(plan.rows * CELLS) // width)
    path = plan.data / f"wide-{width}x{count}.csv"

    def write() -> Iterable[str]:
        chooser = random.Random(SEED)
        yield ",".join(f"c{column}" for column in range(width))
        for _ in range(count):
            yield ",".join(str(chooser.randrange(10**6)) if column % 2 else f"text{chooser.randrange(1000)}" for column in range(width))

    return _write_once(path, write), count * width


def _make_keys(plan: Plan) -> Path:
    count = round(plan.rows * KEY_ROWS)

    def write() -> Iterable[str]:
        chooser = np.random.default_rng(SEED)
        ids, users = chooser.permutation(count).tolist(), chooser.permutation(count).tolist()
        yield "id,email,code,city,amount"
        for row, (number, user) in enumerate(zip(ids, users, strict=True)):
            yield f"{number},user{user}@example.com,AB-{user % 10**6:06},{('Berlin', 'Paris', 'Madrid', 'Rome')[row % 4]},{row % 1000}.{row % 90 + 10}"

    return _write_once(plan.data / f"keys-{count}.csv", write)


def _constrain(field: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**field, "constraints": KEY_CONSTRAINTS[field["name"]]} if field["name"] in KEY_CONSTRAINTS else field


def _write_once(path: Path, lines: Callable[[], Iterable[str]]) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines())
        unfinished.rename(path)
    return path

"""Measure inference: how many everyday columns are judged right without a schema, beside peers, and how fast local forms are parsed beside ISO ones."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.everyday_columns import Column as EverydayColumn
from bench.everyday_columns import list_forms, make_column
from bench.measure import Plan, run_json, say
from bench.peers import peer_versions, prepare_peers
from bench.reading_part import ReadingPart
from bench.report import Verdict, at_most
from features.processing.checking.type_rule import TypeRule
from features.processing.column import Column
from features.processing.engine import inspect_file
from shared.descriptors.table_schema import Field

PEERS = ("duckdb", "frictionless")
OURS, PANDAS = "Rowgate", "pandas, to_numeric and to_datetime"
ROWS, BAD_SHARE, SEED = 300, 0.05, 20_261_129
CLEAN_ROWS = 60
"""At the start, so that peers that look at a few rows only can find the type."""
RIGHT_TARGET = 0.95
MAX_SLOWDOWN = 2.0
CHUNK_ROWS, REPEATS = 10_000, 30
SHARES = (0.0, 0.01)
_MOST = 0.9


def measure_columns(plan: Plan) -> ReadingPart:
    """Measure the share of everyday columns of which exactly the planted cells are called wrong, and the time for a cell in each local form."""
    say("everyday columns without a schema")
    columns = _make_columns(plan.data / "everyday")
    found = {OURS: _find_by_engine(columns), PANDAS: _find_by_pandas(columns)}
    found |= run_json("bench.run_peer_columns", str(plan.data / "everyday"), python=prepare_peers())
    shares = {
        name: sum(set(by_file[stem]) == {row + 1 for row in column.bad_rows} for stem, (_, column) in columns.items()) / len(columns)
        for name, by_file in found.items()
    }
    others = ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if name != OURS)
    rows = [("Columns in everyday forms, without a schema", f"{len(columns)} columns", f"{shares[OURS]:.1%}", others)]
    verdicts = [Verdict("Everyday columns right without a schema", f"≥ {RIGHT_TARGET:.0%}", f"{shares[OURS]:.1%}", shares[OURS] >= RIGHT_TARGET)]
    for share in SHARES:
        say(f"cells in local forms, {share:.0%} bad")
        for (name, _, _), figure, ratio in _time_forms(share):
            told = f"{share:.0%} bad" if share else "clean"
            rows.append((f"Time of {name}, {told}", f"{CHUNK_ROWS:,} cells", f"{figure * 1e9:.0f} ns a cell", f"{ratio:.1f}x of ISO" if ratio else "-"))
            if ratio:
                verdicts.append(at_most(f"Time for {name} compared with ISO, {told}", ratio, MAX_SLOWDOWN))
    return ReadingPart(rows=rows, verdicts=verdicts, peers=peer_versions(names=PEERS))


def _make_columns(folder: Path) -> Mapping[str, tuple[Path, EverydayColumn]]:
    """Write a file for each form, and return it with its column by the file's name."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(SEED)
    columns: dict[str, tuple[Path, EverydayColumn]] = {}
    for number, form in enumerate(list_forms()):
        column = make_column(form, chance, rows=ROWS, bad_share=BAD_SHARE, clean_rows=CLEAN_ROWS)
        path = folder / f"{number:03}.csv"
        path.write_text("n,value\n" + "".join(f'{row},"{cell}"\n' for row, cell in enumerate(column.cells, 1)), encoding="utf-8")
        columns[path.stem] = path, column
    return columns


def _find_by_engine(columns: Mapping[str, tuple[Path, EverydayColumn]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for stem, (path, _) in columns.items():
        inspection = inspect_file(path)
        found[stem] = sorted({row - 1 for report in inspection.reports() for finding in report.findings for row in finding.row_numbers.tolist()})
        inspection.close()
    return found


def _find_by_pandas(columns: Mapping[str, tuple[Path, EverydayColumn]]) -> dict[str, list[int]]:
    """Return the rows that pandas cannot convert, where it converts nine of ten."""
    found: dict[str, list[int]] = {}
    for stem, (path, _) in columns.items():
        texts = pd.read_csv(path)["value"].astype(str)
        found[stem] = []
        for convert in (pd.to_numeric, pd.to_datetime):
            converted = _convert(convert, texts)
            if converted.notna().mean() >= _MOST:
                found[stem] = (np.flatnonzero(converted.isna()) + 1).tolist()
                break
    return found


def _convert(convert: Callable[..., pd.Series], texts: pd.Series) -> pd.Series:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a date's form could not be told
            return convert(texts, errors="coerce")
    except (ValueError, TypeError, OverflowError):
        return pd.Series([None] * len(texts))


_Timed = tuple[str, dict[str, object], str]
"""Name, properties of the field, and the form of its cells in `bench.everyday_columns`."""
_TIMED: Sequence[tuple[_Timed, Sequence[_Timed]]] = (
    (
        ("date 2024-12-31", {"type": "date"}, "date, ISO"),
        (
            ("date 31/12/2024", {"type": "date", "format": "%d/%m/%Y"}, "date, d/m/Y"),
            ("date 12/31/2024", {"type": "date", "format": "%m/%d/%Y"}, "date, m/d/Y"),
            ("date 31.12.2024", {"type": "date", "format": "%d.%m.%Y"}, "date, d.m.Y"),
        ),
    ),
    (
        ("datetime 2024-12-31T15:30:00", {"type": "datetime"}, "datetime, ISO"),
        (("datetime 2024-12-31 15:30:00", {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S"}, "datetime, %Y-%m-%d %H:%M:%S"),),
    ),
    (("time 15:30:00", {"type": "time"}, "time, ISO"), (("time 15:30", {"type": "time", "format": "%H:%M"}, "time, %H:%M"),)),
    (
        ("number 1234.50", {"type": "number"}, "number, point"),
        (
            ("number 1234,50", {"type": "number", "decimal_char": ","}, "number, comma"),
            ("number 1.234,50", {"type": "number", "decimal_char": ",", "group_char": "."}, "number, German"),
            ("number 1.234,50 €", {"type": "number", "decimal_char": ",", "group_char": ".", "bare_number": False}, "number, German, _1 €"),
            ("number $1,234.50", {"type": "number", "group_char": ",", "bare_number": False}, "number, US, $1_"),
            ("number 95.50%", {"type": "number", "bare_number": False}, "number, point, _1%"),
        ),
    ),
)


def _time_forms(bad_share: float) -> list[tuple[_Timed, float, float]]:
    """Return the seconds for a cell in each form, and how many times those of the ISO form they are (0 for this itself)."""
    results: list[tuple[_Timed, float, float]] = []
    for standard, others in _TIMED:
        base = _time_one(standard, bad_share)
        results.append((standard, base, 0.0))
        for other in others:
            taken = _time_one(other, bad_share)
            results.append((other, taken, taken / base))
    return results


def _time_one(timed: _Timed, bad_share: float) -> float:
    """Return the shortest of many times for a chunk, by its cells."""
    _, properties, form_name = timed
    (form,) = (form for form in list_forms() if form.name == form_name)
    column = make_column(form, random.Random(SEED), rows=CHUNK_ROWS, bad_share=bad_share)
    text = pa.array(column.cells, pa.string())
    rule = TypeRule(Field(name="value", **properties))  # type: ignore[arg-type]
    everything = np.ones(CHUNK_ROWS, np.bool_)
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        rule.judge(Column(text), everything)
        best = min(best, time.perf_counter() - start)
    return best / CHUNK_ROWS

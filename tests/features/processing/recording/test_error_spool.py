"""Errors in any order come out by row and column."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.readers.base import Finding
from features.processing.recording.error_spool import ErrorSpool


def make_finding(rows: Sequence[int], column: int | None, error_type: str) -> Finding:
    return Finding(
        error_type=error_type,
        row_numbers=np.array(rows, np.int64),
        message="Wrong.",
        raw_values=None if column is None else pa.array([f"{row}" for row in rows]),
        column_number=column,
        column_name=None if column is None else f"c{column}",
    )


def read(spool: ErrorSpool) -> list[dict[str, object]]:
    try:
        return [record for table in spool.read() for record in table.to_pylist()]
    finally:
        spool.close()


ROWS = st.sets(st.integers(1, 60), min_size=1, max_size=20).map(sorted)
FINDINGS = st.lists(st.builds(make_finding, ROWS, st.none() | st.integers(1, 30), st.sampled_from(["a", "b"])), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FINDINGS, max_size=5))
def test_any_findings_come_out_once_and_in_order(tmp_path: Path, reports: list[list[Finding]]) -> None:
    # Every report is of rows of its own, as chunks are; so are the parts of what is only known at the end.
    spool = ErrorSpool(tmp_path)
    wanted = []
    for number, report in enumerate(reports):
        for finding in report:
            finding.row_numbers[:] += (number % 3) * 100 if number < 3 else 1000 * number
        spool.add(report)
        wanted += [(int(row), finding.column_number or 0) for finding in report for row in finding.row_numbers]
    records = read(spool)
    assert [(record["row_number"], record["column_number"] or 0) for record in records] == sorted(wanted)
    assert list(tmp_path.iterdir()) == []


def test_late_errors_come_among_the_others(tmp_path: Path) -> None:
    spool = ErrorSpool(tmp_path)
    spool.add([make_finding([2, 5], 1, "type-error")])
    spool.add([make_finding([12, 15], 28, "type-error")])
    spool.add([make_finding([5, 12], None, "foreign-key-error")])
    spool.add([make_finding([13], None, "foreign-key-error")])
    records = read(spool)
    assert [(record["row_number"], record["cell"]) for record in records] == [
        (2, "A2"),
        (5, None),
        (5, "A5"),
        (12, None),
        (12, "AB12"),
        (13, None),
        (15, "AB15"),
    ]


def test_no_errors_give_nothing(tmp_path: Path) -> None:
    spool = ErrorSpool(tmp_path)
    spool.add([])
    assert read(spool) == []

"""On generated tables and schemas the checks agree with a slow and simple oracle, for any chunk size and any memory limit."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.checking.checker import Checker
from features.processing.readers.base import Chunk, Finding, ReadLimits
from shared.descriptors.table_schema import parse_table_schema
from tests.features.processing.cases import cases
from tests.features.processing.oracle import Error, check_table


def _run(schema: dict[str, Any], rows: list[list[str | None]], *, chunk_rows: int, spill: int) -> tuple[set[Error], int]:
    width = len(schema["fields"])
    limits = ReadLimits(spill_threshold_bytes=spill)
    checker = Checker(parse_table_schema(schema), labels=[field["name"] for field in schema["fields"]], header_row=1, limits=limits)
    found: list[Error] = []
    rows_failed = 0
    try:
        assert not checker.check_header()
        for start in range(0, len(rows), chunk_rows):
            part = rows[start : start + chunk_rows]
            # A slice of a longer array, as readers produce it.
            columns = [pa.array(["äx", *(row[index] for row in part), "x"], pa.string()).slice(1, len(part)) for index in range(width)]
            result = checker.check(Chunk(columns=columns, row_numbers=np.arange(start + 2, start + 2 + len(part))))
            found += _errors_of(result.findings)
            rows_failed += result.rows_failed
        for result in checker.finish():
            found += _errors_of(result.findings)
            rows_failed += result.rows_failed
    finally:
        checker.close()
    per_cell = [(row, column) for row, column, _ in found if column is not None]
    assert len(per_cell) == len(set(per_cell)), "one bad cell gives one error"
    return set(found), rows_failed


def _errors_of(findings: Any) -> list[Error]:
    errors: list[Error] = []
    for finding in findings:
        assert isinstance(finding, Finding)
        assert (finding.raw_values is None) == (finding.column_number is None)
        errors += [(int(row), finding.column_number, finding.error_type) for row in finding.row_numbers]
    return errors


@pytest.mark.slow
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.sampled_from([1, 2, 3, 10_000]), st.sampled_from([0, 64 * 2**20]))
def test_any_table_and_schema_gives_the_errors_of_the_oracle(case: tuple[dict[str, Any], list[list[str | None]]], chunk_rows: int, spill: int) -> None:
    schema, rows = case
    expected = check_table(schema, rows)
    errors, rows_failed = _run(schema, rows, chunk_rows=chunk_rows, spill=spill)
    assert errors == expected
    assert rows_failed == len({row for row, _, _ in expected})


def test_columns_without_a_cell_take_the_memory_of_one() -> None:
    names = [f"c{index}" for index in range(2_000)]
    checker = Checker(parse_table_schema({"fields": [{"name": name, "type": "integer"} for name in names]}), labels=names, header_row=1, limits=ReadLimits())
    empty = pa.array([""] * 10_000, pa.string())
    chunk = Chunk(columns=[empty] * len(names), row_numbers=np.arange(2, 10_002))
    tracemalloc.start()
    try:
        assert checker.check(chunk).rows_failed == 0
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        checker.close()
    # A mask of each column alone would take 20 MB.
    assert peak_bytes < 10 * 2**20

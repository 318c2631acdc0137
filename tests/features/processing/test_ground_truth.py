"""The whole engine on tables in which every bad cell is known: no error is missed and none is false, by (row, column, error type, raw value)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.files import TABLE_SCHEMA, BenchFile, make_csv
from bench.truth import collect_errors, compare
from bench.workbooks import make_xls, make_xlsx
from features.processing.engine import inspect_file
from features.processing.readers.base import ReadLimits
from shared.descriptors.table_schema import parse_table_schema

pytestmark = pytest.mark.slow


def assert_exact(file: BenchFile, limits: ReadLimits | None = None) -> None:
    found = collect_errors(inspect_file(file.path, table_schema=parse_table_schema(dict(TABLE_SCHEMA)), limits=limits))
    difference = compare(found.errors, file.read_truth())
    assert (difference.missed.most_common(5), difference.spurious.most_common(5)) == ([], [])
    assert (found.rows, found.rows_failed, found.errors.num_rows) == (file.rows, file.rows_failed, file.error_count)


@pytest.mark.parametrize("bad_share", [0.0, 0.01, 0.2, 1.0])
def test_csv_of_twenty_thousand_rows_gives_every_error_and_no_other(tmp_path: Path, bad_share: float) -> None:
    assert_exact(make_csv(tmp_path, rows=20_000, bad_share=bad_share))


def test_csv_of_two_hundred_and_sixty_thousand_rows_gives_every_error_and_no_other(tmp_path: Path) -> None:
    assert_exact(make_csv(tmp_path, rows=260_000, bad_share=0.05))


@pytest.mark.parametrize("chunk_rows", [1, 7, 250])
def test_size_of_chunks_changes_no_error(tmp_path: Path, chunk_rows: int) -> None:
    assert_exact(make_csv(tmp_path, rows=500, bad_share=0.3), ReadLimits(chunk_rows=chunk_rows))


@pytest.mark.parametrize("make", [make_xlsx, make_xls])
@pytest.mark.parametrize(("rows", "bad_share"), [(2_000, 0.0), (20_000, 0.2)])
def test_workbook_gives_every_error_and_no_other(tmp_path: Path, make: Callable[..., BenchFile], rows: int, bad_share: float) -> None:
    assert_exact(make(tmp_path, rows=rows, bad_share=bad_share))


def test_truth_counts_what_a_generated_file_holds(tmp_path: Path) -> None:
    file = make_csv(tmp_path, rows=20_000, bad_share=0.2)
    truth = file.read_truth()
    types = set(truth["error_type"].to_pylist())
    assert {"blank-row", "missing-cell", "extra-cell", "type-error", "unique-error", "pattern-error", "enum-error", "max-length-error"} <= types
    assert truth.num_rows == file.error_count > 35_000

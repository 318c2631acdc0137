"""From the bytes of a file to its errors: the whole engine compared with a simple CSV reader and one rule at a time."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.processing.engine import inspect_file
from features.processing.readers.base import ReadLimits
from shared.descriptors.table_dialect import parse_table_dialect
from shared.descriptors.table_schema import parse_table_schema
from tests.features.processing.cases import cases
from tests.features.processing.oracle import Error, check_table
from tests.features.processing.readers.csv import oracle as csv_oracle

_FORMS: list[dict[str, Any]] = [
    {"delimiter": ",", "quoteChar": '"'},
    {"delimiter": ";", "quoteChar": "'"},
    {"delimiter": "\t", "quoteChar": '"'},
    {"delimiter": "|", "quoteChar": '"', "commentChar": "#"},
    {"delimiter": ",", "quoteChar": '"', "escapeChar": "\\", "doubleQuote": False},
]


@st.composite
def _files(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Draw a schema, a dialect, and a UTF-8 file in which some rows are too short, too long or blank."""
    schema, rows = draw(cases())
    form = draw(st.sampled_from(_FORMS))
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=form["delimiter"],
        quotechar=form["quoteChar"],
        escapechar=form.get("escapeChar"),
        doublequote=form.get("doubleQuote", True),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    writer.writerow([field["name"] for field in schema["fields"]])
    for row in rows:
        width = draw(st.sampled_from([len(row)] * 6 + [0, 1, len(row) + 1]))
        writer.writerow([*("" if cell is None else cell for cell in row), "more"][:width])
        if draw(st.integers(0, 5)) == 0:
            text.write(draw(st.sampled_from(["\n", "\n\n", " \n", form["delimiter"] + "\n"])))
    return schema, form, draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + text.getvalue().encode()


def _expect(schema: dict[str, Any], form: dict[str, Any], data: bytes) -> tuple[set[Error], int, int]:
    """Return all expected errors, the number of processed rows, and the number of failed rows."""
    read = csv_oracle.read(
        data,
        delimiter=form["delimiter"],
        quote=form["quoteChar"],
        escape=form.get("escapeChar"),
        double=form.get("doubleQuote", True),
        comment=form.get("commentChar"),
    )
    assert read is not None
    numbers = [number for number, _ in read.rows]
    errors: set[Error] = {(row, column or None, kind) for row, column, kind, _ in read.errors}
    errors |= {(numbers[index], column, kind) for index, column, kind in check_table(schema, [cells for _, cells in read.rows], first_row=0)}
    return errors, len(read.rows) + read.rows_lost, read.rows_lost + len({row for row, _, _ in errors} & set(numbers))


def _inspect(path: Path, schema: dict[str, Any], form: dict[str, Any], chunk_rows: int) -> tuple[set[Error], int, int]:
    limits = ReadLimits(chunk_rows=chunk_rows)
    inspection = inspect_file(path, table_schema=parse_table_schema(schema), dialect=parse_table_dialect(form), encoding="utf-8", limits=limits)
    try:
        reports = list(inspection.reports())
    finally:
        inspection.close()
    findings = [finding for report in reports for finding in report.findings]
    errors = {(int(row), finding.column_number, finding.error_type) for finding in findings for row in finding.row_numbers}
    assert sum(map(len, findings)) >= len(errors)
    return errors, sum(report.rows_processed for report in reports), sum(report.rows_failed for report in reports)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_files(), st.sampled_from([1, 2, 3, 10_000]))
def test_any_file_gives_the_errors_of_the_oracle(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[dict[str, Any], dict[str, Any], bytes], chunk_rows: int
) -> None:
    schema, form, data = case
    path = tmp_path_factory.mktemp("engine") / "a.csv"
    path.write_bytes(data)
    assert _inspect(path, schema, form, chunk_rows) == _expect(schema, form, data)

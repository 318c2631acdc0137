"""Compare what an inspection found with the true errors of its file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa

from bench.files import TRUTH_SCHEMA
from features.processing.engine import Inspection
from features.processing.readers.base import Finding
from features.processing.recording.findings import findings_to_table

KEY = TRUTH_SCHEMA.names


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The result of one inspection."""

    rows: int
    rows_failed: int
    errors: pa.Table
    """The errors as `TRUTH_SCHEMA`, ordered by row, then column."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Errors by (row, column, type, raw value) that only one side has."""

    missed: Counter[tuple[object, ...]]
    spurious: Counter[tuple[object, ...]]


def collect_errors(inspection: Inspection) -> Found:
    """Read the file to its end, close it, and return what was found."""
    rows = rows_failed = 0
    findings: list[Finding] = []
    try:
        for report in inspection.reports():
            rows += report.rows_processed
            rows_failed += report.rows_failed
            findings += report.findings
    finally:
        inspection.close()
    return Found(rows=rows, rows_failed=rows_failed, errors=_in_order(findings_to_table(findings).select(KEY)))


def compare(found: pa.Table, truth: pa.Table) -> Difference:
    """Return the errors that `found` lacks, and those that only `found` has; both tables are `TRUTH_SCHEMA`."""
    if _in_order(found).equals(_in_order(truth)):
        return Difference(Counter(), Counter())
    ours, theirs = (Counter(zip(*(table[name].to_pylist() for name in KEY), strict=True)) for table in (found, truth))
    return Difference(theirs - ours, ours - theirs)


def _in_order(errors: pa.Table) -> pa.Table:
    return errors.cast(TRUTH_SCHEMA).sort_by([(name, "ascending") for name in KEY]).combine_chunks()

"""Strategies for findings in any order, and the sorted list of records that they must become."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from features.processing.readers.base import Finding
from features.processing.recording.findings import RECORD_SCHEMA, findings_to_table

Record = tuple[Any, ...]

TEXTS = ["", "x", "longer text", "é" * 1001, "a\0b", "\0" * 300, "x" * 999 + "\0", "😀" * 600]
NAMES = ["amount", "a\0b", 'na"me\\', "ü" * 300]
MESSAGES = ["This value must be a whole number.", 'At most "5" is\0 allowed.', "Zu groß."]


@st.composite
def one_finding(draw: st.DrawFn) -> Finding:
    rows = sorted(draw(st.lists(st.integers(1, 15), max_size=6)))
    column = draw(st.sampled_from([None, 1, 2, 3]))
    raw_values = None
    if column is not None and draw(st.booleans()):
        raw_values = pa.array(draw(st.lists(st.sampled_from([None, *TEXTS]), min_size=len(rows), max_size=len(rows))), pa.string())
        if len(rows) > 1 and draw(st.booleans()):
            rows, raw_values = rows[1:], raw_values.slice(1)
    return Finding(
        error_type=draw(st.sampled_from(["type-error", "required-error", "unique-error"])),
        row_numbers=np.array(rows, np.int64),
        message=draw(st.sampled_from(MESSAGES))
        if draw(st.booleans())
        else pa.array(draw(st.lists(st.sampled_from(MESSAGES), min_size=len(rows), max_size=len(rows))), pa.string()),
        raw_values=raw_values,
        column_number=column,
        column_name=None if column is None else draw(st.sampled_from(NAMES)),
        params=draw(st.sampled_from([{}, {"minimum": 1}, {"enum": ["é", 'a"b}']}])),
        first_rows=np.array(draw(st.lists(st.sampled_from([0, 2, 2**40]), min_size=len(rows), max_size=len(rows))), np.int64) if draw(st.booleans()) else None,
    )


def sort_records(findings: Iterable[Finding]) -> list[Record]:
    """Sort by row and column; records of one place keep the order in which they were found."""
    records = [tuple(record[name] for name in RECORD_SCHEMA.names) for record in findings_to_table(findings).to_pylist()]
    return sorted(records, key=lambda record: (record[0], record[1] or 0))

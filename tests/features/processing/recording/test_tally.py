"""Counting errors by column and type."""

from __future__ import annotations

import numpy as np

from features.processing.readers.base import Finding
from features.processing.recording.tally import ErrorTally


def finding(error_type: str, count: int, column_number: int | None = None, column_name: str | None = None) -> Finding:
    return Finding(error_type=error_type, row_numbers=np.arange(count), message="m", column_number=column_number, column_name=column_name)


def make_tally() -> ErrorTally:
    tally = ErrorTally()
    tally.add([finding("type-error", 3, 2, "b"), finding("blank-row", 1), finding("type-error", 1, 1, "a")], stored=[finding("type-error", 2, 2, "b")])
    tally.add([finding("type-error", 2, 2, "b"), finding("extra-cell", 1, 3)])
    return tally


def test_counts_add_up_over_chunks() -> None:
    tally = make_tally()
    assert (tally.error_count, tally.stored_count) == (8, 2)
    assert tally.by_type() == [{"error_type": "type-error", "count": 6}, {"error_type": "blank-row", "count": 1}, {"error_type": "extra-cell", "count": 1}]


def test_columns_are_listed_by_frequency_then_in_their_order() -> None:
    assert make_tally().by_column() == [
        {"column_name": "b", "error_type": "type-error", "count": 5},
        {"column_name": None, "error_type": "blank-row", "count": 1},
        {"column_name": "a", "error_type": "type-error", "count": 1},
        {"column_name": None, "error_type": "extra-cell", "count": 1},
    ]


def test_columns_of_one_name_are_counted_together() -> None:
    tally = ErrorTally()
    tally.add([finding("type-error", 1, 1, "a"), finding("type-error", 2, 4, "a")])
    assert tally.by_column() == [{"column_name": "a", "error_type": "type-error", "count": 3}]
    assert [entry.column_number for entry in tally.entries] == [1, 4]


def test_json_has_an_entry_for_each_column_and_type() -> None:
    tally = make_tally()
    assert tally.to_json()[2] == {"column_number": 2, "column_name": "b", "error_type": "type-error", "count": 5, "stored": 2}

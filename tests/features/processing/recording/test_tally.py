"""Counting errors by column, type and cause."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Finding
from features.processing.recording.tally import MAX_CAUSES, MAX_CAUSES_OF_ALL, ErrorTally
from shared.jobs.error_counts import OTHER_CAUSES


def finding(error_type: str, count: int, column_number: int | None = None, column_name: str | None = None) -> Finding:
    return Finding(error_type=error_type, row_numbers=np.arange(count), message="m", column_number=column_number, column_name=column_name)


def cell_finding(rows: list[int], message: str | list[str], values: list[str], *, column_number: int = 1) -> Finding:
    said = message if isinstance(message, str) else pa.array(message)
    return Finding(
        error_type="type-error",
        row_numbers=np.array(rows),
        message=said,
        raw_values=pa.array(values),
        column_number=column_number,
        column_name=f"c{column_number}",
    )


def describe(entry: dict[str, Any]) -> tuple[Any, ...]:
    return entry["error_message"], entry["count"], entry["first_row_number"], entry["examples"]


def make_tally() -> ErrorTally:
    tally = ErrorTally()
    tally.add([finding("type-error", 3, 2, "b"), finding("blank-row", 1), finding("type-error", 1, 1, "a")], stored=[finding("type-error", 2, 2, "b")])
    tally.add([finding("type-error", 2, 2, "b"), finding("extra-cell", 1, 3)])
    return tally


def test_counts_add_up_over_chunks() -> None:
    tally = make_tally()
    assert (tally.error_count, tally.stored_count) == (8, 2)
    assert tally.by_type() == [{"error_type": "type-error", "count": 6}, {"error_type": "blank-row", "count": 1}, {"error_type": "extra-cell", "count": 1}]


def test_causes_are_listed_by_frequency_then_in_the_order_of_columns() -> None:
    assert [(entry["column_name"], entry["error_type"], entry["count"]) for entry in make_tally().by_column()] == [
        ("b", "type-error", 5),
        (None, "blank-row", 1),
        ("a", "type-error", 1),
        (None, "extra-cell", 1),
    ]


def test_columns_of_one_name_and_sentence_are_counted_together() -> None:
    tally = ErrorTally()
    tally.add([finding("type-error", 1, 1, "a"), finding("type-error", 2, 4, "a")])
    assert tally.by_column() == [
        {"column_name": "a", "error_type": "type-error", "error_message": "m", "count": 3, "first_row_number": 0, "examples": []},
    ]
    assert [entry.column_number for entry in tally.entries] == [1, 4]


def test_json_has_an_entry_for_each_column_and_type() -> None:
    assert make_tally().to_json()[2] == {
        "column_number": 2,
        "column_name": "b",
        "error_type": "type-error",
        "count": 5,
        "stored": 2,
        "causes": [{"error_message": "m", "count": 5, "first_row_number": 0, "examples": []}],
    }


def test_each_sentence_is_a_cause_with_its_first_row_and_three_distinct_examples() -> None:
    tally = ErrorTally()
    tally.add([cell_finding([5, 7, 8, 9], ["no number", "a blank", "no number", "no number"], ["x", "1 ", "x", "y"])])
    tally.add([cell_finding([12, 13, 14], "no number", ["z", "w", "v"])])
    assert [describe(entry) for entry in tally.by_column()] == [("no number", 6, 5, ["x", "y", "z"]), ("a blank", 1, 7, ["1 "])]


def test_late_findings_of_earlier_rows_move_the_first_row() -> None:
    tally = ErrorTally()
    tally.add([cell_finding([50], "m", ["x"])])
    tally.add([cell_finding([3, 60], "m", ["x", "x"])])
    assert describe(tally.by_column()[0]) == ("m", 3, 3, ["x"])


def test_examples_are_cut_and_show_nul_and_empty_cells() -> None:
    tally = ErrorTally()
    tally.add([cell_finding([2, 3, 4], "m", ["x" * 500, "", "a\0"])])
    assert tally.by_column()[0]["examples"] == ["x" * 99 + "…", "", "a\\x00"]


def test_more_sentences_than_can_be_listed_are_counted_together_and_exactly() -> None:
    tally = ErrorTally()
    for start in (0, 100):
        rows = list(range(start, start + 100))
        tally.add([cell_finding(rows, [f"row {row % 150}" for row in rows], ["x"] * 100)])
    entries = tally.by_column()
    assert describe(entries[0]) == (OTHER_CAUSES, 180, MAX_CAUSES, [])
    assert [describe(entry) for entry in entries[1:]] == [(f"row {row}", 2, row, ["x"]) for row in range(MAX_CAUSES)]


def test_causes_of_very_many_columns_are_kept_short() -> None:
    tally = ErrorTally()
    tally.add([cell_finding([2, 3], [f"{'m' * 500}{column}", "another"], ["x", "y"], column_number=column) for column in range(1, MAX_CAUSES_OF_ALL + 1)])
    last = tally.to_json()[-1]
    assert (last["count"], sum(cause["count"] for cause in last["causes"])) == (2, 2)
    assert (len(last["causes"][0]["error_message"]), last["causes"][0]["examples"]) == (100, [])

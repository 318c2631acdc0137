"""Findings as error records."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from features.processing.readers.base import Finding
from features.processing.recording.display import show_messages, show_values
from features.processing.recording.findings import RECORD_SCHEMA, findings_to_table, split_rows, take_findings


def cell_finding(*rows: int, raw: str = "x", name: str | None = "amount") -> Finding:
    return Finding(
        error_type="type-error",
        row_numbers=np.array(rows),
        message="This value must be a whole number.",
        raw_values=pa.array([raw] * len(rows)),
        column_number=3,
        column_name=name,
    )


def test_cells_and_rows_become_records() -> None:
    row = Finding(error_type="blank-row", row_numbers=np.array([9]), message=pa.array(["This row is empty."]))
    table = findings_to_table([cell_finding(2, 5), row])
    assert table.schema == RECORD_SCHEMA
    assert table.to_pylist() == [
        dict(zip(RECORD_SCHEMA.names, (2, 3, "amount", "type-error", "This value must be a whole number.", "x", "{}"), strict=True)),
        dict(zip(RECORD_SCHEMA.names, (5, 3, "amount", "type-error", "This value must be a whole number.", "x", "{}"), strict=True)),
        dict(zip(RECORD_SCHEMA.names, (9, None, None, "blank-row", "This row is empty.", None, "{}"), strict=True)),
    ]


def test_nothing_found_is_an_empty_table() -> None:
    assert findings_to_table([]).num_rows == 0


def test_long_name_is_cut_and_its_nul_shown() -> None:
    names = findings_to_table([cell_finding(2, name="a\0" + "é" * 1200)])["column_name"].to_pylist()
    assert names == ["a\\x00" + "é" * 994 + "…"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\0b", "a\\x00b"), ("é" * 1001, "é" * 1000), ("\0" * 1000, "\\x00" * 250), ("x" * 999 + "\0", "x" * 999 + "\\"), ("", "")],
)
def test_raw_value_is_escaped_and_cut(text: str, shown: str) -> None:
    assert show_values(pa.array([text, None])).to_pylist() == [shown, None]


@pytest.mark.parametrize(
    ("text", "shown"), [("a\0b", "a\\x00b"), ("é" * 1001, "é" * 999 + "…"), ("é" * 1000, "é" * 1000), ("x" * 999 + "\0", "x" * 999 + "…"), ("", "")]
)
def test_message_is_escaped_and_cut(text: str, shown: str) -> None:
    assert show_messages(pa.array([text, None, "short"])).to_pylist() == [shown, None, "short"]


@pytest.mark.parametrize("messages", [["Must be 1.", None, "é" * 500], [], [None, ""]])
def test_ordinary_messages_are_not_copied(messages: list[str | None]) -> None:
    given = pa.array(["a\0", *messages, "b" * 1001], pa.string()).slice(1, len(messages))
    assert show_messages(given) is given


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9])
def test_findings_are_cut_to_a_number_of_errors(count: int) -> None:
    findings = [cell_finding(2, 3), cell_finding(4), cell_finding(5)]
    taken = take_findings(findings, count)
    assert [number for finding in taken for number in finding.row_numbers.tolist()] == [2, 3, 4, 5][:count]
    assert findings_to_table(taken).num_rows == min(count, 4)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 100])
def test_split_rows_hold_the_same_errors_and_part_no_row(count: int) -> None:
    findings = [
        Finding(error_type="type-error", row_numbers=np.arange(5), message="No.", raw_values=pa.array(list("abcde")), column_number=1, column_name="a"),
        Finding(error_type="blank-row", row_numbers=np.array([], dtype=np.int64), message="Blank."),
        Finding(error_type="primary-key-error", row_numbers=np.array([3, 4, 9]), message=pa.array(["x", "y", "z"])),
    ]
    groups = [findings_to_table(group).to_pylist() for group in split_rows(findings, count)]
    rows = [{record["row_number"] for record in group} for group in groups]
    assert all(max(earlier) < min(later) for earlier, later in itertools.combinations([numbers for numbers in rows if numbers], 2))
    everything = [record for group in groups for record in group]
    order = sorted(findings_to_table(findings).to_pylist(), key=lambda record: record["row_number"])
    assert sorted(everything, key=lambda record: record["row_number"]) == order


def test_nothing_to_split_is_one_empty_group() -> None:
    assert list(split_rows([], 10)) == [[]]

"""Findings become records in page order, and then pieces, whatever the order in which they were found."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.readers.base import Finding
from features.processing.recording.pieces import ErrorRecords, Place, cut_records, make_records, merge_records
from tests.features.processing.recording.finding_strategies import Record, one_finding, sort_records


def list_records(records: ErrorRecords) -> list[Record]:
    rules = [records.rules[number] for number in records.rule_numbers]
    firsts = [0] * len(records) if records.first_rows is None else records.first_rows.tolist()
    rows = zip(records.row_numbers.tolist(), rules, records.raw_values.to_pylist(), firsts, strict=True)
    return [(row, *rule[:4], raw_value, json.dumps(add_first(json.loads(rule.params), first), ensure_ascii=False)) for row, rule, raw_value, first in rows]


def add_first(params: dict[str, Any], first: int) -> dict[str, Any]:
    return {**params, "first_row_number": first} if first else params


def make_places(*places: tuple[int, int | None], raw: str = "x") -> ErrorRecords:
    findings = [
        Finding(
            error_type="type-error",
            row_numbers=np.array([row]),
            message="No.",
            raw_values=pa.array([raw]),
            column_number=column,
            column_name=f"column {column}",
        )
        for row, column in places
    ]
    return make_records(findings)


@given(st.lists(one_finding(), max_size=8))
def test_records_are_the_findings_by_place(findings: list[Finding]) -> None:
    records = make_records(findings)
    assert list_records(records) == sort_records(findings)
    assert len(set(records.rules)) == len(records.rules)


@given(st.lists(st.lists(one_finding(), max_size=3), min_size=1, max_size=5))
def test_merged_records_are_those_of_all_parts_by_place(parts: list[list[Finding]]) -> None:
    assert list_records(merge_records([make_records(part) for part in parts])) == sort_records(itertools.chain(*parts))


@given(st.lists(one_finding(), max_size=8), st.integers(1, 9), st.integers(1, 5000))
def test_pieces_hold_all_records_in_order_and_part_no_place(findings: list[Finding], max_records: int, max_bytes: int) -> None:
    records = make_records(findings)
    pieces = list(cut_records(records, max_records=max_records, max_bytes=max_bytes))
    assert list(itertools.chain(*map(list_records, pieces))) == list_records(records)
    assert all(earlier.place(-1) < later.place(0) for earlier, later in itertools.pairwise(pieces))
    for piece in pieces:
        is_one_place = piece.place(0) == piece.place(-1)
        assert len(piece) <= max_records or is_one_place
        assert sum(len(text.encode()) for text in piece.raw_values.to_pylist() if text) <= max_bytes or is_one_place


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (1, [1]), (10, [10]), (11, [6, 5]), (25, [9, 9, 7])])
def test_pieces_are_of_about_one_size(count: int, sizes: list[int]) -> None:
    records = make_places(*((row, 1) for row in range(count)))
    assert [len(piece) for piece in cut_records(records, max_records=10)] == sizes


@pytest.mark.parametrize(("place", "count"), [((1, 0), 0), ((2, 0), 0), ((2, 1), 1), ((2, 2), 3), ((2, 3), 3), ((3, 9), 4), ((9, 0), 4)])
def test_records_before_a_place_are_counted(place: tuple[int, int], count: int) -> None:
    assert make_places((2, None), (2, 1), (2, 1), (3, 1)).count_before(Place(*place)) == count


def test_places_too_far_apart_for_one_key_are_in_order() -> None:
    records = make_places((2**62, 2**30), (1, 2**30), (1, None), (2**62, 1))
    assert [records.place(index) for index in range(4)] == [(1, 0), (1, 2**30), (2**62, 1), (2**62, 2**30)]


def test_records_hold_nothing_of_the_chunk_that_they_come_from() -> None:
    column = pa.array(["a cell of a large chunk"] * 100_000)
    finding = Finding(error_type="type-error", row_numbers=np.array([7]), message="No.", raw_values=column.slice(5, 1), column_number=1, column_name="a")
    assert sum(buffer.size for buffer in make_records([finding]).raw_values.buffers() if buffer is not None) < 1000

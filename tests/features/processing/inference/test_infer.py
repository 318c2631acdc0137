"""Inference takes the type of most values of a column, and its schema can be sent again."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.checking.checker import Checker
from features.processing.inference.infer import infer_table_schema
from features.processing.readers.base import Chunk, FileUnreadable, ReadLimits
from shared.descriptors.table_schema import TableSchema, parse_table_schema_json


def _infer(cells: Sequence[str | None]) -> tuple[str, bool]:
    schema = infer_table_schema(["a"], [Chunk(columns=[pa.array(cells, pa.string())], row_numbers=np.arange(len(cells)))]).table_schema
    return schema.fields[0].type, schema.fields[0].constraints.required


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2", "3"], ("integer", True)),
        (["1", "2.5", "3"], ("number", True)),
        (["1.5", "2.5", "3"], ("number", True)),
        (["true", "false", "x"], ("boolean", True)),
        (["2024-01-01", "2024-01-02", "no"], ("date", True)),
        (["10:00:00"] * 3, ("time", True)),
        (["2024-01-01T10:00:00"] * 3, ("datetime", True)),
        (["00123", "00124", "123"], ("string", True)),
        (["0.5", "0.25", "0"], ("number", True)),
        (["a", "b", "1"], ("string", True)),
        (["1", "x"], ("string", True)),
        (["1"], ("integer", True)),
        (["1", ""], ("integer", False)),
        (["", "", ""], ("string", False)),
        ([], ("string", False)),
        (["1", "2", " "], ("integer", True)),
        (["1", "", ""], ("integer", False)),
        (["1"] * 9 + ["x"], ("integer", True)),
        (["1"] * 8 + ["x"] * 2, ("string", True)),
        (["1"] * 10 + ["x"], ("integer", True)),
        (["1"] * 9 + ["x"] * 2, ("string", True)),
        (["1"] * 90 + ["x"] * 10, ("integer", True)),
        (["1"] * 89 + ["x"] * 11, ("string", True)),
        (["1"] * 90 + [""] * 10, ("integer", True)),
        (["1"] * 89 + [""] * 11, ("integer", False)),
        (["1"] * 18 + [""] * 2, ("integer", True)),
        ([None, "1", "2", "3"], ("integer", True)),
    ],
)
def test_column_gets_the_type_that_most_of_its_values_have(cells: list[str | None], expected: tuple[str, bool]) -> None:
    assert _infer(cells) == expected


def test_rows_after_the_first_ten_thousand_are_not_looked_at() -> None:
    assert _infer(["1"] * 10_000 + ["x"] * 90_000) == ("integer", True)


def test_table_that_is_too_wide_is_refused_in_words() -> None:
    with pytest.raises(FileUnreadable, match="20000 columns"):
        infer_table_schema(["a"] * 20_000, [])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(["a", "a", "", " ", "b", "a_2", "column_3", "x\x00y", "a_2~2"]), min_size=1, max_size=6),
    st.lists(
        st.lists(
            st.sampled_from(["1", "x", "", "2024-01-01", "true", "1.234,5", "0,5 €", "31/12/2024", "N/A", "yes", "007", "15:30", "-", " 4"]),
            min_size=6,
            max_size=6,
        ),
        max_size=8,
    ),
)
def test_inferred_schema_sent_again_finds_the_same(labels: list[str], rows: list[list[str]]) -> None:
    chunk = Chunk(columns=[pa.array([row[index] for row in rows], pa.string()) for index in range(len(labels))], row_numbers=np.arange(2, 2 + len(rows)))
    inferred = infer_table_schema(labels, [chunk]).table_schema
    again = parse_table_schema_json(json.dumps(inferred.descriptor))
    assert again == inferred
    assert _findings(inferred, labels, chunk) == _findings(again, labels, chunk)
    header = [error for error in _findings(inferred, labels, chunk) if error[0].endswith("label")]
    assert {error[0] for error in header} <= {"blank-label", "duplicate-label"}
    assert len(header) == sum(not label.strip() for label in labels) + sum(
        label.strip() != "" and label in labels[:index] for index, label in enumerate(labels)
    )


def _findings(schema: TableSchema, labels: list[str], chunk: Chunk) -> list[tuple[str, list[int], int | None, str | None]]:
    checker = Checker(schema, labels=labels, header_row=1, limits=ReadLimits())
    found = [*checker.check_header(), *checker.check(chunk).findings]
    checker.close()
    return [(finding.error_type, finding.row_numbers.tolist(), finding.column_number, finding.column_name) for finding in found]

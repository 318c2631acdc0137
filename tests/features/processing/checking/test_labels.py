"""Labels are matched with fields as `fieldsMatch` defines, with at most one error for each label."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking.checker import Checker, CheckResult
from features.processing.checking.labels import longest_name, match_columns
from features.processing.readers.base import Chunk, Finding, LostRows, ReadLimits
from shared.descriptors.table_schema import parse_table_schema


def _check(
    fields_match: object, names: list[str], labels: list[str] | None, row: list[str], **extra: object
) -> tuple[list[tuple[str, int | None, str | None]], CheckResult]:
    fields = [{"name": name, "type": "integer"} for name in names]
    schema = parse_table_schema({"fields": fields, "fieldsMatch": fields_match, **extra})
    checker = Checker(schema, labels=labels, header_row=None if labels is None else 3, limits=ReadLimits())
    header = checker.check_header()
    assert all(finding.row_numbers.tolist() == [3] for finding in header)
    result = checker.check(Chunk(columns=[pa.array([cell]) for cell in row], row_numbers=np.array([4])))
    checker.close()
    return [(finding.error_type, finding.column_number, finding.column_name) for finding in header], result


def _bad_columns(result: CheckResult) -> list[tuple[str, int | None, str | None]]:
    return [(finding.error_type, finding.column_number, finding.column_name) for finding in result.findings]


@pytest.mark.parametrize(
    ("fields_match", "labels", "header", "typed"),
    [
        ("exact", ["a", "b"], [], [1, 2]),
        ("exact", ["b", "a"], [("incorrect-label", 1, "b"), ("incorrect-label", 2, "a")], [1, 2]),
        ("exact", ["a"], [("missing-label", 2, "b")], [1]),
        ("exact", ["b"], [("missing-label", 1, "a")], [1]),
        ("exact", ["b ", "x"], [("incorrect-label", 1, "b "), ("extra-label", 2, "x"), ("missing-label", 1, "a")], [1]),
        ("exact", ["x", "a", "b"], [("extra-label", 1, "x")], [2, 3]),
        ("exact", ["a", "b", "c"], [("extra-label", 3, "c")], [1, 2]),
        ("exact", ["a", " "], [("blank-label", 2, None)], [1, 2]),
        ("exact", ["a", "a"], [("duplicate-label", 2, "a")], [1, 2]),
        ("exact", ["a", "B"], [("incorrect-label", 2, "B")], [1, 2]),
        ("equal", ["b", "a"], [], [1, 2]),
        (["equal"], ["b", "c"], [("extra-label", 2, "c"), ("missing-label", None, "a")], [1]),
        ("subset", ["x", "b", "a"], [], [2, 3]),
        ("subset", ["x", "b"], [("missing-label", None, "a")], [2]),
        ("superset", ["b"], [], [1]),
        ("superset", ["b", "x"], [("extra-label", 2, "x")], [1]),
        ("superset", ["b", "A"], [("incorrect-label", 2, "A")], [1, 2]),
        ("subset", ["A", "b"], [("incorrect-label", 1, "A")], [1, 2]),
        ("partial", ["x", "b"], [], [2]),
        ("partial", ["A", "b"], [], [2]),
        ("partial", ["x"], [("missing-label", None, "a"), ("missing-label", None, "b")], []),
    ],
)
def test_fields_match_decides_labels_and_columns(fields_match: object, labels: list[str], header: list[object], typed: list[int]) -> None:
    found, result = _check(fields_match, ["a", "b"], labels, ["x"] * len(labels))
    assert found == header
    assert [finding.column_number for finding in result.findings] == typed


def messages(names: list[str], labels: list[str], fields_match: str = "exact") -> list[str]:
    schema = parse_table_schema({"fields": [{"name": name} for name in names], "fieldsMatch": fields_match})
    return [str(finding.message) for finding in match_columns(schema, labels, 1).findings]


def test_messages_name_the_very_field() -> None:
    names = ["id", "quantity", "born"]
    assert messages(names, ["id", "born"]) == ["The column quantity is missing from the header."]
    assert messages(names, ["id", "note", "quantity", "born"]) == ["The column note is not expected: the schema does not name it."]
    assert messages(names, ["quantity", "id", "born"]) == [
        "The column quantity is not at its place: the schema has id here, and quantity as column 2.",
        "The column id is not at its place: the schema has quantity here, and id as column 1.",
    ]
    assert messages(names, ["id", "quantity ", "born"]) == ["This column must be named quantity: it has a blank at its end."]
    assert messages(names, ["id", "quantiti", "born"]) == ["This column must be named quantity: quantiti is probably misspelt."]
    assert messages(names, ["id", "x", "born"]) == ["This column must be named quantity."]
    assert messages(names, ["born", "ID", "quantity"], "equal") == ["This column must be named id: it is written ID."]


def test_column_that_is_missing_is_one_error_and_no_failed_row() -> None:
    schema = parse_table_schema({"fields": [{"name": "a", "constraints": {"required": True}}, {"name": "b", "type": "integer"}]})
    checker = Checker(schema, labels=["b"], header_row=1, limits=ReadLimits())
    result = checker.check(Chunk(columns=[pa.array(["1", "x"])], row_numbers=np.array([2, 3])))
    assert [(finding.error_type, finding.column_number) for finding in checker.check_header()] == [("missing-label", 1)]
    assert _bad_columns(result) == [("type-error", 1, "b")]
    assert result.rows_failed == 1
    checker.close()


def test_required_field_without_a_column_is_a_missing_label_where_fields_may_be_absent() -> None:
    found, result = _check("superset", ["a", "b"], ["a"], ["1"], primaryKey="b")
    assert found == [("missing-label", None, "b")]
    assert result.rows_failed == 0


def test_table_without_header_is_matched_by_position() -> None:
    found, result = _check("exact", ["a", "b"], None, ["1", "x"])
    assert found == []
    assert _bad_columns(result) == [("type-error", 2, "b")]


def test_table_without_header_that_is_too_narrow_lacks_a_cell_in_each_row() -> None:
    _, result = _check("exact", ["a", "b"], None, ["1"])
    assert _bad_columns(result) == [("missing-cell", 2, "b")]
    assert result.rows_failed == 1


def test_table_without_header_that_is_too_wide_has_an_extra_cell_in_each_row() -> None:
    _, result = _check("exact", ["a"], None, ["1", "2"])
    assert _bad_columns(result) == [("extra-cell", 2, None)]


def test_findings_of_the_reader_bear_the_names_of_the_checks_and_count_once() -> None:
    schema = parse_table_schema({"fields": [{"name": "a", "type": "integer"}, {"name": "b"}]})
    checker = Checker(schema, labels=["a", ""], header_row=1, limits=ReadLimits())
    reader = Finding(error_type="encoding-error", row_numbers=np.array([2]), message="m", raw_values=pa.array(["\\x81"]), column_number=2, column_name="")
    lost = Finding(error_type="blank-row", row_numbers=np.array([3]), message="m")
    chunk = Chunk(
        columns=[pa.array(["x", "1"]), pa.array([None, "y"], pa.string())],
        row_numbers=np.array([2, 5]),
        findings=[reader, lost],
        lost=LostRows(np.array([3]), np.array([2])),
    )
    result = checker.check(chunk)
    checker.close()
    assert [(finding.error_type, finding.column_name) for finding in result.findings] == [("encoding-error", "b"), ("blank-row", None), ("type-error", "a")]
    assert result.rows_failed == 3


@pytest.mark.parametrize(("count", "characters"), [(5_000, 53), (6_000, 60), (800, 900)])
def test_column_of_a_given_field_keeps_its_name_however_wide_the_table_is(count: int, characters: int) -> None:
    names = [f"{number:06}_".ljust(characters, "x") for number in range(count)]
    schema = parse_table_schema({"fields": [{"name": name, "type": "integer"} for name in names]})
    assert match_columns(schema, names, 1).names == dict(enumerate(names))


def test_labels_without_a_field_are_cut_only_by_what_does_not_fit() -> None:
    assert longest_name(["x" * 53] * 5_000) == 60
    assert longest_name(["x" * 10] * 1_000 + ["x" * 900] * 1_000) == (2**18 - 10_000) // 1_000
    assert longest_name(["x" * 5_000] * 262) == 1_000
    assert longest_name(["x" * 500] * 16_384) == 60

"""Edge cases of constraints that generated tables rarely contain: in each of them the fast path alone would be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking.checker import Checker, CheckResult
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import parse_table_schema
from tests.features.processing.oracle import check_table


def _check(schema: dict[str, Any], *columns: list[str | None]) -> list[CheckResult]:
    checker = Checker(parse_table_schema(schema), labels=[field["name"] for field in schema["fields"]], header_row=1, limits=ReadLimits())
    try:
        chunk = Chunk(columns=[pa.array(column, pa.string()) for column in columns], row_numbers=np.arange(2, 2 + len(columns[0])))
        return [checker.check(chunk), *checker.finish()]
    finally:
        checker.close()


def _bad(field: dict[str, Any], cells: list[str]) -> dict[str, str]:
    """Return the error type of each bad cell, by the text of the cell."""
    schema = {"fields": [{"name": "a"} | field]}
    [result] = _check(schema, list(cells))
    found = {cells[int(row) - 2]: finding.error_type for finding in result.findings for row in finding.row_numbers}
    if field["type"] not in ("list", "object", "array", "duration", "yearmonth"):
        assert {cells[row - 2]: error for row, _, error in check_table(schema, [[cell] for cell in cells])} == found
    return found


_SECOND = "2024-01-31T10:00:0"


@pytest.mark.parametrize(
    ("field", "cells", "bad"),
    [
        ({"type": "datetime", "constraints": {"minimum": f"{_SECOND}0.5"}}, [f"{_SECOND}0", f"{_SECOND}0.5", f"{_SECOND}1"], {f"{_SECOND}0"}),
        ({"type": "datetime", "constraints": {"maximum": f"{_SECOND}0.5"}}, [f"{_SECOND}0", f"{_SECOND}0.6", f"{_SECOND}1"], {f"{_SECOND}0.6", f"{_SECOND}1"}),
        ({"type": "datetime", "constraints": {"exclusiveMinimum": f"{_SECOND}0.5"}}, [f"{_SECOND}0", f"{_SECOND}1"], {f"{_SECOND}0"}),
        ({"type": "datetime", "constraints": {"exclusiveMaximum": f"{_SECOND}0.5"}}, [f"{_SECOND}0", f"{_SECOND}1"], {f"{_SECOND}1"}),
        (
            {"type": "number", "constraints": {"minimum": "9007199254740993"}},
            ["9007199254740992", "9007199254740993", "9007199254740994"],
            {"9007199254740992"},
        ),
        ({"type": "number", "constraints": {"exclusiveMaximum": "0.1"}}, ["0.1", "0.10", "0.09999999999999999", "0.0999"], {"0.1", "0.10"}),
        ({"type": "number", "constraints": {"maximum": "1e400"}}, ["1e399", "1e401", "5"], {"1e401"}),
        ({"type": "number", "constraints": {"minimum": "-INF"}}, ["-5", "-inf", "NaN"], {"NaN"}),
        ({"type": "number", "constraints": {"exclusiveMinimum": 1}}, ["nan", "2"], {"nan"}),
        (
            {"type": "integer", "constraints": {"minimum": "99999999999999999999"}},
            ["5", "99999999999999999998", "99999999999999999999"],
            {"5", "99999999999999999998"},
        ),
        ({"type": "integer", "constraints": {"maximum": "-99999999999999999999"}}, ["5", "-999999999999999999999"], {"5"}),
        ({"type": "integer", "constraints": {"minimum": 5}}, ["+5", "005", "+4", "4"], {"+4", "4"}),
        ({"type": "integer", "constraints": {"enum": [1]}}, ["01", "+1", "1", "2"], {"2"}),
        ({"type": "number", "constraints": {"enum": [1.5]}}, ["1.50", "15e-1", "1.5", "1.51"], {"1.51"}),
        ({"type": "date", "constraints": {"minimum": "2024-02-29"}}, ["2024-02-28", "2024-02-29", "2024-03-01"], {"2024-02-28"}),
        ({"type": "duration", "constraints": {"minimum": "P1M"}}, ["P31D", "P27D", "P1M"], {"P27D"}),
        ({"type": "yearmonth", "constraints": {"maximum": "2024-01"}}, ["2023-12", "2024-02"], {"2024-02"}),
        ({"type": "list", "constraints": {"maxLength": 2}}, ["a,b", "a,b,c"], {"a,b,c"}),
        ({"type": "object", "constraints": {"minLength": 1, "enum": [{"a": 1}, {}]}}, ['{"a": 1.0}', '{"a":true}', "{}"], {'{"a":true}', "{}"}),
        ({"type": "array", "constraints": {"unique": True}}, ["[1,2]", "[1, 2.0]", "[true]", "[1]"], {"[1, 2.0]"}),
        ({"type": "string", "constraints": {"maxLength": 2}}, ["äö", "äöü", "ab"], {"äöü"}),
        ({"type": "string", "constraints": {"pattern": "a$\n"}}, ["a\n", "a", "b\n"], {"a", "b\n"}),
        ({"type": "string", "constraints": {"pattern": r"\w+"}}, ["Müller", "Mu ller", "Muller"], {"Mu ller"}),
        ({"type": "string", "constraints": {"pattern": "(?:a-){02}"}}, ["a-a-", "a-", "a-{02}"], {"a-", "a-{02}"}),
        ({"type": "string", "constraints": {"pattern": "[A-Z]-[0-9]{02}"}}, ["A-12", "A-1", "A-1{02}"], {"A-1", "A-1{02}"}),
        ({"type": "string", "constraints": {"pattern": "a{,2}"}}, ["aa", "aaa", "a{,2}"], {"aaa", "a{,2}"}),
        ({"type": "integer", "constraints": {"unique": True}}, ["1", "01", "99999999999999999999", "+99999999999999999999"], {"01", "+99999999999999999999"}),
        ({"type": "number", "constraints": {"unique": True}}, ["1", "1.0", "0", "-0", "1e-30", "0.1e-29", "nan", "NaN"], {"1.0", "-0", "0.1e-29", "NaN"}),
    ],
)
def test_value_at_the_edge_of_a_constraint(field: dict[str, Any], cells: list[str], bad: set[str]) -> None:
    assert set(_bad(field, cells)) == bad


def test_cell_with_several_errors_gets_the_first_of_the_table() -> None:
    field = {"type": "string", "constraints": {"unique": True, "enum": ["abc", "x"], "pattern": "[a-c]+", "minLength": 3}}
    schema = {"fields": [{"name": "a"} | field]}
    [result] = _check(schema, ["x", "x", "yy", "abc"])
    found = {int(row): finding.error_type for finding in result.findings for row in finding.row_numbers}
    assert found == {2: "pattern-error", 3: "unique-error", 4: "enum-error"}


def test_message_names_the_limit_that_was_broken() -> None:
    schema = {
        "fields": [{"name": "a", "type": "integer", "constraints": {"minimum": 18}}, {"name": "b", "type": "date", "constraints": {"maximum": "2024-01-31"}}]
    }
    [result] = _check(schema, ["17"], ["2024-02-01"])
    assert [finding.message for finding in result.findings] == ["This value must be at least 18.", "This value must not be after 2024-01-31."]


def test_key_with_a_part_in_error_is_not_judged_and_an_empty_part_is() -> None:
    schema = {"fields": [{"name": "a", "type": "integer"}, {"name": "b"}], "primaryKey": ["a", "b"]}
    [result] = _check(schema, ["x", "x", "", "1", "01", None], ["k", "k", "k", "k", "k", "k"])
    rows = [row for finding in result.findings if finding.error_type == "primary-key-error" for row in finding.row_numbers.tolist()]
    assert sorted(rows) == [4, 6]


def test_foreign_key_to_a_later_row_is_fine_and_each_lost_row_counts_once() -> None:
    keys = [{"fields": "parent", "reference": {"fields": "id"}}, {"fields": "other", "reference": {"fields": "id"}}]
    schema = {"fields": [{"name": "id", "type": "integer"}, {"name": "parent", "type": "integer"}, {"name": "other", "type": "integer"}], "foreignKeys": keys}
    results = _check(schema, ["1", "2", "x", "4"], ["2", "9", "9", ""], ["4", "8", "1", "7"])
    late = [(finding.error_type, finding.row_numbers.tolist()) for result in results[1:] for finding in result.findings]
    assert sorted(row for _, rows in late for row in rows) == [3, 3, 4, 5]
    assert sum(result.rows_failed for result in results) == 3


def test_white_space_counts_as_empty_whatever_the_missing_values() -> None:
    schema = {"fields": [{"name": "a", "type": "string", "constraints": {"required": True, "minLength": 1}}], "missingValues": ["-"]}
    [result] = _check(schema, [" ", "", "-", "x"])
    found = {int(row): finding.error_type for finding in result.findings for row in finding.row_numbers}
    assert found == {2: "min-length-error", 3: "min-length-error", 4: "required-error"}
    raw = [finding.raw_values.to_pylist() for finding in result.findings if finding.raw_values is not None and finding.error_type == "min-length-error"]
    assert raw == [[" ", ""]]

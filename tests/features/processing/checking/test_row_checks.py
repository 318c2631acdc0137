"""Rules that span columns, on typed pandas DataFrames."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from features.processing.checking import declarations
from features.processing.checking.checker import Checker, CheckResult
from features.processing.checking.declarations import CheckContext, RowRule, row_check
from features.processing.engine import inspect_file
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import TableSchema, parse_table_schema
from tests.paths import ROOT

SCHEMA = {
    "fields": [
        {"name": "start", "type": "date"},
        {"name": "end", "type": "date", "constraints": {"maximum": "2024-12-31"}},
        {"name": "amount", "type": "number"},
    ]
}
EARLY = RowRule(fields=("start", "end"), field="end", message="The end must not be before the start.", find_bad=lambda frame: frame["end"] < frame["start"])


@pytest.fixture(autouse=True)
def own_row_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the checks that a test declared after the test."""
    declarations.row_checks()
    monkeypatch.setattr(declarations, "_row_checks", {})


def declare(*rules: RowRule, error_type: str = "end-before-start") -> None:
    @row_check("of_a_test", error_type=error_type)
    def build(table_schema: TableSchema, context: CheckContext) -> Sequence[RowRule]:
        del table_schema, context
        return rules


def check(schema: dict[str, Any], *columns: Sequence[str | None], first_row: int = 2) -> CheckResult:
    table_schema = parse_table_schema(schema)
    checker = Checker(table_schema, labels=[field.name for field in table_schema.fields], header_row=1, limits=ReadLimits())
    row_numbers = np.arange(first_row, first_row + len(columns[0]))
    try:
        return checker.check(Chunk(columns=[pa.array(column, pa.string()) for column in columns], row_numbers=row_numbers))
    finally:
        checker.close()


def test_rule_over_two_dates_marks_the_cell_at_fault() -> None:
    declare(EARLY)
    result = check(SCHEMA, ["2024-01-05", "2024-01-01"], ["2024-01-04", "2024-01-02"], ["1", "2"])
    [finding] = result.findings
    assert (finding.error_type, finding.row_numbers.tolist(), finding.column_number, finding.column_name) == ("end-before-start", [2], 2, "end")
    assert finding.raw_values is not None
    assert (finding.raw_values.to_pylist(), finding.message) == (["2024-01-04"], "The end must not be before the start.")
    assert result.rows_failed == 1


def test_empty_and_invalid_cells_break_no_rule() -> None:
    declare(EARLY)
    result = check(SCHEMA, ["2024-01-05", "", "soon", None], ["", "2024-01-01", "2024-01-01", "2024-01-01"], ["1"] * 4)
    assert [finding.error_type for finding in result.findings] == ["type-error"]


def test_cell_that_has_an_error_already_gets_no_second_one() -> None:
    declare(EARLY)
    result = check(SCHEMA, ["2026-01-01", "2024-06-01"], ["2025-01-01", "2024-05-01"], ["1", "1"])
    assert [(finding.error_type, finding.row_numbers.tolist()) for finding in result.findings] == [("maximum-error", [2]), ("end-before-start", [3])]
    assert result.rows_failed == 2


def test_rule_without_a_field_is_about_the_whole_row() -> None:
    declare(RowRule(fields=("amount",), message="The amount is odd.", find_bad=lambda frame: frame["amount"] == 3), error_type="odd-amount")
    result = check(SCHEMA, ["2024-01-01"] * 3, ["2024-01-02"] * 3, ["2", "3", "4.0"])
    [finding] = result.findings
    assert (finding.error_type, finding.row_numbers.tolist(), finding.column_number, finding.raw_values) == ("odd-amount", [3], None, None)


def test_message_can_differ_from_row_to_row() -> None:
    declare(
        RowRule(
            fields=("start", "end"),
            field="end",
            message=lambda bad: [f"{(row.start - row.end).days} days too early, row {number}." for number, row in bad.iterrows()],
            find_bad=lambda frame: frame["end"] < frame["start"],
        )
    )
    result = check(SCHEMA, ["2024-01-09", "2024-01-01", "2024-02-01"], ["2024-01-08", "2024-01-02", "2024-01-01"], [""] * 3, first_row=10)
    assert not isinstance(result.findings[0].message, str)
    assert result.findings[0].message.to_pylist() == ["1 days too early, row 10.", "31 days too early, row 12."]


def test_rule_whose_column_is_not_in_the_file_is_left_out() -> None:
    declare(EARLY)
    schema = {**SCHEMA, "fieldsMatch": ["partial"]}
    checker = Checker(parse_table_schema(schema), labels=["start", "amount"], header_row=1, limits=ReadLimits())
    result = checker.check(Chunk(columns=[pa.array(["2024-01-01"]), pa.array(["1"])], row_numbers=np.array([2])))
    checker.close()
    assert result.findings == []


def test_types_of_the_frame_are_those_of_the_schema() -> None:
    frames: list[pd.DataFrame] = []

    def keep(frame: pd.DataFrame) -> pd.Series[bool]:
        frames.append(frame)
        return pd.Series(data=False, index=frame.index)

    fields = {
        "i": ("integer", ["7", "+8", ""]),
        "n": ("number", ["1.5", "2e3", "x"]),
        "b": ("boolean", ["true", "0", ""]),
        "d": ("date", ["2024-02-29", "1969-12-31", ""]),
        "t": ("time", ["10:00:01", "00:00:00", ""]),
        "m": ("datetime", ["2024-01-01T00:00:00+01:00", "1970-01-01T00:00:00.5Z", ""]),
        "y": ("year", ["2024", "1999", ""]),
        "s": ("string", ["a", "b", ""]),
        "g": ("geopoint", ["1, 2", "x", ""]),
    }
    declare(RowRule(fields=tuple(fields), message="Never.", find_bad=keep))
    check({"fields": [{"name": name, "type": kind} for name, (kind, _) in fields.items()]}, *(cells for _, cells in fields.values()))
    [frame] = frames
    assert (frame.index.name, frame.index.tolist()) == ("row_number", [2, 3, 4])
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "i": "int64[pyarrow]",
        "n": "double[pyarrow]",
        "b": "bool[pyarrow]",
        "d": "date32[day][pyarrow]",
        "t": "time64[us][pyarrow]",
        "m": "timestamp[us][pyarrow]",
        "y": "int64[pyarrow]",
        "s": "string[pyarrow]",
        "g": "string[pyarrow]",
    }
    assert frame["i"].tolist() == [7, 8, pd.NA]
    assert frame["n"].tolist() == [1.5, 2000.0, pd.NA]
    assert frame["b"].tolist() == [True, False, pd.NA]
    assert frame["d"].tolist() == [dt.date(2024, 2, 29), dt.date(1969, 12, 31), pd.NA]
    assert frame["t"].tolist() == [dt.time(10, 0, 1), dt.time(0, 0), pd.NA]
    assert frame["m"].tolist()[:2] == [pd.Timestamp("2023-12-31T23:00:00"), pd.Timestamp("1970-01-01T00:00:00.5")]
    assert frame["s"].tolist() == ["a", "b", pd.NA]
    assert frame["g"].tolist() == ["1, 2", pd.NA, pd.NA]


def test_integers_beyond_64_bits_are_floats() -> None:
    declare(RowRule(fields=("a", "b"), field="b", message="Too small.", find_bad=lambda frame: frame["b"] < frame["a"]), error_type="too-small")
    schema = {"fields": [{"name": "a", "type": "integer"}, {"name": "b", "type": "integer"}]}
    result = check(schema, ["1" + "0" * 30, "5"], ["7", "9"])
    assert [finding.row_numbers.tolist() for finding in result.findings] == [[2]]


@pytest.mark.parametrize("digits", [19, 20, 400, 5000])
def test_integers_of_any_length_are_compared(digits: int) -> None:
    """400 digits are more than a float holds, 5,000 more than Python turns into an int by default."""
    declare(RowRule(fields=("a", "b"), field="b", message="Too small.", find_bad=lambda frame: frame["b"] < frame["a"]), error_type="too-small")
    schema = {"fields": [{"name": "a", "type": "integer"}, {"name": "b", "type": "integer"}]}
    result = check(schema, ["9" * digits, "5", "-" + "9" * digits], ["7", "9", "7"])
    assert [finding.row_numbers.tolist() for finding in result.findings] == [[2]]


def test_cell_that_a_short_row_does_not_have_gets_no_second_error(tmp_path: Path) -> None:
    declare(RowRule(fields=("a",), field="b", message="Never.", find_bad=lambda frame: frame["a"] > 0), error_type="never")
    (tmp_path / "a.csv").write_text("a,b\n1\n1,\n0,x\n")
    with closing(inspect_file(tmp_path / "a.csv")) as inspection:
        found = [(int(row_number), finding.error_type) for report in inspection.reports() for finding in report.findings for row_number in finding.row_numbers]
    assert sorted(found) == [(2, "missing-cell"), (3, "never")]


def test_answer_by_position_marks_the_rows_at_those_positions() -> None:
    """pandas numbers the rows from 0 again after `reset_index`; row numbers begin at 1, so the two are told apart."""
    declare(RowRule(fields=("amount",), message="Too much.", find_bad=lambda frame: pd.Series((frame["amount"] > 5).to_numpy(bool))))
    for first_row in (1, 2, 3):
        result = check(SCHEMA, ["2024-01-01"] * 4, ["2024-01-01"] * 4, ["1", "2", "9", "3"], first_row=first_row)
        assert [finding.row_numbers.tolist() for finding in result.findings] == [[first_row + 2]]


def test_answer_with_an_index_of_its_own_is_an_error_of_the_check() -> None:
    declare(RowRule(fields=("amount",), message="Too much.", find_bad=lambda frame: pd.Series([True, False], index=[7, 8])))
    with pytest.raises(ValueError, match="index of its frame"):
        check(SCHEMA, ["2024-01-01"] * 2, ["2024-01-01"] * 2, ["1", "2"])


@pytest.mark.parametrize(
    ("first", "second", "find_bad", "bad"),
    [
        ("integer", "number", lambda frame: frame["a"] > frame["b"], [2]),
        ("integer", "integer", lambda frame: frame["a"] * frame["b"] > 10, [2]),
        ("integer", "integer", lambda frame: frame["a"] + frame["a"] > frame["b"] + frame["b"], [2]),
        ("integer", "integer", lambda frame: frame["b"] < frame["a"], [2]),
        ("integer", "integer", lambda frame: frame["a"] // (frame["b"] - frame["b"]) > 0, [2, 3]),
    ],
)
def test_large_integers_and_divisions_by_zero_stop_no_job(first: str, second: str, find_bad: Any, bad: list[int]) -> None:
    """Arrow refuses results that do not fit; a cell of somebody's file must not crash the check."""
    declare(RowRule(fields=("a", "b"), message="No.", find_bad=find_bad), error_type="large")
    schema = {"fields": [{"name": "a", "type": first}, {"name": "b", "type": second}]}
    result = check(schema, ["9007199254740993", "1"], ["4503599627370496", "1"])
    large = check(schema, ["9" * 18, "1"], ["9" * 17, "1"])
    assert [finding.row_numbers.tolist() for finding in result.findings] == [finding.row_numbers.tolist() for finding in large.findings] == [bad]


def test_integers_within_64_bits_are_compared_exactly() -> None:
    declare(RowRule(fields=("a", "b"), message="No.", find_bad=lambda frame: frame["a"] < frame["b"]), error_type="smaller")
    schema = {"fields": [{"name": "a", "type": "integer"}, {"name": "b", "type": "integer"}]}
    result = check(schema, ["9007199254740992", "9007199254740993"], ["9007199254740993", "9007199254740993"])
    assert [finding.row_numbers.tolist() for finding in result.findings] == [[2]]


def test_answer_that_was_sorted_on_the_way_marks_the_rows_that_it_means() -> None:
    declare(RowRule(fields=("amount",), message="Too much.", find_bad=lambda frame: frame.sort_values("amount")["amount"] > 5))
    result = check(SCHEMA, ["2024-01-01"] * 3, ["2024-01-01"] * 3, ["9", "1", "7"])
    assert [finding.row_numbers.tolist() for finding in result.findings] == [[2, 4]]


def test_rule_that_does_not_answer_for_each_row_is_an_error_of_the_check() -> None:
    declare(RowRule(fields=("amount",), message="No.", find_bad=lambda frame: frame["amount"].iloc[:1] > 0))
    with pytest.raises(ValueError, match="mark each of 2 rows"):
        check(SCHEMA, ["2024-01-01"] * 2, ["2024-01-01"] * 2, ["1", "2"])


@pytest.mark.parametrize(("messages", "given"), [(["No."], 1), (["No."] * 3, 3), (["No.", None], 1), (pd.Series(["No.", pd.NA], dtype="string"), 1)])
def test_messages_that_are_not_one_for_each_bad_row_are_an_error_of_the_check(messages: Any, given: int) -> None:
    declare(RowRule(fields=("amount",), message=lambda _: messages, find_bad=lambda frame: frame["amount"] > 0))
    with pytest.raises(ValueError, match=f"one for each of 2 bad rows, but gave {given}"):
        check(SCHEMA, ["2024-01-01"] * 2, ["2024-01-01"] * 2, ["1", "2"])


def test_one_message_for_all_may_be_a_function_s_answer() -> None:
    declare(RowRule(fields=("amount",), message=lambda frame: f"{len(frame)} are too many.", find_bad=lambda frame: frame["amount"] > 0))
    [finding] = check(SCHEMA, ["2024-01-01"] * 2, ["2024-01-01"] * 2, ["1", "2"]).findings
    assert finding.message == "2 are too many."


def test_log_names_the_check_that_fails() -> None:
    declare(RowRule(fields=("amount",), message="No.", find_bad=lambda frame: frame["gone"]))
    with capture_logs() as lines, pytest.raises(KeyError):
        check(SCHEMA, ["2024-01-01"], ["2024-01-01"], ["1"])
    assert lines == [{"log_level": "error", "event": "a row check failed", "check": "of_a_test"}]


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["", "x", "0", "-3", "12", "7.25", "1e2", "  ", "NaN"]), st.sampled_from(["", "y", "1", "-3", "12.5", "7.25", "100", "+4", "-INF"])
        ),
        min_size=1,
        max_size=20,
    )
)
def test_rule_over_numbers_agrees_with_a_slow_and_obvious_one(rows: list[tuple[str, str]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(declarations, "_row_checks", {})
        declare(RowRule(fields=("low", "high"), field="high", message="Less.", find_bad=lambda frame: frame["high"] < frame["low"]), error_type="less")
        schema = {"fields": [{"name": "low", "type": "number"}, {"name": "high", "type": "number"}]}
        result = check(schema, *zip(*rows, strict=True))

    def number(text: str) -> float | None:
        try:
            return float(Decimal(text))
        except ArithmeticError:
            return None

    expected = [
        index for index, (low, high) in enumerate(rows, 2) if (a := number(low.strip())) is not None and (b := number(high.strip())) is not None and b < a
    ]
    assert [row for finding in result.findings if finding.error_type == "less" for row in finding.row_numbers.tolist()] == expected


def test_workbook_and_csv_give_the_same_verdicts(tmp_path: Path) -> None:
    declare(EARLY)
    rows = [["2024-01-05", "2024-01-04", "1"], ["2024-01-05", "2024-01-06", "2"]]
    (tmp_path / "f.csv").write_text("\n".join(",".join(row) for row in [["start", "end", "amount"], *rows]) + "\n")
    with xlsxwriter.Workbook(tmp_path / "f.xlsx") as workbook:
        sheet = workbook.add_worksheet()
        for number, row in enumerate([["start", "end", "amount"], *rows]):
            sheet.write_row(number, 0, row)
    found = []
    for name in ("f.csv", "f.xlsx"):
        inspection = inspect_file(tmp_path / name, table_schema=parse_table_schema(SCHEMA))
        reports = list(inspection.reports())
        inspection.close()
        found.append([(finding.error_type, finding.row_numbers.tolist(), finding.column_number) for report in reports for finding in report.findings])
    assert found == [[("end-before-start", [2], 2)]] * 2


def test_pandas_is_imported_only_if_there_is_a_row_check(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a,b\n1,2\n")
    code = f"""
import sys
from pathlib import Path
from features.processing.checking.declarations import row_checks
from features.processing.engine import inspect_file
inspection = inspect_file(Path({str(tmp_path / "f.csv")!r}))
assert len(list(inspection.reports())) == 1
inspection.close()
assert ("pandas" in sys.modules) == bool(row_checks())
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr

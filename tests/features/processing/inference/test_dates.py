"""Dates, times and both are inferred in the form that a column has, and days that are in no calendar are found."""

from __future__ import annotations

import pytest

from tests.features.processing.inference.infer_columns import bad_cells, infer, infer_one


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-31", "2024-02-01"], {"type": "date"}),
        (["2024-1-31", "2024-02-01"], {"type": "date", "format": "%Y-%m-%d"}),
        (["31/12/2024", "01/02/2024"], {"type": "date", "format": "%d/%m/%Y"}),
        (["12/31/2024", "01/02/2024"], {"type": "date", "format": "%m/%d/%Y"}),
        (["31.12.2024", "1.2.2024"], {"type": "date", "format": "%d.%m.%Y"}),
        (["31. 12. 2024", "1. 2. 2024"], {"type": "date", "format": "%d. %m. %Y"}),
        (["31-12-24", "13-02-24"], {"type": "date", "format": "%d-%m-%y"}),
        (["23-12-31", "23-02-13", "24-05-30"], {"type": "date", "format": "%y-%m-%d"}),
        (["2024/12/31", "2024/2/1"], {"type": "date", "format": "%Y/%m/%d"}),
        (["31 Dec 2024", "1 feb 2024"], {"type": "date", "format": "%d %b %Y"}),
        (["31-DEC-24", "01-FEB-24"], {"type": "date", "format": "%d-%b-%y"}),
        (["December 31, 2024", "May 1, 2024"], {"type": "date", "format": "%B %d, %Y"}),
        (["Tue, 31 Dec 2024", "Wed, 1 May 2024"], {"type": "date", "format": "%a, %d %b %Y"}),
        (["2024-01-01T15:30:00", "2024-01-01T15:30:00.5Z"], {"type": "datetime"}),
        (["2024-01-01 15:30:00", "2024-01-02 15:30:00"], {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S"}),
        (["2024-01-01 15:30:00.123", "2024-01-02 15:30:00.5"], {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S.%f"}),
        (["2024-01-01 15:30:00+00", "2024-01-02 15:30:00+00"], {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S+00"}),
        (["2024-01-01T15:30:00+0100", "2024-01-02T15:30:00Z"], {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}),
        (["1/31/2024 3:30 PM", "2/1/2024 12:05 AM"], {"type": "datetime", "format": "%m/%d/%Y %I:%M %p"}),
        (["31.01.2024, 15:30", "01.02.2024, 8:05"], {"type": "datetime", "format": "%d.%m.%Y, %H:%M"}),
        (["15:30:00", "08:05:00"], {"type": "time"}),
        (["15:30", "8:05"], {"type": "time", "format": "%H:%M"}),
        (["3:30 PM", "12:05 am"], {"type": "time", "format": "%I:%M %p"}),
        (["15:30:00.25", "08:05:00.5"], {"type": "time", "format": "%H:%M:%S.%f"}),
    ],
)
def test_column_has_the_form_that_its_dates_have(cells: list[str], expected: dict[str, object]) -> None:
    assert infer_one(cells) == expected
    assert bad_cells(cells) == []


@pytest.mark.parametrize(
    "cells",
    [
        ["31. Januar 2024", "1. Februar 2024", "3. März 2024"],
        ["Sept 5, 2024", "Sept 6, 2024", "Oct 7, 2024"],
        ["1st May 2024", "2nd May 2024", "3rd May 2024"],
        ["2024-01-01 10:00:00-05", "2024-01-01 11:00:00-05", "2024-01-01 12:00:00-06"],
        ["99/99/2024", "77/77/2024", "88/88/2024"],
        ["125:30", "99:10", "240:00"],
        ["May", "June", "July"],
        ["Q1 2024", "Q2 2024", "Q3 2024"],
    ],
)
def test_form_that_table_schema_cannot_say_is_text(cells: list[str]) -> None:
    assert infer_one(cells) == {"type": "string"}


@pytest.mark.parametrize(
    ("cells", "bad"),
    [
        (["31/12/2024", "01/02/2024", "13/01/2024", "31/02/2024"], ["31/02/2024"]),
        (["01/31/2024", "12/25/2024", "05/30/2024", "02/30/2024"], ["02/30/2024"]),
        (["31.12.2023", "29.02.2024", "01.03.2024", "29.02.2023"], ["29.02.2023"]),
        (["31-01-24", "28-01-24", "15-02-23", "31-02-24"], ["31-02-24"]),
        (["2024-01-01 15:30:00", "2024-01-02 15:30:00", "2024-01-03 15:30:00", "2024-02-31 99:30:00"], ["2024-02-31 99:30:00"]),
        (["2024-01-01", "2024-01-02", "2024-01-03", "1st May 2024"], ["1st May 2024"]),
        (["15:30", "16:45", "08:00", "25:00"], ["25:00"]),
        (["3:30 PM", "4:45 AM", "8:00 AM", "13:00 PM"], ["13:00 PM"]),
    ],
)
def test_day_or_time_that_does_not_exist_is_found(cells: list[str], bad: list[str]) -> None:
    assert bad_cells(cells) == bad


_EITHER = ["01/02/2024", "03/04/2024", "05/06/2024"]


def test_dates_of_either_order_are_read_day_first_with_a_note() -> None:
    inferred = infer({"when": _EITHER})
    assert inferred.table_schema.fields[0].format == "%d/%m/%Y"
    (note,) = inferred.notes
    assert (note.code, note.column_name) == ("ambiguous-dates", "when")
    assert '"format": "%m/%d/%Y"' in note.message


@pytest.mark.parametrize(
    ("other", "expected"), [("25/12/2024", "%d/%m/%Y"), ("12/25/2024", "%m/%d/%Y"), ("12-25-2024", "%m/%d/%Y"), ("25.12.2024 10:30", "%d/%m/%Y")]
)
def test_order_that_a_column_leaves_open_is_that_of_the_other_columns(other: str, expected: str) -> None:
    inferred = infer({"a": _EITHER, "b": [other] * 3})
    assert inferred.table_schema.fields[0].format == expected
    assert inferred.notes == []


def test_columns_that_contradict_each_other_decide_nothing() -> None:
    inferred = infer({"a": _EITHER, "b": ["25/12/2024"] * 3, "c": ["12/25/2024"] * 3})
    assert [field.format for field in inferred.table_schema.fields] == ["%d/%m/%Y", "%d/%m/%Y", "%m/%d/%Y"]
    assert [note.column_name for note in inferred.notes] == ["a"]


@pytest.mark.parametrize("cells", [["31/12/2024"] * 3, ["2024-01-02"] * 3, ["2 Jan 2024"] * 3, ["2024/01/02"] * 3])
def test_dates_of_one_order_need_no_note(cells: list[str]) -> None:
    assert infer({"a": cells}).notes == []

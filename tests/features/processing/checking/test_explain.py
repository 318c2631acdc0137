"""A refused cell is told what is wrong with it, where that is one of the usual slips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.checking.checker import Checker
from features.processing.checking.type_rule import describe_type_error
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import Field, parse_table_schema

Described: TypeAlias = Mapping[str, object]
INTEGER, NUMBER, DATE, TIME, DATETIME = (dict[str, object](type=kind) for kind in ("integer", "number", "date", "time", "datetime"))


def _messages(field: Described, cells: list[str]) -> dict[int, str]:
    schema = parse_table_schema({"fields": [{"name": "a", **field}]})
    checker = Checker(schema, labels=["a"], header_row=1, limits=ReadLimits())
    findings = checker.check(Chunk(columns=[pa.array(cells)], row_numbers=np.arange(len(cells)))).findings
    checker.close()
    return {
        row: finding.message if isinstance(finding.message, str) else finding.message[place].as_py()
        for finding in findings
        for place, row in enumerate(finding.row_numbers.tolist())
    }


@pytest.mark.parametrize(
    ("field", "cell", "said"),
    [
        (INTEGER, "4 ", "it has a blank at its end"),
        (INTEGER, " 4", "it has a blank at its start"),
        (INTEGER, " 4 ", "it has a blank at its start and its end"),
        (INTEGER, "4\u00a0", "it has a no-break space (U+00A0) at its end"),
        (DATE, "2024-01-31 ", "it has a blank at its end"),
        ({"type": "boolean"}, "true ", "it has a blank at its end"),
        ({"type": "string", "format": "email"}, "ann@example.org ", "it has a blank at its end"),
        (INTEGER, "4\u200b", "it contains a zero-width space (U+200B), which cannot be seen"),
        (NUMBER, "\ufeff4.5", "it contains a byte order mark (U+FEFF), which cannot be seen"),
        (INTEGER, "1\u00a0234", "it contains a no-break space (U+00A0), which cannot be seen"),
        (INTEGER, "\u22124", "it has a minus sign (U+2212) in place of a hyphen"),
        (INTEGER, "'4'", "it has quotation marks around it"),
        (DATE, '"2024-01-31"', "it has quotation marks around it"),
        (INTEGER, "4.5", "it has decimals"),
        (INTEGER, "4,500", "it has a comma between its digits"),
        (INTEGER, "4 EUR", "it has EUR beside its digits"),
        (NUMBER, "$4.5", "it has $ beside its digits"),
        (NUMBER, "50 %", "it has % beside its digits"),
        (NUMBER, "4,5", "its decimals follow a comma; the schema says a point"),
        ({"type": "number", "decimalChar": ","}, "4.5", "its decimals follow a point; the schema says a comma"),
        (NUMBER, "1,234.50", "it has a comma between its digits"),
        (NUMBER, "(4.5)", "it stands in brackets"),
        (NUMBER, "4.5-", "its minus stands behind it"),
        ({"type": "integer", "groupChar": ","}, "0,99", "',' has to stand every three digits, counted from the right"),
        ({"type": "integer", "groupChar": ","}, "12,34", "',' has to stand every three digits, counted from the right"),
        ({"type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]}, "YES", "capital and small letters are not the same"),
        (DATE, "31/12/2024", "it is written day/month/year here; the schema says year-month-day"),
        (DATE, "12/31/2024", "it is written month/day/year here; the schema says year-month-day"),
        (DATE, "01.02.2024", "it is written day.month.year or month.day.year here; the schema says year-month-day"),
        (DATE, "2024/12/31", "it is written year/month/day here; the schema says year-month-day"),
        (DATE, "2024-02-31", "there is no such day in the calendar"),
        (DATE, "2024-1-5", "its month and its day need two digits each"),
        (DATE, "2024-01-05 10:30", "it has a time of day, too"),
        (DATE, "5 May 2024", "its month is written as a word"),
        ({"type": "date", "format": "%d/%m/%Y"}, "12/31/2024", "it is written month/day/year here; the schema says day/month/year"),
        ({"type": "date", "format": "%m/%d/%Y"}, "31/12/2024", "it is written day/month/year here; the schema says month/day/year"),
        ({"type": "date", "format": "%d/%m/%Y"}, "31/02/2024", "there is no such day in the calendar"),
        ({"type": "date", "format": "%d/%m/%Y"}, "99/01/2024", "there is no such day in the calendar"),
        ({"type": "date", "format": "%d/%m/%Y"}, "31/12/24", "its year does not have four digits"),
        (DATETIME, "2024-01-31 10:30:00", "it has a blank between date and time; the schema says T"),
        (DATETIME, "2024-01-31T10:30:00+0100", "its zone has no colon, as in +01:00"),
        (DATETIME, "2024-01-31", "it has no time of day"),
        (DATETIME, "2024-01-31T10:30", "it has no seconds"),
        (DATETIME, "2024-01-31T25:30:00", "there is no such time of day"),
        ({"type": "datetime", "format": "%Y-%m-%d %H:%M:%S"}, "2024-01-31T10:30:00", "it has a T between date and time"),
        (TIME, "15:30", "it has no seconds"),
        (TIME, "3:30:00 PM", "it has AM or PM; the schema says hours from 0 to 23"),
        (TIME, "25:00:00", "there is no such time of day"),
        ({"type": "string", "format": "email"}, "user.example.org", 'it has no "@"'),
        ({"type": "string", "format": "uri"}, "www.example.org", 'it does not begin with "https://" or the like'),
    ],
)
def test_message_says_what_is_wrong_with_the_cell(field: Described, cell: str, said: str) -> None:
    schema = parse_table_schema({"fields": [{"name": "a", **field}]})
    message = describe_type_error(schema.fields[0])
    assert _messages(field, [cell]) == {0: f"{message.removesuffix('.')}: {said}."}


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        (INTEGER, "abc"),
        (INTEGER, "x 4 y 5"),
        (NUMBER, "1.2.3"),
        (DATE, "soon"),
        (DATE, "x ".strip()),
        ({"type": "boolean"}, "maybe"),
        (INTEGER, "4" * 200 + " x"),
    ],
)
def test_message_of_any_other_cell_is_that_of_its_type(field: Described, cell: str) -> None:
    assert _messages(field, [cell]) == {0: describe_type_error(Field(name="a", **field))}  # type: ignore[arg-type]


def test_cells_of_a_column_have_their_own_messages() -> None:
    found = _messages(INTEGER, ["1", "2 ", "abc", "3.5", "4"])
    assert list(found) == [1, 2, 3]
    assert "blank" in found[1]
    assert found[2] == describe_type_error(Field(name="a", type="integer"))
    assert "decimals" in found[3]


def test_dates_of_one_column_have_the_order_that_one_of_them_tells() -> None:
    found = _messages(DATE, ["01.02.2024", "31.01.2024", "05.06.2024"])
    assert set(found.values()) == {"This value must be a date such as 2024-01-31: it is written day.month.year here; the schema says year-month-day."}


def test_column_of_many_distinct_wrong_cells_has_one_message() -> None:
    cells = [f"{day:02}.{month:02}.{year}" for year in range(2000, 2024) for month in range(1, 13) for day in range(1, 29)]
    assert len(set(_messages(DATE, cells).values())) == 1


def test_message_stays_short_whatever_the_cell_has() -> None:
    assert max(map(len, _messages({"type": "number", "groupChar": "x" * 255}, ["1" + "x" * 255 + "2", "\u200b" * 90, "€" * 90]).values())) <= 1_000


@pytest.mark.parametrize("field", [INTEGER, NUMBER, DATE, TIME, DATETIME, {"type": "date", "format": "%d.%m.%y"}, {"type": "integer", "groupChar": "."}])
@settings(max_examples=40, deadline=None)
@given(cells=st.lists(st.one_of(st.text(max_size=8), st.text("0123456789-/.:,T+Z ()€\u00a0", max_size=22)), min_size=1, max_size=20))
def test_any_cell_is_told_something(field: Described, cells: list[str]) -> None:
    assert all(message.endswith(".") for message in _messages(field, cells).values())


@pytest.mark.parametrize(
    ("constraints", "cells", "said"),
    [
        ({"pattern": "[0-9]{5}"}, ["02134 ", "abcde "], {0: "it has a blank at its end"}),
        ({"pattern": "[A-Z]{2}"}, ["\u200bAT", "QQQ"], {0: "it contains a zero-width space (U+200B), which cannot be seen"}),
        ({"enum": ["AT", "DE"]}, [" AT", "DE", "FR ", "DE\u00a0"], {0: "it has a blank at its start", 3: "it has a no-break space (U+00A0) at its end"}),
        ({"minLength": 3}, ["a "], {}),
    ],
)
def test_text_that_only_padding_makes_wrong_is_told_so(constraints: Described, cells: list[str], said: dict[int, str]) -> None:
    found = _messages({"type": "string", "constraints": constraints}, cells)
    assert {row: message.rpartition(": ")[2].removesuffix(".") for row, message in found.items() if ": it " in message} == said

"""The fast parsers of local forms accept only cells that the exact parser accepts, give the same values, and accept the usual ones."""

from __future__ import annotations

import datetime as dt
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.checking.checker import Checker
from features.processing.checking.type_rule import NOT_A_VALUE, TypeRule
from features.processing.column import Column
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import Field, NotOfTypeError, parse_table_schema, value_parser

_GROUPS = ["", ",", ".", " ", "'", "\u00a0", "\u202f", "\u2019"]
_PATTERNS = {
    "date": [
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d.%m.%Y",
        "%Y/%m/%d",
        "%d-%m-%y",
        "%Y%m%d",
        "%d %b %Y",
        "%d-%b-%y",
        "%b %d, %Y",
        "%Y-%m-%d",
        "%Y年%m月%d日",
        "%d. %m. %Y",
        "%B %d, %Y",
        "%a, %d %b %Y",
    ],
    "datetime": [
        "%Y-%m-%d %H:%M:%S",
        "%d.%m.%Y %H:%M",
        "%m/%d/%Y %I:%M %p",
        "%Y-%m-%d %H:%M:%S.%f",
        "%Y-%m-%dT%H:%M:%S%z",
        "%d/%m/%Y %H:%M:%S %z",
        "%Y%m%d%H%M%S",
        "%Y-%m-%d %H:%M:%S UTC",
    ],
    "time": ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S%p", "%H:%M:%S.%f", "%H.%M", "%H%M"],
}


@st.composite
def _number_columns(draw: st.DrawFn) -> tuple[Field, list[str]]:
    decimal = draw(st.sampled_from([".", ","]))
    kind = draw(st.sampled_from(["integer", "number"]))
    group = draw(st.sampled_from([each for each in _GROUPS if each != decimal]))
    field = Field(name="f", type=kind, decimal_char=decimal if kind == "number" else ".", group_char=group, bare_number=draw(st.booleans()))
    mark = group or ","
    known = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "12", "345", "678", "-", "+", "(", ")", "€", "%", "EUR", ".", ",", "nan", "e5"]
    pieces = st.sampled_from([*known, " ", decimal, mark, f"{mark}234", f"{mark}56", f"{mark}789"])
    free = st.lists(pieces, max_size=9).map("".join)
    shaped = st.builds(
        lambda before, head, groups, tail, behind: before + head + "".join(mark + part for part in groups) + tail + behind,
        st.sampled_from(["", "", "-", "+", "$", "€ ", "(", "-$", "EUR -", " "]),
        st.from_regex(r"[0-9]{1,4}", fullmatch=True),
        st.lists(st.from_regex(r"[0-9]{2,4}", fullmatch=True), max_size=3),
        st.sampled_from(["", f"{decimal}5", f"{decimal}50", f"{decimal}"]),
        st.sampled_from(["", "", " €", "%", ")", "-", " "]),
    )
    return field, draw(st.lists(st.one_of(free, shaped), max_size=25))


@settings(max_examples=200, deadline=None)
@given(_number_columns())
def test_numbers_in_any_form_are_judged_as_the_exact_parser_judges_each_cell(case: tuple[Field, list[str]]) -> None:
    _assert_same(*case)


@st.composite
def _pattern_columns(draw: st.DrawFn) -> tuple[Field, list[str]]:
    kind = draw(st.sampled_from(sorted(_PATTERNS)))
    pattern = draw(st.sampled_from(_PATTERNS[kind]))
    seed = random.Random(draw(st.integers(0, 2**32)))
    cells = [_write(pattern, seed) for _ in range(draw(st.integers(0, 20)))]
    spoiled = [_spoil(cell, seed) if seed.random() < 0.5 else cell for cell in cells]
    return Field(name="f", type=kind, format=pattern), spoiled


def _write(pattern: str, seed: random.Random) -> str:
    zone = seed.choice(["+0000", "-0330", "+1400"])
    moment = dt.datetime(  # noqa: DTZ001 - its zone is written by hand
        seed.randint(1, 9999), seed.randint(1, 12), seed.randint(1, 28), seed.randint(0, 23), seed.randint(0, 59), seed.randint(0, 59), seed.randint(0, 999_999)
    )
    text = pattern.replace("%Y", f"{moment.year:04}").replace("%z", seed.choice([zone, f"{zone[:3]}:{zone[3:]}", "Z"]))
    text = moment.strftime(text)
    text = seed.choice([text, text.lower(), text.upper()])
    # Parts that begin with a zero lose it here and there.
    return text.replace("0", "", 1) if seed.random() < 0.3 else text


def _spoil(text: str, seed: random.Random) -> str:
    place = seed.randrange(len(text) + 1)
    return text[:place] + seed.choice(["", "0", "9", "3", " ", "/", ".", "-", ":", "x", "é", "PM"]) + text[place + seed.randint(0, 1) :]


@settings(max_examples=200, deadline=None)
@given(_pattern_columns())
def test_dates_and_times_in_any_pattern_are_judged_as_the_exact_parser_judges_each_cell(case: tuple[Field, list[str]]) -> None:
    _assert_same(*case)


def _assert_same(field: Field, cells: list[str]) -> None:
    parse = value_parser(field)
    expected = []
    for cell in cells:
        try:
            expected.append(parse(cell))
        except NotOfTypeError:
            expected.append(NOT_A_VALUE)
    typed = TypeRule(field).judge(Column(pa.array(cells, pa.string())), np.ones(len(cells), np.bool_))
    assert typed.ok.tolist() == [value is not NOT_A_VALUE for value in expected]
    for row in np.flatnonzero(typed.numbered):
        assert int(typed.numbers[row]) == expected[row] * typed.scale
    for row in np.flatnonzero(typed.accepted) if field.type == "number" else ():
        assert float(typed.floats[row]) == float(expected[row])


@pytest.mark.parametrize("others", [[], ["1\u202f234"]])
def test_control_character_is_no_group_character(others: list[str]) -> None:
    for kind in ("integer", "number"):
        for is_bare in (True, False):
            _assert_same(Field(name="f", type=kind, group_char="\u202f", bare_number=is_bare), ["1\x01234", "5", *others])


def test_numbers_between_long_texts_are_found() -> None:
    _assert_same(Field(name="f", type="number", decimal_char=",", group_char="."), ["1.234,5", "x" * 10_000, "", "1.23,5", "9" * 5_000, "7"])
    _assert_same(Field(name="f", type="integer", bare_number=False), ["x" * 10_000, "y" * 10_000])


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        ({"type": "number", "decimal_char": ",", "group_char": "."}, ["1.234,50", "99,00", "-5,25", "1.234.567,8", "7"]),
        ({"type": "number", "decimal_char": ",", "group_char": ".", "bare_number": False}, ["1.234,50 €", "-5,00 €", "(7,25)", "EUR 3,00"]),
        ({"type": "integer", "group_char": ","}, ["1,234", "12", "12,34,567", "-1,234,567"]),
        ({"type": "integer", "group_char": "\u202f"}, ["1\u202f234", "12"]),
        ({"type": "number", "bare_number": False}, ["95.5 %", "$1.50", "-$2", "3%"]),
        ({"type": "date", "format": "%d/%m/%Y"}, ["31/12/2024", "1/2/2024", "01/2/2024", "1/02/2024"]),
        ({"type": "date", "format": "%m/%d/%Y"}, ["12/31/2024"]),
        ({"type": "date", "format": "%d.%m.%y"}, ["31.12.24"]),
        ({"type": "date", "format": "%d-%b-%Y"}, ["31-DEC-2024", "1-jan-2024"]),
        ({"type": "date", "format": "%B %d, %Y"}, ["December 31, 2024", "May 1, 2024", "AUGUST 03, 2024"]),
        ({"type": "date", "format": "%a, %d %b %Y"}, ["Tue, 31 Dec 2024", "wed, 1 May 2024"]),
        ({"type": "datetime", "format": "%Y-%m-%d %H:%M:%S"}, ["2024-01-01 15:30:00"]),
        ({"type": "datetime", "format": "%m/%d/%Y %I:%M %p"}, ["1/31/2024 3:30 PM", "12/31/2024 12:00 am"]),
        ({"type": "datetime", "format": "%Y-%m-%d %H:%M:%S.%f%z"}, ["2024-01-01 15:30:00.123+01:00", "2024-01-01 15:30:00.123456Z"]),
        ({"type": "time", "format": "%H:%M"}, ["15:30", "9:30"]),
    ],
)
def test_usual_cells_are_read_by_whole_columns(field: dict[str, object], cells: list[str]) -> None:
    column = Column(pa.array(cells))
    assert TypeRule(Field(name="f", **field)).parse_fast(column).accepted.tolist() == [True] * len(cells)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "cells"),
    [
        ({"type": "datetime", "format": "%Y-%m-%d %H:%M:%S.%f"}, ["2024-01-01 10:00:00.50", "2024-01-01 10:00:00.5"]),
        ({"type": "datetime", "format": "%d.%m.%Y %H:%M"}, ["1.1.2024 10:00", "01.01.2024 10:00"]),
        ({"type": "date", "format": "%d %B %Y"}, ["1 May 2024", "01 MAY 2024"]),
        ({"type": "time", "format": "%I:%M %p"}, ["3:30 PM", "03:30 pm"]),
        ({"type": "integer", "groupChar": ","}, ["1,234", "+1234"]),
        ({"type": "number", "decimalChar": ",", "groupChar": ".", "bareNumber": False}, ["(1.234,50 €)", "-1234,5"]),
    ],
)
def test_one_value_in_two_spellings_is_no_unique_value(field: dict[str, object], cells: list[str]) -> None:
    schema = parse_table_schema({"fields": [{"name": "a", **field, "constraints": {"unique": True}}]})
    checker = Checker(schema, labels=["a"], header_row=1, limits=ReadLimits())
    (finding,) = checker.check(Chunk(columns=[pa.array(cells)], row_numbers=np.arange(2, 2 + len(cells)))).findings
    checker.close()
    assert (finding.error_type, finding.row_numbers.tolist(), finding.list_params()) == ("unique-error", [3], [{"first_row_number": 2}])


@pytest.mark.parametrize("field", [{"type": "number", "decimalChar": ","}, {"type": "integer", "groupChar": "."}, {"type": "number", "bareNumber": False}])
def test_long_text_among_empty_cells_is_one_error(field: dict[str, object]) -> None:
    schema = parse_table_schema({"fields": [{"name": "a", **field}]})
    checker = Checker(schema, labels=["a"], header_row=1, limits=ReadLimits())
    (finding,) = checker.check(Chunk(columns=[pa.array(["x" * 400, "", ""])], row_numbers=np.arange(2, 5))).findings
    checker.close()
    assert (finding.error_type, finding.row_numbers.tolist()) == ("type-error", [2])

"""The fast parser of a column accepts only cells that the exact parser accepts, and gives the same values."""

from __future__ import annotations

import datetime as dt
import random
import re
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.processing.checking.type_rule import TypeRule, describe_type_error
from features.processing.column import Column, TextSet
from shared.descriptors.table_schema import Field, NotOfTypeError, value_parser

_ALPHABETS = {
    "integer": "0123456789+-_x. e٣",
    "number": "0123456789+-.eEnaifNIF,_x",
    "boolean": "truefalsTRUE01 ",
    "date": "0123456789- /",
    "time": "0123456789:.",
    "datetime": "0123456789-:T.Z+ ",
    "year": "0123456789-+Z:",
    "string": "aé@. ",
    "any": "aé ",
}
_SHAPES = {
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "time": r"[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "datetime": r"[0-2][0-9]{3}-[01][0-9]-[0-3][0-9][T ][012][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,3})?(Z|[+-][01][0-9]:[03]0)?",
    "number": r"[+-]?[0-9]{0,19}\.?[0-9]{0,3}([eE][+-]?[0-9]{1,3})?",
    "integer": r"[+-]?[0-9]{0,20}",
    "year": r"-?[0-9]{4}(Z)?",
}


@st.composite
def _columns(draw: st.DrawFn) -> tuple[str, list[str]]:
    kind = draw(st.sampled_from(sorted(_ALPHABETS)))
    cell = st.text(_ALPHABETS[kind], max_size=22)
    if kind in _SHAPES:
        cell = st.one_of(cell, st.from_regex(_SHAPES[kind], fullmatch=True))
    # Uniform columns take the shortest path through the code, so they are drawn as well.
    return kind, draw(st.one_of(st.lists(cell, max_size=30), st.lists(st.from_regex(_SHAPES.get(kind, "[a-z]"), fullmatch=True), max_size=30)))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(_columns())
def test_any_column_is_judged_as_the_exact_parser_judges_each_cell(case: tuple[str, list[str]]) -> None:
    kind, cells = case
    field = Field(name="f", type=kind)
    parse = value_parser(field)
    expected = []
    for cell in cells:
        try:
            expected.append((True, parse(cell)))
        except NotOfTypeError:
            expected.append((False, None))
    typed = TypeRule(field).judge(Column(pa.array(cells, pa.string())), np.ones(len(cells), np.bool_))
    assert typed.ok.tolist() == [ok for ok, _ in expected]
    for row in np.flatnonzero(typed.numbered):
        assert int(typed.numbers[row]) == expected[row][1] * typed.scale
    for row in np.flatnonzero(typed.accepted) if kind == "number" else ():
        assert float(typed.floats[row]) == float(expected[row][1])


@pytest.mark.parametrize("seed", range(40))
def test_numbers_of_up_to_18_characters_are_found_by_whole_columns_among_other_texts(seed: int) -> None:
    chance = random.Random(seed)
    usual = chance.randint(0, 7)

    def write() -> str:
        if chance.random() < 0.2:
            return "".join(chance.choices("0123456789.-+x", k=chance.choice([0, 1, 2, 3, 4, 19, 60])))
        decimals = usual if chance.random() < 0.9 else chance.randint(0, 9)
        whole = str(chance.randint(0, 10 ** chance.randint(0, 8)))[chance.random() < 0.1 :]
        return chance.choice(["", "-", ""]) + whole + ("." + "".join(chance.choices("0123456789", k=decimals)) if decimals else "")

    cells: list[str | None] = [*[""] * chance.choice([0, 3_000]), chance.choice(["x", "1.2.3", "12.31.2020"]), *(write() for _ in range(2_000)), None, ""]
    column = Column(pa.array(["-7", *cells, "8."], pa.string()).slice(1, len(cells)))
    fast = TypeRule(Field(name="f", type="number")).parse_fast(column)
    # The exact parser looks at the rest; shorter cells with a sign or a point may have no digit.
    expected = [re.fullmatch(r"[0-9]{1,18}|(?=.{3,18}$)-?[0-9]*[.]?[0-9]*", cell or "") is not None for cell in cells]
    assert fast.accepted.tolist() == expected
    assert 500 < sum(expected) < len(cells)


def test_every_day_of_the_calendar_has_its_number() -> None:
    days = [dt.date.fromordinal(ordinal) for ordinal in range(1, dt.date.max.toordinal() + 1, 97)] + [dt.date(year, 2, 28) for year in range(1, 9999, 7)]
    typed = TypeRule(Field(name="d", type="date")).judge(Column(pa.array([day.isoformat() for day in days])), np.ones(len(days), np.bool_))
    assert typed.numbers.tolist() == [day.toordinal() for day in days]


@pytest.mark.parametrize("wrong", ["0000-01-01", "2023-02-29", "2024-1-001", " 2024-1-01", "2024/01/01", "+024-01-01"])
def test_one_wrong_date_among_dates_of_ten_bytes_is_found(wrong: str) -> None:
    column = Column(pa.array(["2024-02-29", wrong, "0001-01-01", "9999-12-31"]))
    typed = TypeRule(Field(name="a", type="date")).judge(column, np.ones(4, np.bool_))
    assert typed.ok.tolist() == [True, False, True, True]
    assert typed.numbers[typed.ok].tolist() == [dt.date(2024, 2, 29).toordinal(), 1, dt.date.max.toordinal()]


def test_every_white_space_character_makes_a_blank_cell() -> None:
    characters = [chr(point) for point in range(1, sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    column = Column(pa.array(characters))
    assert {character for character, blank in zip(characters, column.blank.tolist(), strict=True) if blank} == {c for c in characters if c.isspace()}


def _is_value(text: str, **field: object) -> bool:
    try:
        value_parser(Field(name="f", **field))(text)  # type: ignore[arg-type]
    except NotOfTypeError:
        return False
    return True


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ({"type": "integer"}, ["0", "-7", "+7", "007", "9" * 5000], ["0x1F", "1_0", "٣", " 1", "1.0", "1e3", "", "--1"]),
        (
            {"type": "integer", "group_char": ","},
            ["1,000", "1000", "-1,000,000", "12,34,567", "1,00,000"],
            [",1", "1,", "1,,0", "1,0.0", "0,99", "12,5", "1,2345", "1234,567", "123,45,678", "1,234,56", "1,23,4567", "1,234,56,789"],
        ),
        ({"type": "integer", "bare_number": False}, ["95%", "€ 95", "EUR -95", "95"], ["%", "", "9 5"]),
        ({"type": "number"}, ["1", "1.", ".5", "1e400", "NaN", "inf", "-INF", "+1.5E-3"], ["+inf", "infinity", "1,5", "1_0", "0x1p3", ".", "e5", "1e", " 1"]),
        ({"type": "number", "decimal_char": ","}, ["1,5", "1", ",5", "nan"], ["1.5", "1,5,5"]),
        ({"type": "number", "group_char": ".", "decimal_char": ","}, ["1.000,5", "1,5"], ["1,5.0", ".5"]),
        ({"type": "number", "bare_number": False}, ["95.5 %", "$1.5", "-$2", "NaN"], ["abc", "1.2.3"]),
        ({"type": "number", "group_char": ",", "bare_number": False}, ["1,234.5 $", "(1,234)"], ["0,99 $", "1,23 €"]),
        ({"type": "boolean"}, ["true", "True", "TRUE", "1", "false", "0"], ["tRue", "yes", ""]),
        ({"type": "boolean", "true_values": ("ja",), "false_values": ("nein",)}, ["ja", "nein"], ["true", "0"]),
        ({"type": "date"}, ["2024-02-29"], ["2023-02-29", "20240105", "2024-1-5", "2024-01-05T00:00:00", "٢٠٢٤-01-01", "0000-01-01"]),
        ({"type": "date", "format": "%d/%m/%Y"}, ["31/01/2024", "1/2/2024"], ["32/01/2024", "٣١/01/2024", "31/01/24x"]),
        ({"type": "date", "format": "any"}, ["2024-01-31", "31.01.2024", "Jan 31, 2024", "20240131"], ["03/04/2024", "yesterday"]),
        ({"type": "time"}, ["00:00:00", "23:59:59"], ["24:00:00", "12:00", "12:00:00.5", "12:00:00Z"]),
        ({"type": "time", "format": "%H:%M"}, ["12:30"], ["12:30:00"]),
        ({"type": "time", "format": "any"}, ["12:30", "12:30 PM"], ["noon"]),
        (
            {"type": "datetime"},
            ["2024-01-31T10:00:00", "2024-01-31T24:00:00", "2024-01-31T10:00:00.123456789123-05:00"],
            ["2024-01-31 10:00:00", "2024-01-31", "9999-12-31T24:00:01"],
        ),
        ({"type": "datetime", "format": "%d/%m/%Y %H:%M"}, ["12/11/2018 09:15"], ["12/11/2018"]),
        ({"type": "datetime", "format": "any"}, ["2024-01-31 10:00:00", "31.01.2024 10:00"], ["10:00"]),
        ({"type": "year"}, ["2024", "-0044", "12345", "2024Z"], ["24", "0000", "02024", "+2024"]),
        ({"type": "yearmonth"}, ["2024-01", "-0044-12"], ["2024-13", "2024-1", "0000-01", "2024"]),
        ({"type": "duration"}, ["P1Y2M3DT4H5M6.7S", "-P1D", "PT0S", "P0Y"], ["P", "PT", "P1DT", "1D", "P1S", "P1W", "P-1D"]),
        ({"type": "object"}, ['{"a": 1}'], ["[1]", "1", "{a: 1}", '{"a": NaN}', '{"a":' * 100_000]),
        ({"type": "array"}, ["[1, 2]", "[]"], ["{}", "[1,]", "[" * 100_000]),
        ({"type": "list"}, ["a,b", "a", ""], []),
        ({"type": "list", "item_type": "integer", "delimiter": ";"}, ["1;2"], ["1,2", "1;", "1;x"]),
        ({"type": "geopoint"}, ["90.50, 45.50", "90,45", "-180,-90"], ["90.5", "181,0", "0,91", "a,b", "1,2,3", "NaN,1", "90,  45"]),
        ({"type": "geopoint", "format": "array"}, ["[90.5, 45.5]"], ["[90.5]", '["90", "45"]', "90,45", "[true, 1]"]),
        ({"type": "geopoint", "format": "object"}, ['{"lon": 90.5, "lat": 45}'], ['{"lon": 90.5}', '{"lon": 1, "lat": 2, "x": 3}', "[1,2]"]),
        (
            {"type": "geojson"},
            [
                '{"type": "Point", "coordinates": [1, 2]}',
                '{"type": "Feature", "geometry": null, "properties": null}',
                '{"type":"FeatureCollection","features":[]}',
            ],
            ['{"type": "Point"}', '{"type": "Polygon", "coordinates": [[[0,0],[1,1],[0,1]]]}', '{"type": "Topology"}', "[]", '{"type":["Point"]}'],
        ),
        (
            {"type": "geojson", "format": "topojson"},
            ['{"type":"Topology","objects":{"a":{"type":"LineString","arcs":[0]}},"arcs":[[[0,0],[1,1]]]}'],
            ['{"type":"Topology","objects":{"a":{"type":"LineString","arcs":[1]}},"arcs":[[[0,0],[1,1]]]}', '{"type": "Point", "coordinates": [1, 2]}'],
        ),
        (
            {"type": "string", "format": "email"},
            ["a@b.co", "first.last+tag@sub.example.org", "ü@exämple.de"],
            ["a", "a@b", ".a@b.co", "a..b@c.de", "a b@c.de", "@b.co", "a@-b.de", "a@b.co "],
        ),
        (
            {"type": "string", "format": "uri"},
            ["http://a.b/c?d#e", "mailto:a@b.c", "urn:isbn:1", "https://[::1]/%20"],
            ["a", "http://", "http:///x", "http://a b", "http://a/%zz", "//a"],
        ),
        ({"type": "string", "format": "binary"}, ["YQ==", "YWJj", ""], ["YQ", "Y", "YQ=!", "é"]),
        (
            {"type": "string", "format": "uuid"},
            ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"],
            ["123e4567e89b12d3a456426614174000", "x"],
        ),
        ({"type": "any"}, ["", "x"], []),
    ],
)
def test_text_is_or_is_not_a_value_of_its_type(field: dict[str, object], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not _is_value(text, **field)] == []
    assert [text for text in bad if _is_value(text, **field)] == []


@pytest.mark.parametrize("field", [{"type": "string", "format": "email"}, {"type": "string", "format": "uuid"}])
@settings(max_examples=60, deadline=None)
@given(cells=st.lists(st.one_of(st.emails(), st.uuids().map(str), st.text("a@.-é_ \n", max_size=8))))
def test_formats_of_text_are_judged_as_the_exact_parser_judges_them(field: dict[str, object], cells: list[str]) -> None:
    typed = TypeRule(Field(name="f", **field)).judge(Column(pa.array(cells, pa.string())), np.ones(len(cells), np.bool_))  # type: ignore[arg-type]
    assert typed.ok.tolist() == [_is_value(cell, **field) for cell in cells]


def test_durations_compare_as_xml_schema_says() -> None:
    parse = value_parser(Field(name="f", type="duration"))
    assert parse("P1Y") > parse("P364D")
    assert not parse("P1Y") > parse("P365D")
    assert not parse("P1M") > parse("P30D")
    assert not parse("P1M") < parse("P30D")
    assert parse("P1M") < parse("P32D")
    assert parse("PT36H") == parse("P1DT12H")


@pytest.mark.parametrize("text", ["(5)", "($5)", "( 5 EUR)", "$(5)", "$ (5.) net", "(a) (5) (b)", "-5", "$-5", "- 5 $", "5-", "5- EUR"])
def test_brackets_and_any_minus_make_a_number_that_is_not_bare_negative(text: str) -> None:
    assert value_parser(Field(name="f", type="integer", bare_number=False))(text) == -5


@pytest.mark.parametrize("text", ["5", "+5", "(+5)", "5-fold", "5 (net)", "5 -", "(a) 5", "(a) 5 (b)", "(5", "5)"])
def test_other_signs_and_brackets_do_not(text: str) -> None:
    assert value_parser(Field(name="f", type="integer", bare_number=False))(text) == 5


def test_numbers_stay_exact_beyond_floats_and_digits_beyond_int() -> None:
    assert value_parser(Field(name="f", type="number"))("0.1000000000000000000001") != Decimal("0.1")
    assert value_parser(Field(name="f", type="integer"))("1" + "0" * 5000) > 10**4000


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "date", "format": "%d/%m/%Y"}, "DD/MM/YYYY"),
        ({"type": "boolean"}, "true"),
        ({"type": "list", "item_type": "integer"}, "whole numbers"),
        ({"type": "geojson"}, "GeoJSON"),
    ],
)
def test_every_type_says_what_it_wants_in_a_sentence(field: dict[str, object], words: str) -> None:
    message = describe_type_error(Field(name="f", **field))  # type: ignore[arg-type]
    assert words in message
    assert message.startswith("This value ")
    assert message.endswith(".")


@pytest.mark.parametrize("texts", [["AT", "DE", "é", "\0a"], ["AT", "DEU", ""]], ids=["pairs", "others"])
def test_cells_are_found_among_texts_of_any_size(texts: list[str]) -> None:
    cells = ["AT", "DE", "at", "A", "", "DEU", "é", "e", "\0a", "a\0", None, "DE", "TA", "XATX", "AT "]
    column = Column(pa.array(["x", *cells, "y"], pa.string()).slice(1, len(cells)))
    assert TextSet(texts).find_in(column).tolist() == [cell in texts for cell in cells]

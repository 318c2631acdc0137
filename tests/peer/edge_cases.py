"""Edge cases in which two implementations of one standard are most likely to differ."""

from __future__ import annotations

import datetime as dt

from tests.peer.case import PLAIN, Case, Descriptor, column_case, csv_case, fields, text_case

_PAIR = fields({"name": "a", "type": "integer"}, "b")
_LINK = {"name": "a", "type": "integer"}


def _unique(name: str, field: Descriptor, cells: list[str]) -> Case:
    return column_case(f"unique-{name}", {**field, "constraints": {"unique": True}}, cells)


EQUALITY = (
    _unique("uuid", {"type": "string", "format": "uuid"}, ["123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"]),
    _unique("datetime", {"type": "datetime"}, ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "2024-01-01T00:00:00.0Z", "2024-01-01T02:00:00Z"]),
    _unique("duration", {"type": "duration"}, ["P1D", "PT24H", "P1Y", "P12M", "PT0S", "P0D"]),
    _unique("geopoint", {"type": "geopoint"}, ["1,2", "1.0, 2.00", "2,1"]),
    _unique("special-number", {"type": "number"}, ["NaN", "nan", "INF", "inf", "-INF", "0", "-0"]),
    _unique("any", {"type": "any"}, ["1", "1.0", "1", "a", "a"]),
    column_case("enum-number", {"type": "number", "constraints": {"enum": [1, 2.5]}}, ["1", "1.0", "2.50", "3", "NaN"]),
    column_case("enum-array", {"type": "array", "constraints": {"enum": [[1, 2], ["a"]]}}, ["[1, 2]", "[1,2]", '["a"]', "[2, 1]", "[1.0, 2]"]),
    column_case(
        "enum-datetime",
        {"type": "datetime", "constraints": {"enum": ["2024-01-01T00:00:00Z"]}},
        ["2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00", "2024-01-01T01:00:00Z"],
    ),
    column_case(
        "enum-pattern-date", {"type": "date", "format": "%d.%m.%Y", "constraints": {"enum": ["31.12.2024"]}}, ["31.12.2024", "30.12.2024", "2024-12-31"]
    ),
    column_case("enum-with-missing", {"type": "string", "constraints": {"enum": ["x", "NA"]}}, ["x", "NA", "", "y"], missingValues=["", "NA"]),
    column_case(
        "range-pattern-date", {"type": "date", "format": "%d.%m.%Y", "constraints": {"minimum": "01.02.2024"}}, ["31.01.2024", "01.02.2024", "15.01.2025"]
    ),
    column_case("range-decimal-char", {"type": "number", "decimalChar": ",", "constraints": {"maximum": "1,5"}}, ["1,4", "1,5", "1,6"]),
    column_case("range-exact", {"type": "number", "constraints": {"maximum": "0.1"}}, ["0.1", "0.10000000000000001", "0.1000000000000000055", "1e-1", "1e400"]),
    column_case(
        "range-large",
        {"type": "integer", "constraints": {"maximum": 9223372036854775807}},
        ["9223372036854775807", "9223372036854775808", "-9223372036854775809"],
    ),
    column_case(
        "range-datetime-mixed", {"type": "datetime", "constraints": {"minimum": "2024-01-01T00:00:00"}}, ["2023-12-31T23:59:59", "2024-01-01T00:00:00Z"]
    ),
    column_case("date-pattern-prefixed", {"type": "date", "format": "fmt:%d.%m.%Y"}, ["31.12.2024", "2024-12-31", ""]),
    column_case("date-pattern-names", {"type": "date", "format": "%d %b %Y"}, ["31 Dec 2024", "1 jan 2024", "31 Foo 2024"]),
    column_case("time-pattern-fraction", {"type": "time", "format": "%H:%M:%S.%f"}, ["10:30:00.5", "10:30:00", "10:30:00.1234567"]),
    column_case(
        "datetime-pattern-zone",
        {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S%z"},
        ["2024-01-31 10:30:00+0100", "2024-01-31 10:30:00Z", "2024-01-31 10:30:00"],
    ),
    column_case("missing-padded", {"type": "integer"}, ["NA", " NA", "NA ", "1"], missingValues=["", "NA"]),
    column_case("missing-of-type", {"type": "integer", "constraints": {"required": True}}, ["0", "-1", "1"], missingValues=["-1", "0"]),
    column_case("list-numbers", {"type": "list", "itemType": "number"}, ["1,2.5", "1, 2", "x"]),
    column_case("list-booleans", {"type": "list", "itemType": "boolean"}, ["true,false", "1,0", "true,maybe", "false"]),
    column_case(
        "json-schema-array",
        {"type": "array", "constraints": {"jsonSchema": {"items": {"type": "integer"}, "maxItems": 2}}},
        ["[1, 2]", "[1, 2, 3]", '["a"]', "{}", ""],
    ),
    column_case("boolean-minimal", {"type": "boolean", "trueValues": ["x"]}, ["x", "false", "0", "", "true"]),
)

TEXTS = (
    text_case("comment-quoted", _PAIR, 'a,b\n"#1",x\n# note\n2,#y\n', {**PLAIN, "commentChar": "#"}),
    text_case("comment-two-characters", _PAIR, "a,b\n// note\n1,x\n/2,y\n", {**PLAIN, "commentChar": "//"}),
    text_case("comment-without-header", _PAIR, "# note\n1,x\nq,y\n", {**PLAIN, "commentChar": "#", "header": False}),
    text_case("header-joined", fields({"name": "a-x", "type": "integer"}, "b-y"), "a,b\nx,y\nq,1\n", {**PLAIN, "headerRows": [1, 2], "headerJoin": "-"}),
    text_case("label-quoted", fields({"name": "a b", "type": "integer"}, "c,d"), '"a b","c,d"\n1,x\nq,y\n'),
    text_case("label-case", _PAIR, "A,b\n1,x\nq,y\n"),
    text_case("label-line-break", fields({"name": "a\nb", "type": "integer"}, "c"), '"a\nb",c\n1,x\nq,y\n'),
    text_case("bom-quoted", _PAIR, '"a","b"\n1,x\nq,y\n', encoding="utf-8-sig"),
    text_case("odd-characters", _PAIR, "a,b\n1,x\u2028y\n2,x\x0cy\x0bz\nq,x\u0085y\n3,\u00a0\n"),
    text_case("line-end-mixed", _PAIR, "a,b\r\n1,x\n2,y\rq,z\r\n4,w\n"),
    text_case("quote-after-blank", _PAIR, 'a,b\n1, "x y"\nq, "z"\n'),
    text_case("quote-then-text", _PAIR, 'a,b\n1,"x"y\nq,"z" w\n'),
    text_case("quote-doubled-alone", _PAIR, 'a,b\n1,""""\nq,""\n"",""\n3,x\n'),
    text_case("trailing-delimiter", _PAIR, "a,b\n1,x,\nq,y,\n"),
    text_case("one-column", fields({"name": "a", "type": "integer"}), "a\n1\n\nq\n2\n"),
    text_case("one-column-quoted", fields({"name": "a", "type": "integer", "constraints": {"required": True}}), 'a\n1\n""\nq\n'),
    text_case("one-column-detect", fields({"name": "a", "type": "integer"}), "a\n1\nq\n2\n", None),
    text_case(
        "long-cell",
        fields({"name": "a", "type": "integer"}, {"name": "b", "type": "string", "constraints": {"maxLength": 50_000}}),
        f"a,b\n1,{'x' * 50_000}\nq,{'y' * 50_001}\n",
    ),
    csv_case(
        "wide",
        fields(*({"name": f"c{number}", "type": "integer"} for number in range(300))),
        [["1"] * 300, ["x" if number % 50 == 0 else "2" for number in range(300)], ["3"] * 299],
    ),
    csv_case(
        "long",
        fields(
            {"name": "id", "type": "integer", "constraints": {"unique": True}},
            {"name": "parent", "type": "integer"},
            foreignKeys=[{"fields": ["parent"], "reference": {"fields": ["id"]}}],
        ),
        [(number if number != 12_345 else 17, 20_001 - number if number % 500 else 99_999) for number in range(1, 20_001)],
    ),
)

_DATES = fields({"name": "day", "type": "date"}, {"name": "at", "type": "datetime"}, {"name": "clock", "type": "time"}, {"name": "year", "type": "year"})
_DATE_ROWS: list[list[object]] = [
    ["day", "at", "clock", "year"],
    [dt.date(2024, 1, 31), dt.datetime(2024, 1, 31, 10, 30), dt.time(10, 30), 2024],  # noqa: DTZ001 - workbooks have no time zones
    [dt.datetime(2024, 1, 31, 10, 30), dt.date(2024, 1, 31), dt.date(2024, 1, 31), 2024.5],  # noqa: DTZ001 - as above
    ["2024-01-31", "2024-01-31T10:30:00", "10:30:00", "2024"],
    [45_322, dt.datetime(2024, 1, 31), 0.5, True],  # noqa: DTZ001 - as above
]
_KINDS = fields({"name": "i", "type": "integer"}, {"name": "n", "type": "number"}, {"name": "b", "type": "boolean"}, {"name": "s", "type": "string"})
_KIND_ROWS: list[list[object]] = [
    ["i", "n", "b", "s"],
    [1, 1, True, "x"],
    [2.0, 2.5, 1, "y"],
    [True, True, 0, " z "],
    [1e15, 1e-7, 2, "1"],
    ["3", "3.5", "false", "2"],
]

WORKBOOKS = tuple(
    case
    for suffix in ("xlsx", "xls")
    for case in (
        Case(name=f"{suffix}-dates", suffix=suffix, schema=_DATES, content={"data": _DATE_ROWS if suffix == "xlsx" else [_DATE_ROWS[0], *_DATE_ROWS[3:]]}),
        Case(name=f"{suffix}-kinds", suffix=suffix, schema=_KINDS, content={"data": _KIND_ROWS}),
        Case(
            name=f"{suffix}-unique",
            suffix=suffix,
            schema=fields({**_LINK, "constraints": {"unique": True}}, "b"),
            content={"data": [["a", "b"], [1, "x"], [1.0, "y"], ["1", "z"]]},
        ),
        Case(
            name=f"{suffix}-header-below",
            suffix=suffix,
            schema=_PAIR,
            content={"data": [["a report", None], ["a", "b"], [1, "x"], ["q", "y"]]},
            dialect={"headerRows": [2]},
        ),
        Case(
            name=f"{suffix}-comments",
            suffix=suffix,
            schema=_PAIR,
            content={"data": [["a", "b"], ["# note", None], [1, "x"], ["q", "y"]]},
            dialect={"commentChar": "#"},
        ),
        Case(name=f"{suffix}-without-header", suffix=suffix, schema=_PAIR, content={"data": [[1, "x"], ["q", "y"]]}, dialect={"header": False}),
    )
)

EDGE_CASES: tuple[Case, ...] = (*EQUALITY, *TEXTS, *WORKBOOKS)

"""Every constraint on each type that supports it; categories; keys of every kind."""

from __future__ import annotations

from tests.peer.case import Case, Descriptor, column_case, csv_case, fields


def _constrained(name: str, field: Descriptor, constraints: Descriptor, cells: list[str]) -> Case:
    return column_case(name, {**field, "constraints": constraints}, cells)


INTEGER: Descriptor = {"type": "integer"}
NUMBER: Descriptor = {"type": "number"}
STRING: Descriptor = {"type": "string"}

CONSTRAINTS = (
    _constrained("required", STRING, {"required": True}, ["a", "", "b", ""]),
    _constrained("required-integer", INTEGER, {"required": True}, ["1", "", "x", "2"]),
    _constrained("unique", STRING, {"unique": True}, ["a", "b", "a", "", "", "A", "a", "c"]),
    _constrained("unique-integer", INTEGER, {"unique": True}, ["1", "2", "01", "+1", "x", "x", "3"]),
    _constrained("unique-number", NUMBER, {"unique": True}, ["1.0", "1", "1.50", "1.5", "2e0", "2", "x"]),
    _constrained("unique-date", {"type": "date", "format": "%d.%m.%Y"}, {"unique": True}, ["01.02.2024", "1.2.2024", "02.02.2024"]),
    _constrained("unique-boolean", {"type": "boolean"}, {"unique": True}, ["true", "false", "TRUE", "0", ""]),
    _constrained("unique-object", {"type": "object"}, {"unique": True}, ['{"a": 1, "b": 2}', '{"b": 2, "a": 1}', '{"a": 2}']),
    _constrained("enum", STRING, {"enum": ["red", "green"]}, ["red", "green", "blue", "", "Red"]),
    _constrained("enum-integer", INTEGER, {"enum": [1, 2, 3]}, ["1", "2", "4", "x", "", "03"]),
    _constrained("enum-text-integer", INTEGER, {"enum": ["1", "2"]}, ["1", "2", "3", "01"]),
    _constrained("enum-date", {"type": "date"}, {"enum": ["2024-01-01", "2024-06-01"]}, ["2024-01-01", "2024-06-01", "2024-02-01", "x"]),
    _constrained("enum-boolean", {"type": "boolean"}, {"enum": [True]}, ["true", "1", "false", ""]),
    _constrained("pattern", STRING, {"pattern": "[A-Z]{2}[0-9]{3}"}, ["AB123", "AB12", "xAB123", "AB1234", "", "ab123"]),
    _constrained("pattern-alternatives", STRING, {"pattern": "yes|no"}, ["yes", "no", "yesterday", "know", "maybe"]),
    _constrained("pattern-line-break", STRING, {"pattern": "[a-z]+"}, ["abc", "abc\n", "a\nb"]),
    _constrained("pattern-look-ahead", STRING, {"pattern": "(?!x)[a-z]+"}, ["abc", "xyz", "a1"]),
    _constrained("minimum", INTEGER, {"minimum": 10}, ["9", "10", "11", "-10", "", "x"]),
    _constrained("maximum", NUMBER, {"maximum": 1.5}, ["1.5", "1.50000001", "1", "-99", "INF", "NaN"]),
    _constrained("range", INTEGER, {"minimum": 1, "maximum": 5}, ["0", "1", "3", "5", "6", "x"]),
    _constrained("exclusive", NUMBER, {"exclusiveMinimum": 0, "exclusiveMaximum": 1}, ["0", "0.001", "0.5", "1", "1.0", "-1", ""]),
    _constrained("exclusive-integer", INTEGER, {"exclusiveMinimum": "1", "exclusiveMaximum": "4"}, ["1", "2", "3", "4"]),
    _constrained(
        "range-date", {"type": "date"}, {"minimum": "2024-01-01", "maximum": "2024-12-31"}, ["2023-12-31", "2024-01-01", "2024-12-31", "2025-01-01", "x"]
    ),
    _constrained("range-time", {"type": "time"}, {"minimum": "08:00:00", "exclusiveMaximum": "18:00:00"}, ["07:59:59", "08:00:00", "17:59:59", "18:00:00"]),
    _constrained(
        "range-datetime",
        {"type": "datetime"},
        {"minimum": "2024-01-01T00:00:00Z"},
        ["2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "2024-01-01T00:30:00+01:00"],
    ),
    _constrained("range-year", {"type": "year"}, {"minimum": 1900, "maximum": "2024"}, ["1899", "1900", "2024", "2025"]),
    _constrained("range-yearmonth", {"type": "yearmonth"}, {"minimum": "2024-02"}, ["2024-01", "2024-02", "2023-12", "2025-01"]),
    _constrained("range-duration", {"type": "duration"}, {"minimum": "PT1H"}, ["PT59M", "PT1H", "P1D", "PT3600S"]),
    _constrained("range-duration-months", {"type": "duration"}, {"minimum": "P30D"}, ["P1M", "P2M", "P1Y", "P29D"]),
    _constrained("length", STRING, {"minLength": 2, "maxLength": 4}, ["a", "ab", "abcd", "abcde", "", "äöü", "日本語日本", "👍🏽"]),
    _constrained("length-array", {"type": "array"}, {"minLength": 1, "maxLength": 2}, ["[]", "[1]", "[1, 2]", "[1, 2, 3]"]),
    _constrained("length-object", {"type": "object"}, {"minLength": 1}, ["{}", '{"a": 1}']),
    _constrained("length-list", {"type": "list"}, {"maxLength": 2}, ["a", "a,b", "a,b,c"]),
    _constrained("json-schema", {"type": "object"}, {"jsonSchema": {"required": ["a"]}}, ['{"a": 1}', '{"b": 1}', "[", ""]),
    _constrained("two-constraints", STRING, {"minLength": 3, "pattern": "[a-z]+", "enum": ["abc", "abcd"]}, ["abc", "A", "abcde", "a"]),
    column_case("categories", {"type": "string", "categories": ["low", "high"]}, ["low", "high", "middle", "", "Low"]),
    column_case(
        "categories-labelled", {"type": "integer", "categories": [{"value": 1, "label": "low"}, {"value": 2, "label": "high"}]}, ["1", "2", "3", "low", ""]
    ),
)

_PAIR = ({"name": "a", "type": "integer"}, {"name": "b", "type": "string"}, {"name": "c", "type": "string"})

KEYS = (
    csv_case(
        "primary-key",
        fields(*_PAIR, primaryKey="a"),
        [(1, "x", ""), (2, "y", ""), (1, "z", ""), (3, "", ""), ("", "w", ""), ("q", "v", ""), ("q", "u", ""), ("01", "t", "")],
    ),
    csv_case(
        "primary-key-composite",
        fields(*_PAIR, primaryKey=["a", "b"]),
        [(1, "x", ""), (1, "y", ""), (2, "x", ""), (1, "x", "again"), (2, "x", "again"), (3, "z", "")],
    ),
    csv_case(
        "primary-key-partly-empty", fields(*_PAIR, primaryKey=["a", "b"]), [(1, "", "p"), ("", "x", "p"), ("", "", "none"), (1, "", "again"), (1, "x", "")]
    ),
    csv_case(
        "unique-keys",
        fields(*_PAIR, uniqueKeys=[["a", "b"], ["c"]]),
        [(1, "x", "p"), (1, "y", "q"), (1, "x", "r"), (2, "z", "p"), ("", "x", ""), ("", "x", "")],
    ),
    csv_case(
        "foreign-key",
        fields(
            {"name": "id", "type": "integer"},
            {"name": "boss", "type": "integer"},
            "name",
            foreignKeys=[{"fields": ["boss"], "reference": {"resource": "", "fields": ["id"]}}],
        ),
        [(1, "", "Ada"), (2, 1, "Bob"), (3, 5, "Cyd"), (4, 3, "Dan"), (5, 4, "Eve"), (6, 9, "Fay")],
    ),
    csv_case(
        "foreign-key-v2",
        fields(
            {"name": "id", "type": "integer"}, {"name": "boss", "type": "integer"}, "name", foreignKeys=[{"fields": ["boss"], "reference": {"fields": ["id"]}}]
        ),
        [(1, "", "Ada"), (2, 1, "Bob"), (3, 7, "Cyd")],
    ),
    csv_case(
        "foreign-key-composite",
        fields("x", "y", "u", "v", foreignKeys=[{"fields": ["u", "v"], "reference": {"resource": "", "fields": ["x", "y"]}}]),
        [("a", "b", "a", "b"), ("c", "d", "a", "d"), ("e", "f", "c", "d"), ("g", "h", "", ""), ("i", "j", "a", ""), ("k", "l", "z", "z")],
    ),
    csv_case(
        "unique-and-primary",
        fields({"name": "a", "type": "integer", "constraints": {"required": True, "unique": True}}, "b", primaryKey=["a"]),
        [(1, "x"), (1, "y"), ("", "z"), (2, "w")],
    ),
)

CONSTRAINT_CASES: tuple[Case, ...] = (*CONSTRAINTS, *KEYS)

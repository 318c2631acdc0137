"""Strategies for tables and schemas of every kind, for the property tests of the checks and of the whole engine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_CELLS = {
    "integer": ["0", "1", "-1", "+1", "01", "10", "0x1F", "1_0", "٣", " 1", "1 ", "1.0", "", "  ", "-",
                "99999999999999999999", "9223372036854775808", "NA", "7"],
    "number": ["0", "-0", "1", "1.0", "1.00", "+1", ".5", "5.", "-", ".", "1e2", "100", "1e400", "nan", "INF", "-inf", "+inf", "1,5", "1..2", "0x1",
               "", "NA", "0.1", "0.1000000000000000000001", "9007199254740993", "9007199254740992"],
    "boolean": ["true", "False", "1", "0", "yes", "TRUE", "tRUE", "", " "],
    "date": ["2024-01-31", "2023-02-29", "2024-02-29", "20240105", "2024-1-5", "0000-01-01", "0001-01-01", "9999-12-31", "1900-02-29",
             "2024-13-01", "", "٢024-01-01"],
    "time": ["00:00:00", "23:59:59", "24:00:00", "12:60:00", "1:00:00", "12:00", "", "12:00:60"],
    "datetime": ["2024-01-31T10:00:00", "2024-01-31T10:00:00Z", "2024-01-31T11:00:00+01:00", "2024-01-31T10:00:00.5", "2024-01-31T10:00:00.500Z",
                 "2024-01-30T24:00:00", "2024-01-31T00:00:00", "2024-01-31 10:00:00", "2024-01-31T25:00:00", "2024-02-30T10:00:00", "",
                 "2024-01-31T10:00:00+15:00"],
    "year": ["2024", "0000", "0001", "-0044", "24", "12345", "2024Z", "", "x"],
    "string": ["", " ", "a", "b", "ab", "äö", "ab\n", "NA", "-", "abcabcabcabcabcabc", "abcabcabcabcabcabd", "\u3000", "é", "1"],
    "any": ["", "a", "1", "NA"],
}  # fmt: skip
_BOUNDS: dict[str, list[Any]] = {
    "integer": ["1", 0, "7", "99999999999999999999", -1],
    "number": ["1", 0.1, "9007199254740993", "1e2", "-INF", 0],
    "date": ["2024-01-31", "0001-01-01"],
    "time": ["12:00:00", "23:59:59"],
    "datetime": ["2024-01-31T10:00:00", "2024-01-31T10:00:00.5Z"],
    "year": [2024, "0001"],
}
_ENUMS: dict[str, list[Any]] = {
    "integer": [1, "10", "99999999999999999999"],
    "number": ["1", 0.1, "NaN", "1e2"],
    "date": ["2024-01-31"],
    "string": ["a", "ab", "äö", "NA"],
    "boolean": ["true"],
    "any": ["a", "1"],
    "datetime": ["2024-01-31T10:00:00Z", "2024-01-31T10:00:00.5"],
}
_PATTERNS = ["a.*", r"\w+", "ab$", "[a-z]{2}", r"(?!b)\w*", "é|a", r"a|ab", "(?i)AB", r"\S*", "^a$", "a{,2}b"]


@st.composite
def _fields(draw: st.DrawFn, name: str) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(_CELLS)))
    field: dict[str, Any] = {"name": name, "type": kind}
    constraints: dict[str, Any] = {}
    for flag in ("required", "unique"):
        if draw(st.integers(0, 2)) == 0:
            constraints[flag] = draw(st.booleans())
    if kind in _BOUNDS:
        for bound in draw(st.lists(st.sampled_from(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"]), max_size=2, unique=True)):
            constraints[bound] = draw(st.sampled_from(_BOUNDS[kind]))
    if kind in _ENUMS and draw(st.integers(0, 3)) == 0:
        constraints["enum"] = draw(st.lists(st.sampled_from(_ENUMS[kind]), min_size=1, unique=True))
    if kind == "string":
        if draw(st.integers(0, 2)) == 0:
            constraints["pattern"] = draw(st.sampled_from(_PATTERNS))
        low = draw(st.integers(0, 2))
        constraints |= {"minLength": low, "maxLength": low + draw(st.integers(0, 20))} if draw(st.booleans()) else {}
        if "enum" not in constraints and draw(st.integers(0, 3)) == 0:
            field["categories"] = draw(st.sampled_from([["a", "ab"], [{"value": "a", "label": "A"}, {"value": "äö"}]]))
    if draw(st.integers(0, 3)) == 0:
        field["missingValues"] = draw(st.sampled_from([[], ["NA"], ["", "-"], [" "], ["NA", "1"]]))
    return field | ({"constraints": constraints} if constraints else {})


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[list[str | None]]]:
    names = ["a", "b", "c"][: draw(st.integers(1, 3))]
    schema: dict[str, Any] = {"fields": [draw(_fields(name)) for name in names]}
    keys = st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)
    if draw(st.integers(0, 2)) == 0:
        schema["primaryKey"] = draw(keys)
    if draw(st.integers(0, 2)) == 0:
        schema["uniqueKeys"] = [draw(keys)]
    if draw(st.integers(0, 2)) == 0:
        schema["foreignKeys"] = [
            {"fields": [draw(st.sampled_from(names))], "reference": {"fields": [draw(st.sampled_from(names))]}} for _ in range(draw(st.integers(1, 2)))
        ]
    if draw(st.integers(0, 3)) == 0:
        schema["missingValues"] = draw(st.sampled_from([[], ["", "NA"], ["-"]]))
    cells = [
        st.one_of(st.sampled_from(_CELLS[field["type"]]), st.none() if draw(st.integers(0, 4)) == 0 else st.sampled_from(_CELLS["string"]))
        for field in schema["fields"]
    ]
    rows = draw(st.lists(st.tuples(*cells).map(list), max_size=12))
    return schema, rows

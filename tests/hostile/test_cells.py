"""What a single cell can make grow: memory, time and depth; and what is said of it."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from decimal import Overflow
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from features.processing.checking import type_rule
from features.processing.checking.checker import Checker
from features.processing.checking.type_rule import TOO_LONG
from features.processing.inference.infer import infer_table_schema
from features.processing.readers.base import Chunk, ReadLimits
from features.processing.recording.pieces import make_records
from shared.descriptors.table_schema import MAX_CELL_BYTES, Field, NotOfTypeError, identity_of, parse_table_schema, value_parser
from shared.descriptors.table_schema.values import MAX_JSON_LEVELS, TOO_DEEP
from shared.texts import MAX_TEXT_CHARACTERS
from tests.paths import ROOT

MIB = 2**20
MAX_MEMORY_BYTES, MAX_CPU_S = 900 * MIB, 20
"""Address space includes what is mapped and never used: a process that has only imported the engine has 500 MiB."""

Bad = dict[int, tuple[str, str]]


def check(field: Mapping[str, Any], cells: Sequence[str | None]) -> Bad:
    """Return the error type and the message of each bad cell, by its place from 0."""
    checker = Checker(parse_table_schema({"fields": [{"name": "a", **field}]}), labels=["a"], header_row=1, limits=ReadLimits())
    bad: Bad = {}
    try:
        result = checker.check(Chunk(columns=[pa.array(cells, pa.string())], row_numbers=np.arange(2, len(cells) + 2)))
        records = make_records(result.findings)
    finally:
        checker.close()
    for row, rule in zip(records.row_numbers.tolist(), records.rule_numbers.tolist(), strict=True):
        bad[row - 2] = (records.rules[rule].error_type, records.rules[rule].error_message)
    return bad


def quoted(depth: int) -> str:
    """Return JSON that nests objects, each under a key of backslashes and quotes."""
    text = "1"
    for _ in range(depth):
        text = json.dumps({'\\"': [json.loads(text)]})
    return text


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an integer of 15 MB": ({"type": "integer", "constraints": {"unique": True}}, ["9" * 15 * MIB]),
    "a number of 15 MB": ({"type": "number", "constraints": {"minimum": 1}}, ["1." + "9" * 15 * MIB]),
    "a URI of 15 MB": ({"type": "string", "format": "uri"}, ["http://a/" + "%20" * 5 * MIB]),
    "an e-mail address of 15 MB": ({"type": "string", "format": "email"}, ["a." * 7 * MIB + "a@b.cd"]),
    "JSON of 4.8 MB": ({"type": "array", "constraints": {"unique": True}}, ["[" + "[]," * int(1.6 * MIB) + "1]"]),
    "a list of 15 MB": ({"type": "list", "constraints": {"unique": True}}, ["a," * 7 * MIB]),
    "bad cells of 30 MB in all": ({"type": "string", "constraints": {"enum": ["x"]}}, ["é" * MIB] * 15),
    "JSON of the longest cells": ({"type": "array", "constraints": {"unique": True}}, ["[" + "[]," * (MIB // 3 - 10) + f"{n}]" for n in range(4)]),
    "a URI of the longest cell": ({"type": "string", "format": "uri"}, ["http://a/" + "%20" * (MIB // 3 - 10)]),
    "nested quotes": ({"type": "object", "constraints": {"unique": True}}, [quoted(MAX_JSON_LEVELS // 2)] * 2),
    "a bound of 1,000 digits": ({"type": "integer", "constraints": {"minimum": "9" * 1_000}}, [str(n) for n in range(10_000)]),
    "numbers below a bound of 900,000 digits": ({"type": "number", "constraints": {"minimum": "9e899999"}}, [f"{n}e899990" for n in range(5_000)]),
    "wrong datetimes": ({"type": "datetime", "format": "any"}, [f"31 Feb 2024 10:00 {n}" for n in range(10_000)]),
    "datetimes of wrong days": ({"type": "datetime", "format": "any"}, [f"31.02.2024 {n % 24}:{n % 60}:{n % 60}.{n}" for n in range(10_000)]),
}
ERRORS = {"JSON of the longest cells": 0, "a URI of the longest cell": 0, "nested quotes": 1, "bad cells of 30 MB in all": 15}
"""How many cells of a case are bad; of the others all."""


def _run_cases() -> None:
    """Check all cases under the limits, and print how many cells of each are bad; run in a process of its own."""
    for name, (field, cells) in CASES.items():
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, resource.RLIM_INFINITY))
        sys.stdout.write(json.dumps([name, len(check(field, cells))]) + "\n")
        sys.stdout.flush()


def test_no_cell_takes_much_memory_or_time() -> None:
    command = [
        sys.executable,
        "-c",
        f"import resource; resource.setrlimit(resource.RLIMIT_CPU, ({MAX_CPU_S},) * 2)\nfrom tests.hostile.test_cells import _run_cases; _run_cases()",
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=100)
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert found == {name: ERRORS.get(name, len(cells)) for name, (_, cells) in CASES.items()}, done.stderr[-500:]
    assert done.returncode == 0


@pytest.mark.parametrize(
    "field",
    [
        *({"type": kind} for kind in ("integer", "number", "object", "array", "list", "date", "datetime", "time", "duration", "year", "boolean", "geojson")),
        *({"type": "string", "format": form} for form in ("uri", "email", "uuid", "binary")),
    ],
    ids=lambda field: " ".join(field.values()),
)
def test_longer_cell_than_a_mebibyte_is_an_error_that_says_so(field: dict[str, Any]) -> None:
    assert check(field, ["1" * (MAX_CELL_BYTES + 1), None]) == {0: ("type-error", TOO_LONG)}
    assert "1 MiB" in TOO_LONG


@pytest.mark.parametrize("kind", ["string", "any"])
def test_plain_text_may_be_longer(kind: str) -> None:
    assert check({"type": kind}, ["1" * (MAX_CELL_BYTES + 1)]) == {}


def test_longest_cell_is_read_and_blanks_are_empty_however_many() -> None:
    digits = "1" * MAX_CELL_BYTES
    assert check({"type": "integer", "constraints": {"unique": True}}, [digits, digits[:-1] + "2", digits])[2][0] == "unique-error"
    assert check({"type": "integer"}, [" " * (MAX_CELL_BYTES + 1)]) == {}


def test_schema_is_inferred_beside_cells_that_are_too_long() -> None:
    cells = [*map(str, range(30)), "1" * (MAX_CELL_BYTES + 1)]
    schema = infer_table_schema(["a"], [Chunk(columns=[pa.array(cells, pa.string())], row_numbers=np.arange(2, len(cells) + 2))]).table_schema
    assert schema.fields[0].type == "integer"


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


@pytest.mark.parametrize(
    ("field", "deep"),
    [
        ({"type": "array"}, nested),
        ({"type": "object"}, lambda depth: '{"a":' * depth + "1" + "}" * depth),
        ({"type": "object"}, lambda depth: '{"a":' + nested(depth - 1) + "}"),
        ({"type": "array", "constraints": {"jsonSchema": {"type": "array"}}}, nested),
        ({"type": "array", "constraints": {"unique": True}}, nested),
        ({"type": "geojson"}, lambda depth: '{"type":"GeometryCollection","geometries":[' * (depth // 2) + "]}" * (depth // 2) + " " * (depth % 2)),
    ],
)
def test_json_may_have_64_levels(field: dict[str, Any], deep: Any) -> None:
    assert check(field, [deep(MAX_JSON_LEVELS)]) == {}
    for depth in (MAX_JSON_LEVELS + 2, 300, 5_000):
        assert check(field, [deep(depth)]) == {0: ("type-error", TOO_DEEP)}


@pytest.mark.parametrize(
    "field", [{"type": "geojson", "format": "topojson"}, {"type": "geopoint", "format": "array"}, {"type": "geopoint", "format": "object"}]
)
@pytest.mark.parametrize("depth", [MAX_JSON_LEVELS + 1, 300, 600, 5_000])
def test_deep_json_of_every_kind_is_a_cell_error(field: dict[str, Any], depth: int) -> None:
    assert check(field, [nested(depth), '{"type":"Topology","objects":{"a":' + nested(depth) + "}}"]) == {
        0: ("type-error", TOO_DEEP),
        1: ("type-error", TOO_DEEP),
    }


def test_brackets_in_texts_are_no_levels() -> None:
    assert check({"type": "array"}, [json.dumps(["[" * 500, {"{" * 500: 1}])]) == {}


@pytest.mark.parametrize(
    ("kind", "one", "other", "equal"),
    [
        ("array", "[1]", "[1.0]", True),
        ("array", "[1]", "[true]", False),
        ("array", "[0]", "[-0.0]", True),
        ("array", "[0]", "[false]", False),
        ("array", "[null]", '["None"]', False),
        ("array", "[1]", '["1"]', False),
        ("array", "[[1],2]", "[[1,2]]", False),
        ("array", "[[],[]]", "[[[]]]", False),
        ("array", '["a","b"]', '["a\\",\\"b"]', False),
        ("array", "[{}]", "[[]]", False),
        ("array", f"[{'9' * 5_000}]", f"[{'9' * 5_000}.0]", True),
        ("array", "[1e400]", "[2e400]", False),
        ("array", "[1e400]", "[10E399]", True),
        ("array", "[12345678901234567.1]", "[12345678901234567.2]", False),
        ("array", "[1e23]", "[100000000000000000000000]", True),
        ("array", "[-1e-400]", "[0]", False),
        ("array", "[0.1]", "[0.1000000000000000055511151231257827]", False),
        ("array", "[-100]", "[-1e2]", True),
        ("geojson", '{"type":"Point","coordinates":[1,2.0]}', '{"type":"Point","coordinates":[1.0,2]}', True),
        ("geojson", '{"type":"Point","coordinates":[1e400,2]}', '{"type":"Point","coordinates":[2e400,2]}', False),
        ("object", '{"a":1,"b":[2]}', '{"b":[2.0],"a":1}', True),
        ("object", '{"a":{"b":1}}', '{"a":["b",1]}', False),
        ("object", '{"a":1,"a":2}', '{"a":2}', True),
        ("object", json.dumps({"x" * 500: "y" * 500}), json.dumps({"x" * 500: "y" * 501}), False),
        ("list", "a,b", "b,a", False),
        ("integer", "1" + "0" * 5_000, "+1" + "0" * 5_000, True),
        ("integer", "0" * 5_000 + "9223372036854775808", "9223372036854775808", True),
        ("number", "1e999999999999", "10e999999999998", True),
        ("number", "1e-999999999999", "0", False),
        ("number", "0e-999999999999", "-0", True),
        ("number", "1", "1.0000000000000000000000000000000000000001", False),
        ("number", "1", "1." + "0" * 100_000, True),
        ("number", "inf", "-inf", False),
        ("number", "nan", "NaN", True),
    ],
)
def test_equal_values_are_equal_as_unique_values_keys_and_in_lists(kind: str, one: str, other: str, *, equal: bool) -> None:
    assert (1 in check({"type": kind, "constraints": {"unique": True}}, [one, other])) is equal
    parse = value_parser(Field(name="a", type=kind))
    assert (identity_of(parse(one)) == identity_of(parse(other))) is equal


def test_identity_of_json_is_short() -> None:
    assert len(repr(identity_of(json.loads(quoted(30))))) < 200


@pytest.mark.parametrize("cell", ["1e999999999999,1", "1,-1e999999999999", "1e-999999999999,91", "inf,1"])
def test_point_with_any_exponent_is_judged(cell: str) -> None:
    assert set(check({"type": "geopoint"}, [cell])) == {0}


def test_exception_of_a_parser_is_a_cell_error_and_is_logged_without_the_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(text: str) -> str:
        if text == "secret":
            raise Overflow(text)
        return text

    monkeypatch.setattr(type_rule, "value_parser", lambda _field: parse)
    with capture_logs() as lines:
        assert check({"type": "duration"}, ["P1D", "secret"]) == {1: ("type-error", type_rule.MESSAGES["duration"])}
    assert "decimal.Overflow" in str(lines)
    assert "secret" not in str(lines).replace('"secret"', "")


def test_lack_of_memory_is_no_cell_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(_text: str) -> str:
        raise MemoryError

    monkeypatch.setattr(type_rule, "value_parser", lambda _field: parse)
    with pytest.raises(MemoryError):
        check({"type": "duration"}, ["P1D"])


LONG = "x" * 200_000


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string", "constraints": {"enum": [f"{LONG}{n}" for n in range(4)]}},
        {"type": "string", "categories": [f"{LONG}{n}" for n in range(4)]},
        {"type": "boolean", "trueValues": [f"{LONG}{n}" for n in range(3)], "falseValues": [f"f{n}" for n in range(5_000)]},
        {"type": "date", "format": "%Y" + "x" * 198},
        {"type": "number", "constraints": {"minimum": "9" * 1_000}},
        {"type": "list", "itemType": "integer", "delimiter": ";" * 255},
    ],
    ids=["enum", "categories", "boolean", "date", "minimum", "list"],
)
def test_message_is_short_whatever_the_schema_lists(field: dict[str, Any]) -> None:
    (_, message) = check(field, ["7"])[0] if field["type"] != "list" else check(field, ["x"])[0]
    assert len(message) <= MAX_TEXT_CHARACTERS
    assert message.endswith(".")


def test_messages_of_keys_name_the_first_fields() -> None:
    names = [f"{'x' * 500}{n}" for n in range(100)]
    schema = parse_table_schema({"fields": [{"name": name} for name in names], "primaryKey": names})
    checker = Checker(schema, labels=names, header_row=1, limits=ReadLimits())
    try:
        findings = checker.check(Chunk(columns=[pa.array(["1", "1", ""])] * len(names), row_numbers=np.arange(2, 5))).findings
    finally:
        checker.close()
    messages = [finding.message for finding in findings if finding.error_type == "primary-key-error"]
    assert len(messages) == 2
    assert all("and 90 more" in message and len(message) < 2 * MAX_TEXT_CHARACTERS for message in messages if isinstance(message, str))


def test_raw_value_keeps_only_the_beginning_of_a_long_cell() -> None:
    checker = Checker(parse_table_schema({"fields": [{"name": "a", "constraints": {"enum": ["x"]}}]}), labels=["a"], header_row=1, limits=ReadLimits())
    cells = ["é" * 3_000_000, "short", "\U0001f600" * 2_000, None]
    try:
        (finding,) = checker.check(Chunk(columns=[pa.array(cells, pa.string())], row_numbers=np.arange(2, 6))).findings
    finally:
        checker.close()
    assert finding.raw_values is not None
    assert finding.raw_values.nbytes < 10_000
    shown = make_records([finding]).raw_values.to_pylist()
    assert shown == ["é" * 1000, "short", "\U0001f600" * 1000]


def test_values_that_are_none_say_nothing_more() -> None:
    with pytest.raises(NotOfTypeError) as refused:
        value_parser(Field(name="a", type="object"))("[1")
    assert refused.value.args == ()

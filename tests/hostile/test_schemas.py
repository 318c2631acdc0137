"""No schema and no dialect keeps the service busy: each is judged in a time that grows with its length, or refused when its time is over."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.descriptors import judging
from shared.descriptors.problems import MAX_PROBLEMS, DescriptorInvalid
from shared.descriptors.table_dialect import parse_table_dialect_json
from shared.descriptors.table_schema import parse_table_schema_json
from shared.texts import MAX_TEXT_CHARACTERS
from tests.factories import CSV

DRAFT4 = "http://json-schema.org/draft-04/schema#"
CPU_LIMIT_S = 5.0
"""CPU time for any descriptor here: several times what the slowest takes, for busy machines."""


def field(**properties: Any) -> dict[str, Any]:
    return {"fields": [{"name": "a", **properties}]}


def with_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    return field(type="object", constraints={"jsonSchema": schema})


def nest(name: str, depth: int, leaf: Any) -> Any:
    for _ in range(depth):
        leaf = {name: leaf}
    return leaf


HOSTILE: dict[str, Callable[[], dict[str, Any]]] = {
    "types that are objects": lambda: with_json_schema({"type": [{"a": number} for number in range(6000)]}),
    "required of draft 4": lambda: with_json_schema({"$schema": DRAFT4, "required": [{"a": number} for number in range(6000)]}),
    "enum of objects": lambda: with_json_schema({"$schema": DRAFT4, "enum": [{"a": number} for number in range(30_000)]}),
    "allOf": lambda: with_json_schema({"allOf": [{}] * 60_000}),
    "properties": lambda: with_json_schema({"properties": {f"p{number}": {"type": "string"} for number in range(30_000)}}),
    "jsonSchema in each field": lambda: {"fields": [{"name": str(n), "type": "object", "constraints": {"jsonSchema": {}}} for n in range(16_000)]},
    "references": lambda: with_json_schema({"$defs": {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(28_000)}, "$ref": "#/$defs/d0"}),
    "directives of a format": lambda: field(type="datetime", format="%c" * 40_000),
    "unique keys": lambda: {
        "fields": [{"name": str(n)} for n in range(120)],
        "uniqueKeys": [[str(a), str(b)] for a in range(120) for b in range(100) if a != b],
    },
    "foreign keys": lambda: {"fields": [{"name": "a"}], "foreignKeys": [{"fields": "a", "reference": {"fields": "a"}}] * 12_000},
    "true and false values": lambda: field(type="boolean", trueValues=[f"t{n}" for n in range(40_000)], falseValues=[f"f{n}" for n in range(40_000)]),
    "enum of true values": lambda: field(
        type="boolean", trueValues=[f"t{n}" for n in range(40_000)], falseValues=["n"], constraints={"enum": [f"t{n}" for n in range(40_000)]}
    ),
    "pattern of brackets": lambda: {"fields": [{"name": str(n), "type": "string", "constraints": {"pattern": "[" * 9999}} for n in range(20)]},
    "names in pointers": lambda: with_json_schema({"k" * 100_000: [[1]] * 120_000}),
    "deep names in pointers": lambda: {"fields": [{"name": "a", "x": nest("k" * 10_000, 50, [1] * 150_000)}]},
    "digits of a limit": lambda: field(type="number", constraints={"minimum": "9" * 900_000}),
    "categories": lambda: field(type="string", categories=[str(n) for n in range(50_000)], constraints={"enum": [str(n) for n in range(50_000)]}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_for_a_schema_grows_with_its_length(name: str) -> None:
    text = json.dumps(HOSTILE[name](), separators=(",", ":"))
    assert len(text) <= 2**20
    start_s = time.process_time()
    find_problems(text)
    assert time.process_time() - start_s < CPU_LIMIT_S


def find_problems(text: str, parse: Callable[[bytes], object] = parse_table_schema_json) -> list[str]:
    """Return the pointers of the problems; each text is bounded."""
    try:
        parse(text.encode("utf-8", "surrogatepass"))
    except DescriptorInvalid as invalid:
        problems = invalid.problems
    else:
        return []
    assert len(problems) <= MAX_PROBLEMS
    assert all(len(problem.message) <= MAX_TEXT_CHARACTERS and len(problem.pointer) <= MAX_TEXT_CHARACTERS for problem in problems)
    return [problem.pointer for problem in problems]


SCHEMA_PROPERTIES = ("fields", "fieldsMatch", "missingValues", "primaryKey", "uniqueKeys", "foreignKeys", "unknown")
FIELD_PROPERTIES = (
    *("name", "type", "format", "missingValues", "decimalChar", "groupChar", "bareNumber", "trueValues", "falseValues", "delimiter", "itemType"),
    *("categories", "categoriesOrdered", "unknown"),
)
CONSTRAINTS = (
    *("required", "unique", "enum", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "jsonSchema"),
    "unknown",
)
DIALECT_PROPERTIES = (
    *("delimiter", "quoteChar", "escapeChar", "doubleQuote", "skipInitialSpace", "lineTerminator", "nullSequence", "header", "headerRows", "headerJoin"),
    *("commentChar", "commentRows", "sheetName", "sheetNumber", "unknown"),
)
TYPES = ("string", "number", "integer", "boolean", "object", "array", "list", "datetime", "date", "time", "year", "yearmonth", "duration", "geojson", "any")
VALUES: tuple[str, ...] = (
    json.dumps("x" * 300_000),
    json.dumps("%d" * 100_000),
    json.dumps("9" * 900_000),
    json.dumps("P" + "9" * 18 + "Y"),
    json.dumps("[" * 9999),
    json.dumps("(" * 5000 + "a" + ")" * 5000),
    json.dumps("1e999999999"),
    json.dumps([str(number) for number in range(60_000)]),
    json.dumps(list(range(60_000))),
    json.dumps([{"value": number, "label": str(number)} for number in range(15_000)]),
    json.dumps([["a"]] * 20_000),
    json.dumps([{}] * 60_000),
    json.dumps(nest("a", 60, 1)),
    "[" * 70 + "]" * 70,
    "[" * 100_000,
    "9" * 900_000,
    "1" + "0" * 4000,
    "1e999999999",
    "0." + "9" * 900_000,
    "-0",
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '{"a": 1, "a": 2}',
    '{"' + "k" * 400_000 + '": 1, "' + "k" * 400_000 + '": 2}',
    json.dumps({f"k{number}": number for number in range(40_000)}),
    "NaN",
    "null",
)


@pytest.mark.parametrize("seed", range(3))
def test_any_property_takes_any_value_without_more_than_problems(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(10):
        name, constraint, value = chance.choice(FIELD_PROPERTIES), chance.choice(CONSTRAINTS), chance.choice(VALUES)
        kind = json.dumps(chance.choice(TYPES))
        texts = (
            f'{{"fields": [{{"name": "a", "type": {kind}, "constraints": {{"{constraint}": {value}}}}}]}}',
            f'{{"fields": [{{"name": "a", "type": {kind}, "{name}": {value}}}]}}',
            f'{{"fields": [{{"name": "a"}}], "{chance.choice(SCHEMA_PROPERTIES)}": {value}}}',
        )
        for text in texts:
            start_s = time.process_time()
            find_problems(text)
            assert time.process_time() - start_s < CPU_LIMIT_S, text[:200]
        find_problems(f'{{"{chance.choice(DIALECT_PROPERTIES)}": {value}}}', parse_table_dialect_json)


def test_number_of_descriptor_problems_and_their_texts_are_bounded() -> None:
    pointers = find_problems(json.dumps({"fields": [{"name": "n" * 20, "type": "x" * 20}] * 9000}))
    assert len(pointers) == MAX_PROBLEMS
    assert find_problems(json.dumps(field(type="string", constraints={"c" * 900_000: 1}))) == [f"/schema/fields/0/constraints/{'c' * 99}…"]


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"pattern": "("}, "/pattern"),
        ({"properties": {"pattern": {"pattern": "[z-a]"}}}, "/properties/pattern/pattern"),
        ({"patternProperties": {"(?<x": {}}}, "/patternProperties/(?<x"),
        ({"allOf": [{}, {"items": {"pattern": "*"}}]}, "/allOf/1/items/pattern"),
        ({"$anchor": "a", "items": {"$id": 5}}, "/items/$id"),
        ({"$ref": "#/own/a", "own": {"a": {"pattern": "*"}}}, "/$ref/pattern"),
        ({"$ref": "#/nowhere"}, "/$ref"),
        ({"$defs": {"a": {"$anchor": "here"}}, "allOf": [{"$ref": "#here"}, {"$ref": "#there"}]}, "/allOf/1/$ref"),
        ({"$ref": "https://example.com/schema"}, "/$ref"),
        ({"type": "text"}, "/type"),
        ({"items": {"minLength": -1}}, "/items/minLength"),
    ],
)
def test_json_schema_that_cannot_be_used_is_refused_with_its_place(schema: dict[str, Any], pointer: str) -> None:
    assert find_problems(json.dumps(with_json_schema(schema))) == [f"/schema/fields/0/constraints/jsonSchema{pointer}"]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"pattern": {"type": "string"}, "$id": {"type": "string"}, "enum": {}}},
        {"enum": [{"pattern": "("}], "default": {"pattern": "("}, "x-note": {"pattern": "("}},
        {"$defs": {"a/b": {"type": "string"}, "c%d": {}}, "allOf": [{"$ref": "#/$defs/a~1b"}, {"$ref": "#/$defs/c%25d"}, {"$ref": "#"}]},
        {"$id": "https://example.com/root", "$defs": {"a": {"$id": "sub", "$defs": {"b": {"$anchor": "c"}}, "$ref": "#c"}}},
        {"$schema": DRAFT4, "definitions": {"a": {}}, "properties": {"b": {"$ref": "#/definitions/a"}}},
    ],
)
def test_json_schema_that_can_be_used_is_accepted(schema: dict[str, Any]) -> None:
    assert find_problems(json.dumps(with_json_schema(schema))) == []


async def upload(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    data = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return await client.post("/api/files/upload", files={"file": ("people.csv", CSV)}, data=data)


def slow_pattern(number: int) -> dict[str, Any]:
    """Make a schema whose pattern takes seconds to compile."""
    classes = "".join(f"[\\U{start:08x}-\\U0010ffff]" for start in range(0x100 + number, 0x500 + number))
    return field(type="string", constraints={"pattern": f"(?i){classes[:9900].rpartition('[')[0]}"})


async def test_schema_that_takes_too_long_is_refused_and_says_so(client: httpx.AsyncClient) -> None:
    response = await upload(client, schema=slow_pattern(0))
    assert response.status_code == 400
    [error] = response.json()["errors"]
    assert error["pointer"] == "/schema"
    assert "takes too long" in error["message"]


async def test_hostile_schemas_keep_no_ordinary_upload_out(client: httpx.AsyncClient) -> None:
    hostile = [upload(client, schema=slow_pattern(number)) for number in range(4)]
    hostile += [upload(client, schema=with_json_schema({"type": [{"a": n} for n in range(number, number + 1500)]})) for number in range(20)]
    waiting = asyncio.gather(*hostile)
    ordinary = [await upload(client, schema=field(type="integer")) for _ in range(10)]
    ordinary += [await upload(client, schema=field(type="string", constraints={"pattern": f"[a-z]{{{n},}}"})) for n in range(5)]
    refused = await waiting
    assert {response.status_code for response in ordinary} == {202}
    # On a busy machine the last of them may not get their turn.
    assert {response.status_code for response in refused} <= {400, 503}
    assert all(len(response.content) < 2**20 for response in refused)


async def test_same_schema_is_judged_once() -> None:
    text = json.dumps(slow_pattern(100)).encode()
    with pytest.raises(DescriptorInvalid, match="too long"):
        await judging.judge_descriptor("schema", text)
    start_s = time.monotonic()
    for _ in range(1000):
        with pytest.raises(DescriptorInvalid):
            await judging.judge_descriptor("schema", text)
    assert time.monotonic() - start_s < 100  # a thousand judgements would take at least 400 s


async def test_judges_come_back_when_the_process_that_forks_them_was_killed() -> None:
    judging.start_judging()
    host = judging._host._process
    assert host is not None
    os.kill(host.pid, signal.SIGKILL)
    for number in range(2):
        good = await judging.judge_descriptor("schema", json.dumps(field(type="string", constraints={"pattern": f"a{{{number}}}b"})).encode())
        assert good["fields"][0]["name"] == "a"

"""No schema and no dialect keeps the service busy: each is judged in a time that grows with its length, or refused when its time is over."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.descriptors import judging
from shared.descriptors.descriptor_judge import ANSWER, ENDED, LENGTH, STARTED, cpu_limit_s
from shared.descriptors.problems import MAX_PROBLEMS, DescriptorInvalid, DescriptorProblem
from shared.descriptors.table_dialect import parse_table_dialect_json
from shared.descriptors.table_schema import parse_table_schema_json
from shared.texts import MAX_TEXT_CHARACTERS
from tests.factories import CSV

DRAFT4 = "http://json-schema.org/draft-04/schema#"
BUSY_FACTOR, BUSY_S = 4, 1.0
"""A busy machine may take so many times the CPU time at which production refuses a descriptor, and so much more."""


def limit_s(text: str) -> float:
    return BUSY_FACTOR * cpu_limit_s(len(text.encode("utf-8", "surrogatepass"))) + BUSY_S


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
    assert time.process_time() - start_s < limit_s(text)


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
            assert time.process_time() - start_s < limit_s(text), text[:200]
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


def schema_with_pattern(pattern: str) -> bytes:
    return json.dumps(field(type="string", constraints={"pattern": pattern})).encode()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Collect what judges are asked."""
    orders: list[bytes] = []
    ask = judging._ask

    async def record(order: bytes, *, timeout_s: float) -> bytes:
        orders.append(order)
        return await ask(order, timeout_s=timeout_s)

    monkeypatch.setattr(judging, "_ask", record)
    return orders


async def test_same_schema_is_judged_once(asked: list[bytes]) -> None:
    text = json.dumps(slow_pattern(100)).encode()
    for _ in range(100):
        with pytest.raises(DescriptorInvalid, match="too long"):
            await judging.judge_descriptor("schema", text)
    assert len(asked) == 1


def test_memory_of_known_schemas_is_bounded_and_the_last_used_are_kept() -> None:
    known, kept = judging._Known(), b"kept"
    known.add(kept, ())
    tracemalloc.start()
    try:
        for number in range(500):
            known.add(b"%032d" % number, tuple(DescriptorProblem(f"/schema/{n}/" + "é" * 990, f"{number} {n} " + "ü" * 980) for n in range(20)))
            assert known.get(kept) == ()
        assert tracemalloc.get_traced_memory()[0] < 1.5 * 2**20
    finally:
        tracemalloc.stop()
    assert known.size_bytes <= 2**20
    assert known.get(b"%032d" % 499) is not None
    assert known.get(b"%032d" % 0) is None


def list_children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_limit_of_time_holds_where_its_signal_was_ignored(asked: list[bytes]) -> None:
    judging._host.close()
    before = signal.signal(signal.SIGPROF, signal.SIG_IGN)
    try:
        judging.start_judging()
    finally:
        signal.signal(signal.SIGPROF, before)
    with pytest.raises(DescriptorInvalid, match="too long"):
        await judging.judge_descriptor("schema", json.dumps(slow_pattern(300)).encode())
    assert asked


async def test_judge_goes_on_when_a_signal_is_sent_to_the_whole_service() -> None:
    judging.start_judging()
    host = judging._host._process
    assert host is not None
    assert await judging.judge_descriptor("schema", schema_with_pattern("before"))
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(host.pid, number)
    assert await judging.judge_descriptor("schema", schema_with_pattern("after"))
    assert host.poll() is None


async def test_judge_that_is_killed_says_nothing_of_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(slow_pattern(200)).encode()
    judging.start_judging()
    host = judging._host._process
    assert host is not None
    cut = judging._cut_answer

    def kill_when_it_has_started(received: bytes | bytearray) -> bytes | None:
        if received == STARTED:
            for pid in list_children(host.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return cut(received)

    with monkeypatch.context() as patch:
        patch.setattr(judging, "_cut_answer", kill_when_it_has_started)
        with pytest.raises(judging.JudgesBusy):
            await judging.judge_descriptor("schema", text)
    with pytest.raises(DescriptorInvalid, match="too long"):
        await judging.judge_descriptor("schema", text)


@pytest.mark.parametrize("size", [0, 1, 9, 40])
async def test_answer_that_is_not_complete_is_no_verdict(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.dumps([("/schema", "x" * 100)]).encode()
    answer = (ANSWER + LENGTH.pack(len(found)) + found)[:size]

    async def ask(order: bytes, *, timeout_s: float) -> bytes:
        del order, timeout_s
        return STARTED + answer + ENDED

    monkeypatch.setattr(judging, "_ask", ask)
    with pytest.raises(judging.JudgesBusy):
        await judging.judge_descriptor("schema", schema_with_pattern(f"half{size}"))


JUDGE_ONE = """
import signal, socket
from shared.descriptors import descriptor_judge
mine, theirs = socket.socketpair()
text = b'{"fields": []}'
mine.sendall(descriptor_judge.HEADER.pack(0, len(text)) + text)
assert descriptor_judge._judge_one(theirs) == 0
assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
"""


def test_judge_has_no_limit_of_time_while_it_answers() -> None:
    subprocess.run([sys.executable, "-c", JUDGE_ONE], check=True)


async def test_clients_take_turns_by_the_time_that_they_used() -> None:
    turns, order = judging._Turns(), list[str]()
    release = asyncio.Event()

    async def take(client: str, size_bytes: int) -> None:
        async with turns.take(client, size_bytes):
            order.append(client)
            await (release.wait() if len(order) <= 2 else asyncio.sleep(0.01))

    tasks = [asyncio.create_task(take("many", 100)) for _ in range(20)]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(take("other", 100)))
    await asyncio.sleep(0.01)
    assert order == ["many", "other"]
    tasks += [asyncio.create_task(take("late", 100_000)) for _ in range(2)]
    await asyncio.sleep(0.02)
    # Others wait for nothing that is the many's.
    assert order == ["many", "other", "late", "late"]
    release.set()
    await asyncio.gather(*tasks)
    assert len(order) == 23


async def test_larger_schema_of_another_client_comes_before_many_small_slow_ones() -> None:
    turns, order = judging._Turns(), list[str]()

    async def take(client: str, size_bytes: int) -> None:
        async with turns.take(client, size_bytes):
            order.append(client)
            await asyncio.sleep(0.02)

    busy = [asyncio.create_task(take(f"busy{number % 3}", 1000)) for number in range(60)]
    await asyncio.sleep(0.05)
    await take("honest", 50_000)
    assert len(order) < 20
    for task in busy:
        task.cancel()
    await asyncio.gather(*busy, return_exceptions=True)
    assert not turns._clients
    assert not turns._waiting


async def test_upload_names_its_client_to_the_judges(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    names = []
    take = judging._Turns.take

    def record(self: judging._Turns, name: str, size_bytes: int) -> AbstractAsyncContextManager[None]:
        names.append(name)
        return take(self, name, size_bytes)

    monkeypatch.setattr(judging._Turns, "take", record)
    assert (await upload(client, schema=field(type="string", constraints={"pattern": "named?"}))).status_code == 202
    assert names == ["127.0.0.1"]


async def test_only_the_process_that_was_asked_is_closed() -> None:
    connection, first = await asyncio.to_thread(judging._host.fork)
    connection.close()
    judging._host.close(first)
    connection, second = await asyncio.to_thread(judging._host.fork)
    connection.close()
    judging._host.close(first)
    assert judging._host._process is second
    assert second.poll() is None


async def test_judges_come_back_when_the_process_that_forks_them_was_killed() -> None:
    judging.start_judging()
    host = judging._host._process
    assert host is not None
    os.kill(host.pid, signal.SIGKILL)
    for number in range(2):
        good = await judging.judge_descriptor("schema", json.dumps(field(type="string", constraints={"pattern": f"a{{{number}}}b"})).encode())
        assert good["fields"][0]["name"] == "a"

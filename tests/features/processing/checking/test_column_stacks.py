"""Columns of equal fields that have no errors are judged as one; the errors of the others are the same as one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking import checker as checker_module
from features.processing.checking.checker import Checker
from features.processing.checking.column_plan import ColumnPlan
from features.processing.readers.base import Chunk, Finding, ReadLimits
from features.processing.readers.cell_grid import CellGrid
from shared.descriptors.table_schema import parse_table_schema

KINDS: list[dict[str, Any]] = [
    {"type": "integer"},
    {"type": "integer", "constraints": {"required": True}},
    {"type": "string"},
    {"type": "number", "decimalChar": ","},
    {"type": "number"},
    {"type": "date", "format": "%d.%m.%Y"},
    {"type": "boolean", "missingValues": ["", "-"]},
    {"type": "object"},
    {"type": "string", "constraints": {"maxLength": 2}},
    {"type": "any"},
]
GOOD = ["1", "1", "x", "2,5", "2.5", "31.12.2024", "true", "{}", "ab", "x"]
"""A good text for each of them."""
TEXTS = ["1", "2.5", "2,5", "x", "long text", "", " ", "-", "31.12.2024", "true", "{}", "[1", None, "1" * 30]


def _describe(findings: Iterator[Finding]) -> list[tuple[object, ...]]:
    errors: list[tuple[object, ...]] = []
    for finding in findings:
        said = [finding.message] * len(finding) if isinstance(finding.message, str) else finding.message.to_pylist()
        raw = [None] * len(finding) if finding.raw_values is None else finding.raw_values.to_pylist()
        for row, text, message, params in zip(finding.row_numbers.tolist(), raw, said, finding.list_params(), strict=True):
            errors.append((finding.column_number, finding.column_name, row, finding.error_type, text, message, str(params)))
    return sorted(errors, key=str)


def _check(schema: dict[str, Any], chunks: list[Chunk], *, keep_columns: bool) -> tuple[list[tuple[object, ...]], list[list[bool]]]:
    table_schema = parse_table_schema(schema)
    checker = Checker(table_schema, labels=[field["name"] for field in schema["fields"]], header_row=1, limits=ReadLimits())
    results = [checker.check(chunk, keep_columns=keep_columns) for chunk in chunks]
    checker.close()
    return _describe(finding for result in results for finding in result.findings), [result.failed.tolist() for result in results]


def _make_chunks(width: int, rows: int, seed: int, *, is_good: bool = False) -> list[Chunk]:
    chooser = random.Random(seed)
    chunks = []
    for start in (2, 2 + rows):
        texts = [[GOOD[column % len(KINDS)]] if is_good else TEXTS for column in range(width)]
        columns = [pa.array([chooser.choice(texts[column]) for _ in range(rows)], pa.string()) for column in range(width)]
        columns[0] = pa.array([""] * rows, pa.string())
        columns[10] = pa.nulls(rows, pa.string())
        native_types = [None] * width
        chunks.append(Chunk(columns=columns, native_types=native_types, row_numbers=np.arange(start, start + rows) * 2))
    return chunks


def _as_grid(chunk: Chunk) -> Chunk:
    """Return the same cells in one array, row by row."""
    rows = zip(*(column.to_pylist() for column in chunk.columns), strict=True)
    return replace(chunk, columns=CellGrid(pa.array(list(chain.from_iterable(rows)), pa.string()), len(chunk.columns)))


def _with_bad_cells(chunk: Chunk, rows: int) -> Chunk:
    """Return a chunk in which three columns have one cell that is no value."""
    columns = list(chunk.columns)
    for index in (1, 24, len(columns) - 5):
        columns[index] = pa.array([*columns[index].to_pylist()[: rows // 2], "?", *columns[index].to_pylist()[rows // 2 + 1 :]], pa.string())
    return replace(chunk, columns=columns)


def _count_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    checked: list[int] = []
    check = ColumnPlan.check

    def count(self: ColumnPlan, text: pa.StringArray, *arguments: Any) -> object:
        checked.append(len(text))
        return check(self, text, *arguments)

    monkeypatch.setattr(ColumnPlan, "check", count)
    return checked


@pytest.mark.parametrize(("width", "rows"), [(60, 1), (60, 7), (400, 300)])
def test_errors_are_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch, width: int, rows: int) -> None:
    schema = {"fields": [{"name": f"c{number}", **KINDS[number % len(KINDS)]} for number in range(width)], "missingValues": ["", "x"]}
    chunks = _make_chunks(width, rows, width)
    one_by_one = _check(schema, chunks, keep_columns=True)
    assert _check(schema, chunks, keep_columns=False) == one_by_one
    assert len(one_by_one[0]) > width * rows / 10
    grids = [_as_grid(chunk) for chunk in chunks]
    assert _check(schema, grids, keep_columns=True) == _check(schema, grids, keep_columns=False) == one_by_one
    good = _make_chunks(width, rows, width, is_good=True)
    some = [_with_bad_cells(chunk, rows) for chunk in good]
    one_by_one = _check(schema, some, keep_columns=True)
    assert len(one_by_one[0]) == 6
    assert _check(schema, some, keep_columns=False) == _check(schema, [_as_grid(chunk) for chunk in some], keep_columns=False) == one_by_one
    assert not _check(schema, [_as_grid(chunk) for chunk in good], keep_columns=False)[0]
    checked = _count_calls(monkeypatch)
    assert not _check(schema, good, keep_columns=False)[0]
    # Only the columns with a rule besides their type are judged by themselves.
    assert len(checked) < 2 * (width / 10 + 2 * len(KINDS) * (1 + width * rows / 60_000))


def test_columns_that_other_rules_need_are_judged_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [{"name": f"c{number}", "type": "integer"} for number in range(20)]
    schema = {
        "fields": fields,
        "primaryKey": ["c1"],
        "uniqueKeys": [["c2", "c3"]],
        "foreignKeys": [{"fields": "c4", "reference": {"fields": "c5"}}],
    }
    chunks = [Chunk(columns=[pa.array(["1", "1", "x"])] * 20, row_numbers=np.array([2, 3, 4]))]
    one_by_one = _check(schema, chunks, keep_columns=True)
    assert _check(schema, chunks, keep_columns=False) == one_by_one
    good = [Chunk(columns=[pa.array(["1", "2", "3"])] * 20, row_numbers=np.array([2, 3, 4]))]
    checked = _count_calls(monkeypatch)
    assert not _check(schema, good, keep_columns=False)[0]
    assert {error[3] for error in one_by_one[0]} == {"type-error", "primary-key-error", "unique-key-error"}
    assert sorted(checked) == [3, 3, 3, 3, 3, 45]


def test_sentences_of_errors_do_not_depend_on_other_columns() -> None:
    chooser = random.Random(1)
    days = [(chooser.randrange(1, 13), chooser.randrange(13, 29), chooser.randrange(2000, 2030)) for _ in range(200)]
    american, european = ([f"{a:02}/{b:02}/{year}" for a, b, year in ((m, d, y) if first else (d, m, y) for m, d, y in days)] for first in (True, False))
    fields = [{"name": f"c{number}", "type": "date"} for number in range(40)]
    columns = [pa.array(american if number % 2 else european) for number in range(40)]
    chunks = [Chunk(columns=columns, row_numbers=np.arange(2, 202))]
    one_by_one = _check({"fields": fields}, chunks, keep_columns=True)
    assert _check({"fields": fields}, chunks, keep_columns=False) == one_by_one
    assert len({error[5] for error in one_by_one[0]}) > 1


def test_rule_that_does_not_say_what_it_reads_gets_every_column(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    class Rule:
        def find_bad(self, chunk: Any) -> list[object]:
            seen.append(len(chunk.columns))
            return []

        def finish(self) -> Iterator[object]:
            return iter(())

        def close(self) -> None:
            pass

    class Check:
        error_type = "own-error"

        def build(self, *_: object) -> list[Rule]:
            return [Rule()]

    monkeypatch.setattr(checker_module, "key_checks", lambda: [Check()])
    schema = {"fields": [{"name": f"c{number}", "type": "integer"} for number in range(20)]}
    _check(schema, [Chunk(columns=[pa.array(["1"])] * 20, row_numbers=np.array([2]))], keep_columns=False)
    assert seen == [20]

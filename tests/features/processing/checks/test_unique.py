"""Values that come again are found with the row that had them first, in whichever thread they are compared, in memory and on disk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking.checker import Checker
from features.processing.checking.work_ahead import LEAST_BYTES
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import parse_table_schema

FIELDS: list[dict[str, Any]] = [
    {"name": "name", "type": "string", "constraints": {"unique": True, "pattern": "[a-z]+ [0-9]+"}},
    {"name": "code", "type": "string", "constraints": {"unique": True, "required": True}},
    {"name": "number", "type": "integer", "constraints": {"unique": True, "minimum": 0}},
    {"name": "key", "type": "integer"},
]
ROWS = 4_000
CHUNKS = 6
Error = tuple[int | None, int, str, int]


@contextmanager
def checking(limits: ReadLimits) -> Iterator[Checker]:
    schema = parse_table_schema({"fields": FIELDS, "primaryKey": ["key"]})
    checker = Checker(schema, labels=[field["name"] for field in FIELDS], header_row=1, limits=limits)
    try:
        yield checker
    finally:
        checker.close()
        checker.close()


def make_rows(seed: int) -> list[list[str]]:
    """Make rows in no order, of which some have values of others, none, or bad ones."""
    chance = random.Random(seed)
    keys = chance.sample(range(3 * ROWS * CHUNKS), ROWS * CHUNKS)
    rows = [[f"somebody {key:012}", f"{key * 7:018}", str(key % 2 * 2**40 + key), str(key)] for key in keys]
    for _ in range(ROWS):
        row, column = chance.choice(rows), chance.randrange(4)
        row[column] = chance.choice([chance.choice(rows)[column], "", "x", "-1", "somebody"])
    return rows


def expect(rows: list[list[str]]) -> list[Error]:
    """Return the errors as (column number, row number, error type, the row that had the value first, or 0), ordered."""
    errors: list[Error] = []
    seen: list[dict[object, int]] = [{} for _ in FIELDS]
    for number, row in enumerate(rows, 2):
        for column, text in enumerate(row):
            is_number = column > 1
            value: object = None if not text or (is_number and not text.lstrip("-").isdigit()) else int(text) if is_number else text
            error: tuple[str, int] | None = None
            if value is None:
                error = ("type-error", 0) if text else ("required-error", 0) if column == 1 else ("primary-key-error", 0) if column == 3 else None
                if column == 3 and text:
                    errors.append((4, number, "type-error", 0))
                    continue
            elif value in seen[column]:
                error = ("primary-key-error" if column == 3 else "unique-error", seen[column][value])
            elif column == 0 and not (text.startswith("somebody ") and text[9:].isdigit()):
                error = ("pattern-error", 0)
            elif column == 2 and int(text) < 0:
                error = ("minimum-error", 0)
            if value is not None:
                seen[column].setdefault(value, number)
            if error is not None:
                errors.append((None if column == 3 else column + 1, number, *error))
    return sorted(errors, key=str)


@pytest.mark.parametrize("budget", [2**26, 300_000, 0])
@pytest.mark.parametrize("seed", [1, 2])
def test_repeats_are_found_with_the_first_row(tmp_path: Path, budget: int, seed: int) -> None:
    rows = make_rows(seed)
    found: list[Error] = []
    with checking(ReadLimits(spill_threshold_bytes=budget, spill_dir=tmp_path)) as checker:
        for start in range(0, len(rows), ROWS):
            part = rows[start : start + ROWS]
            columns = [pa.array([row[column] for row in part], pa.string()) for column in range(len(FIELDS))]
            assert len(columns[0].buffers()[2]) > LEAST_BYTES
            for finding in checker.check(Chunk(columns=columns, row_numbers=np.arange(start + 2, start + 2 + len(part)))).findings:
                firsts = [0] * len(finding) if finding.first_rows is None else finding.first_rows.tolist()
                found += [(finding.column_number, row, finding.error_type, first) for row, first in zip(finding.row_numbers.tolist(), firsts, strict=True)]
    assert sorted(found, key=str) == expect(rows)
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fails_in_the_other_thread_is_an_error(tmp_path: Path) -> None:
    texts = pa.array([f"{number:030}" for number in range(ROWS)], pa.string())
    columns = [texts, texts, pa.array(map(str, range(ROWS)), pa.string()), pa.array(map(str, range(ROWS)), pa.string())]
    with checking(ReadLimits(spill_threshold_bytes=0, spill_dir=tmp_path / "absent")) as checker, pytest.raises(FileNotFoundError):
        checker.check(Chunk(columns=columns, row_numbers=np.arange(2, ROWS + 2)))


def test_check_that_ends_before_the_result_of_the_other_thread_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("bug")

    texts = pa.array([f"{number:030}" for number in range(ROWS)], pa.string())
    columns = [texts, texts, pa.array(map(str, range(ROWS)), pa.string()), pa.array(map(str, range(ROWS)), pa.string())]
    with checking(ReadLimits(spill_threshold_bytes=0, spill_dir=tmp_path)) as checker:
        monkeypatch.setattr(checker._columns[3], "check", fail)
        with pytest.raises(ZeroDivisionError):
            checker.check(Chunk(columns=columns, row_numbers=np.arange(2, ROWS + 2)))
    assert list(tmp_path.iterdir()) == []

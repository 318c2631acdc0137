from __future__ import annotations

import errno
import json
import random
from pathlib import Path

import pytest

from shared.rows_index import MAX_ANSWER_BYTES, MAX_ROW_CHARACTERS, IndexedRows, RowsIndex, RowsIndexDamaged, RowsIndexWriter
from shared.storage.folder import FolderStorage

Row = tuple[int, list[str | None], list[tuple[int | None, str, str]]]


def read(path: Path) -> RowsIndex:
    return RowsIndex(FolderStorage(path.parent, chunk_size_bytes=8192, min_free_bytes=0).open_reader(path.name))


def write(path: Path, rows: list[Row], columns: list[str | None] | None = None) -> Path:
    writer = RowsIndexWriter(path, columns=columns or ["id", None, "name"])
    for row in rows:
        writer.add(*row)
    assert writer.row_count == len(rows)
    writer.finish()
    writer.close()
    return path


def numbers(found: IndexedRows) -> list[int]:
    return [json.loads(row)["row_number"] for row in found.rows]


def make_rows(count: int, *, seed: int, bad_share: float) -> list[Row]:
    chance = random.Random(seed)
    rows: list[Row] = []
    number = 0
    for _ in range(count):
        number += chance.choice([1, 1, 1, 1, 5])
        errors: list[tuple[int | None, str, str]] = [(1, "type-error", "No.")] if chance.random() < bad_share else []
        rows.append((number, [str(number), None, "x" * chance.choice([1, 10, 2000])], errors))
    return rows


def test_row_is_told_as_it_was_added(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [(1, ["Title"], []), (2, ["id", None, 'na"me\n'], [(3, "blank-label", "Nö.")]), (3, [None, "\0\udc81", "x" * 1001], [])])
    with read(path) as index:
        assert json.loads(index.read_columns()) == ["id", None, "name"]
        found = index.read_from(1, limit=200, only_failed=False)
    assert found.next_row is None
    assert [json.loads(row) for row in found.rows] == [
        {"row_number": 1, "cells": ["Title"], "errors": []},
        {
            "row_number": 2,
            "cells": ["id", None, 'na"me\n'],
            "errors": [{"column_number": 3, "error_type": "blank-label", "error_message": "Nö."}],
        },
        {"row_number": 3, "cells": [None, "\0\udc81", "x" * 1000], "errors": []},
    ]


@pytest.mark.parametrize(("count", "bad_share", "seed"), [(0, 0.0, 1), (1, 1.0, 2), (999, 0.02, 3), (2_000, 0.0, 4), (1_000, 1.0, 5), (3_000, 0.001, 6)])
def test_any_rows_are_found_as_a_plain_list_finds_them(tmp_path: Path, count: int, bad_share: float, seed: int) -> None:
    rows = make_rows(count, seed=seed, bad_share=bad_share)
    chance = random.Random(seed)
    with read(write(tmp_path / "a", rows)) as index:
        for _ in range(300):
            only_failed = chance.random() < 0.5
            shown = [number for number, _, errors in rows if errors or not only_failed]
            wanted = chance.randint(0, (rows[-1][0] if rows else 0) + 3)
            place = sum(number < wanted for number in shown)
            limit, context = chance.randint(1, 200), chance.randint(0, 100)
            found = index.read_from(wanted, limit=limit, only_failed=only_failed)
            assert numbers(found) == shown[place : place + limit]
            assert found.next_row == (shown[place + limit] if place + limit < len(shown) else None)
            around = index.read_around(wanted, context=context, only_failed=only_failed)
            assert numbers(around) == shown[max(0, place - context) : place + context + 1]
            assert around.next_row == (shown[place + context + 1] if place + context + 1 < len(shown) else None)


def test_answer_is_bounded_in_bytes_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    rows: list[Row] = [(number, ["ü" * 1000] * 500, []) for number in range(1, 31)]
    with read(write(tmp_path / "a", rows)) as index:
        seen, next_row = [], 1
        while next_row is not None:
            found = index.read_from(next_row, limit=200, only_failed=False)
            assert 1 <= len(found.rows) < 5
            assert sum(map(len, found.rows)) <= MAX_ANSWER_BYTES
            seen += numbers(found)
            next_row = found.next_row  # type: ignore[assignment]
        assert seen == list(range(1, 31))
        around = index.read_around(15, context=100, only_failed=False)
        assert 15 in numbers(around)
        assert sum(map(len, around.rows)) <= MAX_ANSWER_BYTES


def test_row_of_thousands_of_long_cells_is_cut_to_its_bound(tmp_path: Path) -> None:
    with read(write(tmp_path / "a", [(1, ["x" * 2000] * 16_384, [])], columns=["c" * 1000] * 16_384)) as index:
        [row] = index.read_from(1, limit=1, only_failed=False).rows
        assert len(index.read_columns()) < 2 * MAX_ROW_CHARACTERS
    cells = json.loads(row)["cells"]
    assert len(cells) == 16_384
    assert sum(map(len, cells)) <= MAX_ROW_CHARACTERS


def test_errors_of_a_row_of_thousands_of_bad_cells_are_cut_to_their_bound(tmp_path: Path) -> None:
    errors: list[tuple[int | None, str, str]] = [(number, "type-error", "x" * 990) for number in range(1, 16_385)]
    with read(write(tmp_path / "a", [(1, [], errors)])) as index:
        [row] = index.read_from(1, limit=1, only_failed=False).rows
    assert 900 < len(json.loads(row)["errors"]) < 1024
    assert len(row) < 2 * MAX_ROW_CHARACTERS


def test_file_that_is_cut_or_altered_is_damaged(tmp_path: Path) -> None:
    data = write(tmp_path / "a", make_rows(1000, seed=1, bad_share=0.1)).read_bytes()
    for number, altered in enumerate([b"", data[:-1], data[:50], data[1:], data + b"x", bytes(len(data))]):
        path = tmp_path / str(number)
        path.write_bytes(altered)
        with pytest.raises(RowsIndexDamaged):
            read(path)
    middle = tmp_path / "middle"
    middle.write_bytes(b"\xff" * 100 + data[100:])
    with read(middle) as index, pytest.raises(RowsIndexDamaged):
        index.read_from(1, limit=5, only_failed=False)


def test_full_disk_is_told_before_and_while_it_is_written(tmp_path: Path) -> None:
    calls = 0

    def check_room() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.ENOSPC, "full")

    writer = RowsIndexWriter(tmp_path / "a", columns=[], check_room=check_room)
    chance = random.Random(1)
    with pytest.raises(OSError, match="full"):
        for number in range(1, 100_000):
            writer.add(number, [str(chance.random()) for _ in range(10)], [])
    writer.close()
    assert 2**20 < (tmp_path / "a").stat().st_size < 4 * 2**20

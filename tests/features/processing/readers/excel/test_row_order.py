"""Rows come in order, however the workbook has them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.row_order import WINDOW_ROWS, RowBatch, put_in_order
from features.processing.readers.excel.sheet_rows import SheetRow
from tests.features.processing.readers.excel.sheet_rows import in_batches, make_row


def _read(rows: list[SheetRow], size: int) -> list[tuple[int, list[str]]]:
    return [(row.number, row.cells) for batch in put_in_order(in_batches(rows, size)) for row in batch.rows]


@given(st.permutations(range(1, 40)), st.integers(1, 50))
def test_rows_in_any_order_come_out_in_order(numbers: list[int], size: int) -> None:
    assert _read([make_row(number, [f"r{number}"]) for number in numbers], size) == [(number, [f"r{number}"]) for number in range(1, 40)]


def test_parts_of_a_row_are_put_together() -> None:
    parts = [make_row(number, {column: f"{number}-{column}"}) for number in (1, 2, 3) for column in (0, 1, 4)]
    assert _read(parts, 2) == [(number, [f"{number}-0", f"{number}-1", "", "", f"{number}-4"]) for number in (1, 2, 3)]


def test_later_part_replaces_a_cell() -> None:
    assert _read([make_row(1, ["a", "b"]), make_row(2, ["x"]), make_row(1, {1: "c"})], 1) == [(1, ["a", "c"]), (2, ["x"])]


@pytest.mark.parametrize("size", [1, 200, 5_000])
def test_row_within_the_window_finds_its_place_in_a_long_sheet(size: int) -> None:
    numbers = list(range(1, 30_000))
    chooser = random.Random(1)
    for start in range(0, len(numbers), 1_000):
        piece = numbers[start : start + 1_000]
        chooser.shuffle(piece)
        numbers[start : start + 1_000] = piece
    assert [number for number, _ in _read([make_row(number, ["x"]) for number in numbers], size)] == list(range(1, 30_000))


def test_row_far_from_its_place_is_damage_after_the_rows_before_it() -> None:
    rows = [make_row(number, ["x"]) for number in [*range(2, 4 * WINDOW_ROWS), 1, *range(4 * WINDOW_ROWS, 8 * WINDOW_ROWS)]]
    read: list[int] = []
    with pytest.raises(FileUnreadable, match="row 1 comes far from its place"):
        for batch in put_in_order(in_batches(rows, 1_000)):
            read += [row.number for row in batch.rows]
    assert read == list(range(2, read[-1] + 1))


def test_damage_comes_after_the_rows_before_it() -> None:
    def break_off() -> Iterator[RowBatch]:
        yield RowBatch([make_row(2, ["b"])], 1)
        yield RowBatch([make_row(1, ["a"])], 2)
        raise FileUnreadable("broken")

    rows = put_in_order(break_off())
    assert [row.number for row in next(rows).rows] == [1, 2]
    with pytest.raises(FileUnreadable, match="broken"):
        next(rows)


def test_long_texts_wait_for_fewer_rows() -> None:
    waiting = 0
    most = 0

    def give() -> Iterator[RowBatch]:
        nonlocal waiting, most
        for number in range(1, 1_000):
            waiting += 1
            most = max(most, waiting)
            yield RowBatch([make_row(number, ["x" * 500_000])], number)

    for batch in put_in_order(give()):
        waiting -= len(batch)
    assert (waiting, most <= 110) == (0, True)

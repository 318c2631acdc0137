"""A grid of cells is the sequence of its columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from features.processing.readers.cell_grid import CellGrid

WIDTH = 5


def make_rows(count: int) -> list[list[str | None]]:
    return [[f"{row}/{column}" if (row + column) % 4 else None for column in range(WIDTH)] for row in range(count)]


def make_grid(rows: list[list[str | None]], *, beside: int = 0) -> CellGrid:
    """Make a grid whose cells are part of a larger array."""
    cells = pa.array(["x"] * beside + [cell for row in rows for cell in row] + ["y"] * beside, pa.string())
    return CellGrid(cells.slice(beside, len(rows) * WIDTH), WIDTH)


@pytest.mark.parametrize("count", [0, 1, 30])
@pytest.mark.parametrize("beside", [0, 7])
def test_columns_are_those_of_the_rows(count: int, beside: int) -> None:
    rows = make_rows(count)
    expected = [[row[column] for row in rows] for column in range(WIDTH)]
    grid = make_grid(rows, beside=beside)
    assert (len(grid), grid.rows) == (WIDTH, count)
    assert [column.to_pylist() for column in grid] == expected
    assert [grid[index].to_pylist() for index in range(WIDTH)] == expected
    assert [grid[index].to_pylist() for index in (-1, -WIDTH)] == [expected[-1], expected[0]]
    assert [column.to_pylist() for column in grid[1:4:2]] == expected[1:4:2]
    with pytest.raises(IndexError):
        grid[WIDTH]


def test_rows_and_columns_are_taken_and_joined() -> None:
    rows = make_rows(30)
    part = make_grid(rows, beside=3).take_rows(4, 10)
    assert [column.to_pylist() for column in part] == [[row[column] for row in rows[4:14]] for column in range(WIDTH)]
    assert part.take_columns(np.array([0, 3])).to_pylist() == [row[column] for row in rows[4:14] for column in (0, 3)]
    joined = CellGrid.join([part, make_grid([]), make_grid(rows[:2])])
    assert [column.to_pylist() for column in joined] == [[row[column] for row in [*rows[4:14], *rows[:2]]] for column in range(WIDTH)]
    assert CellGrid.join([part]) is part

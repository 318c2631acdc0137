"""The cells of a wide table in one array: an array for each of its columns would take longer to make than all that is done with the cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa

from features.processing.column import Indices


class CellGrid(Sequence[pa.StringArray]):
    """As a sequence, the columns of a table, each of which is made when it is asked for."""

    def __init__(self, cells: pa.StringArray, width: int) -> None:
        """`cells` are those of all rows, row by row; `width` is at least 1."""
        self.cells, self.rows, self._width = cells, len(cells) // width, width

    @staticmethod
    def join(grids: Sequence[CellGrid]) -> CellGrid:
        """Return the rows of several parts of a table."""
        return grids[0] if len(grids) == 1 else CellGrid(pa.concat_arrays([grid.cells for grid in grids]), len(grids[0]))

    def __len__(self) -> int:
        return self._width

    @overload
    def __getitem__(self, index: int) -> pa.StringArray: ...

    @overload
    def __getitem__(self, index: slice) -> list[pa.StringArray]: ...

    def __getitem__(self, index: int | slice) -> pa.StringArray | list[pa.StringArray]:
        if isinstance(index, slice):
            return [self[place] for place in range(self._width)[index]]
        return self.cells.take(pa.array(np.arange(range(self._width)[index], len(self.cells), self._width)))

    def __iter__(self) -> Iterator[pa.StringArray]:
        """Yield the columns, which share their memory: all of them in a fraction of the time of one after the other."""
        places = np.arange(len(self.cells), dtype=np.int32).reshape(self.rows, self._width).T.ravel()
        by_column = self.cells.take(pa.array(places))
        for first in range(0, len(by_column), self.rows or 1):
            yield by_column.slice(first, self.rows)
        if not self.rows:
            yield from [by_column] * self._width

    def take_rows(self, first: int, count: int) -> CellGrid:
        """Return some of the rows; nothing is copied."""
        return CellGrid(self.cells.slice(first * self._width, count * self._width), self._width)

    def take_columns(self, indices: Indices) -> pa.StringArray:
        """Return the cells of some columns, row by row."""
        return self.cells.take(pa.array((np.arange(self.rows)[:, None] * self._width + indices).ravel()))

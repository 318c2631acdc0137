"""Write the rows of a sheet down as a reader would give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from features.processing.readers.excel.row_order import RowBatch
from features.processing.readers.excel.sheet_rows import MAX_GAP_CELLS, BadCell, FarCell, SheetRow
from features.processing.readers.native_types import NativeType

Cell = str | tuple[str, NativeType] | BadCell


def make_row(number: int, cells: Mapping[int, Cell] | Iterable[Cell]) -> SheetRow:
    """Return a row of the given cells, by column (from 0); texts are text, pairs have a native type."""
    given = dict(cells) if isinstance(cells, Mapping) else dict(enumerate(cells))
    row = SheetRow(number, [], bytearray())
    for column, cell in sorted(given.items()):
        if isinstance(cell, BadCell):
            row.bad = [*(row.bad or ()), cell]
            continue
        text, native_type = (cell, NativeType.TEXT) if isinstance(cell, str) else cell
        if column - len(row.cells) > MAX_GAP_CELLS:
            row.beyond = [*(row.beyond or ()), FarCell(column, text, native_type)]
            continue
        gap = column - len(row.cells)
        row.cells += [*[""] * gap, text]
        row.types += bytes([*[0] * gap, native_type])
    return row


def make_rows(*rows: Iterable[Cell]) -> list[SheetRow]:
    """Return the rows of a sheet from row 1 on; empty ones are left out."""
    return [row for number, cells in enumerate(rows, 1) if (row := make_row(number, cells)).cells]


def in_batches(rows: Iterable[SheetRow], size: int = 2) -> Iterator[RowBatch]:
    """Yield rows as a reader does, a few at a time."""
    waiting = list(rows)
    for start in range(0, len(waiting), size):
        yield RowBatch(waiting[start : start + size], start + size)

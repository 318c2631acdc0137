"""Write the rows of a sheet down as a reader would give them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from features.processing.readers.base import Chunk
from features.processing.readers.excel.row_order import Batch, RowBatch
from features.processing.readers.excel.sheet_grid import SheetGrid
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


def in_grids(rows: Iterable[SheetRow], size: int = 2) -> Iterator[Batch]:
    """Do the same as `in_batches`, with grids for rows that are in order and not sparse."""
    for batch in in_batches(rows, size):
        given = batch.rows
        width = max(max(len(row.cells), 1 + max((bad.column for bad in row.bad or ()), default=-1)) for row in given)
        if not batch.is_ascending or not 0 < width < MAX_GAP_CELLS:
            yield batch
            continue
        texts: list[list[str | None]] = [[*row.cells, *[""] * (width - len(row.cells))] for row in given]
        for row, cells in zip(given, texts, strict=True):
            for bad in row.bad or ():
                cells[bad.column] = None
        types = np.array([list(row.types.ljust(width, b"\0")) for row in given], np.uint8).T
        exact = {index: row for index, row in enumerate(given) if row.bad or row.beyond or row.is_too_long}
        flat = [cells[column] for column in range(width) for cells in texts]
        yield SheetGrid(np.array([row.number for row in given]), pa.array(flat, type=pa.string()), types, batch.bytes_read, exact)


def describe_chunks(chunks: Iterable[Chunk]) -> tuple[Any, ...]:
    """Return all that chunks say, whatever the rows at which one ends and the next begins."""
    rows, kinds, comments, errors, lost = [], [], [], [], 0
    for chunk in chunks:
        native = [[0] * len(chunk.row_numbers) if each is None else each.tolist() for each in chunk.native_types or [None] * len(chunk.columns)]
        rows += list(zip(chunk.row_numbers.tolist(), *(column.to_pylist() for column in chunk.columns), *native, strict=True))
        kinds += [(number, kind) for span in chunk.spans for number, kind in enumerate(span.kinds.tolist(), span.first_row)]
        comments += [cells for span in chunk.spans for cells in (span.cells or {}).items()]
        lost += chunk.rows_lost
        for each in chunk.findings:
            messages = [each.message] * len(each) if isinstance(each.message, str) else each.message.to_pylist()
            raw_values = [None] * len(each) if each.raw_values is None else each.raw_values.to_pylist()
            errors += [
                (row, each.column_number or 0, each.error_type, *said) for row, *said in zip(each.row_numbers.tolist(), messages, raw_values, strict=True)
            ]
    return rows, kinds, comments, sorted(errors), lost

"""Put the rows of a sheet in order, and the parts of a row together: some programs write a row element for each cell, or rows as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Protocol

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.sheet_rows import SheetRow

WINDOW_ROWS = 2_000
_WINDOW_CELLS = 50_000
_FAR_CELL_CELLS = 8
"""A cell that is kept by its place takes the memory of so many others."""
CELL_TEXT_BYTES = 2**10
"""So much text counts as a cell more."""


class Batch(Protocol):
    """Rows that were read together; empty rows may be left out. A `SheetGrid` is one as well."""

    @property
    def rows(self) -> list[SheetRow]:
        """The rows one by one."""
        ...

    @property
    def bytes_read(self) -> int:
        """Position of the reader in its input."""
        ...

    @property
    def first_number(self) -> int:
        """Number of the first row, if there are any."""
        ...

    @property
    def last_number(self) -> int:
        """Number of the last row, if there are any."""
        ...

    @property
    def is_ascending(self) -> bool:
        """Whether each row comes after the one before."""
        ...

    @property
    def weight(self) -> int:
        """Number of rows and cells, with more for long texts."""
        ...

    def __len__(self) -> int:
        """Return the number of rows."""
        ...


@dataclass(frozen=True, slots=True)
class RowBatch:
    """A `Batch` of single rows."""

    rows: list[SheetRow]
    bytes_read: int

    @property
    def first_number(self) -> int:
        """See `Batch`."""
        return self.rows[0].number

    @property
    def last_number(self) -> int:
        """See `Batch`."""
        return self.rows[-1].number

    @property
    def is_ascending(self) -> bool:
        """See `Batch`."""
        return all(row.number < following.number for row, following in pairwise(self.rows))

    @property
    def weight(self) -> int:
        """See `Batch`."""
        return sum(map(_weigh, self.rows))

    def __len__(self) -> int:
        return len(self.rows)


def put_in_order(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the rows of `batches` in ascending order, each once.

    The last 2,000 rows, or those with the last 50,000 cells, or with the last 50 MB of text, wait for rows that belong before them. Raises
    `FileUnreadable`, after the rows before that place, if a row comes later than that, and whatever `batches` raises.
    """
    source = iter(batches)
    waiting: deque[tuple[Batch, int]] = deque()
    rows = cells = last_row = last_given = 0
    broken: FileUnreadable | None = None
    is_in_order = True
    while is_in_order:
        try:
            batch = next(source, None)
        except FileUnreadable as error:
            broken, batch = error, None
        if batch is None:
            break
        weight = batch.weight
        waiting.append((batch, weight))
        if len(batch):
            is_in_order = batch.first_number > last_row and batch.is_ascending
            last_row = batch.last_number
        rows, cells = rows + len(batch), cells + weight
        while is_in_order and len(waiting) > 1 and (rows - len(waiting[0][0]) >= WINDOW_ROWS or cells - waiting[0][1] >= _WINDOW_CELLS):
            ready, weight = waiting.popleft()
            rows, cells = rows - len(ready), cells - weight
            last_given = ready.last_number if len(ready) else last_given
            yield ready
    if is_in_order:
        yield from (batch for batch, _ in waiting)
    else:
        yield from _sort([batch for batch, _ in waiting], source, last_given)
    if broken is not None:
        raise broken


def _sort(before: Sequence[Batch], source: Iterator[Batch], last_row: int) -> Iterator[Batch]:
    """Do the work of `put_in_order` for rows that are out of order: those of `before`, then of `source`, after the row `last_row`."""
    waiting: list[SheetRow] = []
    cells = bytes_read = 0
    broken: FileUnreadable | None = None
    batches = chain(before, source)
    while True:
        try:
            batch = next(batches, None)
        except FileUnreadable as error:
            broken, batch = error, None
        if batch is None:
            break
        bytes_read = batch.bytes_read
        waiting += batch.rows
        cells += batch.weight
        if len(waiting) < 2 * WINDOW_ROWS and cells < 2 * _WINDOW_CELLS:
            continue
        ready = _arrange(waiting)
        if ready[0].number <= last_row:
            broken, waiting = _describe_disorder(ready[0].number, last_row), []
            break
        ready, waiting = _cut(ready)
        cells = sum(map(_weigh, waiting))
        if ready:
            last_row = ready[-1].number
            yield RowBatch(ready, bytes_read)
    if waiting:
        ready = _arrange(waiting)
        if ready[0].number > last_row:
            yield RowBatch(ready, bytes_read)
        else:
            broken = _describe_disorder(ready[0].number, last_row)
    if broken is not None:
        raise broken


def _weigh(row: SheetRow) -> int:
    return 1 + len(row.cells) + _FAR_CELL_CELLS * len(row.beyond or ()) + sum(map(len, row.cells)) // CELL_TEXT_BYTES


def _cut(rows: list[SheetRow]) -> tuple[list[SheetRow], list[SheetRow]]:
    """Return the rows that need not wait any longer, and those that must."""
    cells = 0
    for index in range(len(rows) - 1, -1, -1):
        if cells >= _WINDOW_CELLS or len(rows) - index > WINDOW_ROWS:
            return rows[: index + 1], rows[index + 1 :]
        cells += _weigh(rows[index])
    return [], rows


def _arrange(rows: list[SheetRow]) -> list[SheetRow]:
    """Return the rows in ascending order, with the parts of each row put together."""
    if all(row.number < following.number for row, following in pairwise(rows)):
        return rows
    arranged: list[SheetRow] = []
    for row in sorted(rows, key=lambda each: each.number):
        if arranged and arranged[-1].number == row.number:
            _add_part(arranged[-1], row)
        else:
            arranged.append(row)
    return arranged


def _add_part(row: SheetRow, part: SheetRow) -> None:
    """Add the cells of `part` to those of the same row; a cell that was there before is replaced."""
    for column, text in enumerate(part.cells):
        if not text:
            continue
        if column >= len(row.cells):
            missing = column + 1 - len(row.cells)
            row.cells += [""] * missing
            row.types += bytes(missing)
        row.cells[column], row.types[column] = text, part.types[column]
    row.beyond = _join(row.beyond, part.beyond)
    row.bad = _join(row.bad, part.bad)
    row.is_too_long |= part.is_too_long


def _join(first: list | None, second: Sequence | None) -> list | None:  # type: ignore[type-arg] # lists of one kind of cell or of the other
    return [*(first or ()), *(second or ())] or None


def _describe_disorder(number: int, last_row: int) -> FileUnreadable:
    return FileUnreadable(
        f"The workbook is damaged: its row {number} comes far from its place, after row {last_row}. Open it in Excel, save it again and upload the new file."
    )

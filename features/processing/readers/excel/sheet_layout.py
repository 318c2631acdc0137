"""Find the table on a sheet by its first rows: the header, the columns, and what else stands beside it.

Cells that have an empty column between them may be two tables, or one table with empty columns in it. They are one if the header of the one goes on above
the other and both have the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from features.processing.readers.column_layout import find_layout, is_empty_column
from features.processing.readers.excel.sheet_rows import SheetRow
from features.processing.readers.find_header import HEADER_ROWS, FoundHeader, find_header, find_names
from features.processing.readers.own_columns import OwnColumns, find_own_columns

_DENSE = 8
"""A table is read with all columns between its own if these are at least one in eight."""
_DENSE_FREE = 64
_MOSTLY = 0.9
_MUCH_LARGER = 4
_TABLE_SIDE = 2
"""A table beside another has at least so many rows and columns."""

Grid = Sequence[Mapping[int, str]]
"""For each row its cells that are not blank, by column (from 0)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetLayout:
    """Where the table is on a sheet. Columns are from 0."""

    header: int | None
    """Index of the header among the rows; None if they are all records."""
    is_record: bool
    """The header looks like a record."""
    columns: Sequence[int]
    """The columns of the table, ascending."""
    labels: Sequence[str]
    left_out: frozenset[int]
    """Columns between those of the table that have neither a label nor, in the first rows, a cell."""
    others: Sequence[tuple[int, int]] = ()
    """First and last columns of other tables beside it."""
    own: OwnColumns | None = None
    """Our own columns, in a sheet that comes back; they are none of the others."""

    @property
    def ignored(self) -> Sequence[tuple[int, int]]:
        """First and last columns of everything whose cells are none of the table."""
        return [*self.others, *((column, column) for column in sorted(self.own.columns))] if self.own is not None else self.others

    @property
    def width(self) -> int:
        """How many leading columns of the sheet are read as a whole; cells to the right of them are kept by their place."""
        width = 0
        for count, column in enumerate(self.columns, 1):
            if column < _DENSE * count + _DENSE_FREE:
                width = column + 1
        return width


def make_grid(rows: Sequence[SheetRow]) -> list[dict[int, str]]:
    """Return the cells of rows that are not blank, by column; those without a value have their text, or `?`."""
    grid = []
    for row in rows:
        cells = {column: text for column, text in enumerate(row.cells) if text and not text.isspace()}
        cells.update((cell.column, cell.text) for cell in row.beyond or () if cell.text.strip())
        cells.update((cell.column, cell.text or "?") for cell in row.bad or ())
        grid.append(cells)
    return grid


def find_table(grid: Grid, *, starts_section: Sequence[bool], field_names: Sequence[str] | None) -> SheetLayout | None:
    """Find the table among rows that are neither blank nor comments; None if there are no rows. The arguments are those of `find_header`."""
    if grid and _find_own(grid[0], field_names) is not None:
        # Above the header of an output nothing stands.
        return find_table_below(grid, field_names=field_names)
    blocks = _find_blocks(grid)
    if not blocks:
        return None
    main = blocks[0] if len(blocks) == 1 else _choose_block(grid, blocks, field_names)
    found = _find_header(grid, main, starts_section, field_names)
    if _find_own(grid[found.index], field_names) is not None:
        return replace(find_table_below(grid[found.index :], field_names=field_names), header=found.index)
    return _lay_out(grid, found, blocks, main, field_names)


def find_table_below(grid: Grid, *, field_names: Sequence[str] | None) -> SheetLayout:
    """Find the table whose header is the first row of the grid."""
    own = _find_own(grid[0], field_names)
    if own is not None:
        rest = [{index: text for column, text in row.items() if (index := own.find_index(column)) is not None} for row in grid]
        layout = find_table_below(rest, field_names=field_names)
        return replace(
            layout,
            columns=[own.find_place(column) for column in layout.columns],
            left_out=frozenset(map(own.find_place, layout.left_out)),
            others=[(own.find_place(first), own.find_place(last)) for first, last in layout.others],
            own=own,
        )
    blocks = _find_blocks(grid)
    labelled = [block for block in blocks if not grid[0].keys().isdisjoint(block)]
    main = labelled[0] if len(labelled) == 1 else _choose_block(grid, labelled, field_names)
    return _lay_out(grid, FoundHeader(index=0, is_record=False), blocks, main, field_names)


def _find_own(header: Mapping[int, str], field_names: Sequence[str] | None) -> OwnColumns | None:
    return find_own_columns([header.get(column, "") for column in range(max(header, default=-1) + 1)], field_names)


def _lay_out(grid: Grid, found: FoundHeader, blocks: Sequence[list[int]], main: Sequence[int], field_names: Sequence[str] | None) -> SheetLayout:
    """Return the layout of a table whose header is known, and of which the columns in `main` are a part."""
    others: list[tuple[int, int]] = []
    columns = list(main)
    for block in blocks:
        if block[0] in main:
            continue
        if _belongs_to(grid, block, main, found.index, field_names):
            columns += block
        elif _is_table(grid[found.index + 1 :], block):
            others.append((block[0], block[-1]))
    columns.sort()
    labels = grid[found.index]
    below = [[row.get(column, "") for column in columns] for row in grid[found.index + 1 :]]
    end = max((place + 1 for place, column in enumerate(columns) if column in labels), default=0)
    layout = find_layout([labels.get(column, "") for column in columns[:end]], below)
    kept = [columns[place] for place in layout.kept]
    taken = {column for first, last in others for column in range(first, last + 1)}
    return SheetLayout(
        header=found.index,
        is_record=found.is_record,
        columns=kept,
        labels=[labels.get(column, "") for column in kept],
        left_out=frozenset(range(kept[-1] if kept else 0)) - frozenset(kept) - taken,
        others=others,
    )


def is_nearly_empty(column: int, grid: Grid) -> bool:
    """Whether a column has no cell in these rows, or so few that they are there by mistake."""
    return is_empty_column(0, [[row.get(column, "")] for row in grid])


class NameFit(NamedTuple):
    """How well some rows fit the names of a schema's fields; the greater the better."""

    names: float = 0
    """How many of the names the header has."""
    has_records: bool = False
    share: float = 0
    """How much of the header are names."""


def fit_names(grid: Grid, field_names: Sequence[str]) -> NameFit:
    """Return how well the row with most of the names fits them; the worst if no row may be their header."""
    named = find_names([list(row.values()) for row in grid[:HEADER_ROWS]], field_names)
    if named is None:
        return NameFit()
    index, count = named
    return NameFit(count, index + 1 < len(grid), count / len(grid[index]))


def _find_blocks(grid: Grid) -> list[list[int]]:
    """Return the columns that have cells, as runs of neighbours."""
    blocks: list[list[int]] = []
    for column in sorted({column for row in grid for column in row}):
        if blocks and blocks[-1][-1] == column - 1:
            blocks[-1].append(column)
        else:
            blocks.append([column])
    return blocks


def _choose_block(grid: Grid, blocks: Sequence[list[int]], field_names: Sequence[str] | None) -> list[int]:
    """Return the columns of the table, or of a part of it; all columns if no block alone is a table."""
    everything = [column for block in blocks for column in block]
    if field_names:
        scores = [fit_names([_only(row, block) for row in grid], field_names).names for block in blocks]
        if max(scores):
            return blocks[scores.index(max(scores))] if fit_names(grid, field_names).names <= max(scores) else everything
    tables = [block for block in blocks if _is_table(grid, block)]
    if not tables:
        return everything
    sizes = [sum(len(_only(row, block)) for row in grid) for block in tables]
    # A small table, such as a legend, may stand before the one that is meant.
    return tables[sizes.index(max(sizes)) if max(sizes) > _MUCH_LARGER * sizes[0] else 0]


def _find_header(grid: Grid, columns: Sequence[int], starts_section: Sequence[bool], field_names: Sequence[str] | None) -> FoundHeader:
    """Find the header of the table in some columns; its index is that in the whole grid."""
    rows: list[list[str]] = []
    places: list[int] = []
    starts: list[bool] = []
    for index, row in enumerate(grid):
        cells = [row.get(column, "") for column in columns]
        # A workbook's rows have no width of their own.
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            starts.append(any(starts_section[places[-1] + 1 if places else 0 : index + 1]) or bool(places and index > places[-1] + 1))
            rows.append(cells)
            places.append(index)
    found = find_header(rows, starts_section=starts, field_names=field_names)
    assert found is not None
    return replace(found, index=places[found.index])


def _belongs_to(grid: Grid, block: Sequence[int], main: Sequence[int], header: int, field_names: Sequence[str] | None) -> bool:
    """Whether the cells of `block` are part of the table in `main`, with an empty column between them."""
    labels = [grid[header][column] for column in block if column in grid[header]]
    if 2 * len(labels) < len(block):
        return False
    known = {grid[header][column] for column in main if column in grid[header]}
    if len(block) < _TABLE_SIDE or (field_names and not (frozenset(field_names) - known).isdisjoint(labels)):
        return True
    has_all = bool(field_names) and known.issuperset(field_names or ())
    return not has_all and known.isdisjoint(labels) and _end_together(grid[header + 1 :], block, main)


def _end_together(grid: Grid, block: Sequence[int], main: Sequence[int]) -> bool:
    """Whether two runs of columns have the same rows, or one of them has gaps and so does not end where its last cell is."""
    ends = []
    for columns in (block, main):
        filled = [index for index, row in enumerate(grid) if any(column in row for column in columns)]
        if not filled:
            return True
        if len(filled) < _MOSTLY * (filled[-1] + 1):
            return True
        ends.append(filled[-1])
    return ends[0] == ends[1]


def _is_table(grid: Grid, block: Sequence[int]) -> bool:
    return len(block) >= _TABLE_SIDE and sum(1 for row in grid if any(column in row for column in block)) >= _TABLE_SIDE


def _only(row: Mapping[int, str], columns: Sequence[int]) -> dict[int, str]:
    return {column: row[column] for column in columns if column in row}

"""Sort the rows of a block by their number of cells, so that rows with too few or too many are parsed by whole columns, too, where there are many of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from features.processing.column import Mask
from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.raw_blocks import RawBlock
from features.processing.readers.csv.scan import Positions

MANY_RAGGED_SHARE = 0.05
"""Share of the rows of a block from which on the next one is sorted: for a few ragged rows, sorting all takes longer than splitting those one by one."""
_MOST_CELLS = 256
_MOST_GROUPS = 16
"""Rows with other numbers of cells are split one by one: each group takes as much time as a small block."""
_LEAST_ROWS = 50
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class RaggedRows:
    """Rows that all have the same number of cells, which is not that of the table."""

    indices: Positions
    """Their indices in the block, ascending."""
    columns: list[pa.StringArray]
    """One array for each cell of a row; the consumer may modify the list."""


@dataclass(frozen=True, slots=True)
class SortedRows:
    """The rows of a block, by what has to be done with them."""

    plain: Positions
    """Rows that are as wide as the table, and rows of which only a parser can tell how wide they are."""
    groups: Sequence[Positions]
    """Rows of other widths, by width."""
    others: Positions
    """Rows that are to be split one by one."""


def sort_rows(block: RawBlock, grammar: CsvGrammar, *, width: int) -> SortedRows:
    """Sort the rows of a regular block."""
    codes = np.frombuffer(block.data, dtype=np.uint8)[: block.end]
    starts, stops = block.spans.starts, block.spans.stops
    cells = _count(codes, grammar.delimiter, starts, stops) + 1
    is_plain: Mask = cells == width
    for mark in (grammar.quote_char, grammar.escape_char):
        if mark is not None and mark.encode() in block.data:
            is_plain |= _count(codes, mark, starts, stops) > 0
    # At the start of its input Arrow would take these bytes for a byte order mark.
    marked = np.flatnonzero(codes[np.minimum(starts, len(codes) - 1)] == _BOM[0])
    is_other = np.zeros(len(starts), dtype=np.bool_)
    is_other[[index for index in marked.tolist() if block.data.startswith(_BOM, int(starts[index]))]] = True
    ragged = np.flatnonzero(~is_plain & ~is_other)
    widths, counts = np.unique(cells[ragged], return_counts=True)
    chosen = [
        int(widths[place]) for place in np.argsort(-counts, kind="stable")[:_MOST_GROUPS] if widths[place] <= _MOST_CELLS and counts[place] >= _LEAST_ROWS
    ]
    is_grouped = np.isin(cells[ragged], chosen)
    is_other[ragged[~is_grouped]] = True
    return SortedRows(
        plain=np.flatnonzero(is_plain & ~is_other),
        groups=[ragged[cells[ragged] == each] for each in sorted(chosen)],
        others=np.flatnonzero(is_other),
    )


def _count(codes: np.ndarray, mark: str, starts: Positions, stops: Positions) -> Positions:
    """Count how often a character stands in each row."""
    at = np.flatnonzero(codes == ord(mark))
    return np.searchsorted(at, stops) - np.searchsorted(at, starts)

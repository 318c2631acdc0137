"""`CellBlock`, the cells of consecutive rows of a file: what the reader of any format passes to `ChunkBuilder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from features.processing.column import Indices
from features.processing.readers.base import Finding, NativeTypes, RowNumbers
from features.processing.readers.row_spans import Offsets, RawRows, RowKinds

MAX_COLUMNS = 16_384
"""The most columns that a sheet can have; a row with more cells is too long, a header with more labels is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellBlock:
    """The rows of one block, split into cells."""

    columns: Sequence[pa.StringArray]
    """Like `Chunk.columns`, for the rows of kind ROW only, unless there is an `order`."""
    others: Sequence[list[pa.StringArray]] = ()
    """Further rows, each list like `columns`, if there is an `order`: rows are put into it by chunks, so that they are copied once."""
    order: Indices | None = None
    """The rows of kind ROW in their order in the file, as indices into `columns` and `others`, one after the other; None: those of `columns` as they are."""
    row_numbers: RowNumbers
    findings: Sequence[Finding]
    """Errors of single cells in those rows."""
    kinds: RowKinds
    """A `RowKind` for every row of the block."""
    first_row: int
    bytes_read: int
    native_types: Sequence[NativeTypes | None] | None = None
    """Like `Chunk.native_types`."""
    raw: RawRows | None = None
    """Where the rows stand in the file, if it is text and `ReadLimits.keep_rows` asks for it; the first of them is row `raw_index` of `raw`."""
    raw_index: int = 0
    marks: Offsets | None = None
    """In a file that comes back, for each row of the block, if it is blank, the row number that its output has given it, or 0; see `own_columns`."""
    comment_cells: dict[int, Sequence[str | None]] | None = None
    """The cells of comments, by row number, in a workbook, if `ReadLimits.keep_rows` asks for them."""

"""`CellBlock`, the cells of consecutive rows of a file: what the reader of any format passes to `ChunkBuilder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.base import Finding, NativeTypes, RowNumbers

MAX_COLUMNS = 16_384
"""The most columns that a sheet can have; a row with more cells is too long, a header with more labels is refused."""

RowKinds: TypeAlias = npt.NDArray[np.uint8]
"""A `RowKind` for each row."""


class RowKind(IntEnum):
    """Classification of a row after reading."""

    ROW = 0
    BLANK = 1
    COMMENT = 2
    UNCLOSED_QUOTE = 3
    TOO_LONG = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CellBlock:
    """The rows of one block, split into cells."""

    columns: list[pa.StringArray]
    """Like `Chunk.columns`, for the rows of kind ROW only."""
    row_numbers: RowNumbers
    findings: Sequence[Finding]
    """Errors of single cells in those rows."""
    kinds: RowKinds
    """A `RowKind` for every row of the block."""
    first_row: int
    bytes_read: int
    native_types: Sequence[NativeTypes | None] | None = None
    """Like `Chunk.native_types`."""

"""The rows of one stretch of a file as cells: what a reader of any format hands to `ChunkBuilder`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.base import Finding, RowNumbers

MAX_COLUMNS = 16_384
"""As many as a sheet can have; a row of more cells is too long, a header of more labels is refused."""

RowKinds: TypeAlias = npt.NDArray[np.uint8]
"""A `RowKind` for each row."""


class RowKind(IntEnum):
    """What a row turned out to be."""

    ROW = 0
    BLANK = 1
    COMMENT = 2
    UNCLOSED_QUOTE = 3
    TOO_LONG = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CellBlock:
    """The rows of one block, read."""

    columns: list[pa.StringArray]
    """As `Chunk.columns`, of the rows of kind ROW only."""
    row_numbers: RowNumbers
    findings: Sequence[Finding]
    """Errors of single cells, in those rows."""
    kinds: RowKinds
    """A `RowKind` for every row of the block."""
    first_row: int
    bytes_read: int

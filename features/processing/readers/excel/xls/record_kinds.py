"""What the records of a sheet are, as far as they matter to cells, and some of them in a piece of the sheet."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.processing.readers.excel.xls.find_records import HEAD_BYTES, Piece, Positions


class RecordKind(IntEnum):
    """What is to be done with a record."""

    PASS = 0
    NUMBER = 1
    SHORT_NUMBER = 2
    SHORT_NUMBERS = 3
    SHARED = 4
    BOOLEAN = 5
    FORMULA = 6
    STRING = 7
    """The text that a formula before it has as its result."""
    COMMON_FORMULA = 8
    """The formula of several cells, after the first of them."""
    MERGED = 9
    BEGIN = 10
    END = 11
    REST = 12
    """The rest of the record before it."""
    OTHER = 13
    """Left to xlrd, with the whole sheet."""


_CODES = {
    0x203: RecordKind.NUMBER,
    0x27E: RecordKind.SHORT_NUMBER,
    0xBD: RecordKind.SHORT_NUMBERS,
    0xFD: RecordKind.SHARED,
    0x205: RecordKind.BOOLEAN,
    0x06: RecordKind.FORMULA,
    0x206: RecordKind.OTHER,
    0x406: RecordKind.OTHER,
    0x207: RecordKind.STRING,
    0x221: RecordKind.COMMON_FORMULA,
    0x236: RecordKind.COMMON_FORMULA,
    0x4BC: RecordKind.COMMON_FORMULA,
    0xE5: RecordKind.MERGED,
    0x3C: RecordKind.REST,
    0xD6: RecordKind.OTHER,
    0x204: RecordKind.OTHER,
    0x09: RecordKind.BEGIN,
    0x209: RecordKind.BEGIN,
    0x409: RecordKind.BEGIN,
    0x809: RecordKind.BEGIN,
    0x0A: RecordKind.END,
}
CODES = frozenset(_CODES)
"""The records that matter; all others are passed."""
RECORD_KINDS = np.zeros(2**16, np.uint8)
"""The kinds of records, by their codes."""
RECORD_KINDS[list(_CODES)] = list(_CODES.values())
_LEAST_BYTES = {
    RecordKind.NUMBER: 14,
    RecordKind.SHORT_NUMBER: 10,
    RecordKind.SHORT_NUMBERS: 12,
    RecordKind.SHARED: 10,
    RecordKind.BOOLEAN: 8,
    RecordKind.FORMULA: 16,
    RecordKind.STRING: 2,
    RecordKind.COMMON_FORMULA: 14,
    RecordKind.BEGIN: 4,
}
LEAST_BYTES = np.zeros(len(RecordKind), np.int64)
"""How long the data of a record of each kind must be to be read here."""
LEAST_BYTES[list(_LEAST_BYTES)] = list(_LEAST_BYTES.values())


class Records(NamedTuple):
    """Some records of a piece."""

    piece: Piece
    starts: Positions
    kinds: npt.NDArray[np.uint8]
    """A `RecordKind` each."""
    lengths: Positions
    """Of their data, in bytes."""

    def select(self, chosen: npt.NDArray[np.bool_]) -> Records:
        """Return some of the records."""
        return Records(self.piece, self.starts[chosen], self.kinds[chosen], self.lengths[chosen])

    def list_places(self, kind: RecordKind) -> list[tuple[int, int]]:
        """Return where the data of the records of a kind begin, and how long they are."""
        chosen = np.flatnonzero(self.kinds == kind)
        return list(zip((self.starts[chosen] + HEAD_BYTES).tolist(), self.lengths[chosen].tolist(), strict=True))

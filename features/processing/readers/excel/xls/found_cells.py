"""The cells in a piece of a sheet, read from their records: all of one kind at once.

Sources: MS-XLS 2.4.24 (BoolErr), 2.4.127 (Formula), 2.4.148 (LabelSst), 2.4.175 (MulRk), 2.4.180 (Number), 2.4.220 (RK), 2.5.133 (FormulaValue), 2.5.217
(RkNumber).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from features.processing.readers.excel.xls.find_records import HEAD_BYTES, UnusualRecords
from features.processing.readers.excel.xls.record_kinds import RecordKind, Records

Halves = npt.NDArray[np.uint16]


class CellKind(IntEnum):
    """What the value of a cell is."""

    NUMBER = 0
    SHARED = 1
    """The number of a shared string."""
    BOOLEAN = 2
    ERROR = 3
    """The code of an error."""
    TEXT = 4
    """The place of a text in `FoundCells.texts`."""


_CELL_KINDS = np.zeros(len(RecordKind), np.uint8)
_CELL_KINDS[[RecordKind.SHARED, RecordKind.BOOLEAN]] = CellKind.SHARED, CellKind.BOOLEAN
VALUE = HEAD_BYTES + 6
"""Where the value of a cell is in its record; before it are the row, the column and the cell format, of two bytes each."""
_PART_BYTES = 6
"""A number of a record of several, and the cell format before it."""
NO_NUMBER = 0xFFFF
"""The last two bytes of a result that is no number; the first one says what it is."""
TEXT_RESULT, EMPTY_RESULT = 0, 3
_RESULT_KINDS = np.array([CellKind.TEXT, CellKind.BOOLEAN, CellKind.ERROR, CellKind.TEXT], np.uint8)


@dataclass(frozen=True)
class FoundCells:
    """Cells in the order of their rows and columns; the arrays are all of the same length."""

    rows: Halves
    """From 0, as `columns`."""
    columns: Halves
    kinds: npt.NDArray[np.uint8]
    """A `CellKind` each."""
    formats: Halves
    """The numbers of their cell formats, of which there may be fewer in the workbook."""
    values: npt.NDArray[np.float64]
    texts: list[str]
    """The results of formulas that are text."""

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, begin: int, end: int) -> FoundCells:
        """Return the cells from one place to another."""
        chosen = slice(begin, end)
        values, is_text = self.values[chosen], self.kinds[chosen] == CellKind.TEXT
        texts: list[str] = []
        if self.texts and bool(is_text.any()):
            # Texts are in the order of their cells.
            first, last = int(values[is_text][0]), int(values[is_text][-1])
            texts = self.texts[first : last + 1]
            values = values.copy()
            values[is_text] -= first
        return FoundCells(self.rows[chosen], self.columns[chosen], self.kinds[chosen], self.formats[chosen], values, texts)

    def add(self, others: FoundCells) -> FoundCells:
        """Return these cells, and the `others` that come after them."""
        values = others.values
        if self.texts:
            values = values.copy()
            values[others.kinds == CellKind.TEXT] += len(self.texts)
        return FoundCells(
            np.concatenate([self.rows, others.rows]),
            np.concatenate([self.columns, others.columns]),
            np.concatenate([self.kinds, others.kinds]),
            np.concatenate([self.formats, others.formats]),
            np.concatenate([self.values, values]),
            [*self.texts, *others.texts],
        )


def read_cells(found: Records, texts: list[str]) -> FoundCells:
    """Return the cells of records that are all long enough. Raises `UnusualRecords` if they are unusual within."""
    piece, starts, records = found.piece, found.starts, found.kinds
    counts = np.ones(len(starts), np.int64)
    several = np.flatnonzero(records == RecordKind.SHORT_NUMBERS)
    if len(several):
        begins, lengths = starts[several], found.lengths[several]
        last = piece.halves[begins + HEAD_BYTES + lengths - 2].astype(np.int64)
        counts[several] = last + 1 - piece.halves[begins + HEAD_BYTES + 2]
        if bool(((counts[several] < 1) | (lengths != _PART_BYTES * (counts[several] + 1))).any()):
            raise UnusualRecords
    of_record = np.repeat(np.arange(len(starts)), counts)
    parts = np.arange(len(of_record)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts, records = starts[of_record], records[of_record]
    at = starts + VALUE + _PART_BYTES * parts
    words = piece.words[at]
    kinds = _CELL_KINDS[records]
    values = words.view(np.float64).copy()
    short = np.flatnonzero((records == RecordKind.SHORT_NUMBER) | (records == RecordKind.SHORT_NUMBERS))
    values[short] = _unpack_short(words[short].astype(np.uint32))
    shared = np.flatnonzero(records == RecordKind.SHARED)
    values[shared] = words[shared].astype(np.uint32).view(np.int32)
    boolean = np.flatnonzero(records == RecordKind.BOOLEAN)
    if len(boolean):
        is_error = words[boolean] >> 8 & 0xFF
        if bool((is_error > 1).any()):
            raise UnusualRecords
        values[boolean] = words[boolean] & 0xFF
        kinds[boolean] += is_error.astype(np.uint8)
    special = np.flatnonzero((records == RecordKind.FORMULA) & (words >> 48 == NO_NUMBER))
    if len(special):
        results = words[special] & 0xFF
        if bool((results > EMPTY_RESULT).any()):
            raise UnusualRecords
        values[special] = words[special] >> 16 & 0xFF
        kinds[special] = _RESULT_KINDS[results]
        values[special[kinds[special] == CellKind.TEXT]] = np.arange(len(texts))
    columns = (piece.halves[starts + HEAD_BYTES + 2] + parts).astype(np.uint16)
    return FoundCells(piece.halves[starts + HEAD_BYTES], columns, kinds, piece.halves[at - 2], values, texts)


def _unpack_short(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """Return numbers that take four bytes: the first half of a number, or a whole one of 30 bits; either may be meant in hundredths."""
    wholes = (numbers.view(np.int32) >> 2).astype(np.float64)
    halves = ((numbers & np.uint32(0xFFFFFFFC)).astype(np.uint64) << np.uint64(32)).view(np.float64)
    values = np.where(numbers & 2, wholes, halves)
    # Some bits are no number, and say so.
    with np.errstate(invalid="ignore"):
        return np.where(numbers & 1, values / 100, values)

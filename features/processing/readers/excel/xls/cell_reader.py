"""Read the cells of a sheet piece by piece, as far as its records are as any program writes them. Source: MS-XLS 2.4.268 (String)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.processing.readers.excel.sheet_rows import MergedRange
from features.processing.readers.excel.xls.find_records import HEAD_BYTES, Piece, UnusualRecords, find_records
from features.processing.readers.excel.xls.found_cells import EMPTY_RESULT, NO_NUMBER, TEXT_RESULT, VALUE, CellKind, FoundCells, read_cells
from features.processing.readers.excel.xls.merged_ranges import add_merges
from features.processing.readers.excel.xls.record_kinds import LEAST_BYTES, RECORD_KINDS, RecordKind, Records
from features.processing.readers.excel.xls.shared_strings import read_result

_MAX_COLUMNS, _COLUMN_BITS = 256, 8
_FIRST_CELL, _LAST_CELL = RecordKind.NUMBER, RecordKind.FORMULA


@dataclass
class CellReader:
    """Reads the cells of one sheet, piece by piece."""

    watches_formulas: bool
    """Whether a result that is 0 or an empty text may be none: such formulas are then left to xlrd."""
    strings: int
    """How many shared strings there are."""
    merged: list[MergedRange] = field(default_factory=list)
    merged_count: int = 0
    is_done: bool = False
    """Whether the end of the sheet has been reached."""
    _is_inside: bool = False
    """Whether a chart inside the sheet has begun, which has records of cells of its own."""
    _last_place: int = -1

    def read(self, data: bytes) -> tuple[FoundCells, int]:
        """Return the cells in the next bytes of the sheet, and how many of these bytes have been read: the rest belongs to records that go on behind them.

        Raises `UnusualRecords` if there is anything in the records that is left to xlrd.
        """
        piece = Piece(data)
        starts, size = find_records(piece)
        heads = piece.heads[starts]
        records = RECORD_KINDS[heads & 0xFFFF]
        kept = np.flatnonzero(records)
        found = Records(piece, starts[kept], records[kept], (heads[kept] >> 16).astype(np.int64))
        found = self._pass_charts(found)
        texts, cut = _read_texts(found.select(found.kinds != RecordKind.MERGED))
        if cut is not None:
            size = cut
            found = found.select(found.starts < cut)
        is_short = found.lengths < LEAST_BYTES[found.kinds]
        # xlrd takes no longer one.
        is_long = (found.kinds == RecordKind.SHARED) & (found.lengths > LEAST_BYTES[RecordKind.SHARED])
        if bool((is_short | is_long | (found.kinds == RecordKind.OTHER)).any()):
            raise UnusualRecords
        for at, length in found.list_places(RecordKind.MERGED):
            self.merged_count += add_merges(data[at : at + length], self.merged)
        cells = read_cells(found.select((found.kinds >= _FIRST_CELL) & (found.kinds <= _LAST_CELL)), texts)
        self._verify(cells)
        return cells, size

    def _pass_charts(self, found: Records) -> Records:
        """Return the records up to the end of the sheet, without those of charts inside it, whose merged ranges would count as well."""
        is_passed = np.zeros(len(found.kinds), np.bool_)
        begin = 0
        end = len(found.kinds)
        for at in np.flatnonzero((found.kinds == RecordKind.BEGIN) | (found.kinds == RecordKind.END)).tolist():
            is_end = found.kinds[at] == RecordKind.END
            if self._is_inside and is_end:
                is_passed[begin : at + 1] = True
                self._is_inside = False
            elif is_end:
                self.is_done = True
                end = at + 1
                break
            elif not self._is_inside:
                self._is_inside, begin = True, at + 1
        if self._is_inside:
            is_passed[begin:] = True
        if self.watches_formulas:
            self._watch(found, is_passed)
        is_passed &= found.kinds != RecordKind.MERGED
        is_passed[end:] = True
        return found.select(~is_passed)

    def _watch(self, found: Records, is_passed: npt.NDArray[np.bool_]) -> None:
        """Raise `UnusualRecords` if there are formulas that may not have been computed, or in charts, which have none."""
        is_formula = found.kinds == RecordKind.FORMULA
        results = found.piece.words[found.starts[is_formula] + VALUE]
        is_empty = ((results >> 48) == NO_NUMBER) & ((results & 0xFF) == EMPTY_RESULT)
        if bool((is_empty | (results == 0) | is_passed[is_formula]).any()):
            raise UnusualRecords

    def _verify(self, cells: FoundCells) -> None:
        """Raise `UnusualRecords` unless each cell comes after the one before, and there are all shared strings."""
        if not len(cells):
            return
        places = (cells.rows.astype(np.int64) << _COLUMN_BITS) | cells.columns
        shared = cells.values[cells.kinds == CellKind.SHARED]
        is_right = places[0] > self._last_place and bool((np.diff(places) > 0).all()) and int(cells.columns.max()) < _MAX_COLUMNS
        if not is_right or (len(shared) and not 0 <= shared.min() <= shared.max() < self.strings):
            raise UnusualRecords
        self._last_place = int(places[-1])


def _read_texts(found: Records) -> tuple[list[str], int | None]:
    """Return the texts that formulas have as their results; also where the first formula begins whose text is behind the piece, or None."""
    formulas = np.flatnonzero(found.kinds == RecordKind.FORMULA)
    results = found.piece.words[found.starts[formulas] + VALUE]
    is_text = ((results >> 48) == NO_NUMBER) & (((results & 0xFF) == TEXT_RESULT) | ((results & 0xFF) == EMPTY_RESULT))
    texts: list[str] = []
    for at, result in zip(formulas[is_text].tolist(), (results[is_text] & 0xFF).tolist(), strict=True):
        if result == EMPTY_RESULT:
            texts.append("")
            continue
        following = at + 1
        if following < len(found.kinds) and found.kinds[following] == RecordKind.COMMON_FORMULA:
            following += 1
        if following == len(found.kinds):
            return texts, int(found.starts[at])
        if found.kinds[following] != RecordKind.STRING:
            raise UnusualRecords
        begin = int(found.starts[following]) + HEAD_BYTES
        text = read_result(found.piece.data[begin : begin + int(found.lengths[following])])
        if text is None:
            raise UnusualRecords
        texts.append(text)
    return texts, None

"""Pass those records of a workbook to xlrd that cells need, and note what xlrd does not keep: merged cells and how formulas were computed.

Sources: MS-XLS 2.4.127 (Formula), 2.4.168 (MergeCells), 2.4.215 (RecalcId), 2.5.133 (FormulaValue).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from struct import Struct
from typing import TYPE_CHECKING

from xlrd import biffh

from features.processing.readers.excel.sheet_rows import MergedRange
from features.processing.readers.excel.xls.merged_ranges import add_merges

if TYPE_CHECKING:
    from features.processing.readers.excel.xls.workbook_stream import Contents

Record = tuple[int, int, bytes]

FORMULAS = frozenset(biffh.XL_FORMULA_OPCODES)
GLOBAL_RECORDS = frozenset(
    [
        biffh.XL_SST,
        biffh.XL_FORMAT,
        biffh.XL_XF,
        biffh.XL_BOUNDSHEET,
        biffh.XL_DATEMODE,
        biffh.XL_CODEPAGE,
        biffh.XL_FILEPASS,
        biffh.XL_EOF,
    ]
)
CELL_RECORDS = FORMULAS | {
    biffh.XL_NUMBER,
    biffh.XL_LABELSST,
    biffh.XL_LABEL,
    biffh.XL_RK,
    biffh.XL_MULRK,
    biffh.XL_BOOLERR,
    biffh.XL_STRING,
    biffh.XL_ARRAY,
    biffh.XL_SHRFMLA,
    biffh.XL_TABLEOP,
    biffh.XL_CONTINUE,
    biffh.XL_EOF,
    *biffh.bofcodes,
}
_NO_CELL = frozenset(
    [
        biffh.XL_BUILTINFMTCOUNT,
        biffh.XL_COUNTRY,
        biffh.XL_DEFAULTROWHEIGHT,
        biffh.XL_DEFCOLWIDTH,
        biffh.XL_EFONT,
        biffh.XL_EXTERNNAME,
        biffh.XL_EXTERNSHEET,
        biffh.XL_FONT,
        biffh.XL_FONT_B3B4,
        biffh.XL_GCW,
        biffh.XL_NAME,
        biffh.XL_NOTE,
        biffh.XL_OBJ,
        biffh.XL_PALETTE,
        biffh.XL_PANE,
        biffh.XL_RSTRING,
        biffh.XL_SCL,
        biffh.XL_STANDARDWIDTH,
        biffh.XL_STYLE,
        biffh.XL_WINDOW2,
        biffh.XL_WINDOW2_B2,
        biffh.XL_WRITEACCESS,
    ]
)
_RECALC_ID = 0x1C1
_head = Struct("<HH").unpack_from
_engine = Struct("<I").unpack_from
_RESULT = slice(6, 14)
_NO_RESULT = b"\3"
"""The first byte of a result that is an empty text; its last two are `FF FF`, as in all results that are no numbers."""
_ZERO = bytes(8)


class _AllBut:
    """A set of everything but some."""

    def __init__(self, left_out: frozenset[int]) -> None:
        self._left_out = left_out

    def __contains__(self, code: object) -> bool:
        return code not in self._left_out


OLD_RECORDS = _AllBut(_NO_CELL)
"""Records of workbooks of Excel 4 and earlier, whose sheets contain everything."""


class Enough(Exception):
    """As many records have been read as were asked for."""


@dataclass(slots=True)
class SheetRecords:
    """What is noted of the records of one sheet."""

    merged: list[MergedRange] = field(default_factory=list)
    merged_count: int = 0
    empty_results: list[tuple[int, int]] = field(default_factory=list)
    """Row and column, from 0, of each formula whose result is an empty text; only if `watch_formulas` says so."""
    zero_results: dict[int, int] = field(default_factory=dict)
    """Columns of formulas whose result is 0, each with its first row; all from 0; only if `watch_formulas` says so."""


class RecordReader:
    """The part of a book of xlrd that reads records; `wanted` are passed on."""

    mem: Contents
    base: int
    stream_len: int
    _position: int

    def __init__(self) -> None:
        super().__init__()
        self.wanted: Container[int] = OLD_RECORDS
        self.engine_id: int | None = None
        """Which version of Excel computed the formulas; None if nothing says that any did, and 0 if they are to be computed again."""
        self.noted = SheetRecords()
        self._last_position: int | None = None

    def begin_sheet(self, *, most_bytes: int | None, watch_formulas: bool) -> None:
        """Begin to note the records of a sheet, which is where the reader is; `Enough` is raised after `most_bytes` of them."""
        self.noted = SheetRecords()
        self._last_position = None if most_bytes is None else self._position + most_bytes
        if self.wanted is not OLD_RECORDS:
            self.wanted = CELL_RECORDS - FORMULAS if watch_formulas else CELL_RECORDS

    def get_record_parts(self) -> Record:
        """Return the code, the length and the data of the next record that is wanted."""
        if self._last_position is not None and self._position > self._last_position:
            raise Enough
        mem, position, wanted = self.mem, self._position, self.wanted
        while True:
            code, length = _head(mem, position)
            start = position + 4
            position = start + length
            if code in wanted:
                break
            if code in FORMULAS:
                self._note_result(mem[start:position])
                break
            if code == biffh.XL_RSTRING:
                # A label with fonts for parts of its text, which come after the text.
                code = biffh.XL_LABEL
                break
            if code == biffh.XL_MERGEDCELLS:
                self._note_merges(mem[start:position])
            elif code == _RECALC_ID:
                self.engine_id = _engine(mem, start + 4)[0]
        self._position = position
        return code, length, mem[start:position]

    def _note_result(self, data: bytes) -> None:
        row, column = _head(data)
        result = data[_RESULT]
        if result == _ZERO:
            self.noted.zero_results[column] = min(row, self.noted.zero_results.get(column, row))
        elif _is_empty(result):
            self.noted.empty_results.append((row, column))

    def _note_merges(self, data: bytes) -> None:
        self.noted.merged_count += add_merges(data, self.noted.merged)

    def has_computed_formulas(self) -> bool:
        """Whether any formula of the workbook has a result other than 0 and an empty text."""
        position, end = self.base, self.base + self.stream_len
        while position + 4 <= end:
            code, length = _head(self.mem, position)
            position += 4
            if code in FORMULAS:
                result = self.mem[position : position + length][_RESULT]
                if result != _ZERO and not _is_empty(result):
                    return True
            position += length
        return False


def _is_empty(result: bytes) -> bool:
    return result[:1] == _NO_RESULT and result[6:] == b"\xff\xff"

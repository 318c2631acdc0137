"""Read the cells of a sheet of an XLS workbook where its records are in the file, if they are such as can be read many at once.

Nothing here is believed that the process says which has opened the workbook: what does not fit is a `ValueError`.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import numpy as np
import pyarrow as pa

from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.sheet_grid import SheetGrid
from features.processing.readers.excel.sheet_rows import SheetFacts
from features.processing.readers.excel.xls.cell_columns import GridMaker
from features.processing.readers.excel.xls.cell_reader import CellReader
from features.processing.readers.excel.xls.find_records import UnusualRecords
from features.processing.readers.excel.xls.found_cells import FoundCells

_FIRST_BYTES, _NEXT_BYTES = 2**16, 2**19
"""So much is read at once: little at first, since the rows that are looked at for the header are taken one by one."""
_MOST_KEPT = 2**20
"""So many cells are kept after the check; more are read once more."""
_MOST_BYTES, _MOST_FORMATS = 2**48, 2**16
_MOST_DECIMALS, _MOST_DIGITS = 3, 30


@dataclass(frozen=True, slots=True)
class SheetPlace:
    """Where a sheet is, and what its cells need besides."""

    parts: Sequence[tuple[int, int]]
    """Where the workbook is in the file: begins and sizes in bytes."""
    begin: int
    """Where the sheet's first record is in the workbook."""
    watches_formulas: bool
    """See `CellReader`."""
    is_1904: bool
    formats: Sequence[NumberFormat]
    """Those of the cell formats."""


def parse_place(told: Mapping[str, Any]) -> SheetPlace:
    """Return what the process that has opened a workbook tells of a sheet. Raises `ValueError` if it cannot be."""
    parts = [(int(begin), int(size)) for begin, size in told["parts"]]
    formats = [NumberFormat(FormatKind(kind), int(decimals), int(digits)) for kind, decimals, digits in told["formats"]]
    is_right = all(0 <= bound < _MOST_BYTES for bound in (int(told["begin"]), *chain.from_iterable(parts))) and len(formats) <= _MOST_FORMATS
    if not is_right or not all(0 <= each.decimals <= _MOST_DECIMALS and 0 <= each.digits <= _MOST_DIGITS for each in formats):
        raise ValueError("a sheet cannot be at such a place")
    return SheetPlace(parts, int(told["begin"]), bool(told["watches_formulas"]), bool(told["is_1904"]), formats)


def join_strings(lengths: bytes, texts: bytes) -> pa.StringArray:
    """Return shared strings, of which `lengths` are in bytes, as unsigned numbers of four bytes. Raises `ValueError` if they do not fit the texts."""
    offsets = np.concatenate([[0], np.cumsum(np.frombuffer(lengths, np.uint32), dtype=np.int64)])
    if offsets[-1] != len(texts):
        raise ValueError("the lengths of the shared strings do not fit their texts")
    strings = pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(texts))
    strings.validate(full=True)
    return strings


class SheetScan:
    """Reads one sheet of the workbook in an open file."""

    def __init__(self, descriptor: int, place: SheetPlace, *, strings: int) -> None:
        self._descriptor, self._place, self._strings = descriptor, place, strings
        self._ends = list(accumulate((size for _, size in place.parts), initial=0))
        self._kept: list[FoundCells] | None = []
        self.rows = 0
        """How many rows the sheet has."""

    def check(self, facts: SheetFacts) -> bool:
        """Find out whether the sheet can be read here; if so, also how many rows it has, and what is merged, which is added to `facts`."""
        reader = self._make_reader()
        count = 0
        try:
            for cells in self._read(reader):
                count += len(cells)
                if len(cells):
                    self.rows = int(cells.rows[-1]) + 1
                if self._kept is not None:
                    self._kept.append(cells)
                if count > _MOST_KEPT:
                    self._kept = None
        except UnusualRecords:
            return False
        facts.merged += reader.merged
        facts.merged_count = reader.merged_count
        return True

    def grids(self, maker: GridMaker) -> Iterator[SheetGrid]:
        """Yield the rows of the sheet, which has been checked, in order."""
        waiting: FoundCells | None = None
        for found in self._take_kept() if self._kept is not None else self._read(self._make_reader()):
            cells = found if waiting is None else waiting.add(found)
            # The last row may go on.
            whole = int(np.searchsorted(cells.rows, cells.rows[-1])) if len(cells) else 0
            if whole:
                yield from maker.make(cells.select(0, whole))
            waiting = cells.select(whole, len(cells))
        if waiting is not None and len(waiting):
            yield from maker.make(waiting)

    def _take_kept(self) -> Iterator[FoundCells]:
        assert self._kept is not None
        kept = self._kept[::-1]
        self._kept = []
        while kept:
            yield kept.pop()

    def _make_reader(self) -> CellReader:
        return CellReader(watches_formulas=self._place.watches_formulas, strings=self._strings)

    def _read(self, reader: CellReader) -> Iterator[FoundCells]:
        at, wanted = self._place.begin, _FIRST_BYTES
        while not reader.is_done:
            data = self._take(at, wanted)
            cells, size = reader.read(data)
            if not size and not reader.is_done and (len(data) < wanted or wanted >= _NEXT_BYTES):
                raise UnusualRecords
            at, wanted = at + size, _NEXT_BYTES
            yield cells

    def _take(self, at: int, size: int) -> bytes:
        """Return so many bytes of the workbook, or as many as there are."""
        taken: list[bytes] = []
        part = bisect_right(self._ends, at) - 1
        while size and part < len(self._place.parts):
            begin, length = self._place.parts[part]
            passed = at - self._ends[part]
            wanted = min(size, length - passed)
            data = os.pread(self._descriptor, wanted, begin + passed) if wanted else b""
            taken.append(data)
            if len(data) < wanted:
                break
            at, size, part = at + wanted, size - wanted, part + 1
        return b"".join(taken)

"""An open XLSX workbook whose sheets can be looked at and read; what several sheets need is read once, and only if it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.choose_sheet import SheetName
from features.processing.readers.excel.number_formats import NumberFormat
from features.processing.readers.excel.row_order import Batch, put_in_order
from features.processing.readers.excel.sheet_rows import SheetFacts, SheetRow
from features.processing.readers.excel.xlsx.cells import CellValues
from features.processing.readers.excel.xlsx.metadata import find_pictures
from features.processing.readers.excel.xlsx.package import Package
from features.processing.readers.excel.xlsx.scanner import SheetScanner
from features.processing.readers.excel.xlsx.strings import StringTable, read_shared_strings
from features.processing.readers.excel.xlsx.styles import read_styles
from features.processing.readers.excel.xlsx.workbook import open_workbook

if TYPE_CHECKING:
    from features.processing.readers.excel.xlsx.openpyxl_rows import OpenpyxlRows

_BLOCK_BYTES = 2**18
_PEEK_ROWS = 200
_PEEK_BYTES = 2**22


class XlsxWorkbook:
    """A workbook at `path`; see `choose_sheet.SheetPeeker`. All methods raise `FileUnreadable` if what they need is damaged or missing."""

    def __init__(self, path: Path, limits: ReadLimits) -> None:
        self._limits = limits
        self._strings: StringTable | None = None
        self._package = Package(path)
        try:
            self._workbook = open_workbook(self._package)
        except BaseException:
            self._package.close()
            raise
        self.sheets: Sequence[SheetName] = [SheetName(sheet.name, sheet.is_visible, sheet.has_rows) for sheet in self._workbook.sheets]

    def size_of(self, index: int) -> int:
        """Return how many bytes of XML a sheet has."""
        return self._package.size_of(self._workbook.sheets[index].require_part())

    def blocks(self, index: int) -> Iterator[bytes]:
        """Yield the XML of a sheet, block by block."""
        return self._package.blocks(self._workbook.sheets[index].require_part(), size_bytes=_BLOCK_BYTES)

    def open_rows(self, facts: SheetFacts, *, reads_merges: bool) -> SheetScanner | OpenpyxlRows:
        """Return a reader for the rows of one sheet, which records in `facts` what it learns."""
        if self._strings is None:
            self._strings = self._read_strings()
        values = CellValues(
            strings=self._strings.texts,
            formats=self._formats,
            is_1904=self._workbook.is_1904,
            is_recalculated=self._workbook.is_recalculated,
            is_picture=lambda number: number in self._pictures,
            facts=facts,
        )
        if self._limits.excel_reader == "openpyxl":
            from features.processing.readers.excel.xlsx.openpyxl_rows import OpenpyxlRows  # noqa: PLC0415 # see cells.py

            return OpenpyxlRows(values, reads_merges=reads_merges)
        return SheetScanner(values, max_row_bytes=self._limits.max_row_bytes, reads_merges=reads_merges)

    def peek(self, index: int) -> Sequence[SheetRow]:
        """Return the first rows of a sheet that have content, at most 200, out of its first 4 MiB; damage behind the first rows does not matter yet."""
        batches: list[Batch] = []
        numbers: set[int] = set()
        try:
            with suppress(_PeekedEnough):
                for batch in self.open_rows(SheetFacts(), reads_merges=False).scan(_take_bytes(self.blocks(index), _PEEK_BYTES)):
                    batches.append(batch)
                    numbers.update(row.number for row in batch.rows)
                    if len(numbers) >= _PEEK_ROWS:
                        break
        except FileUnreadable:
            if not numbers:
                raise
        return [row for batch in put_in_order(batches) for row in batch.rows][:_PEEK_ROWS]

    def close(self) -> None:
        """Close the file and what was read of it; may be called twice."""
        if self._strings is not None:
            self._strings.close()
        self._package.close()

    @cached_property
    def _formats(self) -> dict[str | None, NumberFormat]:
        part = self._workbook.styles_part
        return {} if part is None else read_styles(self._package.blocks(part))

    @cached_property
    def _pictures(self) -> frozenset[int]:
        return find_pictures(self._package, self._workbook.relationships)

    def _read_strings(self) -> StringTable:
        part = self._workbook.strings_part
        if part is None:
            return StringTable()
        return read_shared_strings(self._package.blocks(part), spill_dir=self._limits.spill_dir, threshold_bytes=self._limits.spill_threshold_bytes)


class _PeekedEnough(Exception):
    """So much of a sheet as a look at it may cost has been read."""


def _take_bytes(blocks: Iterable[bytes], most_bytes: int) -> Iterator[bytes]:
    """Yield blocks until there are `most_bytes` of them, then raise `_PeekedEnough`: an end would be taken for damage."""
    taken_bytes = 0
    for block in blocks:
        if taken_bytes >= most_bytes:
            raise _PeekedEnough
        taken_bytes += len(block)
        yield block

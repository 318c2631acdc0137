"""Read XLSX workbooks: open one within limits, choose the sheet, and read its rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from features.processing.readers.base import Chunk, Note, ReadLimits, Source
from features.processing.readers.excel.sheet_reader import RowBatch, SheetReader
from features.processing.readers.excel.xlsx.cells import CellValues
from features.processing.readers.excel.xlsx.openpyxl_rows import walk_with_openpyxl
from features.processing.readers.excel.xlsx.package import Package
from features.processing.readers.excel.xlsx.scanner import SheetScanner
from features.processing.readers.excel.xlsx.strings import StringTable, read_shared_strings
from features.processing.readers.excel.xlsx.workbook import Sheet, Workbook, choose_sheet, open_workbook
from shared.descriptors.table_dialect import TableDialect


def open_xlsx(
    path: Path, *, dialect: TableDialect | None, limits: ReadLimits, encoding: str | None = None, field_names: Sequence[str] | None = None
) -> XlsxTable:
    """Open the table in a sheet of an XLSX workbook. Raises `FileUnreadable` if there is none, or if Excel would never write such a workbook."""
    del encoding  # a workbook states its own encoding
    del field_names  # the first row that is not blank is the header
    return XlsxTable(path, dialect=dialect, limits=limits)


class XlsxTable:
    """An XLSX workbook, opened at one sheet; see `base.Table`."""

    def __init__(self, path: Path, *, dialect: TableDialect | None, limits: ReadLimits) -> None:
        self._limits = limits
        self._strings = StringTable()
        self._package = Package(path)
        try:
            workbook = open_workbook(self._package)
            sheet = choose_sheet(workbook.sheets, dialect)
            self.bytes_total = self._package.size_of(sheet.part)
            if workbook.shared_strings_part is not None:
                self._strings = read_shared_strings(
                    self._package.blocks(workbook.shared_strings_part), spill_dir=limits.spill_dir, threshold_bytes=limits.spill_threshold_bytes
                )
            self._scanner = SheetScanner(CellValues(strings=self._strings, kinds=workbook.kinds, is_1904=workbook.is_1904), max_row_bytes=limits.max_row_bytes)
            self._reader = SheetReader(self._walk(workbook, sheet), dialect=dialect, limits=limits)
        except BaseException:
            self.close()
            raise
        self._scanner.width = self._reader.width
        self.labels: Sequence[str] | None = self._reader.labels
        self.notes: Sequence[Note] = ()
        self.column_numbers: Sequence[int] | None = None
        self.source = Source(sheet=sheet.name, header_row=self._reader.header_row)

    def chunks(self) -> Iterator[Chunk]:
        """See `base.Table`."""
        return self._reader.chunks()

    def close(self) -> None:
        """See `base.Table`."""
        self._strings.close()
        self._package.close()

    def _walk(self, workbook: Workbook, sheet: Sheet) -> Iterator[RowBatch]:
        if self._limits.excel_reader == "openpyxl":
            return walk_with_openpyxl(self._package, workbook, sheet, strings=self._strings)
        return self._scanner.scan(self._package.blocks(sheet.part))

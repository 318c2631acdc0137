"""Read XLSX workbooks: open one within limits, choose the sheet, and read its rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from features.processing.readers.base import Chunk, Finding, Note, ReadLimits, Source
from features.processing.readers.excel.choose_sheet import choose_sheet
from features.processing.readers.excel.sheet_reader import SheetReader, needs_merges
from features.processing.readers.excel.sheet_rows import SheetFacts
from features.processing.readers.excel.xlsx.merges import read_merges
from features.processing.readers.excel.xlsx.open_sheets import XlsxWorkbook
from features.processing.readers.prefetch import Prefetch
from shared.descriptors.table_dialect import TableDialect

_BLOCKS_AHEAD = 4


def open_xlsx(
    path: Path, *, dialect: TableDialect | None, limits: ReadLimits, encoding: str | None = None, field_names: Sequence[str] | None = None
) -> XlsxTable:
    """Open the table in a sheet of an XLSX workbook. Raises `FileUnreadable` if there is none, or if Excel would never write such a workbook."""
    del encoding  # a workbook states its own encoding
    return XlsxTable(path, dialect=dialect, limits=limits, field_names=field_names)


class XlsxTable:
    """An XLSX workbook, opened at one sheet; see `base.Table`."""

    def __init__(self, path: Path, *, dialect: TableDialect | None, limits: ReadLimits, field_names: Sequence[str] | None) -> None:
        self._workbook = XlsxWorkbook(path, limits)
        self._unpacked: Prefetch[bytes] | None = None
        try:
            self._chosen = choose_sheet(self._workbook, dialect=dialect, field_names=field_names)
            index = self._chosen.index
            self.bytes_total = self._workbook.size_of(index)
            merges_first = needs_merges(dialect)
            facts = SheetFacts(header_rows=dialect.header_rows[-1] if dialect is not None and merges_first else 0)
            if merges_first:
                read_merges(lambda: self._workbook.blocks(index), facts)
            rows = self._workbook.open_rows(facts, reads_merges=not merges_first)
            # Unpacking needs a processor, but hardly any step of Python.
            self._unpacked = Prefetch(self._workbook.blocks(index), depth=_BLOCKS_AHEAD)
            self._reader = SheetReader(rows.scan(self._unpacked), facts=facts, dialect=dialect, limits=limits, field_names=field_names)
            rows.width = self._reader.width
        except BaseException:
            self.close()
            raise
        self.labels: Sequence[str] | None = self._reader.labels
        self.column_numbers: Sequence[int] | None = self._reader.column_numbers
        self.header_findings: Sequence[Finding] = self._reader.header_findings
        self.source = Source(sheet=self._workbook.sheets[index].name, header_row=self._reader.header_row)

    @property
    def notes(self) -> Sequence[Note]:
        """See `base.Table`."""
        return [*self._chosen.notes, *self._reader.notes]

    @property
    def width(self) -> int:
        """See `row_spans.KeepsRows`."""
        return self._reader.table_width

    @property
    def raw_table(self) -> None:
        """See `row_spans.KeepsRows`."""
        return

    def first_rows(self) -> Iterator[tuple[int, Sequence[str | None]]]:
        """See `row_spans.KeepsRows`."""
        return self._reader.first_rows()

    def chunks(self) -> Iterator[Chunk]:
        """See `base.Table`."""
        return self._reader.chunks()

    def close(self) -> None:
        """See `base.Table`."""
        if self._unpacked is not None:
            self._unpacked.close()
        self._workbook.close()

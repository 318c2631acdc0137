"""Read XLS workbooks: xlrd opens them in a separate process with limits on memory and time; here the sheet is chosen and its rows become chunks.

The cells of a sheet are read here, many at once, if its records are as any program writes them, and one by one in that process if they are not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from features.processing.readers.base import Chunk, ContainedFile, FileUnreadable, Finding, Note, ReadLimits, Source
from features.processing.readers.excel.choose_sheet import SheetName, choose_sheet
from features.processing.readers.excel.encrypted.decrypt import decrypt_package, decrypt_records
from features.processing.readers.excel.reading_child import ReadingChild
from features.processing.readers.excel.refusals import PROTECTED
from features.processing.readers.excel.row_order import Batch, RowBatch
from features.processing.readers.excel.sheet_reader import SheetReader
from features.processing.readers.excel.sheet_rows import BadCell, CellTrouble, FarCell, MergedRange, SheetFacts, SheetRow
from features.processing.readers.excel.xls.cell_columns import GridMaker
from features.processing.readers.excel.xls.shared_strings import MAX_STRING_BYTES, MAX_STRINGS
from features.processing.readers.excel.xls.sheet_scan import SheetScan, join_strings, parse_place
from shared.descriptors.table_dialect import TableDialect

_CHILD = "features.processing.readers.excel.xls.child"
_TYPE_OF_DIGIT = bytes(max(0, code - ord("0")) for code in range(256))


def open_xls(
    path: Path, *, dialect: TableDialect | None, limits: ReadLimits, encoding: str | None = None, field_names: Sequence[str] | None = None
) -> XlsTable:
    """Open the table in a sheet of an XLS workbook.

    Raises `FileUnreadable` if there is none, or if the workbook breaks its reader, and `ContainedFile` if it is an encrypted XLSX workbook whose password is
    Excel's own.
    """
    del encoding  # a workbook states its own encoding
    return XlsTable(path, dialect=dialect, limits=limits, field_names=field_names)


class XlsTable:
    """An XLS workbook, opened at one sheet; see `base.Table`. Raises `ChildProcessError` if the process that reads it ends for another reason."""

    def __init__(self, path: Path, *, dialect: TableDialect | None, limits: ReadLimits, field_names: Sequence[str] | None) -> None:
        with ExitStack() as opened:
            self._workbook = workbook = _open_workbook(path, limits)
            opened.callback(workbook.close)
            self._chosen = choose_sheet(workbook, dialect=dialect, field_names=field_names)
            self.bytes_total = workbook.read_sheet(self._chosen.index)
            self._reader = SheetReader(workbook.read_batches(), facts=workbook.facts, dialect=dialect, limits=limits, field_names=field_names)
            opened.pop_all()
        workbook.width = self._reader.width
        self.labels: Sequence[str] | None = self._reader.labels
        self.column_numbers: Sequence[int] | None = self._reader.column_numbers
        self.header_findings: Sequence[Finding] = self._reader.header_findings
        self.source = Source(sheet=workbook.sheets[self._chosen.index].name, header_row=self._reader.header_row)

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
        self._workbook.close()


class Workbook:
    """A workbook that a child process has opened; see `choose_sheet.SheetPeeker`."""

    def __init__(self, child: ReadingChild, sheets: Sequence[SheetName], descriptor: int) -> None:
        self.child = child
        self._descriptor: int | None = descriptor
        self._scan: tuple[SheetScan, GridMaker] | None = None
        self.sheets = sheets
        self.facts = SheetFacts()
        self.width: int | None = None
        """How many columns the table has, once that is known; see `SheetRow`."""

    def peek(self, index: int) -> Sequence[SheetRow]:
        """Return the first rows of a sheet. Raises `FileUnreadable` if it is damaged."""
        return [self._make_row(*row) for row in self.child.ask({"peek": index})]

    def read_sheet(self, index: int) -> int:
        """Begin to read a sheet, and return how many rows it has. Raises `FileUnreadable` if it is damaged."""
        opened = self.child.ask({"read": index})
        if "parts" in opened:
            if self._open_scan(opened):
                assert self._scan is not None
                return self._scan[0].rows
            opened = self.child.ask({"read_cells": index})
        self.facts.merged += [MergedRange(*bounds) for bounds in opened["merged"]]
        self.facts.merged_count = opened["merged_count"]
        rows: int = opened["rows"]
        return rows

    def _open_scan(self, told: Mapping[str, Any]) -> bool:
        """Begin to read a sheet here; false if that cannot be. Raises `ValueError` if what the child tells cannot be true."""
        assert self._descriptor is not None
        count, size = int(told["strings"]), int(told["string_bytes"])
        if not (0 <= count <= MAX_STRINGS and 0 <= size <= MAX_STRING_BYTES):
            raise ValueError("so many shared strings are never passed on")
        place = parse_place(told)
        scan = SheetScan(self._descriptor, place, strings=count)
        # The child encodes the strings in the meantime.
        is_usual = scan.check(self.facts)
        strings = join_strings(self.child.read_bytes(4 * count), self.child.read_bytes(size))
        if is_usual:
            self._scan = scan, GridMaker(strings, place.formats, is_1904=place.is_1904, facts=self.facts)
        return is_usual

    def read_batches(self) -> Iterator[Batch]:
        """Yield the rows of the sheet; after the last ones the facts are complete."""
        if self._scan is not None:
            scan, maker = self._scan
            for grid in scan.grids(maker):
                yield grid
                maker.width = self.width
            return
        while isinstance(rows := self.child.read_line(), list):
            yield RowBatch([self._make_row(*row) for row in rows], rows[-1][0])
        for found, told in ((self.facts.long_numbers, "long_numbers"), (self.facts.doubtful_zeros, "doubtful_zeros")):
            found.update({int(column): row for column, row in rows[told].items()})

    def close(self) -> None:
        """End the child; may be called twice."""
        self.child.close()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _make_row(self, number: int, cells: list[str], digits: str, bad: Sequence[tuple[int, str, int]] = ()) -> SheetRow:
        types = bytearray(digits.encode().translate(_TYPE_OF_DIGIT)) if digits else bytearray(len(cells))
        row = SheetRow(number, cells, types)
        if self.width is not None and len(cells) > self.width:
            row.beyond = [FarCell(column, cells[column], types[column]) for column in range(self.width, len(cells)) if cells[column]] or None
            del cells[self.width :], types[self.width :]
        if bad:
            row.bad = [BadCell(column, text, CellTrouble(trouble)) for column, text, trouble in bad]
        return row


def _open_workbook(path: Path, limits: ReadLimits) -> Workbook:
    """Open the workbook at `path`, or the one that is encrypted in it. Raises `ContainedFile` if that is an XLSX workbook."""
    with path.open("rb") as file:
        opened = _open_with_child(file)
        if opened == "package":
            raise ContainedFile(decrypt_package(file, folder=limits.spill_dir))
        if isinstance(opened, Workbook):
            return opened
        with decrypt_records(file, folder=limits.spill_dir) as plain:
            opened = _open_with_child(plain)
    if not isinstance(opened, Workbook):
        raise FileUnreadable(PROTECTED)
    return opened


def _open_with_child(file: BinaryIO) -> Workbook | str:
    """Open a workbook, or return what is encrypted in it."""
    child = ReadingChild(_CHILD, descriptors=[file.fileno()])
    try:
        opened = child.read_line()
    except BaseException:
        child.close()
        raise
    if "encrypted" in opened:
        child.close()
        return str(opened["encrypted"])
    return Workbook(child, [SheetName(*sheet) for sheet in opened["sheets"]], os.dup(file.fileno()))

"""Read one sheet of a workbook as cells by their place: with Rowgate's reader, python-calamine, openpyxl or xlrd.

Each function runs in a process of its own (`sweep_child.py`) and raises `Refused` if the reader refuses the file.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import openpyxl
import python_calamine
import xlrd
from xlrd import biffh, xldate

from bench.sweep_child import Refused
from features.processing.engine import Inspection, inspect_file
from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.row_order import Batch
from features.processing.readers.excel.sheet_reader import SheetReader
from features.upload.contents import describe_mismatch
from shared.storage.base import HEAD_BYTES

PLACE = tuple[int, int]
"""Row number from 1, column from 0."""


class OurCell(NamedTuple):
    """A cell as Rowgate's row reader gives it."""

    text: str
    native_type: int = 0
    trouble: int | None = None
    """A `CellTrouble` if the cell has no value."""


@dataclass(slots=True)
class SheetCells:
    """The cells of one sheet that are not empty."""

    sheet: str | None
    cells: dict[PLACE, Any] = field(default_factory=dict)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    """First and last row, first and last column of merged ranges."""
    notes: list[str] = field(default_factory=list)
    header_row: int | None = None
    outside_table: int = 0
    """How many of the cells are not in the table: above its header, beside it."""
    torn: list[str] = field(default_factory=list)
    """Places where the table has another text than the row reader gave."""


class Recorded(Protocol):
    """A row as the row reader gives it, before or after this version."""

    number: int
    cells: list[str]


def check_as_service(path: Path) -> dict[str, Any]:
    """Read and check a file as a job does, from the upload's look at its first bytes on; nothing is kept. This is what is timed."""
    _refuse_at_upload(path)
    try:
        inspection = inspect_file(path)
        try:
            rows = errors = 0
            for report in inspection.reports():
                rows += report.rows_processed
                errors += sum(len(finding) for finding in report.findings)
        finally:
            inspection.close()
    except FileUnreadable as unreadable:
        raise Refused(str(unreadable)) from unreadable
    return {"rows": rows, "errors": errors, "sheet": inspection.source.sheet, "header_row": inspection.source.header_row}


def read_ours(path: Path) -> SheetCells:
    """Read all cells of the sheet that Rowgate chooses, as its row reader gives them, and hold the table against them."""
    _refuse_at_upload(path)
    found = SheetCells(None)
    _record_rows(found)
    try:
        inspection = inspect_file(path)
        try:
            in_table = dict(_read_table(inspection))
        finally:
            inspection.close()
    except FileUnreadable as unreadable:
        raise Refused(str(unreadable)) from unreadable
    found.sheet, found.header_row = inspection.source.sheet, inspection.source.header_row
    found.notes = [note.code for note in inspection.notes]
    found.outside_table = sum(1 for place in found.cells if place not in in_table)
    for place, text in in_table.items():
        cell = found.cells.get(place, OurCell(""))
        if text is not None and text != cell.text and not (cell.trouble is not None and text == ""):
            found.torn.append(f"{place}: {text[:80]!r}, not {cell.text[:80]!r}")
    return found


def _refuse_at_upload(path: Path) -> None:
    with path.open("rb") as file:
        mismatch = describe_mismatch(path.suffix[1:].lower(), file.read(HEAD_BYTES))
    if mismatch is not None:
        raise Refused(mismatch)


def _record_rows(found: SheetCells) -> None:
    """Keep every row that the sheet reader takes from a row reader; this is the only access to what is inside the readers."""
    original = SheetReader.__init__

    def listen(batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            for row in batch.rows:
                # A row may come in several parts, in each of which the cells of the others are empty.
                found.cells.update(((row.number, column), cell) for column, cell in _list_cells(row) if cell.text or cell.trouble is not None)
            yield batch

    def start(self: SheetReader, batches: Iterator[Batch], **options: Any) -> None:  # noqa: ANN401  # those of `SheetReader`
        original(self, listen(batches), **options)

    SheetReader.__init__ = start  # type: ignore[method-assign]  # in this process only


def _list_cells(row: Any) -> Iterator[tuple[int, OurCell]]:  # noqa: ANN401  # `SheetRow` of this version or of the one before
    types = getattr(row, "types", None)
    for column, text in enumerate(row.cells):
        yield column, OurCell(text, types[column] if types else 0)
    for far in row.beyond or ():
        yield far[0], OurCell(far[1], far[2] if len(far) > 2 else 0)
    for bad in getattr(row, "bad", None) or getattr(row, "errors", None) or ():
        yield bad[0], OurCell(bad[1], trouble=int(bad[2]) if len(bad) > 2 else 0)


def _read_table(inspection: Inspection) -> Iterator[tuple[PLACE, str | None]]:
    """Yield the cells of the table by their place in the sheet; labels are left out if the header has several rows."""
    numbers = inspection._table.column_numbers  # noqa: SLF001  # a table is read once, and its inspection has begun
    header = inspection.source.header_row
    for index, label in enumerate(inspection._table.labels or ()):  # noqa: SLF001
        if header is not None:
            yield (header, index if numbers is None else numbers[index] - 1), label
    for chunk in inspection._chunks:  # noqa: SLF001
        rows = chunk.row_numbers.tolist()
        for index, column in enumerate(chunk.columns):
            place = index if numbers is None else numbers[index] - 1
            for row, text in zip(rows, column.to_pylist(), strict=True):
                yield (row, place), text


def find_name(name: str | None, names: list[str]) -> str | None:
    """Return the name of the sheet with this name; None if there is none; the first if no name is given."""
    if name is None:
        return names[0] if names else None
    return next((each for each in names if each == name), next((each for each in names if each.casefold().strip() == name.casefold().strip()), None))


def read_calamine(path: Path, sheet: str | None) -> SheetCells:
    """Read a sheet with python-calamine; without a name the first one that has cells."""
    book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(path.read_bytes()))
    if sheet is None:
        names = [each.name for each in book.sheets_metadata if each.typ == python_calamine.SheetTypeEnum.WorkSheet]
        read = (_read_calamine_sheet(book, name) for name in names)
        return next((found for found in read if found.cells), SheetCells(None))
    name = find_name(sheet, book.sheet_names)
    if name is None:
        raise Refused(f"no sheet named {sheet}")
    return _read_calamine_sheet(book, name)


def _read_calamine_sheet(book: python_calamine.CalamineWorkbook, name: str) -> SheetCells:
    read = book.get_sheet_by_name(name)
    found = SheetCells(name)
    first_row, first_column = read.start or (0, 0)
    for row, values in enumerate(read.to_python(skip_empty_area=True), first_row + 1):
        for column, value in enumerate(values, first_column):
            if value != "":
                found.cells[row, column] = value
    return found


def read_openpyxl(path: Path, sheet: str | None) -> SheetCells:
    """Read a sheet with openpyxl, as values and not in its read-only mode; without a name the first one."""
    warnings.simplefilter("ignore")
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=False, data_only=True)
    name = find_name(sheet, book.sheetnames)
    if name is None:
        raise Refused(f"no sheet named {sheet}")
    read = book[name]
    found = SheetCells(name)
    for (row, column), cell in getattr(read, "_cells", {}).items():
        if cell.value is not None:
            found.cells[row, column - 1] = cell.value
    if hasattr(read, "merged_cells"):
        found.merged = [(each.min_row, each.max_row, each.min_col - 1, each.max_col - 1) for each in read.merged_cells.ranges]
    return found


def read_xlrd(path: Path, sheet: str | None) -> SheetCells:
    """Read a sheet of an .xls with xlrd; without a name the first one."""
    with Path("/dev/null").open("w", encoding="utf-8") as log:
        book = xlrd.open_workbook(file_contents=path.read_bytes(), logfile=log, on_demand=True, ragged_rows=True)
    name = find_name(sheet, book.sheet_names())
    if name is None:
        raise Refused(f"no sheet named {sheet}")
    read = book.sheet_by_name(name)
    found = SheetCells(name)
    for row in range(read.nrows):
        for column, (kind, value) in enumerate(zip(read.row_types(row), read.row_values(row), strict=True)):
            if kind not in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK) and value != "":
                found.cells[row + 1, column] = _xlrd_value(kind, value, book.datemode)
    return found


def _xlrd_value(kind: int, value: Any, datemode: int) -> Any:  # noqa: ANN401  # depends on `kind`
    if kind == xlrd.XL_CELL_BOOLEAN:
        return bool(value)
    if kind == xlrd.XL_CELL_ERROR:
        return biffh.error_text_from_code.get(value, "#VALUE!")
    if kind == xlrd.XL_CELL_DATE:
        try:
            moment: datetime = xldate.xldate_as_datetime(value, datemode)
        except (ValueError, OverflowError, xldate.XLDateError):
            return value
        return moment.time() if 0 <= value < 1 else moment
    return value

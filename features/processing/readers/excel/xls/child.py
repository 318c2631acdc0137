"""Child process that reads an XLS workbook with xlrd and passes its rows to the parent, so that a hostile workbook cannot break the worker.

Run as `python -m features.processing.readers.excel.xls.child FD SHEET`. FD is the descriptor of the open workbook; SHEET is a JSON object with the
dialect's sheet `name` and `number`. The parent holds standard input open; the process ends when it closes. Each line on standard output is one
JSON value: first `{"sheet": name, "rows": count}`, then lists of rows `[row number, [cell, …]]`, in which a cell is a text, or a list of one text
if it is an error value; finally `{"end": true}`. Instead of any of these lines, `{"unreadable": sentence}` may come as the last one.
"""

from __future__ import annotations

import json
import mmap
import os
import re
import resource
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import xlrd
from xlrd import biffh, book, sheet

from features.processing.readers.excel.cell_text import FormatKind, built_in_kind, format_kind, number_text, serial_text
from shared.child_process import prepare_child
from shared.texts import list_briefly, make_storable, quote_briefly

MEMORY_BYTES = 2**30
"""Address space in addition to the size of the file; the largest sheet, 65,536 rows of 256 numbers, takes about half of it."""
CPU_S = 120
DAMAGED = "The workbook is damaged and cannot be read. Open it in Excel, save it again and upload the new file."
PROTECTED = "The workbook is protected by a password. Remove the password in Excel and upload the file again."
TOO_LARGE = "The workbook cannot be read: it needs more memory than any real workbook of its kind."

_CPU_GRACE_S = 5
"""Time between SIGXCPU, which tells the parent the reason, and SIGKILL, which cannot be ignored."""
_NAMES_SHOWN = 20
_BATCH_CHARS = 2**18
_CELL_CHARS = 8
_DATE_TYPE = 16
"""Added to a `FormatKind` it gives the type of a cell that shows a date; the cell types of xlrd are all smaller."""
_SURROGATES = re.compile("[\ud800-\udfff]")
_FOREIGN_STREAMS = (
    ("EncryptedPackage", PROTECTED),
    ("WordDocument", "The file is a Word document. Save the table from Excel as .xlsx or .xls and upload that."),
    ("PowerPoint Document", "The file is a PowerPoint presentation. Save the table from Excel as .xlsx or .xls and upload that."),
)


class _Unreadable(Exception):
    """The workbook cannot be read; the message is for the person who uploaded it."""


def main(arguments: Sequence[str]) -> None:
    """Read one workbook, write its rows to standard output, and end the process."""
    descriptor, wanted = int(arguments[0]), json.loads(arguments[1])
    prepare_child()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    memory_bytes = MEMORY_BYTES + os.fstat(descriptor).st_size
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + _CPU_GRACE_S))
    output = sys.stdout.buffer
    try:
        for line in _read_workbook(descriptor, wanted):
            _write(output, line)
        _write(output, {"end": True})
    except _Unreadable as unreadable:
        _write(output, {"unreadable": make_storable(str(unreadable))})
    except MemoryError:
        _write(output, {"unreadable": TOO_LARGE})
    # Nothing is left to do, and freeing millions of cells one by one would take time.
    os._exit(0)


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _write(output: IO[bytes], line: object) -> None:
    output.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    output.flush()


def _read_workbook(descriptor: int, wanted: Mapping[str, Any]) -> Iterator[Any]:
    try:
        contents = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
        workbook = _open_book(contents)
        chosen = workbook.sheet_by_index(_choose_sheet(workbook, wanted))
        yield {"sheet": make_storable(chosen.name), "rows": chosen.nrows}
        yield from _read_rows(chosen, is_1904=bool(workbook.datemode))
    except (_Unreadable, MemoryError, BrokenPipeError):
        raise
    except Exception as error:  # xlrd raises any exception that a damaged file causes inside it
        raise _Unreadable(_describe(error, descriptor)) from error


def _open_book(contents: mmap.mmap) -> book.Book:
    sheet.Sheet = _FormatKeepingSheet
    for module in (biffh, book, sheet):
        module.unicode = _decode
    return xlrd.open_workbook(file_contents=contents, logfile=Path(os.devnull).open("w", encoding="utf-8"), on_demand=True, ragged_rows=True)


class _FormatKeepingSheet(sheet.Sheet):  # type: ignore[misc] # xlrd has no types
    """Keeps the kind of date for each number that shows one; xlrd itself drops it, or else keeps every format of every empty cell."""

    def __init__(self, workbook: book.Book, *arguments: object) -> None:
        self._kinds: dict[int, int] = {}
        super().__init__(workbook, *arguments)

    def put_cell_ragged(self, row: int, column: int, cell_type: int | None, value: object, xf_index: int) -> None:
        """Store one cell; numbers arrive with `cell_type` None and get their type here."""
        if cell_type is None:
            cell_type = self._kinds.get(xf_index)
            if cell_type is None:
                kind = _find_kind(self.book, xf_index)
                cell_type = self._kinds[xf_index] = _DATE_TYPE + kind if kind else xlrd.XL_CELL_NUMBER
        super().put_cell_ragged(row, column, cell_type, value, xf_index)


def _find_kind(workbook: book.Book, xf_index: int) -> FormatKind:
    try:
        number = workbook.xf_list[xf_index].format_key
        code = workbook.format_map[number].format_str
    except LookupError:
        return FormatKind.NUMBER
    return built_in_kind(number) if code is None else format_kind(code)


def _decode(data: bytes, encoding: str) -> str:
    # If a long text continues in the next record, the two halves of one character may be separated.
    return data.decode(encoding, "surrogatepass" if encoding == "utf_16_le" else "replace")


def _choose_sheet(workbook: book.Book, wanted: Mapping[str, Any]) -> int:
    """Return the index of the wanted sheet among those with rows; the first visible one if none is requested."""
    names = workbook.sheet_names()
    listed = list_briefly(names, _NAMES_SHOWN)
    name, number = wanted.get("name"), wanted.get("number")
    if name is not None:
        if name not in names:
            raise _Unreadable(f"The workbook has no sheet named {quote_briefly(name)}. Its sheets are: {listed}.")
        return int(names.index(name))
    if number is not None:
        # Charts count as sheets too, but xlrd does not name them. Workbooks of Excel 4 and earlier have one sheet.
        places = workbook._all_sheets_map or list(range(len(names)))  # noqa: SLF001 - xlrd has no public access to it
        if number > len(places):
            raise _Unreadable(f"The workbook has no sheet number {number}. Its sheets are, from 1: {listed}.")
        if places[number - 1] < 0:
            raise _Unreadable(f"Sheet number {number} holds no rows: it is a chart or a macro. The workbook's sheets are: {listed}.")
        return int(places[number - 1])
    for index, visibility in enumerate(workbook._sheet_visibility):  # noqa: SLF001
        if visibility == 0:
            return index
    raise _Unreadable(f"The workbook has no visible sheet with rows. Its sheets are: {listed}.")


def _read_rows(rows: sheet.Sheet, *, is_1904: bool) -> Iterator[list[Any]]:
    batch: list[Any] = []
    size_chars = 0
    for index in range(rows.nrows):
        types, values = rows._cell_types[index], rows._cell_values[index]  # noqa: SLF001 - row_types() would copy
        if not types:
            continue
        cells = [_read_cell(cell_type, value, is_1904=is_1904) for cell_type, value in zip(types, values, strict=True)]
        batch.append([index + 1, cells])
        size_chars += sum(map(len, cells)) + _CELL_CHARS * len(cells)
        if size_chars > _BATCH_CHARS:
            yield batch
            batch, size_chars = [], 0
    if batch:
        yield batch


def _read_cell(cell_type: int, value: Any, *, is_1904: bool) -> str | list[str]:  # noqa: ANN401 - the type of the value depends on the type of the cell
    if cell_type == xlrd.XL_CELL_TEXT:
        return str(value) if value.isascii() or not _SURROGATES.search(value) else _join_surrogates(value)
    if cell_type == xlrd.XL_CELL_NUMBER:
        return number_text(value) if value - value == 0 else ""
    if cell_type == xlrd.XL_CELL_BOOLEAN:
        return "true" if value else "false"
    if cell_type == xlrd.XL_CELL_ERROR:
        return [biffh.error_text_from_code.get(value, "#VALUE!")]
    if cell_type >= _DATE_TYPE:
        return serial_text(value, FormatKind(cell_type - _DATE_TYPE), is_1904=is_1904) if value - value == 0 else ""
    return ""


def _join_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _describe(error: Exception, descriptor: int) -> str:
    if "encrypted" in str(error):
        return PROTECTED
    if not os.fstat(descriptor).st_size:
        return DAMAGED
    # Searches for the names of streams in the container; xlrd has closed the map that it was given.
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as contents:
        for stream, message in _FOREIGN_STREAMS:
            if contents.find(stream.encode("utf-16-le")) >= 0:
                return message
    return DAMAGED


if __name__ == "__main__":
    main(sys.argv[1:])

"""Read the cells of one sheet of an XLS workbook with xlrd, and show each as text with its native type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import xlrd
from xlrd import biffh, sheet

from features.processing.readers.excel.cell_text import LONG_NUMBERS, USUAL_TYPES, is_long_number, number_text, show_value
from features.processing.readers.excel.number_formats import FormatKind, NumberFormat
from features.processing.readers.excel.sheet_rows import CellTrouble
from features.processing.readers.excel.xls.book import FIRST_BIFF_8, Book
from features.processing.readers.excel.xls.cell_errors import error_text
from features.processing.readers.excel.xls.records import Enough, SheetRecords
from features.processing.readers.excel.xls.shared_strings import join_surrogates, read_result
from features.processing.readers.native_types import NativeType

PEEKED_BYTES = 2**19
"""So much of a sheet is read for a look at its first rows; reading it takes 30 to 60 ms."""
PEEKED_ROWS = 200

Row: TypeAlias = list[Any]
"""`[number, [text, …], types]`, or with a fourth member `[[column, text, trouble], …]` if there are cells without a value. `types` has a digit, a
`NativeType`, for each text; it is empty if all are text."""

_FIRST_LONG = float(LONG_NUMBERS.start)
_KNOWN_VALUES = 10_000
_BATCH_CHARS = 2**18
_CELL_CHARS = 8
_NOT_COMPUTED = 8
_FIRST_FORMAT = 16
"""A number has this type plus the place of its format in `_CellSheet.formats`; the cell types of xlrd are all smaller."""
_TROUBLE = ord("!")
"""Stands in the types of a row for a cell without a value."""


@dataclass(slots=True)
class LoadedSheet:
    """A sheet whose cells have been read."""

    cells: _CellSheet
    records: SheetRecords
    is_complete: bool
    doubtful_zeros: dict[int, int]
    """See `SheetFacts`."""


class _CellSheet(sheet.Sheet):  # type: ignore[misc] # xlrd has no types
    """Keeps the format of each number that its format makes something else; xlrd itself drops it, or else keeps every format of every empty cell."""

    def __init__(self, workbook: Book, *arguments: object) -> None:
        self._types_by_index: dict[int, int] = {}
        self.formats: list[NumberFormat] = []
        super().__init__(workbook, *arguments)

    def put_cell_ragged(self, row: int, column: int, cell_type: int | None, value: object, xf_index: int) -> None:
        """Store one cell; numbers arrive with `cell_type` None and get their type here."""
        if cell_type is None:
            cell_type = self._types_by_index.get(xf_index)
            if cell_type is None:
                cell_type = self._types_by_index[xf_index] = self._find_type(xf_index)
        if row + 1 == self.nrows:
            types = self._cell_types[row]
            if column == len(types) and column < self.ncols:
                # Nearly all cells come after one another.
                types.append(cell_type)
                self._cell_values[row].append(value)
                return
        super().put_cell_ragged(row, column, cell_type, value, xf_index)

    def _find_type(self, xf_index: int) -> int:
        shown_as = self.book.find_format(xf_index)
        if shown_as.kind == FormatKind.NUMBER:
            return int(xlrd.XL_CELL_NUMBER)
        if shown_as not in self.formats:
            # There are some 60 different ones.
            self.formats.append(shown_as)
        return _FIRST_FORMAT + self.formats.index(shown_as)

    def string_record_contents(self, data: bytes) -> str:
        """Return the text that a formula results in; what comes after it does not matter."""
        if self.biff_version >= FIRST_BIFF_8:
            text = read_result(data)
            return str(super().string_record_contents(data)) if text is None else text
        length_bytes = 2 if self.biff_version >= 30 else 1  # noqa: PLR2004
        characters = int.from_bytes(data[:length_bytes], "little")
        return str(super().string_record_contents(data[: length_bytes + characters])) if characters else ""


def load_sheet(book: Book, place: int, *, most_bytes: int | None = None) -> LoadedSheet:
    """Read the cells of a sheet with cells, or of its first `most_bytes`. Raises any exception if it is damaged."""
    is_old = book.biff_version < FIRST_BIFF_8
    if book._sheet_list[place] is not None:  # noqa: SLF001 - a workbook of Excel 4 or earlier, read as a whole
        return LoadedSheet(book._sheet_list[place], book.noted, is_complete=True, doubtful_zeros={})  # noqa: SLF001
    book._position = book._sh_abs_posn[place]  # noqa: SLF001
    # Workbooks of Excel 5 and 95 never say how formulas were computed.
    book.begin_sheet(most_bytes=most_bytes, watch_formulas=not is_old and not book.engine_id)
    book.getbof(biffh.XL_WORKSHEET)
    cells = _CellSheet(book, book._position, book._sheet_names[place], place)  # noqa: SLF001
    is_complete = True
    try:
        cells.read(book)
    except Enough:
        is_complete = False
    return LoadedSheet(cells, book.noted, is_complete=is_complete, doubtful_zeros=_mark_formulas(book, cells))


def _mark_formulas(book: Book, cells: _CellSheet) -> dict[int, int]:
    """Mark formulas that were never computed, and return where 0 probably is no result.

    Programs that compute nothing store an empty text (xlwt) or 0 (POI, Spreadsheet::WriteExcel) as the result of every formula, and do not say which version
    of Excel computed them. Neither do Excel 97 and OpenOffice, which do compute: theirs are told by any other result in the workbook. POI says on demand
    that all is to be computed again (engine 0), and then its new formulas stand, with 0, among those that Excel has computed.
    """
    if not book.noted.empty_results and not book.noted.zero_results:
        return {}
    has_computed = book.has_computed_formulas()
    if not has_computed:
        for row, column in book.noted.empty_results:
            cells._cell_types[row][column] = _NOT_COMPUTED  # noqa: SLF001 - xlrd has no public access to it
    if has_computed and book.engine_id is None:
        return {}
    return {column: row + 1 for column, row in book.noted.zero_results.items()}


def install_cells() -> None:
    """Let xlrd keep what it reads in a `_CellSheet`."""
    sheet.Sheet = _CellSheet


class RowWriter:
    """Shows the rows of a sheet."""

    def __init__(self, loaded: LoadedSheet, *, is_1904: bool) -> None:
        self._cells = loaded.cells
        self._is_1904 = is_1904
        self.long_numbers: dict[int, int] = {}
        """See `SheetFacts`; complete when all rows have been written."""
        self._is_unusual = False
        """Whether the row has a number that is long, or that its format cannot show."""
        self._show: list[Callable[[Any], str]] = [_show_nothing] * 256
        self._show[xlrd.XL_CELL_TEXT] = join_surrogates
        self._show[xlrd.XL_CELL_NUMBER] = self._show_number
        self._show[xlrd.XL_CELL_BOOLEAN] = _show_boolean
        types = bytearray(b"0" * 256)
        types[xlrd.XL_CELL_NUMBER] += NativeType.NUMBER
        types[xlrd.XL_CELL_BOOLEAN] += NativeType.BOOLEAN
        types[xlrd.XL_CELL_ERROR] = types[_NOT_COMPUTED] = _TROUBLE
        for place, shown_as in enumerate(self._cells.formats, _FIRST_FORMAT):
            self._show[place] = self._make_show(shown_as)
            types[place] += USUAL_TYPES[shown_as.kind]
        self._types = bytes(types)

    def write_batches(self) -> Iterator[list[Row]]:
        """Yield the rows that have cells in batches of bounded size."""
        batch: list[Row] = []
        size_chars = 0
        for row in self.write_rows():
            batch.append(row)
            size_chars += sum(map(len, row[1])) + _CELL_CHARS * len(row[1])
            if size_chars > _BATCH_CHARS:
                yield batch
                batch, size_chars = [], 0
        if batch:
            yield batch

    def write_rows(self) -> Iterator[Row]:
        """Yield each row that has cells."""
        show = self._show
        # row_types() and row_values() would copy.
        rows = zip(self._cells._cell_types, self._cells._cell_values, strict=True)  # noqa: SLF001
        for number, (kinds, values) in enumerate(rows, 1):
            if not kinds:
                continue
            types = kinds.tobytes().translate(self._types).decode()
            texts = [value if kind == 1 and value.isascii() else show[kind](value) for kind, value in zip(kinds, values, strict=True)]
            row = [number, texts, types.strip("0") and types]
            if self._is_unusual:
                self._is_unusual = False
                self._note_unusual(row, kinds, values)
            if "!" in types:
                row[2] = row[2].replace("!", "0")
                row.append(_list_bad(kinds, values))
            yield row

    def _show_number(self, value: float) -> str:
        if -_FIRST_LONG < value < _FIRST_LONG:
            whole = int(value)
            if whole == value:
                return str(whole)
            # As `number_text` does it, which takes twice as long.
            text = f"{value:.15g}"
            return number_text(value) if "e" in text else text
        if value - value != 0:
            return ""
        self._is_unusual = True
        return number_text(value)

    def _make_show(self, shown_as: NumberFormat) -> Callable[[float], str]:
        usual = USUAL_TYPES[shown_as.kind]
        is_1904 = self._is_1904

        known: dict[float, str] = {}

        def show(value: float) -> str:
            # Dates are repeated more than other values.
            text = known.get(value)
            if text is not None:
                return text
            if value - value != 0:
                return ""
            text, native_type = show_value(value, shown_as, is_1904=is_1904)
            if native_type != usual or abs(value) >= _FIRST_LONG:
                self._is_unusual = True
            elif len(known) < _KNOWN_VALUES:
                known[value] = text
            return text

        return show

    def _note_unusual(self, row: Row, kinds: Any, values: list[Any]) -> None:  # noqa: ANN401 - an array
        types = list(row[2])
        for column, (kind, value) in enumerate(zip(kinds, values, strict=True)):
            if kind != xlrd.XL_CELL_NUMBER and kind < _FIRST_FORMAT:
                continue
            if kind >= _FIRST_FORMAT and value - value == 0:
                types[column] = str(int(show_value(value, self._cells.formats[kind - _FIRST_FORMAT], is_1904=self._is_1904)[1]))
            if types[column] == "1" and value - value == 0 and is_long_number(value):
                self.long_numbers.setdefault(column, row[0])
        row[2] = "".join(types)


def _list_bad(kinds: Any, values: list[Any]) -> list[list[Any]]:  # noqa: ANN401 - an array
    bad: list[list[Any]] = []
    for column, kind in enumerate(kinds):
        if kind == xlrd.XL_CELL_ERROR:
            bad.append([column, error_text(values[column]), int(CellTrouble.ERROR_VALUE)])
        elif kind == _NOT_COMPUTED:
            bad.append([column, "", int(CellTrouble.NOT_COMPUTED)])
    return bad


def _show_nothing(_value: object) -> str:
    return ""


def _show_boolean(value: int) -> str:
    return "true" if value else "false"

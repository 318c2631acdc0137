"""Convert the XML text of XLSX cells to texts and native types; shared by all sheet parsers.

Source of the format: ECMA-376 part 1, 18.18.11 (the types of cells), 18.3.1.4 (cells), 18.3.1.73 (rows).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import EXACT_DIGITS, is_long_number, number_text, parse_number, show_iso_value, show_value, unescape_text
from features.processing.readers.excel.number_formats import GENERAL, FormatKind, NumberFormat
from features.processing.readers.excel.sheet_rows import (
    MAX_GAP_CELLS,
    MAX_SHEET_COLUMNS,
    MAX_SHEET_ROWS,
    BadCell,
    CellTrouble,
    FarCell,
    SheetFacts,
    column_letters,
)
from features.processing.readers.excel.xlsx.part_parser import XML_BLANKS
from features.processing.readers.excel.xlsx.strings import Texts
from features.processing.readers.excel.xlsx.uncomputed import MAX_FORMULA_CHARS, can_be_zero
from features.processing.readers.native_types import NativeType

LETTERS = tuple(map(column_letters, range(MAX_SHEET_COLUMNS)))
"""The names of the columns, in order."""
COLUMNS = {letters: column for column, letters in enumerate(LETTERS)}
"""The index of each column name, from 0."""
TEXT, NUMBER = int(NativeType.TEXT), int(NativeType.NUMBER)
"""As plain numbers, which are faster to store than members of an enumeration."""
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?[0-9]+", re.IGNORECASE | re.ASCII)
_BOOLEANS = {"0": "false", "1": "true", "false": "false", "true": "true"}
_MAX_FLOAT_CHARS = 32
_DATES_KEPT = 2**14
_FIRST_LONG = float(10**EXACT_DIGITS)


class CellValues:
    """Converts the cells of one sheet, and records in `facts` what is noticed on the way."""

    def __init__(
        self,
        *,
        strings: Texts,
        formats: Mapping[str | None, NumberFormat],
        is_1904: bool,
        is_recalculated: bool = False,
        is_picture: Callable[[int], bool] = lambda _: False,
        facts: SheetFacts | None = None,
    ) -> None:
        """`formats` are the cell styles that do not show plain numbers, by style number as in the XML; None stands for cells without a style.

        `is_picture` tells whether the number that a cell has in its attribute `vm` leads to a picture.
        """
        self.strings, self.formats, self.is_recalculated = strings, formats, is_recalculated
        self.facts = facts if facts is not None else SheetFacts()
        self.is_1904, self._is_picture = is_1904, is_picture
        self.show_once = lru_cache(maxsize=_DATES_KEPT)(self._read_formatted)
        """Returns the display text of a number with a format, given by its style, and its type; text that is not a number stays as it is."""

    def read(self, text: str, cell_type: str | None, style: str | None, column: int, row_number: int) -> tuple[str, int]:
        """Return the text of a cell that is not empty and holds neither a shared string nor an error value, and its `NativeType`."""
        if cell_type is None or cell_type == "n":
            shows_number = style not in self.formats
            return self.show_number(text, column, row_number) if shows_number else self.show_formatted(text, style, column, row_number)
        if cell_type == "b":
            shown = _BOOLEANS.get(text.strip(XML_BLANKS).lower(), "")
            return (shown, NativeType.BOOLEAN) if shown else (text, TEXT)
        if cell_type == "d":
            # openpyxl takes 9 MiB in every process, and few sheets have such cells.
            from openpyxl.utils.datetime import from_ISO8601  # noqa: PLC0415

            with suppress(ValueError, TypeError, OverflowError):
                return show_iso_value(from_ISO8601(text.strip(XML_BLANKS)), self.formats.get(style, GENERAL))  # type: ignore[no-untyped-call]
            return text, TEXT
        return unescape_text(text), TEXT

    def show_formatted(self, text: str, style: str | None, column: int, row_number: int) -> tuple[str, int]:
        """Return the display text of a number with a format, and its type; text that is not a number stays as it is."""
        shown = self.show_once(text, style)
        if len(text) > EXACT_DIGITS and shown[1] == NUMBER:
            self._note_number(parse_number(text), column, row_number)
        return shown

    def show_number(self, text: str, column: int, row_number: int) -> tuple[str, int]:
        """Return the display text of a number without a format, and its type; text that is not a number stays as it is."""
        if "." in text and len(text) <= _MAX_FLOAT_CHARS and "_" not in text:
            try:
                value = float(text)
            except ValueError:
                return text, TEXT
            # Of so few characters at most 15 are digits, and then the shortest form, which is faster to make, has no more.
            shown = repr(value) if len(text) <= EXACT_DIGITS + 1 else f"{value:.15g}" if -_FIRST_LONG < value < _FIRST_LONG else "e"
            if "e" not in shown and "n" not in shown:
                return shown.removesuffix(".0") if shown not in ("-0.0", "-0") else "0", NUMBER
        number = parse_number(text)
        if number is None:
            return text, TEXT
        self._note_number(number, column, row_number)
        return number_text(number), NUMBER

    def find_string(self, text: str, column: int, row_number: int) -> str:
        """Return the shared string with the number in `text`, for a cell in `column` (from 0). Raises `FileUnreadable` if there is none."""
        with suppress(ValueError, IndexError):
            index = int(text)
            if index >= 0:
                return self.strings[index]
        raise FileUnreadable(f"The workbook is damaged: the text of cell {LETTERS[column]}{row_number} is missing.")

    def describe_error(self, text: str, column: int, meta: str | None) -> BadCell:
        """Return a cell with the error `text` in it, which is a picture if its attribute `vm`, given as `meta`, leads to one."""
        text = text.strip(XML_BLANKS)
        is_picture = meta is not None and meta.isdecimal() and len(meta) < EXACT_DIGITS and self._is_picture(int(meta))
        return BadCell(column, text, CellTrouble.PICTURE if is_picture else CellTrouble.ERROR_VALUE)

    def judge_zero(self, formula: str, style: str | None, column: int, row_number: int) -> BadCell | None:
        """Judge a formula whose value is 0, in a workbook that is to be computed anew.

        Returns a cell without a value if the formula cannot give 0, or if that would be shown as a date; any other 0 is recorded as doubtful.
        `formula` is `""` if the file does not tell it.
        """
        is_date = style in self.formats and self.formats[style].kind in (FormatKind.DATE, FormatKind.DATETIME)
        if is_date or (formula and not can_be_zero(formula)):
            return uncomputed(formula, column)
        _keep_first(self.facts.doubtful_zeros, column, row_number)
        return None

    def _read_formatted(self, text: str, style: str | None) -> tuple[str, int]:
        value = parse_number(text)
        return (text, TEXT) if value is None else show_value(value, self.formats[style], is_1904=self.is_1904)

    def _note_number(self, value: float | None, column: int, row_number: int) -> None:
        if value is not None and is_long_number(value):
            _keep_first(self.facts.long_numbers, column, row_number)


def uncomputed(formula: str, column: int) -> BadCell:
    """Return a cell whose formula has no value."""
    return BadCell(column, f"={unescape_text(formula[:MAX_FORMULA_CHARS])}" if formula else "", CellTrouble.NOT_COMPUTED)


def place_cell(cells: list[str], types: bytearray, beyond: list[FarCell], column: int, text: str, kind: int, width: int) -> None:
    """Put a cell into the parts of its row, of which the first `width` columns are kept dense; a later cell takes the place of an earlier one."""
    missing = column - len(cells)
    if column >= width or missing > MAX_GAP_CELLS:
        beyond.append(FarCell(column, text, kind))
    elif missing < 0:
        cells[column], types[column] = text, kind
    else:
        cells += [""] * missing
        types += bytes(missing)
        cells.append(text)
        types.append(kind)


def find_column(reference: str) -> int:
    """Parse the column (from 0) of a cell reference. Raises `FileUnreadable` if no sheet has such a cell."""
    match = _REFERENCE.fullmatch(reference)
    column = COLUMNS.get(match[1].upper()) if match else None
    if column is None:
        raise FileUnreadable(f"The workbook is damaged: it has a cell at {reference[:20]}, a place that no sheet has.")
    return column


def find_row(given: str | None, before: int) -> int:
    """Return the number of a row; a row without a number follows the row `before`. Raises `FileUnreadable` if no sheet has such a row."""
    if given is None:
        number = before + 1
    else:
        value = parse_number(given)
        number = int(value) if value is not None and value == int(value) else 0
    if not 1 <= number <= MAX_SHEET_ROWS:
        raise FileUnreadable(f"The workbook is damaged: it has a row {(given or str(number))[:20]}, and the rows of a sheet go from 1 to {MAX_SHEET_ROWS:,}.")
    return number


def _keep_first(rows: dict[int, int], column: int, row_number: int) -> None:
    if row_number < rows.get(column, MAX_SHEET_ROWS + 1):
        rows[column] = row_number

"""Convert the XML text of XLSX cells to the text of cells; shared by all sheet parsers.

Source of the format: ECMA-376 part 1, 18.18.11 (the types of cells), 18.3.1.73 (rows).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache

from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import from_ISO8601

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import (
    MAX_SHEET_COLUMNS,
    MAX_SHEET_ROWS,
    FormatKind,
    iso_value_text,
    number_text,
    parse_number,
    serial_text,
    unescape_text,
)
from features.processing.readers.excel.xlsx.strings import StringTable

LETTERS = tuple(get_column_letter(column) for column in range(1, MAX_SHEET_COLUMNS + 1))
"""The names of the columns, in order."""
COLUMNS = {letters: column for column, letters in enumerate(LETTERS)}
"""The index of each column name, from 0."""
MAX_EXACT_DIGITS = 18
"""A whole number of at most this many digits, without a leading zero, is shown as it is in the XML."""
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?[0-9]+", re.IGNORECASE | re.ASCII)
_BOOLEANS = {"0": "false", "1": "true"}
_MAX_FLOAT_CHARS = 32
_DATES_KEPT = 2**14


class CellValues:
    """Converts the cells of one workbook to text."""

    def __init__(self, *, strings: StringTable, kinds: Mapping[str | None, FormatKind], is_1904: bool) -> None:
        """`kinds` are the cell styles that do not show plain numbers, by style number as in the XML; None stands for cells without a style."""
        self.strings, self.kinds = strings.texts, kinds
        self._is_1904 = is_1904
        self._show_dated = lru_cache(maxsize=_DATES_KEPT)(self._read_dated)

    def read(self, text: str, cell_type: str | None, style: str | None) -> str:
        """Return the text of a cell that holds neither a shared string nor an error value."""
        if cell_type is None or cell_type == "n":
            return self._show_dated(text, self.kinds[style]) if style in self.kinds else show_number(text)
        if cell_type == "b":
            return _BOOLEANS.get(text, text)
        if cell_type == "d":
            with suppress(ValueError, TypeError, OverflowError):
                return iso_value_text(from_ISO8601(text), self.kinds.get(style, FormatKind.NUMBER))  # type: ignore[no-untyped-call]
            return text
        return unescape_text(text)

    def find_string(self, text: str, column: int, row_number: int) -> str:
        """Return the shared string with the number in `text`, for a cell in `column` (from 0). Raises `FileUnreadable` if there is none."""
        try:
            index = int(text)
            if index >= 0:
                return self.strings[index]
        except (ValueError, IndexError):
            pass
        raise FileUnreadable(f"The workbook is damaged: the text of cell {LETTERS[column]}{row_number} is missing.")

    def _read_dated(self, text: str, kind: FormatKind) -> str:
        value = parse_number(text)
        return text if value is None else serial_text(value, kind, is_1904=self._is_1904)


def show_number(text: str) -> str:
    """Return the display text of a number; text that is not a number stays as it is."""
    if "." in text and len(text) <= _MAX_FLOAT_CHARS and "_" not in text:
        try:
            shown = repr(float(text))
        except ValueError:
            return text
        if "e" not in shown and "n" not in shown:
            return shown.removesuffix(".0") if shown != "-0.0" else "0"
    value = parse_number(text)
    return text if value is None else number_text(value)


def find_column(reference: str) -> int:
    """Parse the column (from 0) of a cell reference. Raises `FileUnreadable` if no sheet has such a cell."""
    match = _REFERENCE.fullmatch(reference)
    column = COLUMNS.get(match[1].upper()) if match else None
    if column is None:
        raise FileUnreadable(f"The workbook is damaged: it has a cell at {reference[:20]}, a place that no sheet has.")
    return column


def find_row(given: str | None, before: int) -> int:
    """Return the number of a row; a row without a number follows the row `before`.

    Raises `FileUnreadable` if no sheet has such a row, or if it is not greater than `before`.
    """
    if given is None:
        number = before + 1
    else:
        value = parse_number(given)
        number = int(value) if value is not None and value == int(value) else 0
    if not 1 <= number <= MAX_SHEET_ROWS:
        raise FileUnreadable(f"The workbook is damaged: it has a row {(given or str(number))[:20]}, and the rows of a sheet go from 1 to {MAX_SHEET_ROWS:,}.")
    if number <= before:
        raise FileUnreadable(f"The workbook is damaged: its row {number} comes after row {before}. Open it in Excel, save it again and upload the new file.")
    return number

"""The rows of a sheet from its XML, in one pass of expat: the cells that openpyxl gives, several times as fast.

The handlers share local variables instead of attributes and do no more for each tag than they must: they run thirty times for each row of ten cells.
Source of the format: ECMA-376 part 1, 18.3.1.73 (row), 18.3.1.4 (c), 18.18.11 (the types of cells).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from xml.parsers.expat import XMLParserType

from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import from_ISO8601

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel_cells import (
    MAX_SHEET_COLUMNS,
    MAX_SHEET_ROWS,
    FormatKind,
    SheetRow,
    iso_value_text,
    number_text,
    parse_number,
    serial_text,
    unescape_text,
)
from features.processing.readers.excel_chunks import RowBatch
from features.processing.readers.xlsx_package import DAMAGED
from features.processing.readers.xlsx_strings import StringTable
from features.processing.readers.xlsx_xml import MAX_DEPTH, PartParser, local_name, prefix_of

_LETTERS = [get_column_letter(column) for column in range(1, MAX_SHEET_COLUMNS + 1)]
_COLUMNS = {letters: column for column, letters in enumerate(_LETTERS)}
_REFERENCE = re.compile(r"\$?([A-Z]{1,3})\$?[0-9]+", re.IGNORECASE | re.ASCII)
_BOOLEANS = {"0": "false", "1": "true"}
_HEADER_STEP_BYTES = 2**12
"""Until the table's width is known rows may be as wide as a sheet, so fewer of them are read at once."""
_MAX_EXACT_DIGITS = 18
_MAX_FLOAT_CHARS = 32
_DATES_KEPT = 2**14


class SheetWalker:
    """Walks one sheet, once."""

    def __init__(self, *, strings: StringTable, kinds: Mapping[str | None, FormatKind], is_1904: bool, max_row_bytes: int) -> None:
        """`kinds`: what is no plain number among the cell styles, by the style's number as it stands in the XML; None: cells that name no style."""
        self._strings, self._kinds, self._is_1904 = strings, kinds, is_1904
        self._max_row_bytes = max_row_bytes
        self.width: int | None = None
        """How wide the table is, once that is known: cells right of it are kept apart."""
        self._rows: list[SheetRow] = []
        self._bound_text: Callable[[], None] = lambda: None
        self._is_done = False

    def walk(self, blocks: Iterable[bytes]) -> Iterator[RowBatch]:
        """The rows that have cells with something in them, in the order of the sheet.

        Raises `FileUnreadable`, after the rows before it, where the XML breaks off or holds what no sheet can hold.
        """
        parser = PartParser(self._install_handlers)
        bytes_read = 0
        try:
            for block in blocks:
                at = 0
                while at < len(block):
                    step = len(block) if self.width is not None else _HEADER_STEP_BYTES
                    parser.feed(block[at : at + step])
                    at += step
                    if self._is_done:
                        break
                    self._bound_text()
                    if self._rows:
                        rows, self._rows[:] = self._rows.copy(), []
                        yield RowBatch(rows, bytes_read + min(at, len(block)))
                bytes_read += len(block)
                if self._is_done:
                    # What else a sheet holds is no row.
                    break
            else:
                parser.finish()
        except FileUnreadable:
            if self._rows:
                yield RowBatch(self._rows.copy(), bytes_read)
            if not self._is_done:
                raise
            return
        if self._rows:
            yield RowBatch(self._rows.copy(), bytes_read)

    def _install_handlers(self, expat: XMLParserType, root: str) -> None:  # noqa: C901, PLR0915 - one closure over what the handlers share, for speed
        if local_name(root) != "worksheet":
            raise FileUnreadable("The sheet holds no table: it is a chart or a dialog.")
        prefix = prefix_of(root)
        data_tag, row_tag, cell_tag, value_tag = (prefix + name for name in ("sheetData", "row", "c", "v"))
        text_tag, inline_tag, phonetic_tag = (prefix + name for name in ("t", "is", "rPh"))
        strings, kinds = self._strings.texts, self._kinds
        letters, emit, last_row_text = _LETTERS, self._rows.append, str(MAX_SHEET_ROWS + 1)
        row_number, row_text, width, column, depth, row_chars = 0, "", MAX_SHEET_COLUMNS, -1, 0, 0
        parts: list[str] = []
        cells: list[str] = []
        beyond: list[tuple[int, str]] = []
        errors: list[tuple[int, str]] = []
        inline: list[str] = []
        cell_type: str | None = None
        style: str | None = None
        in_row = in_cell = in_text = is_phonetic = is_too_long = False

        def start(name: str, attributes: dict[str, str]) -> None:  # noqa: C901, PLR0912
            nonlocal row_number, row_text, width, column, depth, row_chars, cell_type, style, in_row, in_cell, in_text, is_phonetic
            if name == cell_tag:
                if in_cell or not in_row:
                    raise FileUnreadable(DAMAGED)
                in_cell = True
                column += 1
                reference = attributes.get("r")
                if reference is not None and (column >= MAX_SHEET_COLUMNS or reference != letters[column] + row_text):
                    column = _find_column(reference)
                if column >= MAX_SHEET_COLUMNS:
                    raise FileUnreadable(f"The workbook is damaged: row {row_number} has more than {MAX_SHEET_COLUMNS:,} cells.")
                cell_type = attributes.get("t")
                style = attributes.get("s")
            elif name == value_tag or name == text_tag:  # noqa: PLR1714, SIM109 - a tuple would be made for every tag
                if in_text or not in_cell:
                    raise FileUnreadable(DAMAGED)
                in_text = True
                parts.clear()
            elif name == row_tag:
                if in_row:
                    raise FileUnreadable(DAMAGED)
                in_row = True
                row_text = str(row_number + 1)
                if attributes.get("r") == row_text != last_row_text:
                    row_number += 1
                else:
                    row_number = _find_row(attributes.get("r"), row_number)
                    row_text = str(row_number)
                width = self.width or MAX_SHEET_COLUMNS
                column, row_chars = -1, 0
            else:
                depth += 1
                if depth > MAX_DEPTH:
                    raise FileUnreadable(DAMAGED)
                if name == phonetic_tag:
                    is_phonetic = True
                elif name == inline_tag:
                    inline.clear()

        def end(name: str) -> None:  # noqa: C901, PLR0912
            nonlocal depth, in_row, in_cell, in_text, is_phonetic, is_too_long, cells
            if name == value_tag:
                in_text = False
                text = parts[0] if len(parts) == 1 else "".join(parts)
                # The cells of which there are most; all others are left to `store`.
                if cell_type == "s" and text:
                    try:
                        index = int(text)
                        text = strings[index]
                    except (ValueError, IndexError):
                        index = -1
                    if index < 0:
                        raise FileUnreadable(f"The workbook is damaged: the text of cell {letters[column]}{row_number} is missing.")
                elif cell_type is None and style not in kinds and text:
                    if not text.isdigit() or text[0] == "0" or len(text) > _MAX_EXACT_DIGITS:
                        text = _show_number(text)
                else:
                    store(text)
                    return
                if column == len(cells) < width:
                    cells.append(text)
                else:
                    place(text)
            elif name == cell_tag:
                in_cell = False
            elif name == row_tag:
                in_row = False
                if cells or beyond or errors or is_too_long:
                    emit(SheetRow(row_number, cells, beyond.copy() or None, errors.copy() or None, is_too_long))
                    cells = []
                    beyond.clear()
                    errors.clear()
                    is_too_long = False
            elif name == text_tag:
                in_text = False
                if not is_phonetic and fits():
                    inline.extend(parts)
            else:
                depth -= 1
                if name == data_tag:
                    self._is_done = True
                    expat.StartElementHandler = expat.EndElementHandler = expat.CharacterDataHandler = None
                elif name == phonetic_tag:
                    is_phonetic = False
                elif name == inline_tag and in_cell:
                    store("".join(inline))

        def store(text: str) -> None:
            if not text:
                return
            if cell_type is None or cell_type == "n":
                place(show_dated(text, kinds[style]) if style in kinds else _show_number(text))
            elif cell_type == "b":
                place(_BOOLEANS.get(text, text))
            elif cell_type == "e":
                errors.append((column, text))
            elif cell_type == "inlineStr" or fits():
                place(_show_iso(text, kinds.get(style, FormatKind.NUMBER)) if cell_type == "d" else unescape_text(text))

        def fits() -> bool:
            """Whether the text in `parts` still belongs to a row that can be read."""
            nonlocal row_chars, is_too_long
            row_chars += sum(map(len, parts))
            if row_chars > self._max_row_bytes:
                is_too_long = True
            return not is_too_long

        def bound_text() -> None:
            """Forget text between tags, and text that is longer than a row may be."""
            nonlocal is_too_long
            if not in_text:
                parts.clear()
            elif sum(map(len, parts)) > self._max_row_bytes:
                is_too_long = True
                parts.clear()

        def place(text: str) -> None:
            if column >= width:
                beyond.append((column, text))
            elif column < len(cells):
                cells[column] = text
            else:
                cells.extend([""] * (column - len(cells)))
                cells.append(text)

        self._bound_text = bound_text
        show_dated = lru_cache(maxsize=_DATES_KEPT)(self._show_dated)
        expat.StartElementHandler = start
        expat.EndElementHandler = end
        expat.CharacterDataHandler = parts.append

    def _show_dated(self, text: str, kind: FormatKind) -> str:
        value = parse_number(text)
        return text if value is None else serial_text(value, kind, is_1904=self._is_1904)


def _show_number(text: str) -> str:
    """A number's text as it is shown; text that is no number stays as it is."""
    if "." in text and len(text) <= _MAX_FLOAT_CHARS and "_" not in text:
        try:
            shown = repr(float(text))
        except ValueError:
            return text
        if "e" not in shown and "n" not in shown:
            return shown.removesuffix(".0") if shown != "-0.0" else "0"
    value = parse_number(text)
    return text if value is None else number_text(value)


def _show_iso(text: str, kind: FormatKind) -> str:
    with suppress(ValueError, TypeError, OverflowError):
        return iso_value_text(from_ISO8601(text), kind)  # type: ignore[no-untyped-call]
    return text


def _find_column(reference: str) -> int:
    """The column (from 0) of a cell that is not the next in its row."""
    match = _REFERENCE.fullmatch(reference)
    column = _COLUMNS.get(match[1].upper()) if match else None
    if column is None:
        raise FileUnreadable(f"The workbook is damaged: it has a cell at {reference[:20]}, a place that no sheet has.")
    return column


def _find_row(given: str | None, before: int) -> int:
    """The number of a row; one without follows the row before it."""
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

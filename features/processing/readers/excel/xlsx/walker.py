"""Read the rows of a sheet from its XML in one pass of expat: the same cells as openpyxl, twice as fast.

The handlers share local variables instead of attributes and do as little as possible for each tag: they run thirty times for a row of ten cells.
Source of the format: ECMA-376 part 1, 18.3.1.73 (row), 18.3.1.4 (c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from xml.parsers.expat import XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, SheetRow
from features.processing.readers.excel.sheet_reader import RowBatch
from features.processing.readers.excel.xlsx.cells import LETTERS, MAX_EXACT_DIGITS, CellValues, find_column, find_row, show_number
from features.processing.readers.excel.xlsx.package import DAMAGED
from features.processing.readers.excel.xlsx.part_parser import MAX_DEPTH, PartParser, local_name, prefix_of

HEADER_STEP_BYTES = 2**12
"""Until the width of the table is known, rows may be as wide as a sheet, so fewer of them are read at once."""
_LONG_TEXT_CHARS = 2**10
_BETWEEN_ROWS = b"<worksheet><sheetData>"


class SheetWalker:
    """Reads one sheet, once."""

    def __init__(self, values: CellValues, *, max_row_bytes: int) -> None:
        self._values = values
        self._max_row_bytes = max_row_bytes
        self.width: int | None = None
        """Number of columns of the table; None until it is known. Cells to the right of it are kept separately."""
        self._rows: list[SheetRow] = []
        self._bound_text: Callable[[], None] = lambda: None
        self._is_done = False
        self._last_row = 0

    def walk_on(self, blocks: Iterable[bytes], *, last_row: int, bytes_read: int) -> Iterator[RowBatch]:
        """Do the same as `walk` for blocks that begin between two rows: `last_row` and the one after it."""
        self._last_row = last_row
        return self.walk(chain([_BETWEEN_ROWS], blocks), bytes_read=bytes_read - len(_BETWEEN_ROWS))

    def walk(self, blocks: Iterable[bytes], *, bytes_read: int = 0) -> Iterator[RowBatch]:
        """Yield the rows that have cells with content, in sheet order.

        Raises `FileUnreadable`, after the rows before that place, if the XML breaks off or contains something that no sheet can hold.
        """
        parser = PartParser(self._install_handlers)
        try:
            for block in blocks:
                at = 0
                while at < len(block):
                    step = len(block) if self.width is not None else HEADER_STEP_BYTES
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
                    # Nothing after the sheet data is a row.
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

    def _install_handlers(self, expat: XMLParserType, root: str) -> None:  # noqa: C901, PLR0915 - one closure over the variables that the handlers share, for speed
        if local_name(root) != "worksheet":
            raise FileUnreadable("The sheet holds no table: it is a chart or a dialog.")
        prefix = prefix_of(root)
        data_tag, row_tag, cell_tag, value_tag = (prefix + name for name in ("sheetData", "row", "c", "v"))
        text_tag, inline_tag, phonetic_tag = (prefix + name for name in ("t", "is", "rPh"))
        kinds, read, find_string = self._values.kinds, self._values.read, self._values.find_string
        letters, emit, last_row_text = LETTERS, self._rows.append, str(MAX_SHEET_ROWS + 1)
        row_number, row_text, width, column, depth, row_chars = self._last_row, "", MAX_SHEET_COLUMNS, -1, 0, 0
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
                    column = find_column(reference)
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
                    row_number = find_row(attributes.get("r"), row_number)
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
                # The most common kinds of cells are handled here; all others are left to `store`.
                if cell_type == "s" and text:
                    text = find_string(text, column, row_number)
                elif cell_type is None and style not in kinds and 0 < len(text) < _LONG_TEXT_CHARS:
                    if not text.isdigit() or text[0] == "0" or len(text) > MAX_EXACT_DIGITS:
                        text = show_number(text)
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
            if cell_type != "inlineStr" and not fits():
                return
            if cell_type == "e":
                errors.append((column, text))
            else:
                place(read(text, cell_type, style))

        def fits() -> bool:
            """Count the text in `parts`, and return whether its row is still short enough to be read."""
            nonlocal row_chars, is_too_long
            row_chars += sum(map(len, parts))
            if row_chars > self._max_row_bytes:
                is_too_long = True
            return not is_too_long

        def bound_text() -> None:
            """Drop text between tags, and text that is longer than a row may be."""
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
        expat.StartElementHandler = start
        expat.EndElementHandler = end
        expat.CharacterDataHandler = parts.append

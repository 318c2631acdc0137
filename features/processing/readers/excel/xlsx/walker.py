"""Read the rows of a sheet from its XML in one pass of expat: the same cells as openpyxl, twice as fast.

The handlers share local variables instead of attributes and do as little as possible for each tag: they run thirty times for a row of ten cells.
Source of the format: ECMA-376 part 1, 18.3.1.73 (row), 18.3.1.4 (c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from xml.parsers.expat import XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import EXACT_DIGITS, unescape_text
from features.processing.readers.excel.row_order import RowBatch
from features.processing.readers.excel.sheet_rows import MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, UNKNOWN_WIDTH, BadCell, FarCell, SheetRow
from features.processing.readers.excel.xlsx.cells import LETTERS, NUMBER, TEXT, CellValues, find_column, find_row, place_cell, uncomputed
from features.processing.readers.excel.xlsx.merges import install_merge_handlers
from features.processing.readers.excel.xlsx.package import DAMAGED
from features.processing.readers.excel.xlsx.part_parser import SPACE_ATTRIBUTE, XML_BLANKS, Attributes, PartParser, local_name, prefix_of, skip_element
from features.processing.readers.excel.xlsx.uncomputed import MAX_FORMULA_CHARS

_LONG_TEXT_CHARS = 2**10
_NONE: Attributes = {}


class SheetWalker:
    """Reads one sheet, once."""

    def __init__(self, values: CellValues, *, max_row_bytes: int, reads_merges: bool = True) -> None:
        self._values = values
        self._max_row_bytes = max_row_bytes
        self._reads_merges = reads_merges
        self.width: int | None = None
        """Number of columns that are kept dense; None until it is known. Cells to the right of them are kept by their place."""
        self._rows: list[SheetRow] = []
        self._bound_text: Callable[[], None] = lambda: None
        self._has_all_rows = self._is_done = False
        self._last_row = 0

    def walk_on(self, head: bytes, blocks: Iterable[bytes], *, last_row: int, bytes_read: int) -> Iterator[RowBatch]:
        """Do the same as `walk` for blocks that begin between two rows: `last_row` and the one after it. `head` is the sheet up to its first row."""
        self._last_row = last_row
        return self.walk(chain([head], blocks), bytes_read=bytes_read - len(head))

    def walk(self, blocks: Iterable[bytes], *, bytes_read: int = 0) -> Iterator[RowBatch]:
        """Yield the rows that have cells with content, as they come: a row may come in parts, and rows may be out of order.

        Raises `FileUnreadable`, after the rows before that place, if the XML breaks off or contains something that no sheet can hold.
        Damage behind the rows ends the reading without an error.
        """
        parser = PartParser(self._install_handlers)
        try:
            for block in blocks:
                parser.feed(block)
                self._bound_text()
                bytes_read += len(block)
                if self._rows:
                    rows, self._rows[:] = self._rows.copy(), []
                    yield RowBatch(rows, bytes_read)
                if self._is_done:
                    return
            parser.finish()
        except FileUnreadable:
            if self._rows:
                yield RowBatch(self._rows.copy(), bytes_read)
            if not self._has_all_rows:
                raise

    def _install_handlers(self, expat: XMLParserType, root: str, root_attributes: Attributes) -> None:  # noqa: C901, PLR0915 - one closure over the variables that the handlers share, for speed
        if local_name(root) != "worksheet":
            raise FileUnreadable("The sheet holds no table: it is a chart or a dialog.")
        prefix = prefix_of(root)
        data_tag, row_tag, cell_tag, value_tag, formula_tag = (prefix + name for name in ("sheetData", "row", "c", "v", "f"))
        text_tag, inline_tag, run_tag = (prefix + name for name in ("t", "is", "r"))
        values = self._values
        formats, read, show_number, find_string, is_recalculated = values.formats, values.read, values.show_number, values.find_string, values.is_recalculated
        letters, emit, last_row_text = LETTERS, self._rows.append, str(MAX_SHEET_ROWS + 1)
        row_number, row_text, width, column, row_chars = self._last_row, "", UNKNOWN_WIDTH, -1, 0
        parts: list[str] = []
        cells: list[str] = []
        types = bytearray()
        beyond: list[FarCell] = []
        bad: list[BadCell] = []
        inline: list[str] | None = None
        value: str | None = None
        formula: str | None = None
        # The attributes of the elements that are open, from the root on.
        data = row = cell = in_cell_text = run = text_attributes = value_attributes = _NONE
        in_data = in_row = in_cell = in_inline = in_run = in_text = is_formula = is_too_long = False

        def start(name: str, attributes: Attributes) -> None:  # noqa: C901, PLR0912, PLR0915
            nonlocal row_number, row_text, width, column, row_chars, inline, value, formula, data, row, cell, in_cell_text, run, text_attributes
            nonlocal value_attributes, in_data, in_row, in_cell, in_inline, in_run, in_text, is_formula
            if name == cell_tag:
                if in_cell or not in_row:
                    raise FileUnreadable(DAMAGED)
                in_cell = True
                column += 1
                reference = attributes.get("r") or None
                if reference is not None and (column >= MAX_SHEET_COLUMNS or reference != letters[column] + row_text):
                    column = find_column(reference)
                if column >= MAX_SHEET_COLUMNS:
                    raise FileUnreadable(f"The workbook is damaged: row {row_number} has more than {MAX_SHEET_COLUMNS:,} cells.")
                cell = attributes
                value = formula = inline = None
            elif name == value_tag or name == formula_tag:  # noqa: PLR1714, SIM109 - a tuple would be made for every tag
                if in_text or in_inline or not in_cell:
                    raise FileUnreadable(DAMAGED)
                in_text = True
                is_formula = name == formula_tag
                if not is_formula:
                    value_attributes = attributes
                parts.clear()
            elif name == row_tag and in_data:
                if in_row:
                    raise FileUnreadable(DAMAGED)
                in_row = True
                row = attributes
                row_text = str(row_number + 1)
                if attributes.get("r") == row_text != last_row_text:
                    row_number += 1
                else:
                    row_number = find_row(attributes.get("r"), row_number)
                    row_text = str(row_number)
                width = self.width or UNKNOWN_WIDTH
                column, row_chars = -1, 0
            elif name == text_tag and in_inline and not in_text:
                in_text = True
                is_formula = False
                text_attributes = attributes
                parts.clear()
            elif name == inline_tag and in_cell and not in_inline and not in_text:
                in_inline = True
                in_cell_text = attributes
                inline = []
            elif name == run_tag and in_inline and not in_run and not in_text:
                in_run = True
                run = attributes
            elif name == data_tag and not in_data:
                in_data = True
                data = attributes
            else:
                skip_element(expat)

        def end(name: str) -> None:  # noqa: C901, PLR0912, PLR0915
            nonlocal in_row, in_cell, in_inline, in_run, in_text, is_too_long, cells, types, beyond, bad, value, formula, in_cell_text, run
            if name == value_tag:
                in_text = False
                if value is None:
                    value = parts[0] if len(parts) == 1 else "".join(parts)
            elif name == cell_tag:
                in_cell = False
                if inline and cell.get("t") == "inlineStr":
                    value = None
                if value and (formula is None or not is_recalculated):
                    # The most common kinds of cells are handled here; all others are left to the functions below.
                    cell_type = cell.get("t")
                    if cell_type == "s":
                        text, kind = find_string(value, column, row_number), TEXT
                    elif cell_type is None and cell.get("s") not in formats and len(value) < _LONG_TEXT_CHARS:
                        if value.isdigit() and value[0] != "0" and len(value) <= EXACT_DIGITS and value.isascii():
                            text, kind = value, NUMBER
                        else:
                            text, kind = show_number(value, column, row_number)
                    else:
                        store(value, cell_type)
                        return
                    if column == len(cells) < width:
                        cells.append(text)
                        types.append(kind)
                    else:
                        place(text, kind)
                elif value or formula is not None or inline:
                    finish_cell()
            elif name == formula_tag:
                in_text = False
                formula = "".join(parts)[: MAX_FORMULA_CHARS + 1]
            elif name == row_tag:
                in_row = False
                if cells or beyond or bad or is_too_long:
                    emit(SheetRow(row_number, cells, types, beyond or None, bad or None, is_too_long))
                    cells, types, beyond, bad = [], bytearray(), [], []
                    is_too_long = False
            elif name == text_tag:
                in_text = False
                if fits(sum(map(len, parts))) and inline is not None:
                    inline.append(trim("".join(parts), text_attributes))
            elif name == inline_tag:
                in_inline = False
                in_cell_text = _NONE
            elif name == run_tag:
                in_run = False
                run = _NONE
            elif name == data_tag:
                self._has_all_rows = True
                if self._reads_merges:
                    install_merge_handlers(expat, prefix, values.facts, finish)
                else:
                    expat.StartElementHandler = expat.EndElementHandler = expat.CharacterDataHandler = None
                    finish()

        def finish_cell() -> None:
            """Store a cell with inline text, or with a formula that needs a closer look."""
            cell_type = cell.get("t")
            if inline is not None and not value:
                text = unescape_text("".join(inline))
                if text:
                    place(text, TEXT)
                    return
            if value:
                values.facts.has_results |= formula is not None and value != "0"
                is_zero = formula is not None and value == "0" and cell_type in (None, "n")
                found = values.judge_zero(formula or "", cell.get("s"), column, row_number) if is_zero else None
                if found is None:
                    store(value, cell_type)
                else:
                    bad.append(found)
            elif formula is not None and inline is None and (value is None or cell_type != "str"):
                bad.append(uncomputed(formula, column))

        def store(text: str, cell_type: str | None) -> None:
            if not fits(len(text)):
                return
            if cell_type == "e":
                bad.append(values.describe_error(text, column, cell.get("vm")))
                return
            if cell_type is not None and cell_type not in ("n", "b", "d", "s"):
                text = trim(text, value_attributes)
            if cell_type == "s":
                place(find_string(text, column, row_number), TEXT)
            elif text:
                place(*read(text, cell_type, cell.get("s"), column, row_number))

        def trim(text: str, attributes: Attributes) -> str:
            """Drop the blanks at the ends of a text, unless its element or one around it says that they count."""
            if not text or (text[0] not in XML_BLANKS and text[-1] not in XML_BLANKS):
                return text
            for around in (attributes, run, in_cell_text, cell, row, data, root_attributes):
                if SPACE_ATTRIBUTE in around:
                    return text if around[SPACE_ATTRIBUTE] == "preserve" else text.strip(XML_BLANKS)
            return text.strip(XML_BLANKS)

        def fits(chars: int) -> bool:
            """Count a text, and return whether its row is still short enough to be read."""
            nonlocal row_chars, is_too_long
            row_chars += chars
            if row_chars > self._max_row_bytes:
                is_too_long = True
            return not is_too_long

        def bound_text() -> None:
            """Drop text between tags, and text that is longer than a formula or a row may be."""
            nonlocal is_too_long
            if not in_text:
                parts.clear()
            elif is_formula:
                parts[:] = ["".join(parts)[: MAX_FORMULA_CHARS + 1]]
            elif sum(map(len, parts)) > self._max_row_bytes:
                is_too_long = True
                parts.clear()

        def place(text: str, kind: int) -> None:
            place_cell(cells, types, beyond, column, text, kind, width)

        def finish() -> None:
            self._is_done = True

        self._bound_text = bound_text
        expat.StartElementHandler = start
        expat.EndElementHandler = end
        expat.CharacterDataHandler = parts.append

"""Read the rows of a sheet with openpyxl's parser: slower than `scanner` and `walker`, which must give the same cells.

openpyxl finds the rows, the cells and their places. Values, formulas and blanks are taken from the elements that it parsed, since it drops what is asked for
here: whether a formula has a value, which blanks count, which error is a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from openpyxl.worksheet._reader import CELL_TAG, FORMULA_TAG, INLINE_STRING, VALUE_TAG, WorkSheetParser
from openpyxl.xml.constants import SHEET_MAIN_NS

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import unescape_text
from features.processing.readers.excel.row_order import RowBatch
from features.processing.readers.excel.sheet_rows import MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, UNKNOWN_WIDTH, BadCell, FarCell, SheetRow
from features.processing.readers.excel.xlsx.cells import TEXT, CellValues, place_cell, uncomputed
from features.processing.readers.excel.xlsx.merges import add_merge
from features.processing.readers.excel.xlsx.package import raise_damaged
from features.processing.readers.excel.xlsx.part_parser import XML_BLANKS

_BATCH_ROWS = 200
_TEXT_TAG, _RUN_TAG = f"{{{SHEET_MAIN_NS}}}t", f"{{{SHEET_MAIN_NS}}}r"
_SPACE = "{http://www.w3.org/XML/1998/namespace}space"
_KEEPS_BLANKS = re.compile(rb"""<(?:[A-Za-z_][A-Za-z0-9_.-]*:)?worksheet[^<>]*[ \t\r\n]xml:space=["']preserve["']""")
_STRICT = b"http://purl.oclc.org/ooxml/spreadsheetml/main"


class OpenpyxlRows:
    """Reads one sheet, once, as `SheetScanner` does."""

    def __init__(self, values: CellValues, *, reads_merges: bool = True) -> None:
        self._values, self._reads_merges = values, reads_merges
        self.width: int | None = None
        """Number of columns that are kept dense; None until it is known. Cells to the right of them are kept by their place."""

    def scan(self, blocks: Iterable[bytes]) -> Iterator[RowBatch]:
        """Yield the rows as `SheetWalker.walk` does."""
        stream = _CountedStream(blocks)
        parser = _Parser(stream, self._values)
        rows: list[SheetRow] = []
        try:
            for number, cells in parser.parse():
                if not 1 <= number <= MAX_SHEET_ROWS:
                    raise ValueError(number)  # noqa: TRY301 - one handler for whatever is damaged
                row = _make_row(number, [cell for cell in cells if cell is not None], self.width or UNKNOWN_WIDTH)
                if row is not None:
                    rows.append(row)
                if len(rows) >= _BATCH_ROWS:
                    yield RowBatch(rows, stream.bytes_read)
                    rows = []
        except FileUnreadable:
            yield RowBatch(rows, stream.bytes_read)
            raise
        except (SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError) as error:
            # openpyxl raises any of these for a damaged sheet.
            yield RowBatch(rows, stream.bytes_read)
            raise_damaged(error)
        if self._reads_merges and parser.merged_cells is not None:
            for merge in parser.merged_cells.mergeCell:
                add_merge(self._values.facts, str(merge.ref))
        yield RowBatch(rows, stream.bytes_read)


@dataclass(frozen=True, slots=True)
class _Cell:
    column: int
    text: str
    native_type: int
    bad: BadCell | None = None


class _Parser(WorkSheetParser):
    """openpyxl's parser of a sheet, whose cells are what this project shows of them."""

    def __init__(self, stream: _CountedStream, values: CellValues) -> None:
        super().__init__(stream, [], data_only=True)
        self._stream, self._values = stream, values
        # Left out is what is not asked for; openpyxl would refuse some of it.
        for name in ("column_dimensions", "sheet_protection", "extensions", "formatting", "legacy", "row_breaks", "col_breaks", "custom_views"):
            setattr(self, f"parse_{name}", lambda _: None)

    def parse_cell(self, element: Element) -> Any:  # noqa: ANN401 - openpyxl passes on what this returns
        """Return a cell, or None if it is empty."""
        if element.tag != CELL_TAG:
            return None
        # openpyxl finds the place alone: it would refuse some values, and convert others.
        place = super().parse_cell(Element(CELL_TAG, {name: text for name, text in element.attrib.items() if name == "r"}))
        column, row_number = place["column"] - 1, self.row_counter
        if not 0 <= column < MAX_SHEET_COLUMNS:
            raise ValueError(column)
        return self._read(element, column, row_number)

    def _read(self, element: Element, column: int, row_number: int) -> _Cell | None:
        values, cell_type = self._values, element.get("t")
        value, inline, formula = (element.find(tag) for tag in (VALUE_TAG, INLINE_STRING, FORMULA_TAG))
        text = (value.text or "") if value is not None else ""
        source = (formula.text or "") if formula is not None else ""
        if inline is not None and (not text or cell_type == "inlineStr"):
            text = unescape_text(self._read_inline(element, inline))
            return _Cell(column, text, TEXT) if text else None
        if not text:
            is_uncomputed = formula is not None and (value is None or cell_type != "str")
            return _Cell(column, "", TEXT, uncomputed(source, column)) if is_uncomputed else None
        if formula is not None and values.is_recalculated:
            values.facts.has_results |= text != "0"
        if formula is not None and values.is_recalculated and text == "0" and cell_type in (None, "n"):
            found = values.judge_zero(source, element.get("s"), column, row_number)
            if found is not None:
                return _Cell(column, "", TEXT, found)
        if cell_type == "s":
            return _Cell(column, values.find_string(text, column, row_number), TEXT)
        if cell_type == "e":
            return _Cell(column, "", TEXT, values.describe_error(text, column, element.get("vm")))
        if cell_type not in (None, "n", "b", "d"):
            text = self._trim(text, value, element)
        return _Cell(column, *values.read(text, cell_type, element.get("s"), column, row_number)) if text else None

    def _read_inline(self, cell: Element, inline: Element) -> str:
        pieces: list[str] = []
        for child in inline:
            if child.tag == _TEXT_TAG:
                pieces.append(self._trim(child.text or "", child, inline, cell))
            elif child.tag == _RUN_TAG:
                pieces += [self._trim(text.text or "", text, child, inline, cell) for text in child.findall(_TEXT_TAG)]
        return "".join(pieces)

    def _trim(self, text: str, *around: Element | None) -> str:
        """Drop the blanks at the ends of a text, unless an element around it, the nearest first, or the sheet says that they count."""
        for element in around:
            space = None if element is None else element.get(_SPACE)
            if space is not None:
                return text if space == "preserve" else text.strip(XML_BLANKS)
        return text if self._stream.keeps_blanks else text.strip(XML_BLANKS)


def _make_row(number: int, given: list[_Cell], width: int) -> SheetRow | None:
    cells: list[str] = []
    types = bytearray()
    beyond: list[FarCell] = []
    bad: list[BadCell] = []
    for cell in given:
        if cell.bad is not None:
            bad.append(cell.bad)
        else:
            place_cell(cells, types, beyond, cell.column, cell.text, cell.native_type, width)
    return SheetRow(number, cells, types, beyond or None, bad or None) if cells or beyond or bad else None


class _CountedStream:
    """The blocks of a part as a file; counts the bytes that are read."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self.bytes_read = 0
        self.keeps_blanks = False
        """Whether the sheet says that the blanks at the ends of all its texts count."""

    def read(self, _: int = -1) -> bytes:
        """Return the next block."""
        block = next(self._blocks, b"")
        if not self.bytes_read:
            self.keeps_blanks = _KEEPS_BLANKS.search(block) is not None
            # openpyxl knows the names of the usual variant of the format only.
            block = block.replace(_STRICT, SHEET_MAIN_NS.encode())
        self.bytes_read += len(block)
        return block

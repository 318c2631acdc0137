"""Read the rows of a sheet by regular expression, if its XML is written the way all programs write it; takes half the time of expat.

One unambiguous pattern matches a whole row. If it does not match every byte, or if there are comments, CDATA, declarations or entities other than
the five of XML, everything from that row on is left to expat. So the pattern accepts nothing that expat would not (except an attribute given
twice), and a row ends at `</row>`, since the text and attributes of well-formed XML contain no `<`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import MAX_SHEET_COLUMNS, MAX_SHEET_ROWS, SheetRow
from features.processing.readers.excel.sheet_reader import RowBatch
from features.processing.readers.excel.xlsx.cells import COLUMNS, LETTERS, MAX_EXACT_DIGITS, CellValues, show_number
from features.processing.readers.excel.xlsx.part_parser import PartParser
from features.processing.readers.excel.xlsx.walker import HEADER_STEP_BYTES, SheetWalker

_MAX_HEAD_BYTES = 2**18
_MAX_ROW_BYTES = 2**20
"""Longer rows are left to expat, which holds less of them in memory at once."""
_DATA, _ROW_END, _DATA_END = b"<sheetData>", b"</row>", b"</sheetData>"
_ENCODING = re.compile(rb"<\?xml[^>]*encoding=[\"']([A-Za-z0-9._-]+)[\"']")
_UNUSUAL = (b"<!", b"<?", b"]]>", b"\r")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))

# Excludes markup and the characters that XML forbids; all quantifiers are possessive, so there is no backtracking.
_TEXT = r"[^<\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]*+"
_ATTRIBUTES = r'(?: [A-Za-z0-9_.:]+="[^"<&\x00-\x1f\ufffe\uffff]*+")*+'


def _cell_pattern(letters: str, style: str, kind: str, value: str, inline: str) -> str:
    formula = rf"(?:<f{_ATTRIBUTES}(?: ?/>|>{_TEXT}</f>))?+"
    content = rf'(?:<v>{value}</v>|<v ?/>|<is><t(?: xml:space="preserve")?+>{inline}</t></is>|)'
    return rf'<c r="{letters}[1-9][0-9]{{0,6}}"(?: s="{style}")?+(?: t="{kind}")?+(?: ?/>|>{formula}{content}</c>)'


_CELL = re.compile(_cell_pattern("([A-Z]{1,3})", "([0-9]+)", "([A-Za-z]+)", f"({_TEXT})", f"({_TEXT})"))
_ROW = re.compile(rf'<row r="([1-9][0-9]{{0,6}})"{_ATTRIBUTES}(?: ?/>|>((?:{_cell_pattern("[A-Z]{1,3}", "[0-9]+", "[A-Za-z]+", _TEXT, _TEXT)})*+)</row>)')


class _UnusualError(Exception):
    """These rows must be left to expat."""


class SheetScanner:
    """Scans one sheet, once; a `SheetWalker` takes over at the first row that it cannot read."""

    def __init__(self, values: CellValues, *, max_row_bytes: int) -> None:
        self._values = values
        self._kinds = {style or "": kind for style, kind in values.kinds.items()}
        self._walker = SheetWalker(values, max_row_bytes=max_row_bytes)
        self._width: int | None = None
        self._last_row = 0

    @property
    def width(self) -> int | None:
        """Number of columns of the table; None until it is known. Cells to the right of it are kept separately."""
        return self._width

    @width.setter
    def width(self, width: int) -> None:
        self._width = self._walker.width = width

    def scan(self, blocks: Iterable[bytes]) -> Iterator[RowBatch]:
        """Yield the rows as `SheetWalker.walk` does."""
        source = iter(blocks)
        waiting = _read_head(source)
        start = waiting.find(_DATA)
        if start < 0 or not _is_usual_head(waiting[:start]):
            yield from self._walker.walk(_rejoin(waiting, source))
            return
        bytes_read = start + len(_DATA)
        waiting = waiting[bytes_read:]
        while not waiting.startswith(_DATA_END):
            end = self._find_end(waiting)
            try:
                if end:
                    rows = self._read_rows(waiting[:end])
                    waiting = waiting[end:]
                    bytes_read += end
                    if rows:
                        yield RowBatch(rows, bytes_read)
                elif len(waiting) > _MAX_ROW_BYTES or not (block := next(source, b"")):
                    raise _UnusualError  # noqa: TRY301 - all fallbacks to expat go through the same handler
                else:
                    waiting += block
            except _UnusualError:
                yield from self._walker.walk_on(_rejoin(waiting, source), last_row=self._last_row, bytes_read=bytes_read)
                return

    def _find_end(self, waiting: bytes) -> int:
        """Find the end of the last complete row; until the width is known, of a few rows only, since each may be as wide as a sheet."""
        if self._width is not None:
            last = waiting.rfind(_ROW_END)
            return max(last + len(_ROW_END) if last >= 0 else 0, waiting.find(_DATA_END))
        last = waiting.rfind(_ROW_END, 0, HEADER_STEP_BYTES)
        if last < 0:
            last = waiting.find(_ROW_END)
        return last + len(_ROW_END) if last >= 0 else 0

    def _read_rows(self, data: bytes) -> list[SheetRow]:
        """Return all rows of `data`. Raises `_UnusualError` if any of them must be left to expat."""
        if any(mark in data for mark in _UNUSUAL):
            raise _UnusualError
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise _UnusualError from error
        has_entities = "&" in text
        if has_entities and text.count("&") != sum(text.count(entity) for entity, _ in _ENTITIES):
            raise _UnusualError
        rows: list[SheetRow] = []
        end, last_row = 0, self._last_row
        for match in _ROW.finditer(text):
            number = int(match[1])
            if match.start() != end or not last_row < number <= MAX_SHEET_ROWS:
                raise _UnusualError
            end, last_row = match.end(), number
            if match[2]:
                row = self._read_row(number, match[2], has_entities=has_entities)
                if row is not None:
                    rows.append(row)
        if end != len(text):
            raise _UnusualError
        self._last_row = last_row
        return rows

    def _read_row(self, number: int, content: str, *, has_entities: bool) -> SheetRow | None:  # noqa: C901, PLR0912 - one loop over cells, for speed
        kinds, strings, read = self._kinds, self._values.strings, self._values.read
        width = self._width or MAX_SHEET_COLUMNS
        cells: list[str] = []
        beyond: list[tuple[int, str]] = []
        errors: list[tuple[int, str]] = []
        column = -1
        for letters, style, cell_type, value, inline in _CELL.findall(content):
            column += 1
            if column >= MAX_SHEET_COLUMNS or letters != LETTERS[column]:
                column = COLUMNS.get(letters, -1)
                if column < 0:
                    raise _UnusualError
            text = value or inline
            if not text:
                continue
            if has_entities and "&" in text:
                for entity, character in _ENTITIES:
                    text = text.replace(entity, character)
            if cell_type == "s":
                if not text.isdigit():
                    raise _UnusualError
                try:
                    text = strings[int(text)]
                except (IndexError, ValueError) as error:
                    raise _UnusualError from error
            elif not cell_type and style not in kinds:
                if not text.isdigit() or text[0] == "0" or len(text) > MAX_EXACT_DIGITS:
                    text = show_number(text)
            elif cell_type == "e":
                errors.append((column, text))
                continue
            else:
                text = read(text, cell_type or None, style or None)
            if column == len(cells) < width:
                cells.append(text)
            elif column >= width:
                beyond.append((column, text))
            elif column < len(cells):
                cells[column] = text
            else:
                cells += [""] * (column - len(cells))
                cells.append(text)
        return SheetRow(number, cells, beyond or None, errors or None) if cells or beyond or errors else None


def _read_head(source: Iterator[bytes]) -> bytes:
    """Read the bytes up to and including the block in which the rows begin."""
    head = b""
    for block in source:
        head += block
        if _DATA in head or len(head) > _MAX_HEAD_BYTES:
            break
    return head


def _is_usual_head(head: bytes) -> bool:
    """Whether the XML up to the rows is UTF-8 and well-formed, with names without prefixes."""
    encoding = _ENCODING.search(head)
    if (encoding is not None and encoding[1].lower() != b"utf-8") or b"<!" in head:
        return False
    roots: list[str] = []
    parser = PartParser(lambda _, root: roots.append(root))
    try:
        parser.feed(head + b"<sheetData></sheetData></worksheet>")
        parser.finish()
    except FileUnreadable:
        return False
    return roots[:1] == ["worksheet"]


def _rejoin(waiting: bytes, source: Iterator[bytes]) -> Iterator[bytes]:
    yield waiting
    yield from source

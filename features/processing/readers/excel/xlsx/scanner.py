"""Read the rows of a sheet by regular expression, if its XML is written the way all programs write it; takes half the time of expat.

One unambiguous pattern matches a whole row. If it does not match every byte, or if there are comments, CDATA, declarations or entities other than
the five of XML, everything from that row on is left to expat. So the pattern accepts nothing that expat would not (except an attribute given
twice), and a row ends at `</row>`, since the text and attributes of well-formed XML contain no `<`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, pairwise
from typing import NamedTuple
from xml.parsers.expat import XMLParserType

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import EXACT_DIGITS, unescape_text
from features.processing.readers.excel.row_order import Batch, RowBatch
from features.processing.readers.excel.sheet_rows import MAX_SHEET_ROWS, UNKNOWN_WIDTH, BadCell, FarCell, SheetRow
from features.processing.readers.excel.xlsx.cell_columns import ColumnMaker
from features.processing.readers.excel.xlsx.cell_tags import CellTags
from features.processing.readers.excel.xlsx.cells import COLUMNS, LETTERS, NUMBER, TEXT, CellValues, place_cell, uncomputed
from features.processing.readers.excel.xlsx.find_cells import FoundCells, RestPatterns, find_cells
from features.processing.readers.excel.xlsx.merges import install_merge_handlers
from features.processing.readers.excel.xlsx.part_parser import SPACE_ATTRIBUTE, XML_BLANKS, Attributes, PartParser, local_name, prefix_of
from features.processing.readers.excel.xlsx.plain_xml import (
    FORBIDDEN,
    PRESERVE,
    TEXT_CHARACTER,
    UnusualError,
    decode_plain,
    is_plain,
    is_utf8,
    replace_entities,
)
from features.processing.readers.excel.xlsx.walker import SheetWalker

_MAX_HEAD_BYTES = 2**18
_MAX_ROW_BYTES = 2**20
"""Longer rows are left to expat, which holds less of them in memory at once."""
_PIECE_BYTES = 2**20
"""So much XML is read at a time, besides the beginning."""
_SMALL_PIECE_BYTES = 2**16
"""The same if the shared strings are not kept in memory."""
_DATA, _ROW_END, _DATA_END = b"<sheetData>", b"</row>", b"</sheetData>"
_INLINE = "<is><t>"
"""The start of an inline text that loses the blanks at its ends."""
_ROOT = re.compile(rb"<worksheet[ \t\r\n>]")
_LETTERS = (*LETTERS, "")
"""With a name that no column has after the last."""
_NAME = "[A-Za-z_][A-Za-z0-9_.-]*+"
_OTHER_RESULT = re.compile(r"(?:</f>|<f(?: [^<]*)?/>)<v[^<>]*>(?!0</v>)[^<]")
"""The result of a formula, if it is not 0."""
_PLAIN_NAME = re.compile(_NAME)


class _Patterns(NamedTuple):
    """The patterns for one sheet."""

    rows: re.Pattern[str]
    """Any number of whole rows."""
    token: re.Pattern[str]
    """The start of a row, or a cell, in rows that match.

    Its groups: row number; column, style, type, start of an inline text, plain value or inline text, what stands in place of both.
    """
    rests: RestPatterns
    rest: re.Pattern[str]
    """For the last group of a cell. Its groups: element and text of a formula, start and text of a value, start and text of an inline text."""


@lru_cache(maxsize=32)
def _make_patterns(prefixes: frozenset[str], *, judges_zeros: bool) -> _Patterns:
    """Return the patterns for a sheet whose attributes may have the given prefixes.

    With `judges_zeros` the value 0 is not plain if there is a formula for it.
    """
    prefix = f"(?:(?:{'|'.join(map(re.escape, sorted(prefixes)))}):)?+" if prefixes else ""
    attributes = rf'(?: (?!xmlns[=:]){prefix}{_NAME}="[^"<&{FORBIDDEN}]*+")*+'
    blanks = f"(?:{PRESERVE})?+"
    text = TEXT_CHARACTER

    def rest(group: str) -> str:
        formula = rf"{group}<f{attributes}(?: ?/>|>{group}{text}*+)</f>))?+"
        return rf"{formula}(?:{group}<v{blanks})(?: ?/>|>{group}{text}*+)</v>)|{group}<is><t{blanks})>{group}{text}*+)</t></is>)?+"

    def cell(group: str) -> str:
        start = rf'<c r="{group}[A-Z]{{1,3}})[1-9][0-9]{{0,6}}"(?: s="{group}[0-9]+)")?+(?: t="{group}[A-Za-z]+)")?+'
        formula = rf"(?:<f{attributes}(?: ?/>|>{text}*+</f>){'(?!<v>0</v>)' if judges_zeros else ''})?+"
        if group == "(":
            # The rows are known to be well-formed.
            return rf"{start}(?: ?/>|>(?:{formula}(?:<v>|(<is><t{blanks}>))({text}++)(?:</v>|</t></is>)|({rest('(?:')}))</c>)"
        return rf"{start}(?: ?/>|>(?:{formula}(?:<v>{text}++</v>|<is><t{blanks}>{text}++</t></is>)|{rest('(?:')})</c>)"

    def row(group: str) -> str:
        return rf'<row r="{group}[1-9][0-9]{{0,6}})"{attributes}'

    rests = RestPatterns(re.compile(f"{attributes}(?: ?/>|>)"), re.compile(f"{attributes}(?: ?/>|>{text}*+)"))
    rows = rf"(?:{row('(?:')}(?: ?/>|>(?:{cell('(?:')})*+</row>))*+"
    return _Patterns(re.compile(rows), re.compile(f"{row('(')}|{cell('(')}"), rests, re.compile(rest("(")))


class SheetScanner:
    """Scans one sheet, once; a `SheetWalker` takes over at the first row that it cannot read."""

    def __init__(self, values: CellValues, *, max_row_bytes: int, reads_merges: bool = True) -> None:
        self._values = values
        self._formats = {style or "": shown for style, shown in values.formats.items()}
        self._walker = SheetWalker(values, max_row_bytes=max_row_bytes, reads_merges=reads_merges)
        self._reads_merges = reads_merges
        self._patterns = _make_patterns(frozenset(), judges_zeros=False)
        self._tags = CellTags(values.formats)
        self._columns = ColumnMaker(values, self._tags, self._read_rows)
        self._width: int | None = None
        self._last_row = 0

    @property
    def width(self) -> int | None:
        """Number of columns that are kept dense; None until it is known. Cells to the right of them are kept by their place."""
        return self._width

    @width.setter
    def width(self, width: int) -> None:
        self._width = self._walker.width = width

    def scan(self, blocks: Iterable[bytes]) -> Iterator[Batch]:
        """Yield the rows as `SheetWalker.walk` does, or as grids."""
        source = iter(blocks)
        waiting = _read_head(source)
        start = waiting.find(_DATA)
        prefixes = _find_prefixes(waiting[:start]) if start >= 0 else None
        if prefixes is None:
            yield from self._walker.walk(chain([waiting], source))
            return
        self._patterns = _make_patterns(prefixes, judges_zeros=self._values.is_recalculated)
        bytes_read = start + len(_DATA)
        head, waiting = waiting[:bytes_read], waiting[bytes_read:]
        begin, piece_bytes = bytes_read, 0
        is_over = False
        while not waiting.startswith(_DATA_END):
            while not is_over and len(waiting) < piece_bytes:
                block = next(source, b"")
                is_over = not block
                waiting += block
            end = _find_end(waiting)
            try:
                if end:
                    for batch in self._read_batches(waiting[:end], begin):
                        bytes_read = batch.bytes_read
                        if len(batch):
                            yield batch
                    waiting, begin = waiting[end:], bytes_read
                    # The first rows are wanted soon, to find the header among them.
                    piece_bytes = _SMALL_PIECE_BYTES if self._values.strings.is_filed else _PIECE_BYTES
                elif is_over or len(waiting) > _MAX_ROW_BYTES:
                    raise UnusualError  # noqa: TRY301 - all fallbacks to expat go through the same handler
                else:
                    piece_bytes = len(waiting) + 1
            except UnusualError:
                waiting = waiting[bytes_read - begin :]
                yield from self._walker.walk_on(head, chain([waiting], source), last_row=self._last_row, bytes_read=bytes_read)
                return
        if self._reads_merges:
            self._read_merges(chain([head, waiting], source))

    def _read_merges(self, blocks: Iterable[bytes]) -> None:
        """Read what stands behind the rows; damage there ends the reading without an error."""
        is_done = False

        def finish() -> None:
            nonlocal is_done
            is_done = True

        parser = PartParser(lambda expat, root, _: install_merge_handlers(expat, prefix_of(root), self._values.facts, finish))
        try:
            for block in blocks:
                parser.feed(block)
                if is_done:
                    return
        except FileUnreadable:
            return

    def _read_batches(self, data: bytes, begin: int) -> Iterator[Batch]:
        """Yield the rows of `data`, which begins at `begin`, in as many batches as memory asks for.

        Raises `UnusualError` if the next ones must be left to expat.
        """
        # It may become known, and smaller than these rows, while they are given.
        width = self._width
        cells = self._find_cells(data)
        if cells is None:
            yield RowBatch(self._read_rows(data), begin + len(data))
            return
        bounds = self._columns.divide(cells, width=width)
        places = [*cells.begins.tolist(), len(data)]
        for first, last in pairwise(bounds):
            end = places[last]
            part = cells.cut(first, last, end)
            grid = self._columns.make(data, part, end=end, width=width, bytes_read=begin + end)
            if grid is None:
                yield RowBatch(self._read_rows(data[places[first] : end]), begin + end)
            else:
                self._last_row = int(part.numbers[-1])
                yield grid

    def _find_cells(self, data: bytes) -> FoundCells | None:
        width = self._width or UNKNOWN_WIDTH
        takes_formulas = not self._values.is_recalculated
        return find_cells(data, self._tags, patterns=self._patterns.rests, width=width, takes_formulas=takes_formulas) if is_plain(data) else None

    def _read_rows(self, data: bytes) -> list[SheetRow]:
        """Return all rows of `data`. Raises `UnusualError` if any of them must be left to expat."""
        text, has_entities = decode_plain(data)
        if self._patterns.rows.fullmatch(text) is None:
            raise UnusualError
        facts = self._values.facts
        if self._values.is_recalculated and not facts.has_results:
            facts.has_results = _OTHER_RESULT.search(text) is not None
        tokens = self._patterns.token.findall(text)
        if has_entities:
            tokens = [(*token[:5], replace_entities(token[5]), token[6]) for token in tokens]
        return self._make_rows(tokens)

    def _make_rows(self, tokens: list[tuple[str, ...]]) -> list[SheetRow]:  # noqa: C901, PLR0912, PLR0915 - one loop over all cells, for speed
        """Make rows of what the pattern `token` found. Raises `UnusualError` if any of them must be left to expat."""
        values, formats, letters_of = self._values, self._formats, _LETTERS
        strings, show_number, show_formatted = values.strings, values.show_number, values.show_formatted
        width = self._width or UNKNOWN_WIDTH
        rows: list[SheetRow] = []
        cells: list[str] = []
        types = bytearray()
        beyond: list[FarCell] = []
        bad: list[BadCell] = []
        number, column = self._last_row, -1
        for row_number, letters, style, cell_type, inline_start, value, rest in tokens:
            if row_number:
                if cells or beyond or bad:
                    rows.append(SheetRow(number, cells, types, beyond or None, bad or None))
                    cells, types, beyond, bad = [], bytearray(), [], []
                number, column = int(row_number), -1
                if number > MAX_SHEET_ROWS:
                    raise UnusualError
                continue
            column += 1
            if letters != letters_of[column]:
                column = COLUMNS.get(letters, -1)
                if column < 0:
                    raise UnusualError
            # The most common kinds of cells are handled here.
            if cell_type == "s" and value and not inline_start:
                try:
                    index = int(value)
                    text = strings[index]
                except (IndexError, ValueError) as error:
                    raise UnusualError from error
                if index < 0:
                    raise UnusualError
                kind = TEXT
            elif inline_start:
                text = value.strip(XML_BLANKS) if inline_start == _INLINE else value
                if not text:
                    continue
                if "_x" in text:
                    text = unescape_text(text)
                kind = TEXT
            elif not value or cell_type == "e":
                found = self._read_unusual(cell_type, style, value, rest, column, number) if rest or value else None
                if found is None:
                    continue
                if isinstance(found, BadCell):
                    bad.append(found)
                    continue
                text, kind = found
            elif not cell_type:
                if style in formats:
                    text, kind = show_formatted(value, style or None, column, number)
                elif value.isdigit() and value[0] != "0" and len(value) <= EXACT_DIGITS and value.isascii():
                    text, kind = value, NUMBER
                else:
                    text, kind = show_number(value, column, number)
            else:
                text = value if cell_type in ("n", "b", "d") else value.strip(XML_BLANKS)
                if not text:
                    continue
                text, kind = values.read(text, cell_type, style or None, column, number)
            if column == len(cells) < width:
                cells.append(text)
                types.append(kind)
            else:
                place_cell(cells, types, beyond, column, text, kind, width)
        if cells or beyond or bad:
            rows.append(SheetRow(number, cells, types, beyond or None, bad or None))
        self._last_row = number
        return rows

    def _read_unusual(self, cell_type: str, style: str, text: str, rest: str, column: int, number: int) -> tuple[str, int] | BadCell | None:
        """Read a cell with an error, or one that holds `rest` instead of a plain value; None if it is empty."""
        values = self._values
        formula = source = opening = ""
        if rest:
            match = self._patterns.rest.fullmatch(rest)
            assert match is not None, "it is a part of the pattern of a cell"
            formula, source, opening, text, inline_opening, inline = (replace_entities(group or "") for group in match.groups())
            if inline_opening:
                inline = inline if inline_opening.endswith(PRESERVE) else inline.strip(XML_BLANKS)
                return (unescape_text(inline), TEXT) if inline else None
        if not opening.endswith(PRESERVE) and cell_type not in ("", "n", "b", "d", "e"):
            text = text.strip(XML_BLANKS)
        if not text:
            return uncomputed(source, column) if formula and (not opening or cell_type != "str") else None
        if cell_type == "s":
            raise UnusualError
        if cell_type == "e":
            return values.describe_error(text, column, None)
        if formula and values.is_recalculated and text == "0" and cell_type in ("", "n"):
            found = values.judge_zero(source, style or None, column, number)
            if found is not None:
                return found
        return values.read(text, cell_type or None, style or None, column, number)


def _find_end(waiting: bytes) -> int:
    """Return where the last complete row ends, or 0."""
    last = waiting.rfind(_ROW_END)
    return max(last + len(_ROW_END) if last >= 0 else 0, waiting.find(_DATA_END))


def _read_head(source: Iterator[bytes]) -> bytes:
    """Read the bytes up to and including the block in which the rows begin."""
    head = b""
    for block in source:
        head += block
        if _DATA in head or len(head) > _MAX_HEAD_BYTES:
            break
    return head


def _find_prefixes(head: bytes) -> frozenset[str] | None:
    """Return the prefixes that the root declares, if the XML up to the rows is UTF-8 and well-formed, with elements without prefixes, else None."""
    if not is_utf8(head) or b"<!" in head or _ROOT.search(head) is None:
        return None
    prefixes: list[str] = []
    is_usual = False

    def install(expat: XMLParserType, root: str, attributes: Attributes) -> None:
        nonlocal is_usual
        is_usual = local_name(root) == "worksheet" and SPACE_ATTRIBUTE not in attributes
        expat.StartElementHandler = expat.StartNamespaceDeclHandler = None

    parser = PartParser(install)
    parser.watch_prefixes(prefixes.append)
    try:
        parser.feed(head + b"<sheetData></sheetData></worksheet>")
        parser.finish()
    except FileUnreadable:
        return None
    return frozenset(filter(_PLAIN_NAME.fullmatch, prefixes)) if is_usual else None

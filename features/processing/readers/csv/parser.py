"""Parse blocks of rows into columns of text with Arrow's parser; rows that it would not read as `grammar` defines are left as text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from features.processing.column import ASCII_END, Mask
from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.ragged_rows import MANY_RAGGED_SHARE, RaggedRows, sort_rows
from features.processing.readers.csv.raw_blocks import RawBlock, RowTrouble
from features.processing.readers.csv.raw_rows import RawBlockRows
from features.processing.readers.csv.scan import Positions, find_code
from features.processing.readers.csv.stray_quotes import find_rows_with_quotes, find_rows_with_strays
from features.processing.readers.csv.utf8_count import is_utf8
from features.processing.readers.csv.wide_rows import split_wide
from features.processing.readers.row_spans import RowKind, RowKinds

BOM = b"\xef\xbb\xbf"

_MAX_CELLS_PER_STEP = 400_000
"""Limits the memory of one step if a table has thousands of columns, or a block millions of rows."""
_MAX_PLAIN_CELLS = 4 * _MAX_CELLS_PER_STEP
"""The same for cells that Arrow splits, which take less memory."""
_MAX_ROWS_PER_STEP = 50_000
"""The same if rows are short and may have to be split one by one, which takes about 300 bytes for each."""
_SORTED_ROWS = 100_000
"""The same if rows of several widths are parsed group by group."""
FEW_COLUMNS = 64
"""A regular block is parsed in one step if its table has no more columns."""
_MANY_COLUMNS = 1_000
_CELL_COST = 12
"""Memory of a cell while it is split off, in units of that of an absent cell."""
MAX_ARROW_COLUMNS = 2_000
"""Each column of a call costs about 10 KB that Arrow does not release."""
_SPLIT_COLUMNS = 256
"""Rows of wider tables are split at once, if they have no quotes."""
_MAX_WIDE_BYTES = 8 * 2**20
"""Splitting the rows of a wide table at once takes a few bytes for each of theirs; larger blocks are left to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedBlock:
    """The rows of one block: most as cells, the rest as text."""

    kinds: RowKinds
    """The kind of each row as far as it is known; ROW if it is not."""
    plain: Positions
    """Indices of the rows that are in `columns`."""
    columns: Sequence[pa.StringArray]
    unparsed: Sequence[tuple[int, str]]
    """Other rows that hold cells, as (index in the block, text), ascending by index."""
    is_regular: bool = False
    """See `RawBlock`."""
    ragged: Sequence[RaggedRows] = ()
    """All other rows: those with too few or too many cells, where they are many."""
    first_row: int
    bytes_read: int
    raw: RawBlockRows | None = None
    raw_index: int = 0
    """See `RawBlock`."""


class BlockParser:
    """Parses the blocks of one file, in file order, for a table of known width. It runs little Python code, so it can work in a thread beside others."""

    def __init__(
        self,
        grammar: CsvGrammar,
        *,
        width: int,
        comment_rows: Sequence[int],
        undecodable: str,
        first_row: int,
        is_valid_utf8: Callable[[], bool],
        sorts_ragged: bool = False,
    ) -> None:
        self._grammar, self._width = grammar, width
        self._comment_rows = np.array(sorted(comment_rows), dtype=np.int64)
        self._undecodable = undecodable
        self._next_row = first_row
        self._is_valid_utf8 = is_valid_utf8
        self._sorts_ragged = sorts_ragged
        self._has_many_ragged = False
        self._names = [str(number) for number in range(1, width + 1)]
        self._convert_options = _make_convert_options(self._names)

    def parse(self, block: RawBlock) -> Iterator[ParsedBlock]:
        """Yield the rows of the block, in several parts if the table is wide; nothing for a block without rows."""
        if self._width <= FEW_COLUMNS and self._is_plain(block):
            if block.begin < block.end and not self._has_many_ragged:
                yield self._counted(block, self._parse_regular(block))
            elif block.begin < block.end:
                for first in range(0, len(block), _SORTED_ROWS):
                    part = block.part(first, min(first + _SORTED_ROWS, len(block)))
                    yield self._counted(part, self._parse_ragged(part))
        elif block.begin < block.end and self._is_wide(block) and len(block) * self._width <= _MAX_PLAIN_CELLS:
            yield self._counted(block, self._parse_wide(block))
        elif block.begin < block.end and self._is_plain(block) and self._count_cells(block) <= _MAX_PLAIN_CELLS:
            yield self._counted(block, self._parse_regular(block))
        elif self._width > _MANY_COLUMNS:
            for first, last in self._cut_wide(block):
                yield self._parse_part(block.part(first, last))
        else:
            step = max(1, min(_MAX_ROWS_PER_STEP, _MAX_CELLS_PER_STEP // self._width))
            for first in range(0, len(block), step):
                yield self._parse_part(block.part(first, min(first + step, len(block))))

    def _count_cells(self, block: RawBlock) -> int:
        """Return about how many cells a block has."""
        return block.data.count(self._grammar.delimiter.encode(), block.begin, block.end)

    def _cut_wide(self, block: RawBlock) -> Iterator[tuple[int, int]]:
        """Yield parts of a block, as (first, last + 1), by the memory that their cells take: rows that end early take little."""
        codes = np.frombuffer(block.data, dtype=np.uint8)[: block.end]
        delimiters = np.flatnonzero(codes == ord(self._grammar.delimiter)).astype(np.int32)
        spans = block.spans
        cells = np.searchsorted(delimiters, spans.stops.astype(np.int32)) - np.searchsorted(delimiters, spans.starts.astype(np.int32)) + 1
        present = np.minimum(cells, self._width).astype(np.int64)
        first = 0
        while first < len(present):
            # Every row takes as many places as the longest one of its part; a place with a cell takes more memory than one without.
            places = np.maximum.accumulate(present[first:]) * np.arange(1, len(present) - first + 1)
            costs = places + np.cumsum(present[first:]) * (_CELL_COST - 1)
            last = first + max(1, int(np.searchsorted(costs, _MAX_CELLS_PER_STEP * _CELL_COST, side="right")))
            yield first, last
            first = last

    def _parse_part(self, block: RawBlock) -> ParsedBlock:
        if self._is_wide(block):
            return self._counted(block, self._parse_wide(block))
        return self._counted(block, self._parse_regular(block) if self._is_plain(block) else self._parse_any(block))

    def _counted(self, block: RawBlock, parsed: ParsedBlock) -> ParsedBlock:
        self._next_row += len(parsed.kinds)
        if block.raw is None:
            return parsed
        if block.raw.count is None:
            block.raw.count = len(parsed.kinds)
        return replace(parsed, raw=block.raw, raw_index=block.raw_index)

    def _is_plain(self, block: RawBlock) -> bool:
        """Whether Arrow reads every row correctly or reports its width as wrong; the positions of the rows are not needed then."""
        return self._width <= MAX_ARROW_COLUMNS and self._is_usual(block)

    def _is_wide(self, block: RawBlock) -> bool:
        """Whether every delimiter of the block ends a cell, of a table that is so wide that its rows are split at once."""
        marks = (self._grammar.quote_char, self._grammar.escape_char)
        return (
            self._width > _SPLIT_COLUMNS
            and block.end - block.begin <= _MAX_WIDE_BYTES
            and not self._grammar.skip_initial_space
            and all(mark is None or block.data.find(mark.encode(), block.begin, block.end) < 0 for mark in marks)
            and self._is_usual(block)
        )

    def _is_usual(self, block: RawBlock) -> bool:
        """Whether any reader reads the rows as the grammar defines, and all of them are rows of the table or blank."""
        return (
            block.is_regular
            and not (len(self._comment_rows) and self._comment_rows[-1] >= self._next_row)
            and not block.data.startswith(BOM, block.begin)
            and (self._is_valid_utf8() or is_utf8(pa.py_buffer(block.data).slice(block.begin, block.end - block.begin)))
        )

    def _parse_regular(self, block: RawBlock) -> ParsedBlock:
        columns, ragged = self._read_csv(pa.py_buffer(block.data).slice(block.begin, block.end - block.begin))
        kinds = np.zeros(len(columns[0]) + len(ragged), dtype=np.uint8)
        plain = np.arange(len(kinds))
        if ragged:
            plain = np.delete(plain, [index for index, _ in ragged])
        self._has_many_ragged = self._sorts_ragged and len(ragged) > MANY_RAGGED_SHARE * len(kinds)
        return ParsedBlock(kinds=kinds, plain=plain, columns=columns, unparsed=ragged, is_regular=True, first_row=self._next_row, bytes_read=block.bytes_read)

    def _parse_wide(self, block: RawBlock) -> ParsedBlock:
        """Parse a regular block without quotes of a very wide table; rows that are not as wide are left as text."""
        data = block.data[block.begin : block.end]
        starts, stops = block.spans.starts - block.begin, block.spans.stops - block.begin
        delimiters = find_code(np.frombuffer(data, dtype=np.uint8), ord(self._grammar.delimiter))
        counts = np.searchsorted(delimiters, stops) - np.searchsorted(delimiters, starts)
        is_plain = counts == self._width - 1
        plain = np.flatnonzero(is_plain)
        columns: Sequence[pa.StringArray] = [pa.array([], type=pa.string())] * self._width
        if 0 < len(plain) < len(starts):
            lengths = np.diff(starts, append=len(data))[plain]
            moved = np.cumsum(lengths) - lengths
            moved_by = moved - starts[plain]
            delimiters = delimiters[np.repeat(is_plain, counts)] + np.repeat(moved_by, self._width - 1)
            data, starts, stops = _join_rows(block, plain).to_pybytes(), moved, stops[plain] + moved_by
        if len(plain):
            columns = split_wide(data, delimiters, starts, stops, delimiter=self._grammar.delimiter, width=self._width)
        unparsed = [(index, block.row(index).decode()) for index in np.flatnonzero(~is_plain).tolist()]
        kinds = np.zeros(len(block), dtype=np.uint8)
        return ParsedBlock(kinds=kinds, plain=plain, columns=columns, unparsed=unparsed, first_row=self._next_row, bytes_read=block.bytes_read)

    def _parse_ragged(self, block: RawBlock) -> ParsedBlock:
        """Parse a regular block in which many rows are expected to have too few or too many cells."""
        rows = sort_rows(block, self._grammar, width=self._width)
        plain, unparsed = rows.plain, [(index, block.row(index).decode()) for index in rows.others.tolist()]
        columns = [pa.array([], type=pa.string())] * self._width
        if len(plain):
            columns, late = self._read_csv(_join_rows(block, plain))
            unparsed = sorted([*unparsed, *((int(plain[index]), text) for index, text in late)])
            plain = np.delete(plain, [index for index, _ in late])
        ragged = [RaggedRows(group, self._read_group(block, group)) for group in rows.groups]
        self._has_many_ragged = len(block) - len(plain) > MANY_RAGGED_SHARE * len(block)
        kinds = np.zeros(len(block), dtype=np.uint8)
        return ParsedBlock(
            kinds=kinds,
            plain=plain,
            columns=columns,
            unparsed=unparsed,
            is_regular=True,
            ragged=ragged,
            first_row=self._next_row,
            bytes_read=block.bytes_read,
        )

    def _read_group(self, block: RawBlock, group: Positions) -> list[pa.StringArray]:
        width = block.row(int(group[0])).count(self._grammar.delimiter.encode()) + 1
        columns, ragged = self._read_csv(_join_rows(block, group), width=width)
        assert not ragged
        return columns

    def _parse_any(self, block: RawBlock) -> ParsedBlock:
        kinds = self._classify(block)
        exact = self._find_unparsed(block, kinds)
        plain = np.flatnonzero((kinds == RowKind.ROW) & ~exact)
        columns = [pa.array([], type=pa.string())] * self._width
        if len(plain):
            columns, ragged = self._read_csv(_join_rows(block, plain))
            places = [index for index, _ in ragged]
            exact[plain[places]] = True
            plain = np.delete(plain, places)
        unparsed = [(index, block.row(index).decode("utf-8", self._undecodable)) for index in np.flatnonzero(exact).tolist()]
        return ParsedBlock(kinds=kinds, plain=plain, columns=columns, unparsed=unparsed, first_row=self._next_row, bytes_read=block.bytes_read)

    def _classify(self, block: RawBlock) -> RowKinds:
        kinds = np.zeros(len(block), dtype=np.uint8)
        rows = block.spans
        kinds[rows.starts == rows.stops] = RowKind.BLANK
        kinds[rows.trouble == RowTrouble.UNCLOSED_QUOTE] = RowKind.UNCLOSED_QUOTE
        kinds[rows.trouble == RowTrouble.TOO_LONG] = RowKind.TOO_LONG
        comments = find_comments(block, self._grammar)
        kinds[comments] = RowKind.COMMENT
        if len(self._comment_rows):
            first = np.searchsorted(self._comment_rows, self._next_row)
            last = np.searchsorted(self._comment_rows, self._next_row + len(block))
            kinds[self._comment_rows[first:last] - self._next_row] = RowKind.COMMENT
        return kinds

    def _find_unparsed(self, block: RawBlock, kinds: RowKinds) -> Mask:
        """Mark the rows that Arrow cannot read, or would not read as the grammar defines."""
        rows: Mask = kinds == RowKind.ROW
        if self._width > MAX_ARROW_COLUMNS or (self._grammar.skip_initial_space and self._grammar.delimiter == " "):
            return rows
        exact: Mask = np.zeros(len(block), dtype=np.bool_)
        exact[find_rows_with_quotes(block, self._grammar) if self._grammar.skip_initial_space else find_rows_with_strays(block, self._grammar)] = True
        exact[_find_undecodable(block)] = True
        # At the start of its input Arrow would take these three bytes for a byte order mark.
        starts, stops = block.spans.starts, block.spans.stops
        starting_with_bom = np.frombuffer(block.data, dtype=np.uint8)[np.minimum(starts, len(block.data) - 1)] == BOM[0]
        if starting_with_bom.any():
            for index in np.flatnonzero(starting_with_bom):
                exact[index] |= block.data.startswith(BOM, int(starts[index]))
        escape = self._grammar.escape_char
        if escape is not None and block.end == stops[-1]:
            # An escape character at the very end of the file has no character after it.
            exact[-1] |= self._grammar.mask_escapes(block.row(-1)).endswith(escape.encode())
        exact &= rows
        return exact

    def _read_csv(self, data: pa.Buffer, *, width: int | None = None) -> tuple[list[pa.StringArray], list[tuple[int, str]]]:
        """Parse the rows in `data` into `width` columns (None: as many as the table has); other rows are left out and returned as (index, text)."""
        names = self._names if width is None else [str(number) for number in range(1, width + 1)]
        options = self._convert_options if width is None else _make_convert_options(names)
        ragged: list[tuple[int, str]] = []

        def skip_ragged(row: arrow_csv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.text.removesuffix("\n").removesuffix("\r")))
            return "skip"

        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._grammar.delimiter,
                quote_char=self._grammar.quote_char or False,
                double_quote=self._grammar.double_quote,
                escape_char=self._grammar.escape_char or False,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip_ragged,
            ),
            convert_options=options,
        )
        columns = [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]
        # Without quotes in them, cells lose nothing but the blanks at their beginning.
        return [pc.utf8_ltrim(column, characters=" ") for column in columns] if self._grammar.skip_initial_space else columns, ragged


def _make_convert_options(names: Sequence[str]) -> arrow_csv.ConvertOptions:
    return arrow_csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)


def find_comments(block: RawBlock, grammar: CsvGrammar) -> list[int]:
    """Find the indices of rows that are comments."""
    if grammar.comment_char is None:
        return []
    comment = grammar.comment_char.encode()
    if comment not in block.data:
        return []
    starts = block.spans.starts
    first_bytes = np.frombuffer(block.data, dtype=np.uint8)[np.minimum(starts, len(block.data) - 1)]
    return [index for index in np.flatnonzero(first_bytes == comment[0]).tolist() if block.data.startswith(comment, int(starts[index]))]


def _find_undecodable(block: RawBlock) -> list[int]:
    """Find the indices of rows that are not UTF-8."""
    codes = np.frombuffer(block.data, dtype=np.uint8)[block.begin : block.end]
    if not len(codes) or codes.max() < ASCII_END or is_utf8(pa.py_buffer(block.data).slice(block.begin, len(codes))):
        return []
    rows = np.unique(np.searchsorted(block.spans.starts, np.flatnonzero(codes >= ASCII_END) + block.begin, side="right") - 1)
    found = []
    for index in rows.tolist():
        try:
            block.row(index).decode()
        except UnicodeDecodeError:
            found.append(index)
    return found


def _join_rows(block: RawBlock, indices: Positions) -> pa.Buffer:
    """Return the bytes of the rows at `indices`, with their line breaks."""
    if len(indices) == len(block):
        return pa.py_buffer(block.data).slice(block.begin, block.end - block.begin)
    breaks = np.flatnonzero(np.diff(indices) > 1)
    firsts = np.concatenate([indices[:1], indices[breaks + 1]])
    lasts = np.concatenate([indices[breaks], indices[-1:]])
    starts = block.spans.starts
    ends = np.append(starts[1:], block.end)
    view = memoryview(block.data)
    return pa.py_buffer(b"".join([view[start:end] for start, end in zip(starts[firsts].tolist(), ends[lasts].tolist(), strict=True)]))

"""From blocks of records to columns of text: Arrow's parser for what it reads as `csv_grammar` says, the exact reading for every other record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as arrow_csv

from features.processing.readers.base import Finding, RowNumbers
from features.processing.readers.csv_findings import ExactRow, StructureFindings, is_encodable, show_undecodable
from features.processing.readers.csv_grammar import CsvGrammar, RecordSplitter, is_blank
from features.processing.readers.csv_records import RecordBlock, Trouble
from features.processing.readers.csv_scan import Positions

MAX_COLUMNS = 16_384
"""As many as a sheet can have; a row of more cells is too long, a header of more labels is refused."""
BOM = b"\xef\xbb\xbf"

_ASCII_END = 0x80
_NOWHERE: Positions = np.empty(0, dtype=np.int64)
# The first bytes of every character that str.isspace() knows, in UTF-8.
_SPACE_STARTS = np.zeros(256, dtype=np.bool_)
_SPACE_STARTS[[0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0xC2, 0xE1, 0xE2, 0xE3]] = True

Mask: TypeAlias = npt.NDArray[np.bool_]


class RowKind(IntEnum):
    """What a record turned out to be."""

    ROW = 0
    BLANK = 1
    COMMENT = 2
    UNCLOSED_QUOTE = 3
    TOO_LONG = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CellBlock:
    """The records of one block, read."""

    columns: Sequence[pa.StringArray]
    """As `Chunk.columns`, of the records of kind ROW only."""
    row_numbers: RowNumbers
    findings: Sequence[Finding]
    """Errors of single cells, in those rows."""
    kinds: npt.NDArray[np.uint8]
    """A `RowKind` for every record of the block."""
    first_row: int
    bytes_read: int


class CellReader:
    """Reads the cells of records once the width of the table is known."""

    def __init__(
        self,
        grammar: CsvGrammar,
        *,
        width: int,
        labels: Sequence[str] | None,
        comment_rows: Sequence[int],
        undecodable: str,
        encoding: str,
    ) -> None:
        self._grammar, self._width = grammar, width
        self._structure = StructureFindings(width=width, labels=labels, encoding=encoding)
        self._comment_rows = np.array(sorted(comment_rows), dtype=np.int64)
        self._undecodable = undecodable
        self._splitter = RecordSplitter(grammar, max_cells=MAX_COLUMNS)
        self._names = [str(number) for number in range(1, width + 1)]
        self._convert_options = arrow_csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(self._names, pa.string()), strings_can_be_null=False)

    def read(self, block: RecordBlock) -> CellBlock:
        """The cells of all records of `block`."""
        kinds = self._classify(block)
        exact = self._exact_records(block, kinds)
        plain = np.flatnonzero((kinds == RowKind.ROW) & ~exact)
        columns, ragged = self._parse_plain(block, plain)
        exact[plain[ragged]] = True
        plain = np.delete(plain, ragged) if len(ragged) else plain
        blank = _find_blank(columns)
        kinds[plain[blank]] = RowKind.BLANK
        rows, findings = self._parse_exact(block, np.flatnonzero(exact), kinds)
        if rows or len(blank):
            indices = np.concatenate([plain, np.array([row.index for row in rows], dtype=np.int64)])
            order = np.argsort(indices, kind="stable")
            order = order[kinds[indices[order]] == RowKind.ROW]
            columns = self._merge(columns, rows, pa.array(order))
        row_numbers = np.flatnonzero(kinds == RowKind.ROW) + block.first_row
        return CellBlock(columns=columns, row_numbers=row_numbers, findings=findings, kinds=kinds, first_row=block.first_row, bytes_read=block.bytes_read)

    def _classify(self, block: RecordBlock) -> npt.NDArray[np.uint8]:
        kinds = np.zeros(len(block), dtype=np.uint8)
        kinds[block.starts == block.stops] = RowKind.BLANK
        kinds[block.trouble == Trouble.UNCLOSED_QUOTE] = RowKind.UNCLOSED_QUOTE
        kinds[block.trouble == Trouble.TOO_LONG] = RowKind.TOO_LONG
        comments = find_comments(block, self._grammar)
        kinds[comments] = RowKind.COMMENT
        if len(self._comment_rows):
            first = np.searchsorted(self._comment_rows, block.first_row)
            last = np.searchsorted(self._comment_rows, block.first_row + len(block))
            kinds[self._comment_rows[first:last] - block.first_row] = RowKind.COMMENT
        return kinds

    def _exact_records(self, block: RecordBlock, kinds: npt.NDArray[np.uint8]) -> Mask:
        """The records that Arrow would read otherwise, or cannot read."""
        rows: Mask = kinds == RowKind.ROW
        if self._grammar.skip_initial_space:
            return rows
        exact: Mask = np.zeros(len(block), dtype=np.bool_)
        exact[_find_undecodable(block)] = True
        # Arrow takes these three bytes at the head of its input for a byte order mark.
        starting_with_bom = np.frombuffer(block.data, dtype=np.uint8)[np.minimum(block.starts, len(block.data) - 1)] == BOM[0]
        if starting_with_bom.any():
            for index in np.flatnonzero(starting_with_bom):
                exact[index] |= block.data.startswith(BOM, int(block.starts[index]))
        escape = self._grammar.escape_char
        if escape is not None and block.end == block.stops[-1]:
            # An escape character at the very end of the file has nothing to stand before.
            exact[-1] |= self._grammar.mask_escapes(block.data[block.starts[-1] : block.stops[-1]]).endswith(escape.encode())
        exact &= rows
        return exact

    def _parse_plain(self, block: RecordBlock, plain: Positions) -> tuple[list[pa.StringArray], Positions]:
        """The columns of the records at `plain`, and the places in `plain` of those that have too many or too few cells, left out."""
        if not len(plain):
            return [pa.array([], type=pa.string())] * self._width, plain
        data = _join_records(block, plain)
        ragged: list[int] = []

        def skip_ragged(row: arrow_csv.InvalidRow) -> str:
            ragged.append(row.number - 1)
            return "skip"

        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=self._names),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._grammar.delimiter,
                quote_char=self._grammar.quote_char or False,
                double_quote=self._grammar.double_quote,
                escape_char=self._grammar.escape_char or False,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=skip_ragged,
            ),
            convert_options=self._convert_options,
        )
        return [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns], np.array(ragged, dtype=np.int64)

    def _parse_exact(self, block: RecordBlock, indices: Positions, kinds: npt.NDArray[np.uint8]) -> tuple[list[ExactRow], list[Finding]]:
        """The records at `indices` cell by cell; writes into `kinds` which of them are blank or too long."""
        rows: list[ExactRow] = []
        undecodable: dict[int, list[tuple[int, str]]] = {}
        for index in indices.tolist():
            text = block.data[block.starts[index] : block.stops[index]].decode("utf-8", self._undecodable)
            cells = self._splitter.split(text)
            if len(cells) > MAX_COLUMNS:
                kinds[index] = RowKind.TOO_LONG
            elif is_blank(cells):
                kinds[index] = RowKind.BLANK
            else:
                row = ExactRow(index, list(cells))
                if not is_encodable(text):
                    for column, cell in enumerate(cells):
                        if not is_encodable(cell):
                            row.cells[column] = None
                            undecodable.setdefault(column, []).append((index + block.first_row, show_undecodable(cell)))
                rows.append(row)
        findings = self._structure.of_undecodable(undecodable)
        findings += self._structure.of_missing_cells(rows, block.first_row)
        findings += self._structure.of_extra_cells(rows, block.first_row)
        return rows, findings

    def _merge(self, columns: Sequence[pa.StringArray], rows: Sequence[ExactRow], order: pa.Array) -> list[pa.StringArray]:
        exact = (pa.array([row.cells[number] if number < len(row.cells) else None for row in rows], type=pa.string()) for number in range(self._width))
        if not len(columns[0]):
            # No order but their own; and a row of many megabytes is not copied twice more.
            return list(exact)
        return [pa.concat_arrays([column, texts]).take(order) for column, texts in zip(columns, exact, strict=True)]


def find_comments(block: RecordBlock, grammar: CsvGrammar) -> list[int]:
    """Indices of the records that are comments."""
    if grammar.comment_char is None:
        return []
    comment = grammar.comment_char.encode()
    if comment not in block.data:
        return []
    first_bytes = np.frombuffer(block.data, dtype=np.uint8)[np.minimum(block.starts, len(block.data) - 1)]
    return [index for index in np.flatnonzero(first_bytes == comment[0]).tolist() if block.data.startswith(comment, int(block.starts[index]))]


def _find_undecodable(block: RecordBlock) -> list[int]:
    """Indices of the records that are not UTF-8."""
    if not len(block):
        return []
    first = int(block.starts[0])
    codes = np.frombuffer(block.data, dtype=np.uint8)[first : block.end]
    if not len(codes) or codes.max() < _ASCII_END or is_utf8(pa.py_buffer(block.data).slice(first, block.end - first)):
        return []
    records = np.unique(np.searchsorted(block.starts, np.flatnonzero(codes >= _ASCII_END) + first, side="right") - 1)
    found = []
    for index in records.tolist():
        try:
            block.data[block.starts[index] : block.stops[index]].decode()
        except UnicodeDecodeError:
            found.append(index)
    return found


def is_utf8(data: pa.Buffer) -> bool:
    """Whether the bytes are valid UTF-8, at the speed of memory."""
    offsets = pa.py_buffer(np.array([0, data.size], dtype=np.int32))
    try:
        pa.StringArray.from_buffers(1, offsets, data).validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _join_records(block: RecordBlock, indices: Positions) -> pa.Buffer:
    """The bytes of the records at `indices`, with their line breaks."""
    if len(indices) == len(block):
        first = int(block.starts[0])
        return pa.py_buffer(block.data).slice(first, block.end - first)
    breaks = np.flatnonzero(np.diff(indices) > 1)
    firsts = np.concatenate([indices[:1], indices[breaks + 1]])
    lasts = np.concatenate([indices[breaks], indices[-1:]])
    ends = np.append(block.starts[1:], block.end)
    view = memoryview(block.data)
    return pa.py_buffer(b"".join([view[start:end] for start, end in zip(block.starts[firsts].tolist(), ends[lasts].tolist(), strict=True)]))


def _find_blank(columns: Sequence[pa.StringArray]) -> Positions:
    """Rows in which every cell is empty or white space."""
    rows: Positions | None = None
    for column in columns:
        cells = column if rows is None else column.take(pa.array(rows))
        blank = _find_blank_cells(cells)
        rows = blank if rows is None else rows[blank]
        if not len(rows):
            break
    return _NOWHERE if rows is None else rows


def _find_blank_cells(cells: pa.StringArray) -> Positions:
    if not len(cells):
        return _NOWHERE
    _, offsets_buffer, data_buffer = cells.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[cells.offset : cells.offset + len(cells) + 1]
    blank = offsets[1:] == offsets[:-1]
    if data_buffer is not None and data_buffer.size:
        data = np.frombuffer(data_buffer, dtype=np.uint8)
        spaces = np.flatnonzero(_SPACE_STARTS[data[np.minimum(offsets[:-1], len(data) - 1)]] & ~blank)
        if len(spaces):
            texts = cells.take(pa.array(spaces)).to_pylist()
            blank[spaces[[not text.strip() for text in texts]]] = True
    return np.flatnonzero(blank)

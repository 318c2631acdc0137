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

_ROWS_PER_RUN = 16
"""Rows in an order are put together from runs where these are longer, else row by row."""

Mask: TypeAlias = npt.NDArray[np.bool_]
_Cells: TypeAlias = tuple[npt.NDArray[np.uint8], Sequence[pa.StringArray], list[Finding]]
"""A `RowKind` for each record, the columns of those of kind ROW, and the errors of their cells."""


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
        first_row: int,
        is_valid_utf8: bool,
    ) -> None:
        self._grammar, self._width = grammar, width
        self._structure = StructureFindings(width=width, labels=labels, encoding=encoding)
        self._comment_rows = np.array(sorted(comment_rows), dtype=np.int64)
        self._undecodable = undecodable
        self._next_row = first_row
        self._is_valid_utf8 = is_valid_utf8
        self._splitter = RecordSplitter(grammar, max_cells=MAX_COLUMNS)
        self._names = [str(number) for number in range(1, width + 1)]
        self._no_columns = [pa.array([], type=pa.string())] * width
        self._convert_options = arrow_csv.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(self._names, pa.string()), strings_can_be_null=False)

    def read(self, block: RecordBlock) -> CellBlock:
        """The cells of all records of `block`, which follow those of the block before."""
        kinds, columns, findings = self._read_regular(block) if self._is_plain(block) else self._read_records(block)
        first_row = self._next_row
        self._next_row += len(kinds)
        row_numbers = np.flatnonzero(kinds == RowKind.ROW) + first_row
        return CellBlock(columns=columns, row_numbers=row_numbers, findings=findings, kinds=kinds, first_row=first_row, bytes_read=block.bytes_read)

    def _is_plain(self, block: RecordBlock) -> bool:
        """Whether Arrow reads every record as it is to be read, or says that its width is wrong; then nobody needs to know where the records are."""
        return (
            block.is_regular
            and not (len(self._comment_rows) and self._comment_rows[-1] >= self._next_row)
            and not block.data.startswith(BOM, block.begin)
            and (self._is_valid_utf8 or is_utf8(pa.py_buffer(block.data).slice(block.begin, block.end - block.begin)))
        )

    def _read_regular(self, block: RecordBlock) -> _Cells:
        columns, ragged = self._parse(pa.py_buffer(block.data).slice(block.begin, block.end - block.begin))
        kinds = np.zeros(len(columns[0]) + len(ragged), dtype=np.uint8)
        plain = np.delete(np.arange(len(kinds)), [index for index, _ in ragged])
        return self._complete(kinds, plain, columns, [(index, text.removesuffix("\n").removesuffix("\r")) for index, text in ragged])

    def _read_records(self, block: RecordBlock) -> _Cells:
        kinds = self._classify(block)
        exact = self._exact_records(block, kinds)
        plain = np.flatnonzero((kinds == RowKind.ROW) & ~exact)
        columns, ragged = self._parse(_join_records(block, plain)) if len(plain) else (self._no_columns, [])
        if ragged:
            places = [index for index, _ in ragged]
            exact[plain[places]] = True
            plain = np.delete(plain, places)
        records = [(index, block.record(index).decode("utf-8", self._undecodable)) for index in np.flatnonzero(exact).tolist()]
        return self._complete(kinds, plain, columns, records)

    def _complete(self, kinds: npt.NDArray[np.uint8], plain: Positions, columns: Sequence[pa.StringArray], records: Sequence[tuple[int, str]]) -> _Cells:
        """Put the records that are still text among the parsed ones (`plain` has the places of these), and take the blank ones out."""
        blank = _find_blank(columns)
        kinds[plain[blank]] = RowKind.BLANK
        rows, findings = self._split(records, kinds)
        if rows or len(blank):
            indices = np.concatenate([plain, np.array([row.index for row in rows], dtype=np.int64)])
            order = np.argsort(indices, kind="stable")
            columns = self._merge(columns, rows, order[kinds[indices[order]] == RowKind.ROW])
        return kinds, columns, findings

    def _classify(self, block: RecordBlock) -> npt.NDArray[np.uint8]:
        kinds = np.zeros(len(block), dtype=np.uint8)
        records = block.records
        kinds[records.starts == records.stops] = RowKind.BLANK
        kinds[records.trouble == Trouble.UNCLOSED_QUOTE] = RowKind.UNCLOSED_QUOTE
        kinds[records.trouble == Trouble.TOO_LONG] = RowKind.TOO_LONG
        comments = find_comments(block, self._grammar)
        kinds[comments] = RowKind.COMMENT
        if len(self._comment_rows):
            first = np.searchsorted(self._comment_rows, self._next_row)
            last = np.searchsorted(self._comment_rows, self._next_row + len(block))
            kinds[self._comment_rows[first:last] - self._next_row] = RowKind.COMMENT
        return kinds

    def _exact_records(self, block: RecordBlock, kinds: npt.NDArray[np.uint8]) -> Mask:
        """The records that Arrow would read otherwise, or cannot read."""
        rows: Mask = kinds == RowKind.ROW
        if self._grammar.skip_initial_space:
            return rows
        exact: Mask = np.zeros(len(block), dtype=np.bool_)
        exact[_find_undecodable(block)] = True
        # Arrow takes these three bytes at the head of its input for a byte order mark.
        starts, stops = block.records.starts, block.records.stops
        starting_with_bom = np.frombuffer(block.data, dtype=np.uint8)[np.minimum(starts, len(block.data) - 1)] == BOM[0]
        if starting_with_bom.any():
            for index in np.flatnonzero(starting_with_bom):
                exact[index] |= block.data.startswith(BOM, int(starts[index]))
        escape = self._grammar.escape_char
        if escape is not None and block.end == stops[-1]:
            # An escape character at the very end of the file has nothing to stand before.
            exact[-1] |= self._grammar.mask_escapes(block.record(-1)).endswith(escape.encode())
        exact &= rows
        return exact

    def _parse(self, data: pa.Buffer) -> tuple[list[pa.StringArray], list[tuple[int, str]]]:
        """The columns of the records in `data`; those that have too many or too few cells are left out, and given as (place, text)."""
        ragged: list[tuple[int, str]] = []

        def skip_ragged(row: arrow_csv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.text))
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
        return _columns_of(table), ragged

    def _split(self, records: Sequence[tuple[int, str]], kinds: npt.NDArray[np.uint8]) -> tuple[list[ExactRow], list[Finding]]:
        """Records, each with its place, cell by cell; writes into `kinds` which of them are blank or too long."""
        rows: list[ExactRow] = []
        undecodable: dict[int, list[tuple[int, str]]] = {}
        for index, text in records:
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
                            undecodable.setdefault(column, []).append((index + self._next_row, show_undecodable(cell)))
                rows.append(row)
        findings = self._structure.of_undecodable(undecodable)
        findings += self._structure.of_missing_cells(rows, self._next_row)
        findings += self._structure.of_extra_cells(rows, self._next_row)
        return rows, findings

    def _merge(self, columns: Sequence[pa.StringArray], rows: Sequence[ExactRow], order: Positions) -> Sequence[pa.StringArray]:
        """The rows of `columns`, and `rows` as numbered behind them, in an order."""
        exact = [pa.array([row.cells[number] if number < len(row.cells) else None for row in rows], type=pa.string()) for number in range(self._width)]
        size = len(columns[0])
        if not size:
            # No order but their own; and a row of many megabytes is not copied twice more.
            return exact
        if not len(order):
            return self._no_columns
        firsts = np.flatnonzero(np.diff(order, prepend=-2) != 1)
        if len(firsts) * _ROWS_PER_RUN > len(order):
            return [pa.concat_arrays([column, texts]).take(pa.array(order)) for column, texts in zip(columns, exact, strict=True)]
        batches = [pa.RecordBatch.from_arrays(arrays, names=self._names) for arrays in (columns, exact)]
        runs: list[pa.RecordBatch] = []
        for first, length in zip(order[firsts].tolist(), np.diff(firsts, append=len(order)).tolist(), strict=True):
            inside = max(0, min(length, size - first))
            runs += [batches[0].slice(first, inside)] if inside else []
            runs += [batches[1].slice(first + inside - size, length - inside)] if inside < length else []
        return _columns_of(pa.Table.from_batches(runs))


def _columns_of(table: pa.Table) -> list[pa.StringArray]:
    return [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]


def find_comments(block: RecordBlock, grammar: CsvGrammar) -> list[int]:
    """Indices of the records that are comments."""
    if grammar.comment_char is None:
        return []
    comment = grammar.comment_char.encode()
    if comment not in block.data:
        return []
    starts = block.records.starts
    first_bytes = np.frombuffer(block.data, dtype=np.uint8)[np.minimum(starts, len(block.data) - 1)]
    return [index for index in np.flatnonzero(first_bytes == comment[0]).tolist() if block.data.startswith(comment, int(starts[index]))]


def _find_undecodable(block: RecordBlock) -> list[int]:
    """Indices of the records that are not UTF-8."""
    codes = np.frombuffer(block.data, dtype=np.uint8)[block.begin : block.end]
    if not len(codes) or codes.max() < _ASCII_END or is_utf8(pa.py_buffer(block.data).slice(block.begin, len(codes))):
        return []
    records = np.unique(np.searchsorted(block.records.starts, np.flatnonzero(codes >= _ASCII_END) + block.begin, side="right") - 1)
    found = []
    for index in records.tolist():
        try:
            block.record(index).decode()
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
        return pa.py_buffer(block.data).slice(block.begin, block.end - block.begin)
    breaks = np.flatnonzero(np.diff(indices) > 1)
    firsts = np.concatenate([indices[:1], indices[breaks + 1]])
    lasts = np.concatenate([indices[breaks], indices[-1:]])
    starts = block.records.starts
    ends = np.append(starts[1:], block.end)
    view = memoryview(block.data)
    return pa.py_buffer(b"".join([view[start:end] for start, end in zip(starts[firsts].tolist(), ends[lasts].tolist(), strict=True)]))


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

"""Build chunks of about a given number of rows from blocks that were cut by size in bytes; each run of blank rows becomes one error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.column import Indices
from features.processing.readers.base import Chunk, Finding, LostRows, NativeTypes, ReadLimits, RowNumbers
from features.processing.readers.cell_block import MAX_COLUMNS, CellBlock
from features.processing.readers.cell_grid import CellGrid
from features.processing.readers.merge_rows import MergeOrder
from features.processing.readers.row_spans import RowKind, RowKinds, RowSpan, cut_spans

_NO_ROWS: RowNumbers = np.empty(0, dtype=np.int64)
_BYTES_AT_ONCE = 8 * 2**20
"""Blocks are only joined while they are smaller than this together."""
_LEAST_PARTS = 3
"""If chunks may be joined, one ends with a block as soon as it has a third of the most rows."""
_MAX_FINDINGS = 200_000
"""A chunk with at least this many errors ends after the block that contributed them."""
_GRID_BYTES = 16 * 2**20
"""A chunk whose cells are in one array ends when it is larger: whoever wants its columns needs as much memory again."""
_MAX_ARRAYS = 150_000
"""A chunk of a very wide table ends when the pieces of its columns become too many: each piece costs about a hundred bytes."""


class ChunkBuilder:
    """Takes the blocks of one file in file order. What is in the chunks does not depend on where blocks end; where chunks end does, if they may be joined."""

    def __init__(self, limits: ReadLimits, *, width: int) -> None:
        self._limits, self._width = limits, width
        self._no_names = [""] * width
        self._parts: list[_Part] = []
        self._native_types: list[Sequence[NativeTypes | None] | None] = []
        self._row_numbers: list[RowNumbers] = []
        self._findings: list[Finding] = []
        self._spans: list[RowSpan] = []
        self._lost: list[LostRows] = []
        self._rows = self._bytes = self._found = 0
        self._blank_from = self._blank_rows = 0
        self._blank_mark = 0
        """The row number that an output has given to the last row of the run of blank rows that waits; 0 if it has not."""
        self._bytes_read = 0

    def add(self, block: CellBlock) -> Iterator[Chunk]:
        """Yield the chunks that `block` completes."""
        waiting_from = self._blank_from if self._blank_rows else block.first_row
        lost_at, lost_kinds, lost_rows = self._find_lost(block)
        # A slice keeps the whole block in memory, so a chunk with any row of the block is charged all of its bytes.
        size_bytes = sum(map(self._measure, [block.columns, *block.others]))
        if self._limits.keep_rows:
            size_bytes += sum(finding.raw_values.nbytes for finding in block.findings if finding.raw_values is not None)
        if self._rows and (self._bytes + size_bytes > self._limits.chunk_bytes or self._rows >= self._rows_wanted(self._bytes + size_bytes, self._rows)):
            yield self._cut(waiting_from)
        self._bytes_read = block.bytes_read
        self._spans.append(RowSpan(block.first_row, block.kinds, raw=block.raw, index=block.raw_index, cells=block.comment_cells))
        total = len(block.row_numbers)
        first = 0
        while True:
            last = min(total, first + self._rows_wanted(self._bytes + size_bytes, self._rows + total - first) - self._rows)
            # Findings and lost rows before the number of the next row belong to the rows up to here.
            before = block.row_numbers[last] if last < total else np.iinfo(np.int64).max
            after = block.row_numbers[first] if first else 0
            self._take(block, first, last, size_bytes)
            self._take_findings(block.findings, after, before)
            chosen = slice(int(np.searchsorted(lost_at, after)), int(np.searchsorted(lost_at, before)))
            self._take_lost(lost_at[chosen], lost_kinds[chosen], lost_rows[chosen])
            first = last
            if first < total or self._is_full():
                yield self._cut(int(before) if first < total else self._next_row(block))
            if first >= total:
                return

    def _measure(self, columns: Sequence[pa.StringArray]) -> int:
        """Return how many bytes the buffers of columns take, each counted once; asking every column by itself takes four times as long."""
        if isinstance(columns, CellGrid):
            return int(columns.cells.get_total_buffer_size())
        return int(pa.RecordBatch.from_arrays(columns, names=self._no_names).get_total_buffer_size())

    def finish(self) -> Iterator[Chunk]:
        """Yield the last chunk if anything is left; blank rows at the end of the file are ignored, unless an output has named them as errors."""
        if self._blank_rows and self._blank_mark:
            self._take_lost(np.array([self._blank_from]), np.array([RowKind.BLANK], dtype=np.uint8), np.array([self._blank_rows]))
            self._blank_rows = 0
        if self._rows or self._findings or self._lost:
            yield self._cut(self._blank_from if self._blank_rows else np.iinfo(np.int64).max)

    def _next_row(self, block: CellBlock) -> int:
        """Return the number of the first row whose findings are still to come: that of a blank run which waits for its end, or the one after `block`."""
        return self._blank_from if self._blank_rows else block.first_row + len(block.kinds)

    def _rows_wanted(self, size_bytes: int, rows: int) -> int:
        """Return how many of the `rows` that are there the chunk may have if it takes so many bytes: a multiple of `chunk_rows`, and not less than it has."""
        chunk_rows = self._limits.chunk_rows
        if self._rows and size_bytes >= _BYTES_AT_ONCE:
            return chunk_rows * max(1, -(-self._rows // chunk_rows))
        most = chunk_rows * self._limits.chunks_at_once
        # Chunks of about the same size: a small rest would be joined to the next block, which is copied then.
        return most if rows <= most else max(chunk_rows, rows // -(-rows // most) // chunk_rows * chunk_rows)

    def _is_full(self) -> bool:
        """Whether the chunk ends with the block that was taken last."""
        most = self._limits.chunk_rows * self._limits.chunks_at_once
        return (
            self._rows >= self._rows_wanted(self._bytes, self._rows)
            # With more rows the check would take little less time for each, and the next block would have to be joined to this one, which copies both.
            or (self._limits.chunks_at_once > 1 and _LEAST_PARTS * self._rows >= most)
            or self._bytes >= (_GRID_BYTES if self._parts and self._parts[-1].grid is not None else self._limits.chunk_bytes)
            or self._found >= _MAX_FINDINGS
            or sum(len(part.sources) for part in self._parts) * self._width >= _MAX_ARRAYS
        )

    def _take(self, block: CellBlock, first: int, last: int, size_bytes: int) -> None:
        if first == last:
            return
        if block.order is not None:
            self._parts.append(_cut_part([list(columns) for columns in (block.columns, *block.others)], block.order[first:last]))
        elif isinstance(block.columns, CellGrid):
            self._parts.append(_Part([], grid=block.columns.take_rows(first, last - first)))
        elif last - first == len(block.row_numbers):
            self._parts.append(_Part([list(block.columns)]))
        else:
            self._parts.append(_Part([[column.slice(first, last - first) for column in block.columns]]))
        types = block.native_types
        self._native_types.append(None if types is None else [None if each is None else each[first:last] for each in types])
        self._row_numbers.append(block.row_numbers[first:last])
        self._rows += last - first
        self._bytes += size_bytes

    def _take_findings(self, findings: Sequence[Finding], after: int, before: int) -> None:
        whole, rows, start, stop = None, _NO_ROWS, 0, 0
        messages: str | pa.StringArray | None = None
        message: str | pa.StringArray = ""
        for finding in findings:
            # Findings of many columns in the same rows share their row numbers and messages, before and after they are cut.
            if finding.row_numbers is not whole:
                whole, messages = finding.row_numbers, None
                start, stop = (int(place) for place in np.searchsorted(whole, [after, before]))
                rows = whole[start:stop]
            if start == stop:
                continue
            if finding.message is not messages:
                messages = finding.message
                message = messages if isinstance(messages, str) else messages.slice(start, stop - start)
            raw_values = None if finding.raw_values is None else finding.raw_values.slice(start, stop - start)
            is_whole = stop - start == len(finding)
            self._findings.append(finding if is_whole else replace(finding, row_numbers=rows, message=message, raw_values=raw_values))
            self._found += stop - start

    def _take_lost(self, at: RowNumbers, kinds: RowKinds, rows: npt.NDArray[np.int64]) -> None:
        if not len(at):
            return
        for kind, error_type, message in (
            (RowKind.UNCLOSED_QUOTE, "unclosed-quote", "A quotation mark opens a cell in this row and is never closed, so the row cannot be split into cells."),
            (
                RowKind.TOO_LONG,
                "row-too-long",
                f"This row is too long to be read: more than {_describe_bytes(self._limits.max_row_bytes)} or {MAX_COLUMNS:,} cells.",
            ),
        ):
            if (places := at[kinds == kind]).size:
                self._findings.append(Finding(error_type=error_type, row_numbers=places, message=message))
        blank = kinds == RowKind.BLANK
        if blank.any():
            messages = ["This row is empty." if count == 1 else f"This row and the rows after it, {count} in all, are empty." for count in rows[blank].tolist()]
            self._findings.append(Finding(error_type="blank-row", row_numbers=at[blank], message=pa.array(messages, type=pa.string())))
        self._found += len(at)
        self._lost.append(LostRows(at, rows))

    def _find_lost(self, block: CellBlock) -> tuple[RowNumbers, RowKinds, npt.NDArray[np.int64]]:
        """Find the rows that give no cells, with one entry for each run of blank rows that another row ends.

        Returns their row numbers, kinds and row counts, by row number. A run at the end of the block waits for the next block.
        """
        if not self._blank_rows and not block.kinds.any():
            return _NO_ROWS, np.empty(0, dtype=np.uint8), _NO_ROWS
        kept = np.flatnonzero(block.kinds != RowKind.COMMENT)
        kinds = block.kinds[kept]
        numbers = kept + block.first_row
        blank = kinds == RowKind.BLANK
        marks = None if block.marks is None else block.marks[kept]
        is_change = np.diff(blank)
        if marks is not None:
            # Rows that were apart in the file from which they come are no run.
            is_change = is_change | (blank[1:] & (marks[1:] != np.where(marks[:-1] > 0, marks[:-1] + 1, 0)))
        changes = np.flatnonzero(is_change) + 1
        firsts = np.concatenate([[0], changes]) if len(kept) else changes
        lengths = np.diff(np.append(firsts, len(kept)))
        runs = [(int(numbers[first]), int(length)) for first, length in zip(firsts, lengths, strict=True) if blank[first]]
        if self._blank_rows and len(kept):
            if blank[0] and (marks is None or int(marks[0]) == (self._blank_mark + 1 if self._blank_mark else 0)):
                runs[0] = (self._blank_from, self._blank_rows + runs[0][1])
            else:
                runs.insert(0, (self._blank_from, self._blank_rows))
            self._blank_rows = 0
        if len(kept) and blank[-1]:
            self._blank_from, self._blank_rows = runs.pop()
            self._blank_mark = 0 if marks is None else int(marks[-1])
        broken = kinds > RowKind.COMMENT
        at = np.concatenate([numbers[broken], np.array([first for first, _ in runs], dtype=np.int64)])
        lost_kinds = np.concatenate([kinds[broken], np.full(len(runs), RowKind.BLANK, dtype=np.uint8)])
        rows = np.concatenate([np.ones(int(broken.sum()), dtype=np.int64), np.array([length for _, length in runs], dtype=np.int64)])
        order = np.argsort(at, kind="stable")
        return at[order], lost_kinds[order], rows[order]

    def _cut(self, next_row: int) -> Chunk:
        """Return what has been taken as a chunk, which ends before the row `next_row`."""
        spans, self._spans = cut_spans(self._spans, next_row)
        parts, self._parts = self._parts, []
        chunk = Chunk(
            columns=self._join(parts),
            native_types=self._join_types(),
            row_numbers=np.concatenate(self._row_numbers) if self._row_numbers else _NO_ROWS,
            findings=tuple(self._findings),
            lost=LostRows(np.concatenate([lost.at for lost in self._lost]), np.concatenate([lost.counts for lost in self._lost])) if self._lost else LostRows(),
            bytes_read=self._bytes_read,
            spans=tuple(spans),
        )
        self._native_types, self._row_numbers, self._findings, self._lost = [], [], [], []
        self._rows = self._bytes = self._found = 0
        return chunk

    def _join(self, parts: Sequence[_Part]) -> Sequence[pa.StringArray]:
        """Return the columns of all parts; takes the arrays out of these."""
        if not parts:
            return [pa.array([], type=pa.string())] * self._width
        grids = [part.grid for part in parts if part.grid is not None]
        if len(grids) == len(parts):
            return CellGrid.join(grids)
        parts = [part if part.grid is None else _Part([list(part.grid)]) for part in parts]
        sources = [source for part in parts for source in part.sources]
        order = _find_order(parts)
        if len(sources) == 1 and order is None:
            return sources[0]
        join = pa.concat_arrays if order is None else order.take
        # From the last column to the first, releasing the sources of each at once, so that the data is not in memory twice.
        return [join([source.pop() for source in sources]) for _ in range(self._width)][::-1]

    def _join_types(self) -> list[NativeTypes | None] | None:
        """Return the native types of the columns, in which the parts that are all text have none."""
        if all(part is None for part in self._native_types):
            return None
        joined: list[NativeTypes | None] = []
        for column in range(self._width):
            parts = [None if part is None else part[column] for part in self._native_types]
            if all(part is None for part in parts):
                joined.append(None)
                continue
            texts = [np.zeros(len(rows), np.uint8) if part is None else part for part, rows in zip(parts, self._row_numbers, strict=True)]
            joined.append(texts[0] if len(texts) == 1 else np.concatenate(texts))
        return joined


@dataclass(frozen=True, slots=True)
class _Part:
    """Consecutive rows of a chunk."""

    sources: list[list[pa.StringArray]]
    """Rows of one block, each list like `CellBlock.columns`."""
    order: Indices | None = None
    """Like `CellBlock.order`, for these rows; None if there is one source, all of which they are."""
    grid: CellGrid | None = None
    """The rows if they are in one array; then there is no source."""


def _cut_part(sources: list[list[pa.StringArray]], order: Indices) -> _Part:
    """Return some rows of a block: of each of its arrays, in which rows are in the order of the file, the part from the first to the last of these rows."""
    starts = np.cumsum([0, *(len(source[0]) for source in sources)])
    source_of = np.searchsorted(starts[1:], order, side="right")
    moved_by = np.zeros(len(sources), np.int64)
    cut: list[list[pa.StringArray]] = []
    at = 0
    for number, source in enumerate(sources):
        rows = order[source_of == number]
        first, count = (int(rows[0]) - int(starts[number]), int(rows[-1]) - int(rows[0]) + 1) if len(rows) else (0, 0)
        cut.append(source if count == len(source[0]) else [column.slice(first, count) for column in source])
        moved_by[number] = at - first - int(starts[number])
        at += count
    return _Part(cut, order + moved_by[source_of])


def _find_order(parts: Sequence[_Part]) -> MergeOrder | None:
    """Return the order of the rows of all sources; None if it is that in which these are."""
    if all(part.order is None for part in parts):
        return None
    sizes = [[len(source[0]) for source in part.sources] for part in parts]
    totals = [sum(size) for size in sizes]
    firsts = np.cumsum(totals) - totals
    orders = [first + (np.arange(total) if part.order is None else part.order) for part, first, total in zip(parts, firsts, totals, strict=True)]
    return MergeOrder(np.concatenate(orders), [*chain.from_iterable(sizes)])


def _describe_bytes(size_bytes: int) -> str:
    return f"{size_bytes // 2**20} MiB" if size_bytes % 2**20 == 0 else f"{size_bytes} bytes"

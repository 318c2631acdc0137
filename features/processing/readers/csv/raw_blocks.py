"""Cut a CSV file into blocks of whole rows, whatever the size of the file or of a row. The rows do not depend on where blocks end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt

from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.raw_rows import RawBlockRows, RawFile, count_breaks, measure
from features.processing.readers.csv.scan import Positions, Scan, find_close, find_regular_end, scan_line, scan_rows, shorten_row
from features.processing.readers.csv.source import ByteSource

LINE_BREAK_BYTES = 2
_FIRST_BLOCK_BYTES = 2**16


class RowTrouble(IntEnum):
    """Reason why a row cannot be split into cells."""

    NONE = 0
    UNCLOSED_QUOTE = 1
    TOO_LONG = 2


@dataclass(frozen=True, slots=True)
class RowSpans:
    """Byte positions of the rows of a block."""

    starts: Positions
    stops: Positions
    """A row is `data[start:stop]`, without its line break."""
    trouble: npt.NDArray[np.uint8]
    """A `RowTrouble` for each row; the bytes of a row that is too long may be missing from the block."""

    def part(self, first: int, last: int) -> RowSpans:
        """Return the spans of the rows from index `first` up to but not including `last`."""
        return RowSpans(self.starts[first:last], self.stops[first:last], self.trouble[first:last])


class RawBlock:
    """Consecutive whole rows of the file, as bytes."""

    def __init__(
        self,
        data: bytes,
        *,
        begin: int,
        end: int,
        bytes_read: int,
        spans: Callable[[RawBlock], RowSpans] | RowSpans,
        is_regular: bool = False,
        raw: RawBlockRows | None = None,
        raw_index: int = 0,
    ) -> None:
        self.data = data
        self.begin, self.end = begin, end
        """Positions in `data` of the start of the first row, and of the end of the last row's line break."""
        self.bytes_read = bytes_read
        self.is_regular = is_regular
        """Any RFC 4180 reader reads these rows as `grammar` defines (see `find_regular_end`); no row has trouble."""
        self.raw, self.raw_index = raw, raw_index
        """Where the rows stand in the file, if this was asked for; the first of them is row `raw_index` of `raw`."""
        self._spans = spans

    @cached_property
    def spans(self) -> RowSpans:
        """Positions of the rows; for a regular block computed on first access."""
        return self._spans if isinstance(self._spans, RowSpans) else self._spans(self)

    def __len__(self) -> int:
        return len(self.spans.starts)

    def row(self, index: int) -> bytes:
        """Return one row, without its line break."""
        return self.data[self.spans.starts[index] : self.spans.stops[index]]

    def part(self, first: int, last: int) -> RawBlock:
        """Return the rows from index `first` up to but not including `last`."""
        starts = self.spans.starts
        if self.raw is not None and self.raw.count is None:
            self.raw.count = len(self)
        return RawBlock(
            self.data,
            begin=int(starts[first]) if first < len(self) else self.end,
            end=int(starts[last]) if last < len(self) else self.end,
            bytes_read=self.bytes_read,
            spans=self.spans.part(first, last),
            is_regular=self.is_regular,
            raw=self.raw,
            raw_index=self.raw_index + first,
        )


class RawBlockReader:
    """Cuts a source into blocks of whole rows. It holds at most about two rows of the longest allowed length in memory."""

    def __init__(self, source: ByteSource, grammar: CsvGrammar, *, max_row_bytes: int, block_bytes: int, raw: RawFile | None = None) -> None:
        """`raw` is the file if it is to be known where its rows stand."""
        self._raw = raw
        self._raw_end = len(raw.mark) if raw is not None else 0
        self._breaks_dropped = 0
        """Line breaks of the row that is too long, of which only a few bytes are in `_rest`."""
        self._source, self._grammar = source, grammar
        self._max_row_bytes, self.block_bytes = max_row_bytes, block_bytes
        """Size of the blocks that are still to be read, except that the first one is small."""
        self._rest = b""
        self._is_too_long = False
        """`_rest` begins with a row that is too long, represented by a few placeholder bytes."""
        self._skips_line = False
        """That row ends with its current line, because a quote in it is never closed."""
        self._never_closed = -1

    def __iter__(self) -> Iterator[RawBlock]:
        """Yield all blocks; can be iterated only once."""
        final = False
        # The first block is small: it holds the header, so its row positions are always needed, and its consumer has nothing else to do until the second.
        size_bytes = min(self.block_bytes, _FIRST_BLOCK_BYTES)
        while not final:
            if self._never_closed < 0:
                # Growing by a share of what is held keeps the total work of scanning an unfinished row again proportional to its length.
                known_bytes = len(self._rest)
                self._rest = self._read_on(max(size_bytes, known_bytes // 2))
                size_bytes = min(self.block_bytes, 8 * size_bytes)
                final = len(self._rest) == known_bytes
            if not self._rest:
                continue
            end = find_regular_end(self._rest, self._grammar, final=final) if self._may_be_regular() else None
            if end is not None:
                yield self._cut(end, self._find_spans, is_regular=True, final=final)
                continue
            scan = self._scan(final=final)
            # What follows the line that was skipped is still to be scanned.
            is_unfinished = not self._skips_line or not len(scan.starts)
            if len(scan.starts):
                yield self._cut(scan.end, self._judge(scan), final=final)
            if not final and is_unfinished and (self._is_too_long or len(self._rest) > self._max_row_bytes + LINE_BREAK_BYTES):
                self._drop_row(scan, open_quote=scan.open_quote - scan.end if scan.open_quote >= 0 else -1)

    def _read_on(self, size_bytes: int) -> bytes:
        # The placeholder bytes of a row that is too long are not in the file, so they cannot be read again from it.
        return self._rest + self._source.read(size_bytes) if self._is_too_long else self._source.read_after(self._rest, size_bytes)

    def _may_be_regular(self) -> bool:
        """Whether `_rest` may be regular, and is too short to hold a row that is too long."""
        return self._never_closed < 0 and not self._is_too_long and len(self._rest) <= min(self._max_row_bytes, 2 * self.block_bytes)

    def _scan(self, *, final: bool) -> Scan:
        if self._skips_line:
            return scan_line(self._rest, self._grammar, final=final)
        never_closed, self._never_closed = self._never_closed, -1
        return scan_rows(self._rest, self._grammar, final=final, never_closed=never_closed)

    def _find_spans(self, block: RawBlock) -> RowSpans:
        scan = scan_rows(block.data[block.begin : block.end], self._grammar, final=True)
        return RowSpans(scan.starts + block.begin, scan.stops + block.begin, np.zeros(len(scan.starts), dtype=np.uint8))

    def _judge(self, scan: Scan) -> RowSpans:
        trouble = np.zeros(len(scan.starts), dtype=np.uint8)
        trouble[scan.unclosed] = RowTrouble.UNCLOSED_QUOTE
        trouble[scan.stops - scan.starts > self._max_row_bytes] = RowTrouble.TOO_LONG
        if self._is_too_long:
            trouble[0] = RowTrouble.TOO_LONG
        return RowSpans(scan.starts, scan.stops, trouble)

    def _cut(self, end: int, spans: Callable[[RawBlock], RowSpans] | RowSpans, *, final: bool, is_regular: bool = False) -> RawBlock:
        """Return `_rest` up to `end` as a block, and keep what follows."""
        raw = self._find_raw(end, spans if isinstance(spans, RowSpans) else None, final=final)
        block = RawBlock(self._rest, begin=0, end=end, bytes_read=self._source.bytes_read, spans=spans, is_regular=is_regular, raw=raw)
        self._rest = self._rest[end:]
        self._is_too_long = self._skips_line = False
        return block

    def _find_raw(self, end: int, spans: RowSpans | None, *, final: bool) -> RawBlockRows | None:
        """Return where the rows in `_rest` up to `end` stand in the file, if this was asked for."""
        if self._raw is None:
            return None
        begin = self._raw_end
        if self._raw.is_identical:
            self._raw_end = self._source.bytes_read - len(self._rest) + end
        elif final and end == len(self._rest):
            self._raw_end = self._raw.size_bytes
        else:
            self._raw_end = self._raw.skip(begin, count_breaks(self._rest, end) + self._breaks_dropped)
        self._breaks_dropped = 0
        distances = None if spans is None else measure(self._rest, spans.starts, end, self._raw)
        return RawBlockRows(self._raw, self._grammar, begin=begin, end=self._raw_end, distances=distances)

    def _drop_row(self, scan: Scan, *, open_quote: int) -> None:
        """Drop the bytes of the unfinished row, which is too long, and keep only its state."""
        known_to_close = self._is_too_long and open_quote == 0
        if open_quote >= 0 and not known_to_close and not self._closes_later(open_quote):
            self._never_closed = open_quote
            return
        self._skips_line = scan.open_line
        shortened = shorten_row(self._rest, self._grammar, open_quote=open_quote)
        if self._raw is not None:
            self._breaks_dropped += count_breaks(self._rest, len(self._rest)) - count_breaks(shortened, len(shortened))
        self._rest = shortened
        self._is_too_long = True

    def _closes_later(self, open_quote: int) -> bool:
        """Read ahead, on a second handle, to find out whether the quote that is open at the end of `_rest` is ever closed."""
        ahead = self._source.fork()
        try:
            rest, final = self._rest[open_quote:], False
            while not final:
                rest = shorten_row(rest, self._grammar, open_quote=0)
                block = ahead.read(self.block_bytes)
                final = not block
                rest += block
                close = find_close(self._grammar.mask_escapes(rest), 0, self._grammar, final=final)
                if close is not None:
                    return close >= 0
            return False
        finally:
            ahead.close()

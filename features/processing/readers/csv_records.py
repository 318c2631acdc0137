"""A CSV file as blocks of whole records, whatever the size of the file or of a row, and wherever the borders of the blocks fall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from features.processing.readers.csv_grammar import CsvGrammar
from features.processing.readers.csv_scan import Positions, Scan, find_close, scan_line, scan_records, shorten_record
from features.processing.readers.csv_source import ByteSource

LINE_BREAK_BYTES = 2
_SURPLUS = 1.02
"""Rows differ in length: so much more is read than as many rows as are wanted took before."""
_MAX_LEFT = 1 / 8
"""The share of what was read that may be left for the next block, to be looked at again."""


class Trouble(IntEnum):
    """What keeps a record from being read as cells."""

    NONE = 0
    UNCLOSED_QUOTE = 1
    TOO_LONG = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBlock:
    """Whole records that follow each other in the file."""

    data: bytes
    starts: Positions
    stops: Positions
    """A record is `data[start:stop]`, without its line break."""
    end: int
    """Behind the last record's line break."""
    trouble: npt.NDArray[np.uint8]
    """A `Trouble` for each record; the bytes of a record that is too long may be absent."""
    first_row: int
    """The first record's place in the file, from 1."""
    bytes_read: int

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, first: int, last: int) -> RecordBlock:
        """The records from index `first` up to, not with, `last`."""
        return RecordBlock(
            data=self.data,
            starts=self.starts[first:last],
            stops=self.stops[first:last],
            end=int(self.starts[last]) if last < len(self) else self.end,
            trouble=self.trouble[first:last],
            first_row=self.first_row + first,
            bytes_read=self.bytes_read,
        )


class RecordReader:
    """Cuts a source into blocks of whole records. It holds at most about two rows of the longest length that is allowed."""

    def __init__(self, source: ByteSource, grammar: CsvGrammar, *, max_row_bytes: int, block_bytes: int) -> None:
        self._source, self._grammar = source, grammar
        self._max_row_bytes, self._block_bytes = max_row_bytes, block_bytes
        self.rows_wanted = 0
        """Where the next block had better end, in records; 0: anywhere. It saves those who cut it by rows from putting pieces together."""
        self._row_bytes = 0.0
        self._rest = b""
        self._is_too_long = False
        """`_rest` begins with a record that is too long: a few bytes that stand for it."""
        self._skips_line = False
        """It ends with the line that it is in: a quote in it is never closed."""
        self._never_closed = -1

    def __iter__(self) -> Iterator[RecordBlock]:
        """All blocks, once."""
        row, final = 1, False
        while not final:
            if self._never_closed < 0:
                # Growing by parts keeps the work of looking at an unfinished row again in proportion to its length.
                block = self._source.read(max(self._bytes_wanted(), len(self._rest) // 2))
                final = not block
                self._rest += block
            if not self._rest:
                continue
            scan = self._scan(final=final)
            if len(scan.starts):
                count = self._count_wanted(scan) if not final else len(scan.starts)
                yield self._cut(scan, count, first_row=row)
                row += count
                if count < len(scan.starts):
                    continue
            if not final and (self._is_too_long or len(self._rest) > self._max_row_bytes + LINE_BREAK_BYTES):
                self._drop_row(scan, open_quote=scan.open_quote - scan.end if scan.open_quote >= 0 else -1)

    def _scan(self, *, final: bool) -> Scan:
        if self._skips_line:
            return scan_line(self._rest, self._grammar, final=final)
        never_closed, self._never_closed = self._never_closed, -1
        return scan_records(self._rest, self._grammar, final=final, never_closed=never_closed)

    def _bytes_wanted(self) -> int:
        bytes_wanted = int(self.rows_wanted * self._row_bytes * _SURPLUS) - len(self._rest)
        return bytes_wanted if self._block_bytes < bytes_wanted * 4 < self._block_bytes * 4 else self._block_bytes

    def _count_wanted(self, scan: Scan) -> int:
        """How many of the records make the next block: as many as are wanted where few are left then, else all."""
        count = len(scan.starts)
        if 0 < self.rows_wanted < count and len(self._rest) - int(scan.starts[self.rows_wanted]) <= len(self._rest) * _MAX_LEFT:
            return self.rows_wanted
        return count

    def _cut(self, scan: Scan, count: int, *, first_row: int) -> RecordBlock:
        """The first `count` records; the rest is kept."""
        trouble = np.zeros(len(scan.starts), dtype=np.uint8)
        trouble[scan.unclosed] = Trouble.UNCLOSED_QUOTE
        trouble[scan.stops - scan.starts > self._max_row_bytes] = Trouble.TOO_LONG
        if self._is_too_long:
            trouble[0] = Trouble.TOO_LONG
        block = RecordBlock(
            data=self._rest,
            starts=scan.starts,
            stops=scan.stops,
            end=scan.end,
            trouble=trouble,
            first_row=first_row,
            bytes_read=self._source.bytes_read,
        ).part(0, count)
        self._row_bytes = block.end / count
        self._rest = self._rest[block.end :]
        self._is_too_long = self._skips_line = False
        return block

    def _drop_row(self, scan: Scan, *, open_quote: int) -> None:
        """Keep of the unfinished record, which is too long, only the state that it is in."""
        known_to_close = self._is_too_long and open_quote == 0
        if open_quote >= 0 and not known_to_close and not self._closes_later(open_quote):
            self._never_closed = open_quote
            return
        self._skips_line = scan.open_line
        self._rest = shorten_record(self._rest, self._grammar, open_quote=open_quote)
        self._is_too_long = True

    def _closes_later(self, open_quote: int) -> bool:
        """Read ahead, on a second handle, whether the quote that is open at the end of `_rest` is ever closed."""
        ahead = self._source.fork()
        try:
            rest, final = self._rest[open_quote:], False
            while not final:
                rest = shorten_record(rest, self._grammar, open_quote=0)
                block = ahead.read(self._block_bytes)
                final = not block
                rest += block
                close = find_close(self._grammar.mask_escapes(rest), 0, self._grammar, final=final)
                if close is not None:
                    return close >= 0
            return False
        finally:
            ahead.close()

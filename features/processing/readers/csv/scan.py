"""Find where rows begin and end in a piece of a CSV file; the piece must begin at the start of a row.

If every quote opens a cell at its start or closes one at its end, a few vector operations prove it; any other piece is walked quote by quote.
Both ways give what `grammar` defines.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from features.processing.readers.csv.grammar import CsvGrammar

LF, CR = 10, 13
Positions: TypeAlias = npt.NDArray[np.integer]
_NOWHERE: Positions = np.empty(0, dtype=np.int32)
_PIECE_BYTES = 2**20
_CANDIDATES_AT_ONCE = 4096
_MANY_QUOTES = 3_000_000
"""With more quotes, their positions would take too much memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The whole rows at the start of a piece, and the state of the unfinished row at its end."""

    starts: Positions
    stops: Positions
    """A row is `data[start:stop]`, without its line break."""
    end: int
    """Position after the line break of the last row, where the unfinished row begins."""
    unclosed: Positions
    """Indices of the rows with a quote that is never closed."""
    open_quote: int = -1
    """Position of the quote that is open at the end of the piece, or that only its last byte may close; -1 if there is none."""
    open_line: bool = False
    """The piece ends within the line of a quote that is never closed."""


def scan_rows(data: bytes, grammar: CsvGrammar, *, final: bool, never_closed: int = -1) -> Scan:
    """Find all whole rows of `data`; if it is `final`, what follows the last line break is a row too.

    `never_closed` is the position of a quote already known, from bytes after `data`, to be never closed; -1 if there is none.
    """
    view = grammar.mask_escapes(data)
    codes = np.frombuffer(view, dtype=np.uint8)
    quote = (grammar.quote_char or "").encode()
    has_quotes = bool(quote) and quote in view
    has_too_many = has_quotes and len(view) > _MANY_QUOTES and view.count(quote) > _MANY_QUOTES
    marks = _find_marks(view, codes, quote if has_quotes and not has_too_many else b"", final=final)
    line_ends, quotes = marks.line_ends, marks.quotes
    has_comments = grammar.comment_char is not None and grammar.comment_char.encode() in view
    unclosed_at: list[int] = []
    open_quote, open_line = -1, False
    if has_quotes:
        may_be_regular = len(quotes) and never_closed < 0 and not has_comments and not grammar.skip_initial_space
        if may_be_regular and _are_regular(codes, quotes, grammar, final=final):
            if len(quotes) & 1 or (not final and codes[-1] == codes[quotes[0]]):
                openers = quotes[0::2]
                open_quote = int(openers[_at_cell_start(codes, openers, grammar)][-1])
                line_ends = line_ends[: np.searchsorted(line_ends, open_quote)]
        else:
            all_line_ends = _find_marks(view, codes, b"", final=final).line_ends
            walk = _Walk(view, all_line_ends, grammar, final=final, never_closed=never_closed)
            walk.run(_candidates(view, codes, quotes, grammar))
            line_ends, unclosed_at, open_quote, open_line = walk.outer_line_ends(), walk.unclosed, walk.open_quote, walk.open_line
    end = int(line_ends[-1]) + 1 if len(line_ends) else 0
    stops = line_ends
    if marks.has_returns:
        stops = line_ends - ((codes[line_ends] == LF) & (line_ends > 0) & (codes[line_ends - 1] == CR))
    starts = np.empty(len(line_ends), dtype=np.int32)
    if len(starts):
        starts[0] = 0
        starts[1:] = line_ends[:-1] + 1
    if final and end < len(data):
        starts, stops, end = np.append(starts, end), np.append(stops, len(data)), len(data)
    unclosed = np.searchsorted(starts, np.array([at for at in unclosed_at if at < end], dtype=np.int32), side="right") - 1
    return Scan(starts=starts, stops=stops, end=end, unclosed=unclosed, open_quote=open_quote, open_line=open_line)


def find_regular_end(data: bytes, grammar: CsvGrammar, *, final: bool) -> int | None:
    """Find the end of the last whole row of `data` without looking for the other rows; None if only `scan_rows` can tell.

    A number means that any RFC 4180 reader reads the rows up to there as `grammar` defines: each quote in them opens a cell, closes one,
    or is doubled, and they contain no escape, comment or initial space.
    """
    special = [mark.encode() for mark in (grammar.escape_char, grammar.comment_char) if mark is not None]
    if grammar.skip_initial_space or any(mark in data for mark in special):
        return None
    codes = np.frombuffer(data, dtype=np.uint8)
    quote = (grammar.quote_char or "").encode()
    quotes = find_code(codes, quote[0]) if quote and quote in data else _NOWHERE
    if len(quotes) and not _are_regular(codes, quotes, grammar, final=final):
        return None
    if final:
        return len(data)
    # A CR that is the last byte may still become a CRLF.
    at = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1))
    if at < 0:
        return None
    if not bisect_left(quotes, at) & 1:
        return at + 1
    return _find_outer_end(codes, quotes, at)


def _find_outer_end(codes: npt.NDArray[np.uint8], quotes: Positions, before: int) -> int | None:
    """Find the end of the last line break before the position `before` that has an even number of quotes before it, in pieces from the end."""
    for start in range(before - before % _PIECE_BYTES, -1, -_PIECE_BYTES):
        piece = codes[start : min(before, start + _PIECE_BYTES)]
        breaks = np.flatnonzero((piece == LF) | (piece == CR)).astype(quotes.dtype) + quotes.dtype.type(start)
        outer = breaks[np.searchsorted(quotes, breaks) & 1 == 0]
        if len(outer):
            return int(outer[-1]) + 1
    return None


def scan_line(data: bytes, grammar: CsvGrammar, *, final: bool) -> Scan:
    """Scan the rest of one line, in which quotes no longer have a meaning; no row if `data` does not contain its end."""
    view = grammar.mask_escapes(data)
    codes = np.frombuffer(view, dtype=np.uint8)
    line_ends = _find_marks(view, codes, b"", final=final).line_ends[:1]
    if not len(line_ends) and not final:
        return Scan(starts=_NOWHERE, stops=_NOWHERE, end=0, unclosed=_NOWHERE, open_line=True)
    end = int(line_ends[0]) + 1 if len(line_ends) else len(data)
    return Scan(starts=np.zeros(1, dtype=np.int32), stops=np.array([end], dtype=np.int32), end=end, unclosed=_NOWHERE)


def find_close(view: bytes, opener: int, grammar: CsvGrammar, *, final: bool) -> int | None:
    """Find where the quote at `opener` is closed in `view` (escapes masked); -1 if it never is, None if `view` ends too early to tell."""
    close = _find_single(grammar.quote_char or "", double_quote=grammar.double_quote).match(view, opener + 1).end()  # type: ignore[union-attr]  # it matches the empty text
    if close == len(view):
        return -1 if final else None
    if close + 1 == len(view):
        return close if final else None
    spans_lines = view.find(b"\n", opener, close) >= 0 or view.find(b"\r", opener, close) >= 0
    return -1 if spans_lines and view[close + 1] not in (LF, CR, ord(grammar.delimiter)) else close


@cache
def _find_single(quote: str, *, double_quote: bool) -> re.Pattern[bytes]:
    """Match everything up to a quote that is not doubled; possessive, so that millions of doubled quotes take no memory."""
    mark = re.escape(quote.encode())
    return re.compile(b"(?:[^%b]++|%b)*+" % (mark, mark * 2) if double_quote else b"[^%b]*+" % mark)


def shorten_row(data: bytes, grammar: CsvGrammar, *, open_quote: int) -> bytes:
    """Return a few bytes that replace the unfinished row `data`: whatever follows is split into rows exactly as it would be after all of it."""
    view = grammar.mask_escapes(data)
    if open_quote < 0:
        comment = (grammar.comment_char or "").encode()
        return (comment if comment and data.startswith(comment) else b"\0") + view[-1:]
    quote = (grammar.quote_char or "").encode()
    inside = view[open_quote + 1 :]
    without_tail = inside.rstrip(quote)
    breaks = b"\n" if b"\n" in inside or b"\r" in inside else b""
    if (len(inside) - len(without_tail)) % 2:
        return quote + breaks + quote
    return quote + breaks + (inside[-1:] if grammar.escape_char and inside[-1:] == grammar.escape_char.encode() else b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """Structural bytes of a piece."""

    line_ends: Positions
    """Position of the last byte of every line break (LF, CRLF or CR) with an even number of quotes before it."""
    quotes: Positions
    has_returns: bool


def _find_marks(view: bytes, codes: npt.NDArray[np.uint8], quote: bytes, *, final: bool) -> _Marks:
    """Find line ends, and quotes if `quote` is given; a CR at the end of the piece may still become a CRLF.

    Works in small pieces, so that intermediate arrays stay in the processor's cache, and stay small even if every byte is a mark.
    """
    has_returns = b"\r" in view
    wanted = [LF, *([CR] if has_returns else []), *quote]
    last = len(codes) - 1
    line_ends, quotes = [], []
    is_open = False
    for start in range(0, len(codes), _PIECE_BYTES):
        piece = codes[start : start + _PIECE_BYTES]
        is_mark = piece == wanted[0]
        for code in wanted[1:]:
            is_mark |= piece == code
        at = np.flatnonzero(is_mark).astype(np.int32) + np.int32(start)
        kinds = codes[at]
        is_end = kinds == LF
        if has_returns:
            returns = np.flatnonzero(kinds == CR)
            alone = codes[np.minimum(at[returns] + 1, last)] != LF
            is_end[returns[alone if final else alone & (at[returns] < last)]] = True
        if quote and len(at):
            is_quote = kinds == quote[0]
            # An overflow does not change whether the sum is odd.
            is_quoted = ((np.cumsum(is_quote, dtype=np.uint8) & 1) == 1) ^ is_open
            is_open = bool(is_quoted[-1])
            is_end &= ~is_quoted
            quotes.append(at[is_quote])
        line_ends.append(at[is_end])
    return _Marks(
        line_ends=np.concatenate(line_ends) if line_ends else _NOWHERE,
        quotes=np.concatenate(quotes) if quotes else _NOWHERE,
        has_returns=has_returns,
    )


def find_code(codes: npt.NDArray[np.uint8], code: int) -> Positions:
    """Find all positions of a byte, in pieces that stay in the processor's cache."""
    pieces = [np.flatnonzero(codes[start : start + _PIECE_BYTES] == code).astype(np.int32) + np.int32(start) for start in range(0, len(codes), _PIECE_BYTES)]
    return np.concatenate(pieces)


def _at_cell_start(codes: npt.NDArray[np.uint8], at: Positions, grammar: CsvGrammar) -> npt.NDArray[np.bool_]:
    before = codes[at - 1]
    at_start: npt.NDArray[np.bool_] = (before == ord(grammar.delimiter)) | (before == LF) | (before == CR) | (at == 0)
    return at_start


def _are_regular(codes: npt.NDArray[np.uint8], quotes: Positions, grammar: CsvGrammar, *, final: bool) -> bool:
    """Whether quotes open and close cells in turn: odd ones at the start of a cell, even ones at the end of a cell, or two together as a doubled quote."""
    if final and len(quotes) & 1:
        return False
    openers, closers = quotes[0::2], quotes[1::2]
    opens = _at_cell_start(codes, openers, grammar)
    after = codes[np.minimum(closers + 1, len(codes) - 1)]
    closes = (after == ord(grammar.delimiter)) | (after == LF) | (after == CR) | (closers == len(codes) - 1)
    if grammar.double_quote:
        touching = openers[1:] - 1 == closers[: len(openers) - 1]
        opens[1:] |= touching
        closes[: len(touching)] |= touching
    return bool(opens.all() and closes.all())


class _Walk:
    """Walks a piece from quote to quote, as a person would."""

    def __init__(self, view: bytes, line_ends: Positions, grammar: CsvGrammar, *, final: bool, never_closed: int) -> None:
        self._view, self._line_ends, self._grammar = view, line_ends, grammar
        self._final, self._never_closed = final, never_closed
        self._line = 0
        """The first line break that is not before the place that the walk has reached."""
        # Not lists, whose numbers take ten times the memory.
        self._opened, self._closed = array("i"), array("i")
        self.unclosed: list[int] = []
        self.open_quote = -1
        self.open_line = False

    def run(self, candidates: Iterable[int]) -> None:
        """Compute the result from `candidates`: all quotes that would open a cell if they are not inside one."""
        free_from = 0
        for quote in candidates:
            if quote < free_from or self._is_in_comment(quote):
                continue
            close = -1 if quote == self._never_closed else find_close(self._view, quote, self._grammar, final=self._final)
            if close is None:
                self.open_quote = quote
                return
            if close >= 0:
                self._opened.append(quote)
                self._closed.append(close)
                free_from = close + 1
                continue
            self.unclosed.append(quote)
            line = self._find_line(quote)
            if line == len(self._line_ends):
                self.open_line = not self._final
                return
            free_from = int(self._line_ends[line]) + 1

    def outer_line_ends(self) -> Positions:
        """Return the positions of the line breaks that end rows."""
        line_ends = self._line_ends
        if self.open_quote >= 0:
            line_ends = line_ends[: np.searchsorted(line_ends, self.open_quote)]
        if not self._opened:
            return line_ends
        span = np.searchsorted(np.frombuffer(self._opened, dtype=np.int32), line_ends) - 1
        return line_ends[(span < 0) | (line_ends > np.frombuffer(self._closed, dtype=np.int32)[span])]

    def _find_line(self, position: int) -> int:
        """Return the index of the first line break that is not before `position`; the positions asked for ascend."""
        # Not `np.searchsorted`: for a single position it converts the whole array.
        self._line = bisect_left(self._line_ends, position, self._line)
        return self._line

    def _is_in_comment(self, quote: int) -> bool:
        if self._grammar.comment_char is None:
            return False
        line = self._find_line(quote)
        start = int(self._line_ends[line - 1]) + 1 if line else 0
        if self._closed and self._closed[-1] >= start:
            return False
        return self._view.startswith(self._grammar.comment_char.encode(), start)


def _candidates(view: bytes, codes: npt.NDArray[np.uint8], quotes: Positions, grammar: CsvGrammar) -> Iterator[int]:
    """Yield the quotes that would open a cell if they are not inside one; `quotes` is empty if there are too many of them."""
    if not len(quotes) or grammar.skip_initial_space:
        yield from _walk_candidates(view, grammar)
        return
    at_start = quotes[_at_cell_start(codes, quotes, grammar)]
    # As Python's numbers only some of them at a time: they take ten times the memory.
    for first in range(0, len(at_start), _CANDIDATES_AT_ONCE):
        yield from at_start[first : first + _CANDIDATES_AT_ONCE].tolist()


def _walk_candidates(view: bytes, grammar: CsvGrammar) -> Iterator[int]:
    space = b" *" if grammar.skip_initial_space else b""
    marks = [re.escape(mark.encode()) for mark in (grammar.delimiter, grammar.quote_char or "")]
    for found in re.finditer(b"(?:\\A|[\n\r%b])%b%b" % (marks[0], space, marks[1]), view):
        yield found.end() - 1

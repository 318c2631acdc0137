"""Find rows in which text may follow the quote that closes a cell (`"a" b`); `RowSplitter` then tells which cells those are."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.raw_blocks import RawBlock
from features.processing.readers.csv.scan import CR, LF, Positions

_NOWHERE: Positions = np.empty(0, dtype=np.int64)
_PIECE_BYTES = 2**19


def find_rows_with_quotes(block: RawBlock, grammar: CsvGrammar) -> Positions:
    """Return the indices of the rows in which a quote or an escape character stands."""
    codes = np.frombuffer(block.data, dtype=np.uint8)[block.begin : block.end]
    marks = [ord(mark) for mark in (grammar.quote_char, grammar.escape_char) if mark is not None and mark.encode() in block.data]
    if not marks:
        return _NOWHERE
    at = np.flatnonzero(np.isin(codes, marks)) + block.begin
    return np.unique(np.searchsorted(block.spans.starts, at, side="right") - 1)


def find_rows_with_strays(block: RawBlock, grammar: CsvGrammar) -> Positions:
    """Return the indices of all rows with a stray quote, and of some without; a few vector operations over the quotes of the block.

    Up to the first quote of a row that stands where none may, an odd number of quotes before another means that it is inside a quoted cell.
    """
    quote = (grammar.quote_char or "").encode()
    if not quote or quote not in block.data:
        return _NOWHERE
    view = grammar.mask_escapes(block.data)
    found: list[Positions] = []
    first, count = 0, len(block)
    starts, stops = block.spans.starts, block.spans.stops
    while first < count:
        # In pieces: the positions of millions of quotes take many times the memory of the quotes.
        last = max(first + 1, int(np.searchsorted(stops, starts[first] + _PIECE_BYTES)))
        if stops[first] - starts[first] > _PIECE_BYTES:
            found.append(_judge_long_row(view, first, block, grammar))
        else:
            found.append(_find_in_rows(view[starts[first] : stops[last - 1]], starts[first:last] - starts[first], grammar) + first)
        first = last
    return np.concatenate(found)


def _judge_long_row(view: bytes, index: int, block: RawBlock, grammar: CsvGrammar) -> Positions:
    """Return the index of a row again unless it is clean, in no memory worth mentioning."""
    row = memoryview(view)[block.spans.starts[index] : block.spans.stops[index]]
    is_clean = _clean_row(grammar.quote_char or "", grammar.delimiter, double_quote=grammar.double_quote).fullmatch(row) is not None
    return _NOWHERE if is_clean else np.array([index], dtype=np.int64)


@cache
def _clean_row(quote: str, delimiter: str, *, double_quote: bool) -> re.Pattern[bytes]:
    """Match a row without a stray quote; possessive, so that it takes linear time and no memory."""
    mark, end = re.escape(quote.encode()), re.escape(delimiter.encode())
    inside = b"(?:[^%b]++|%b%b)*+" % (mark, mark, mark) if double_quote else b"[^%b]*+" % mark
    cell = b"(?:%b%b%b *+|(?!%b)[^%b]*+)" % (mark, inside, mark, mark, end)
    return re.compile(b"%b(?:%b%b)*+" % (cell, end, cell))


def _find_in_rows(data: bytes, starts: Positions, grammar: CsvGrammar) -> Positions:
    """Return the indices of the rows of `data`, which begin at `starts`, that may have a stray quote."""
    codes = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(codes == ord(grammar.quote_char or ""))
    if not len(quotes):
        return _NOWHERE
    run_at = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
    firsts, lengths = quotes[run_at], np.diff(np.append(run_at, len(quotes)))
    afters = firsts + lengths
    delimiter = ord(grammar.delimiter)
    after = codes[np.minimum(afters, len(codes) - 1)]
    ends = (after == delimiter) | (after == LF) | (after == CR) | (afters >= len(codes))
    rows = np.searchsorted(starts, firsts, side="right") - 1
    is_inside = (run_at - np.searchsorted(quotes, starts)[rows]) % 2 == 1
    before = codes[firsts - 1]
    opens = (before == delimiter) | (before == LF) | (before == CR) | (firsts == starts[rows])
    if grammar.double_quote:
        is_odd = lengths % 2 == 1
        is_stray = np.where(is_inside, is_odd & ~ends, ~opens | (~is_odd & ~ends))
    else:
        is_stray = np.where(is_inside, (lengths > 1) | ~ends, ~opens | (lengths > 2) | ((lengths == 2) & ~ends))  # noqa: PLR2004 - an opening and a closing quote
    # Without a quoted cell, quotes are text: 5" pipe.
    return np.intersect1d(rows[is_stray], rows[opens]) if is_stray.any() else _NOWHERE

"""Find rows in which text may follow the quote that closes a cell (`"a" b`); `RowSplitter` then tells which cells those are."""

from __future__ import annotations

import numpy as np

from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.raw_blocks import RawBlock
from features.processing.readers.csv.scan import CR, LF, Positions

_NOWHERE: Positions = np.empty(0, dtype=np.int64)


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
    codes = np.frombuffer(view, dtype=np.uint8)
    quotes = np.flatnonzero(codes[block.begin : block.end] == quote[0]) + block.begin
    if not len(quotes):
        return _NOWHERE
    starts = block.spans.starts
    run_at = np.flatnonzero(np.diff(quotes, prepend=-2) != 1)
    firsts, lengths = quotes[run_at], np.diff(np.append(run_at, len(quotes)))
    afters = firsts + lengths
    rows = np.searchsorted(starts, firsts, side="right") - 1
    first_of_row = np.searchsorted(quotes, starts)
    is_inside = (run_at - first_of_row[rows]) % 2 == 1
    delimiter = ord(grammar.delimiter)
    before = codes[firsts - 1]
    opens = (before == delimiter) | (before == LF) | (before == CR) | (firsts == starts[rows])
    after = codes[np.minimum(afters, len(codes) - 1)]
    ends = (after == delimiter) | (after == LF) | (after == CR) | (afters >= block.end)
    if grammar.double_quote:
        is_odd = lengths % 2 == 1
        is_stray = np.where(is_inside, is_odd & ~ends, ~opens | (~is_odd & ~ends))
    else:
        is_stray = np.where(is_inside, (lengths > 1) | ~ends, ~opens | (lengths > 2) | ((lengths == 2) & ~ends))  # noqa: PLR2004 - an opening and a closing quote
    if not is_stray.any():
        return _NOWHERE
    # Without a quoted cell, quotes are text: 5" pipe.
    return np.intersect1d(rows[is_stray], rows[opens])

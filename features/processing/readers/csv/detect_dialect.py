"""Detect the delimiter and the quote character of a CSV file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter
from features.processing.readers.csv.scan import scan_rows

DELIMITERS = ("\t", "|", ";", ",")
QUOTES = ('"', "'")
_SAMPLE_ROWS = 1000
_SAMPLE_CELLS = 10_000


def detect_dialect(sample: bytes, grammar: CsvGrammar, *, find_delimiter: bool, find_quote: bool, skip_rows: int) -> CsvGrammar:
    """Return `grammar` with the delimiter and the quote character that fit the sample best; each is replaced only if it is to be found.

    The best delimiter splits the header into the most columns and the rows below it into just as many. The first `skip_rows` rows, above the header,
    do not count.
    """
    candidates = [
        replace(grammar, delimiter=delimiter, quote_char=_detect_quote(sample, delimiter) if find_quote else grammar.quote_char)
        for delimiter in (DELIMITERS if find_delimiter else (grammar.delimiter,))
        if delimiter not in (grammar.quote_char, grammar.escape_char)
        and delimiter not in (grammar.comment_char or "")
        # A delimiter that does not occur gives one column; the comma is kept to represent that case.
        and (not find_delimiter or delimiter == "," or delimiter.encode() in sample)
    ]
    scores = [_score(_sample_widths(sample, candidate)[skip_rows:]) for candidate in candidates]
    # On a tie the delimiter that is rarer in text wins; if there is only one column, the comma.
    return candidates[scores.index(max(scores)) if max(scores) else -1] if candidates else grammar


def _detect_quote(sample: bytes, delimiter: str) -> str:
    """Return the double quote, unless cells are enclosed in single quotes only."""
    double, single = QUOTES
    return single if not _count_enclosed(sample, double, delimiter) and _count_enclosed(sample, single, delimiter) > 1 else double


def _count_enclosed(sample: bytes, quote: str, delimiter: str) -> int:
    """Count the cells enclosed in `quote`; 0 if more than half of the cells that begin with it do not end with it."""
    if quote.encode() not in sample:
        return 0
    edge = re.escape(delimiter)
    opened = re.findall(f"(?:^|(?<=[{edge}\r\n])){quote}".encode(), sample)
    enclosed = re.findall(f"(?:^|(?<=[{edge}\r\n])){quote}[^{quote}\r\n]*{quote}(?=[{edge}\r\n]|$)".encode(), sample)
    return len(enclosed) if len(enclosed) * 2 >= len(opened) else 0


def _sample_widths(sample: bytes, grammar: CsvGrammar) -> list[int]:
    """Count the cells of each of the first rows; blank and comment rows count as 0."""
    scan = scan_rows(sample, grammar, final=False)
    if not len(scan.starts):
        scan = scan_rows(sample, grammar, final=True)
    splitter = RowSplitter(grammar, max_cells=_SAMPLE_CELLS)
    widths = []
    for start, stop in zip(scan.starts[:_SAMPLE_ROWS].tolist(), scan.stops[:_SAMPLE_ROWS].tolist(), strict=True):
        text = sample[start:stop].decode("utf-8", "replace")
        is_row = text.strip() and not (grammar.comment_char and text.startswith(grammar.comment_char))
        widths.append(len(splitter.split(text)) if is_row else 0)
    return widths


def _score(widths: Sequence[int]) -> float:
    """Score how many rows have as many cells as the first one, and how many columns that gives; 0 for a single column."""
    filled = [width for width in widths if width]
    if not filled or filled[0] == 1:
        return 0.0
    header, rows = filled[0], filled[1:]
    share = sum(width == header for width in rows) / len(rows) if rows else 1.0
    return share * (1 + min(header, 100) / 100) + header / _SAMPLE_CELLS

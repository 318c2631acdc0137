"""CSV grammar and the exact splitting of one row: the reference that the faster parsers must agree with.

A cell that begins with the quote character is quoted: delimiters and line breaks belong to it until the closing quote. Text after the closing quote
still belongs to the cell, but unless it is blank the quote is a stray one (`"a" b`); a quote anywhere else in a cell is text (`5" pipe`). A doubled
quote inside a quoted cell is one quote; the character after an escape character is text, inside and outside quotes. A quote is never closed if no
closing quote follows, or if line breaks lie between it and the next quote and that next quote is followed by neither a delimiter nor the end of the
line: the next quote then opens some later cell.
Source: RFC 4180, made lenient like Python's `csv`, which has no rule for quotes that are never closed.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import numpy as np

_PIECE_BYTES = 2**18
_PARTS_AT_ONCE = 10_000
_MAX_FIELD = 2**17 - 1
"""Python's `csv` takes no longer cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvGrammar:
    """The special characters, each a single ASCII character."""

    delimiter: str = ","
    quote_char: str | None = '"'
    """None: no cell is quoted."""
    escape_char: str | None = None
    double_quote: bool = True
    skip_initial_space: bool = False
    comment_char: str | None = None
    """One or more characters; a row that begins with them is a comment up to the end of its line."""

    def mask_escapes(self, data: bytes) -> bytes:
        """Replace every escape character and the character after it by NUL; length and structure stay the same."""
        if self.escape_char is None or self.escape_char.encode() not in data:
            return data
        codes = np.frombuffer(data, dtype=np.uint8).copy()
        free_from = 0
        # In pieces, so that intermediate arrays stay small even if every character is an escape.
        for start in range(0, len(codes), _PIECE_BYTES):
            first = max(start, free_from)
            found = np.flatnonzero(codes[first : start + _PIECE_BYTES] == ord(self.escape_char)) + first
            if not len(found):
                continue
            # Of escape characters in a row, every second one is escaped by the one before it.
            run_starts = np.maximum.accumulate(np.where(np.diff(found, prepend=-2) != 1, found, 0))
            escapes = found[(found - run_starts) % 2 == 0]
            # One at the very end has no character after it.
            escapes = escapes[escapes + 1 < len(codes)]
            codes[escapes] = codes[escapes + 1] = 0
            if len(escapes):
                free_from = int(escapes[-1]) + 2
        return codes.tobytes()


class RowSplitter:
    """Splits single rows exactly as the grammar defines."""

    def __init__(self, grammar: CsvGrammar, *, max_cells: int) -> None:
        self._grammar, self._max_cells = grammar, max_cells
        quote, escape = grammar.quote_char or "", grammar.escape_char or ""
        self._special = re.compile(f"[{re.escape(quote + escape)}]") if quote + escape else None
        self._end_of_unquoted = re.compile(f"[{re.escape(grammar.delimiter + escape)}]")
        self._end_of_quoted = re.compile(f"[{re.escape(quote + escape)}]") if quote else self._end_of_unquoted

    def split(self, text: str) -> list[str]:
        """Split one row, given without its line break, into at most `max_cells + 1` cells; more than `max_cells` means too many."""
        return self.split_marked(text)[0]

    def split_marked(self, text: str) -> tuple[list[str], list[tuple[int, str]]]:
        """Split one row likewise, and return with its cells those with a stray quote, as (index, text as it stands in the file)."""
        if not self._grammar.skip_initial_space and (self._special is None or self._special.search(text) is None):
            return text.split(self._grammar.delimiter, self._max_cells + 1)[: self._max_cells + 1], []
        cells: list[str] = []
        strays: list[tuple[int, str]] = []
        at: int | None = 0
        while at is not None and len(cells) <= self._max_cells:
            start = at
            cell, at, closed_at = self._read_cell(text, at)
            stop = len(text) if at is None else at - 1
            if 0 <= closed_at < stop and text[closed_at:stop].strip(" "):
                strays.append((len(cells), text[start:stop]))
            cells.append(cell)
        return cells, strays

    def split_regular(self, text: str) -> list[str]:
        """Split a row of a regular block (`scan.find_regular_end`) likewise, in a tenth of the time if it has quotes; none of them is a stray one."""
        if self._special is None or self._special.search(text) is None or len(text) > _MAX_FIELD:
            return self.split(text)
        reader = csv.reader((text,), delimiter=self._grammar.delimiter, quotechar=self._grammar.quote_char, doublequote=self._grammar.double_quote)
        return next(reader)[: self._max_cells + 1]

    def _read_cell(self, text: str, at: int) -> tuple[str, int | None, int]:
        """Return the cell that begins at `at`, the position of the next one (None after the last), and that after its closing quote (else -1)."""
        quote, escape = self._grammar.quote_char, self._grammar.escape_char
        if self._grammar.skip_initial_space:
            while text.startswith(" ", at):
                at += 1
        inside = quote is not None and text.startswith(quote, at)
        at += inside
        closed_at = -1
        parts: list[str] = []
        joined: list[str] = []
        while found := (self._end_of_quoted if inside else self._end_of_unquoted).search(text, at):
            stop = found.start()
            if len(parts) > _PARTS_AT_ONCE:
                # A cell may have millions of escapes, and each part takes fifty bytes besides its characters.
                joined.append("".join(parts))
                parts.clear()
            parts.append(text[at:stop])
            at = stop + 1
            if text[stop] == escape:
                parts.append(text[at : at + 1])
                at += 1
            elif not inside:
                return "".join([*joined, *parts]), at, closed_at
            elif self._grammar.double_quote and text.startswith(quote or "", at):
                parts.append(text[stop])
                at += 1
            else:
                inside = False
                closed_at = at
        return "".join([*joined, *parts, text[at:]]), None, closed_at


def is_blank(cells: list[str]) -> bool:
    """Whether all cells are empty or white space."""
    return not "".join(cells).strip()

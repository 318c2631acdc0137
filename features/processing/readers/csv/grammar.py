"""CSV grammar and the exact splitting of one row: the reference that the faster parsers must agree with.

A cell that begins with the quote character is quoted: delimiters and line breaks belong to it until the closing quote. Text after the closing quote
still belongs to the cell, and a quote anywhere else in a cell is text (`5" pipe`). A doubled quote inside a quoted cell is one quote; the character
after an escape character is text, inside and outside quotes. A quote is never closed if no closing quote follows, or if line breaks lie between it
and the next quote and that next quote is followed by neither a delimiter nor the end of the line: the next quote then opens some later cell.
Source: RFC 4180, made lenient like Python's `csv`, which has no rule for quotes that are never closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


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
        return re.sub(re.escape(self.escape_char.encode()) + b".", b"\0\0", data, flags=re.DOTALL)


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
        if not self._grammar.skip_initial_space and (self._special is None or self._special.search(text) is None):
            return text.split(self._grammar.delimiter, self._max_cells + 1)[: self._max_cells + 1]
        cells: list[str] = []
        at: int | None = 0
        while at is not None and len(cells) <= self._max_cells:
            cell, at = self._read_cell(text, at)
            cells.append(cell)
        return cells

    def _read_cell(self, text: str, at: int) -> tuple[str, int | None]:
        """Return the cell that begins at `at`, and the position of the next one; None after the last."""
        quote, escape = self._grammar.quote_char, self._grammar.escape_char
        if self._grammar.skip_initial_space:
            while text.startswith(" ", at):
                at += 1
        inside = quote is not None and text.startswith(quote, at)
        at += inside
        parts: list[str] = []
        while found := (self._end_of_quoted if inside else self._end_of_unquoted).search(text, at):
            stop = found.start()
            parts.append(text[at:stop])
            at = stop + 1
            if text[stop] == escape:
                parts.append(text[at : at + 1])
                at += 1
            elif not inside:
                return "".join(parts), at
            elif self._grammar.double_quote and text.startswith(quote or "", at):
                parts.append(text[stop])
                at += 1
            else:
                inside = False
        return "".join([*parts, text[at:]]), None


def is_blank(cells: list[str]) -> bool:
    """Whether all cells are empty or white space."""
    return not any(cell.strip() for cell in cells)

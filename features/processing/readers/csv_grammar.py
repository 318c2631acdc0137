"""What a CSV file's characters mean, and the exact reading of one record: the truth that the fast paths are held equal to.

A cell that begins with the quote character is quoted: delimiters and line breaks belong to it until the closing quote. Text behind the closing quote
still belongs to the cell, and a quote anywhere else in a cell is text (`5" pipe`). A doubled quote inside a quoted cell is one quote; the character
behind an escape character is text, in and outside quotes. A quote is never closed where no closing quote follows, or where line breaks lie between
it and the next quote and that one is followed neither by a delimiter nor by the end of the line: it then opens some later cell.
Source: RFC 4180, made lenient in the way of Python's `csv`, which has no rule for quotes that are never closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvGrammar:
    """The characters with a meaning, each one ASCII character."""

    delimiter: str = ","
    quote_char: str | None = '"'
    """None: nothing is quoted."""
    escape_char: str | None = None
    double_quote: bool = True
    skip_initial_space: bool = False
    comment_char: str | None = None
    """One or more characters; a row that begins with them is a comment up to its line's end."""

    def mask_escapes(self, data: bytes) -> bytes:
        """`data` with every escape character and the character behind it replaced by NUL: same length, same structure."""
        if self.escape_char is None or self.escape_char.encode() not in data:
            return data
        return re.sub(re.escape(self.escape_char.encode()) + b".", b"\0\0", data, flags=re.DOTALL)


def split_record(text: str, grammar: CsvGrammar, *, max_cells: int) -> list[str]:
    """The cells of one record without its line break; at most `max_cells + 1` of them, so that more than `max_cells` means too many."""
    delimiter, quote, escape = grammar.delimiter, grammar.quote_char, grammar.escape_char
    plain = (quote is None or quote not in text) and (escape is None or escape not in text)
    if plain and not grammar.skip_initial_space:
        return text.split(delimiter, max_cells)[: max_cells + 1]
    cells: list[str] = []
    unquoted_end = re.compile(f"[{re.escape(delimiter + (escape or ''))}]")
    quoted_end = re.compile(f"[{re.escape((quote or '') + (escape or ''))}]") if quote else unquoted_end
    at, length = 0, len(text)
    while len(cells) <= max_cells:
        parts: list[str] = []
        while grammar.skip_initial_space and at < length and text[at] == " ":
            at += 1
        inside = quote is not None and text.startswith(quote, at)
        at += inside
        while True:
            found = (quoted_end if inside else unquoted_end).search(text, at)
            stop = found.start() if found else length
            parts.append(text[at:stop])
            at = stop + 1
            if found is None:
                break
            if text[stop] == escape:
                parts.append(text[at : at + 1])
                at += 1
            elif not inside:
                break
            elif grammar.double_quote and text.startswith(quote or "", at):
                parts.append(text[stop])
                at += 1
            else:
                inside = False
        cells.append("".join(parts))
        if found is None:
            break
    return cells


def is_blank(cells: list[str]) -> bool:
    """Whether all cells are empty or white space."""
    return not any(cell.strip() for cell in cells)

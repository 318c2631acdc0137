"""Write columns of text as CSV: UTF-8, commas, CRLF, quotes where a cell needs them. Source: RFC 4180."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from features.processing.exporting.text_blocks import join_columns, split_rows

LINE_END = "\r\n"
_NEEDS_QUOTES = r'[",\r\n]'


def csv_lines(columns: Sequence[pa.StringArray]) -> Iterator[memoryview]:
    """Yield the lines of some rows; a null is written like an empty cell."""
    for part in split_rows(columns, extra_bytes=len(columns) + len(LINE_END)):
        cells = [_quote(column) for column in part]
        if len(cells) == 1:
            # An empty line would be no row to most readers.
            cells = [pc.if_else(pc.equal(cells[0], ""), '""', cells[0])]
        parts: list[pa.StringArray | str] = []
        for cell in cells:
            parts += [cell, ","]
        parts[-1] = LINE_END
        yield join_columns(parts, len(cells[0]))


def csv_line(cells: Sequence[str]) -> bytes:
    """Return one line."""
    return b"".join(bytes(line) for line in csv_lines([pa.array([cell], pa.string()) for cell in cells]))


def _quote(texts: pa.StringArray) -> pa.StringArray:
    texts = texts.fill_null("") if texts.null_count else texts
    needs = pc.match_substring_regex(texts, _NEEDS_QUOTES)
    if not pc.any(needs).as_py():
        return texts
    return pc.if_else(needs, pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', ""), texts)

"""Read the rows up to the header of a CSV file again: as cells, and as the bytes that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

from features.processing.readers.cell_block import MAX_COLUMNS
from features.processing.readers.csv.detect_dialect import NO_DELIMITER
from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter
from features.processing.readers.csv.parser import find_comments
from features.processing.readers.csv.raw_blocks import RawBlock, RawBlockReader, RowTrouble
from features.processing.readers.csv.raw_rows import RawFile
from features.processing.readers.csv.source import ByteSource
from features.processing.readers.row_spans import RawTable
from features.processing.readers.structure_findings import show_undecodable

_BLOCK_BYTES = 2**16
_TEXT_BYTES = 16_000
"""So much is given of a row that is not split into cells."""
_OWN_DELIMITER = "\t"
"""What separates our columns from the cells of a table of one column that has no delimiter of its own."""


class CsvHead:
    """The beginning of a CSV file that has been opened; `beginning` is a source that has not been read yet."""

    def __init__(self, raw: RawFile, beginning: ByteSource, grammar: CsvGrammar, *, header_rows: Sequence[int], has_sep_line: bool, max_row_bytes: int) -> None:
        self._raw, self._beginning, self._grammar = raw, beginning, grammar
        self._header_rows, self._has_sep_line, self._max_row_bytes = header_rows, has_sep_line, max_row_bytes

    @cached_property
    def raw_table(self) -> RawTable:
        """How the table stands in the file."""
        header: list[bytes] = []
        sep_line = b""
        line_end = ""
        # Also of a file without a header one row is read: it tells how lines end.
        for row_number, block, index in self._read(max([1, *self._header_rows])):
            assert block.raw is not None
            begin, end = block.raw.find_offsets()[block.raw_index + index :][:2].tolist()
            data = block.raw.read(begin, end) if not block.spans.trouble[index] else b""
            text = self._raw.decode(data[-16:])
            line_end = line_end or ("\r\n" if text.endswith("\r\n") else text[-1:] if text.endswith(("\r", "\n")) else "")
            if row_number == 1 and self._has_sep_line:
                sep_line = data
            elif row_number in self._header_rows:
                header.append(data)
        grammar = self._grammar
        return RawTable(
            encoding=self._raw.encoding,
            delimiter=_OWN_DELIMITER if grammar.delimiter == NO_DELIMITER else grammar.delimiter,
            quote_char=grammar.quote_char,
            escape_char=grammar.escape_char,
            double_quote=grammar.double_quote,
            line_end=line_end or "\n",
            is_wrapped=self._raw.is_wrapped,
            mark=self._raw.mark,
            sep_line=sep_line,
            header=header,
            decode=self._raw.decode,
            copy=self._raw.copy,
        )

    def first_rows(self) -> Iterator[tuple[int, Sequence[str | None]]]:
        """Yield the number and the cells of every row up to and including the header; a comment and a row that cannot be split have their text as one cell."""
        splitter = RowSplitter(self._grammar, max_cells=MAX_COLUMNS)
        undecodable = self._beginning.undecodable
        comments: set[int] = set()
        of_block: RawBlock | None = None
        for row_number, block, index in self._read(max(self._header_rows, default=0)):
            if block is not of_block:
                comments, of_block = set(find_comments(block, self._grammar)), block
            if block.spans.trouble[index] == RowTrouble.TOO_LONG:
                yield row_number, ()
                continue
            text = block.row(index).decode("utf-8", undecodable)
            if index in comments or block.spans.trouble[index] or (row_number == 1 and self._has_sep_line):
                yield row_number, (show_undecodable(text[:_TEXT_BYTES]),)
                continue
            cells, strays = splitter.split_marked(text)
            for place, raw in strays:
                cells[place] = raw
            yield row_number, [show_undecodable(cell) for cell in cells] if text else ()

    def _read(self, last_row: int) -> Iterator[tuple[int, RawBlock, int]]:
        """Yield the number of each row up to `last_row`, its block and its index there."""
        row_number = 0
        if not last_row:
            return
        source = self._beginning.fork()
        try:
            for block in RawBlockReader(source, self._grammar, max_row_bytes=self._max_row_bytes, block_bytes=_BLOCK_BYTES, raw=self._raw):
                for index in range(len(block)):
                    row_number += 1
                    yield row_number, block, index
                    if row_number == last_row:
                        return
        finally:
            source.close()

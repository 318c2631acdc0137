"""Open a CSV file, detect its encoding and dialect, and read its rows in chunks, which are parsed ahead in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from features.processing.readers.base import Chunk, FileUnreadable, Note, ReadLimits, Source
from features.processing.readers.cell_block import MAX_COLUMNS
from features.processing.readers.chunk_builder import ChunkBuilder
from features.processing.readers.csv.cells import CellReader
from features.processing.readers.csv.detect_dialect import detect_dialect
from features.processing.readers.csv.detect_encoding import detect_encoding
from features.processing.readers.csv.grammar import CsvGrammar, RowSplitter, is_blank
from features.processing.readers.csv.parser import BlockParser, ParsedBlock, find_comments
from features.processing.readers.csv.raw_blocks import RawBlock, RawBlockReader, RowTrouble
from features.processing.readers.csv.source import ByteSource, open_source
from features.processing.readers.header import check_header_size, join_labels
from features.processing.readers.prefetch import Prefetch
from features.processing.readers.structure_findings import show_undecodable
from shared.descriptors.table_dialect import TableDialect

BLOCK_BYTES = 2 * 2**20
"""With 3 MiB, a file with bad cells takes about 5 % less time, a good file takes no less, and both need 10 to 15 MiB more memory."""
_BLOCKS_AHEAD = 2
"""One that waits and one that is being parsed. With only one, a good file, for which reading takes about as long as checking, takes 5 % more time."""
SAMPLE_BYTES = 2**16


def open_csv(path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits) -> CsvTable:
    """Open the table in a CSV file. Raises `FileUnreadable` if it has no header, or if the encoding is not known."""
    return CsvTable(path, dialect=dialect, encoding=encoding, limits=limits)


class CsvTable:
    """An opened CSV file; see `base.Table`."""

    def __init__(self, path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits, block_bytes: int = BLOCK_BYTES) -> None:
        self._limits, self._dialect = limits, dialect
        is_valid_utf8 = False
        if encoding is None:
            encoding, is_valid_utf8 = detect_encoding(path)
        self._source: ByteSource = open_source(path, encoding=encoding)
        self._prefetch: Prefetch[ParsedBlock] | None = None
        try:
            self._grammar = _find_grammar(self._source, dialect)
            self.bytes_total = self._source.bytes_total
            self._blocks = iter(RawBlockReader(self._source, self._grammar, max_row_bytes=limits.max_row_bytes, block_bytes=block_bytes))
            self._comment_rows = frozenset(dialect.comment_rows if dialect else ())
            self.labels: Sequence[str] | None = None
            header_row = None
            if dialect is None or dialect.header:
                self.labels, header_row = self._read_header()
            self._width = len(self.labels) if self.labels is not None else self._measure_first_row()
            self._parser = BlockParser(
                self._grammar,
                width=self._width,
                comment_rows=sorted(self._comment_rows),
                undecodable=self._source.undecodable,
                first_row=1 if header_row is None else header_row + 1,
                is_valid_utf8=is_valid_utf8,
            )
            self._cells = CellReader(self._grammar, width=self._width, labels=self.labels, encoding=encoding)
        except BaseException:
            self._source.close()
            raise
        self.notes: Sequence[Note] = ()
        self.source = Source(encoding=encoding.lower(), delimiter=self._grammar.delimiter, quote_char=self._grammar.quote_char, header_row=header_row)

    def chunks(self) -> Iterator[Chunk]:
        """See `base.Table`."""
        self._prefetch = Prefetch(chain.from_iterable(map(self._parser.parse, self._blocks)), depth=_BLOCKS_AHEAD)
        builder = ChunkBuilder(self._limits, width=self._width)
        # Work that takes many small Python steps is done here, not in the thread: with such work two threads only wait for each other.
        yield from chain.from_iterable(map(builder.add, map(self._cells.read, self._prefetch)))
        yield from builder.finish()

    def close(self) -> None:
        """See `base.Table`."""
        if self._prefetch is not None:
            self._prefetch.close()
        self._source.close()

    def _read_header(self) -> tuple[list[str], int]:
        """Return the labels and the row number of the header; the rows after it stay in `_blocks`."""
        wanted = self._dialect.header_rows if self._dialect is not None and "headerRows" in self._dialect.descriptor else None
        found: list[list[str]] = []
        row = 0
        for block in self._blocks:
            comments = set(find_comments(block, self._grammar))
            for index in range(len(block)):
                row += 1
                if wanted is None:
                    if index in comments or row in self._comment_rows or not block.row(index):
                        continue
                elif row not in wanted:
                    continue
                cells = self._read_labels(block, index, row)
                if wanted is None and is_blank(cells):
                    continue
                found.append(cells)
                if wanted is None or row == wanted[-1]:
                    self._blocks = chain([block.part(index + 1, len(block))], self._blocks)
                    return join_labels(found, self._dialect.header_join if self._dialect else " ", max_chars=self._limits.max_row_bytes), row
                check_header_size(found, max_chars=self._limits.max_row_bytes)
        raise FileUnreadable("The file has no header: there is no row with column names in it.")

    def _read_labels(self, block: RawBlock, index: int, row: int) -> list[str]:
        trouble = block.spans.trouble[index]
        if trouble == RowTrouble.UNCLOSED_QUOTE:
            raise FileUnreadable(f"The header cannot be read: a quotation mark opens in row {row} and is never closed.")
        if trouble == RowTrouble.TOO_LONG:
            raise FileUnreadable(f"The header cannot be read: row {row} is longer than {self._limits.max_row_bytes} bytes.")
        text = block.row(index).decode("utf-8", self._source.undecodable)
        cells = RowSplitter(self._grammar, max_cells=MAX_COLUMNS).split(text)
        if len(cells) > MAX_COLUMNS:
            raise FileUnreadable(f"The header has more than {MAX_COLUMNS} columns, the most that can be read.")
        return [show_undecodable(cell) for cell in cells]

    def _measure_first_row(self) -> int:
        """Count the cells of the first row that is neither blank nor a comment; the row stays in `_blocks`."""
        passed: list[RawBlock] = []
        row = 0
        for block in self._blocks:
            passed.append(block)
            comments = set(find_comments(block, self._grammar))
            for index in range(len(block)):
                row += 1
                if index in comments or row in self._comment_rows or block.spans.trouble[index]:
                    continue
                cells = self._read_labels(block, index, row)
                if not is_blank(cells):
                    self._blocks = chain(passed, self._blocks)
                    return len(cells)
        raise FileUnreadable("The file has no rows: there is nothing in it but blank lines and comments.")


def _find_grammar(source: ByteSource, dialect: TableDialect | None) -> CsvGrammar:
    given_quote = dialect.quote_char if dialect else None
    escape = dialect.escape_char if dialect else None
    quote = '"' if given_quote is None else given_quote or None
    double_quote = dialect.double_quote if dialect and dialect.double_quote is not None else True
    if escape is not None and escape == quote:
        escape, double_quote = None, True
    grammar = CsvGrammar(
        delimiter=(dialect.delimiter if dialect else None) or ",",
        quote_char=quote,
        escape_char=escape,
        double_quote=double_quote,
        skip_initial_space=bool(dialect and dialect.skip_initial_space),
        comment_char=dialect.comment_char if dialect else None,
    )
    sampler = source.fork()
    try:
        sample = sampler.read(SAMPLE_BYTES)
    finally:
        sampler.close()
    if not sample:
        return grammar
    skip_rows = dialect.header_rows[-1] - 1 if dialect and dialect.header_rows and "headerRows" in dialect.descriptor else 0
    return detect_dialect(
        sample,
        grammar,
        find_delimiter=dialect is None or dialect.delimiter is None,
        find_quote=given_quote is None,
        find_escape=escape is None and (dialect is None or "escapeChar" not in dialect.descriptor),
        find_space=dialect is None or dialect.skip_initial_space is None,
        skip_rows=skip_rows,
    )

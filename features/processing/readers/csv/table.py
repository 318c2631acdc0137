"""Open a CSV file, detect its encoding and dialect, and read its rows in chunks, which are parsed ahead in a thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from features.processing.readers.base import Chunk, Finding, Note, ReadLimits, Source
from features.processing.readers.chunk_builder import ChunkBuilder
from features.processing.readers.column_layout import ColumnLayout, find_layout
from features.processing.readers.csv.cells import CellReader
from features.processing.readers.csv.detect_dialect import NO_DELIMITER, detect_dialect, find_sep_line
from features.processing.readers.csv.detect_encoding import detect_encoding
from features.processing.readers.csv.first_rows import FirstRows, Header
from features.processing.readers.csv.grammar import CsvGrammar
from features.processing.readers.csv.mend_lines import mend_lines
from features.processing.readers.csv.parser import FEW_COLUMNS, MAX_ARROW_COLUMNS, BlockParser, ParsedBlock
from features.processing.readers.csv.presumed_utf8 import PresumedUtf8
from features.processing.readers.csv.raw_blocks import RawBlockReader
from features.processing.readers.csv.raw_head import CsvHead
from features.processing.readers.csv.raw_rows import RawFile
from features.processing.readers.csv.source import ByteSource, open_source
from features.processing.readers.own_columns import OwnColumns, find_own_columns
from features.processing.readers.prefetch import Prefetch
from features.processing.readers.row_spans import RawTable
from shared.descriptors.table_dialect import TableDialect

BLOCK_BYTES = 3 * 2**20
"""A block of ordinary rows is a chunk, and is not copied. With 4 MiB, a good file takes no less time, and 11 MiB more memory."""
_CELLS_PER_BLOCK = 250_000
"""Blocks are smaller if their cells are short, down to half the size: parsing a block of more cells takes up to a tenth more time, and no chunk needs it."""
_LARGER = 1.5
"""Blocks are larger by so much if each takes time whatever its rows: for each column, if the table is not narrow (1,000 columns: a quarter less time, and
7 MiB more), and for rows that are too short or too long, after which the reader and whoever takes the blocks wait for each other (4 % less time, 17 MiB
more)."""
_BLOCKS_AHEAD = 2
"""One that waits and one that is being parsed. With only one, a good file, for which reading takes about as long as checking, takes 5 % more time."""
SAMPLE_BYTES = 2**16


def open_csv(path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits, field_names: Sequence[str] | None = None) -> CsvTable:
    """Open the table in a CSV file. Raises `FileUnreadable` if it has no header, or if the encoding is not known."""
    return CsvTable(path, dialect=dialect, encoding=encoding, limits=limits, field_names=field_names)


class CsvTable:
    """An opened CSV file; see `base.Table`."""

    def __init__(
        self,
        path: Path,
        *,
        dialect: TableDialect | None,
        encoding: str | None,
        limits: ReadLimits,
        field_names: Sequence[str] | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.labels: Sequence[str] | None
        self._limits = limits
        is_valid_utf8 = False
        presumed: PresumedUtf8 | None = None
        encoding_notes: Sequence[Note] = ()
        if encoding is None:
            found = detect_encoding(path, limits.arrival)
            encoding, is_valid_utf8, encoding_notes, presumed = found.name, found.is_valid_utf8, found.notes, found.presumed
        self._source: ByteSource = open_source(path, encoding=encoding, arrival=limits.arrival, presumed=presumed)
        self._block_bytes, self._has_ragged = block_bytes, False
        self._prefetch: Prefetch[ParsedBlock] | None = None
        self._head: CsvHead | None = None
        self._raw: RawFile | None = None
        self._beginning: ByteSource | None = None
        try:
            may_be_wrapped = dialect is None or dialect.quote_char is None
            self._source, sample = mend_lines(self._source, _read_sample(self._source), may_be_wrapped=may_be_wrapped)
            self._grammar = _find_grammar(sample, dialect)
            self.bytes_total = self._source.bytes_total
            comment_rows = frozenset(dialect.comment_rows if dialect else ())
            has_sep_line = find_sep_line(sample) is not None
            if has_sep_line:
                comment_rows |= {1}
            if limits.keep_rows:
                file, name, translations = self._source.describe_raw()
                self._raw = RawFile(file, encoding=name, translations=translations)
                self._beginning = self._source.fork()
            blocks = RawBlockReader(self._source, self._grammar, max_row_bytes=limits.max_row_bytes, block_bytes=block_bytes, raw=self._raw)
            first_rows = FirstRows(
                iter(blocks), self._grammar, undecodable=self._source.undecodable, comment_rows=comment_rows, max_row_bytes=limits.max_row_bytes
            )
            header = _take_header(first_rows, dialect, field_names)
            self.labels, layout, own = _lay_out(first_rows, header, field_names)
            self._width = len(layout.kept)
            if FEW_COLUMNS < self._width <= MAX_ARROW_COLUMNS:
                blocks.block_bytes = int(_LARGER * block_bytes)
            self._reader = blocks
            self._blocks = first_rows.blocks
            self._parser = BlockParser(
                self._grammar,
                width=layout.row_width if own is None else 1 + max(own.find_place(layout.row_width - 1), *own.columns),
                comment_rows=sorted(comment_rows),
                undecodable=self._source.undecodable,
                first_row=1 if header is None else header.row + 1,
                is_valid_utf8=lambda: is_valid_utf8 or (presumed is not None and presumed.is_valid),
                sorts_ragged=not layout.left_out,
            )
            self._cells = CellReader(self._grammar, layout=layout, labels=self.labels, encoding=encoding, keeps_whole=limits.keep_rows, own=own)
            if self._raw is not None and self._beginning is not None:
                names_rows = dialect is not None and "headerRows" in dialect.descriptor
                header_rows = () if header is None else dialect.header_rows if names_rows and dialect is not None else (header.row,)
                self._head = CsvHead(
                    self._raw, self._beginning, self._grammar, header_rows=header_rows, has_sep_line=has_sep_line, max_row_bytes=limits.max_row_bytes
                )
        except BaseException:
            self.close()
            raise
        self.column_numbers = layout.column_numbers if own is None else [own.find_place(index) + 1 for index in layout.kept]
        self.header_findings: Sequence[Finding] = ()
        self.notes: Sequence[Note] = [*encoding_notes, *(header.notes if header else ()), *layout.make_notes(own)]
        is_unsplit = self._grammar.delimiter == NO_DELIMITER and not (dialect and dialect.delimiter)
        self.source = Source(
            encoding=encoding.lower(),
            delimiter=None if is_unsplit else self._grammar.delimiter,
            quote_char=self._grammar.quote_char,
            header_row=header.row if header else None,
        )

    def chunks(self) -> Iterator[Chunk]:
        """See `base.Table`."""
        self._prefetch = Prefetch(self._parse(), depth=_BLOCKS_AHEAD)
        builder = ChunkBuilder(self._limits, width=self._width)
        # Work that takes many small Python steps is done here, not in the thread: with such work two threads only wait for each other.
        yield from chain.from_iterable(map(builder.add, map(self._cells.read, self._prefetch)))
        yield from builder.finish()

    def _parse(self) -> Iterator[ParsedBlock]:
        for block in self._blocks:
            rows = 0
            for parsed in self._parser.parse(block):
                rows += len(parsed.kinds)
                self._has_ragged |= bool(parsed.unparsed or parsed.ragged)
                yield parsed
                # Neither is kept while the next one is made.
                del parsed
            size_bytes = block.end - block.begin
            del block
            if rows and self._width <= FEW_COLUMNS:
                self._reader.block_bytes = self._choose_size(size_bytes / (rows * self._width))

    def _choose_size(self, cell_bytes: float) -> int:
        """Return how large the next block should be if its cells have about so many bytes."""
        size_bytes = min(self._block_bytes, max(self._block_bytes // 2, int(cell_bytes * _CELLS_PER_BLOCK)))
        return int(size_bytes * _LARGER) if self._has_ragged else size_bytes

    @property
    def width(self) -> int:
        """See `row_spans.KeepsRows`."""
        return self._width

    @property
    def raw_table(self) -> RawTable | None:
        """See `row_spans.KeepsRows`."""
        return self._head.raw_table if self._head is not None else None

    def first_rows(self) -> Iterator[tuple[int, Sequence[str | None]]]:
        """See `row_spans.KeepsRows`."""
        return self._head.first_rows() if self._head is not None else iter(())

    def close(self) -> None:
        """See `base.Table`."""
        if self._prefetch is not None:
            self._prefetch.close()
        self._source.close()
        if self._beginning is not None:
            self._beginning.close()
        if self._raw is not None:
            self._raw.close()


def _read_sample(source: ByteSource) -> bytes:
    sampler = source.fork()
    try:
        return sampler.read(SAMPLE_BYTES)
    finally:
        sampler.close()


def _take_header(rows: FirstRows, dialect: TableDialect | None, field_names: Sequence[str] | None) -> Header | None:
    """Take the header that the dialect names, else the one that is found; None if the dialect says that there is none."""
    if dialect is None:
        return rows.take_found(field_names)
    if not dialect.header:
        return None
    return rows.take_named(dialect.header_rows, dialect.header_join) if "headerRows" in dialect.descriptor else rows.take_found(field_names)


def _lay_out(rows: FirstRows, header: Header | None, field_names: Sequence[str] | None) -> tuple[list[str] | None, ColumnLayout, OwnColumns | None]:
    """Return the labels and the columns of the table without our own columns, and which these are."""
    if header is None:
        width = rows.measure_first()
        return None, ColumnLayout(kept=range(width), row_width=width), None
    own = find_own_columns(header.labels, field_names)
    labels, sample = header.labels, header.sample
    if own is not None:
        labels, sample = own.take_out(labels), own.take_out_of_sample(sample)
    layout = find_layout(labels, sample)
    return [labels[index] for index in layout.kept], layout, own


def _find_grammar(sample: bytes, dialect: TableDialect | None) -> CsvGrammar:
    """Return the grammar that the dialect gives, with what it leaves open as the sample shows it."""
    given_delimiter, given_quote = (dialect.delimiter, dialect.quote_char) if dialect else (None, None)
    escape = dialect.escape_char if dialect else None
    quote = '"' if given_quote is None else given_quote or None
    double_quote = dialect.double_quote if dialect and dialect.double_quote is not None else True
    if escape is not None and escape == quote:
        escape, double_quote = None, True
    grammar = CsvGrammar(
        delimiter=given_delimiter or find_sep_line(sample) or ",",
        quote_char=quote,
        escape_char=escape,
        double_quote=double_quote,
        skip_initial_space=bool(dialect and dialect.skip_initial_space),
        comment_char=dialect.comment_char if dialect else None,
    )
    if not sample:
        return grammar
    return detect_dialect(
        sample,
        grammar,
        find_delimiter=given_delimiter is None and find_sep_line(sample) is None,
        find_quote=given_quote is None,
        find_escape=dialect is None or not dialect.descriptor.keys() & {"escapeChar", "doubleQuote"},
        find_space=dialect is None or dialect.skip_initial_space is None,
        skip_rows=_count_rows_above(sample, dialect),
    )


def _count_rows_above(sample: bytes, dialect: TableDialect | None) -> int:
    if dialect is not None and dialect.header_rows and "headerRows" in dialect.descriptor:
        return dialect.header_rows[-1] - 1
    return 0 if find_sep_line(sample) is None else 1

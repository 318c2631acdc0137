"""Read and check one file in a single pass: reader → checks → a report for each chunk. Pure: no web, no database, no Celery."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

import features.processing.formats  # noqa: F401  # the import registers them
from features.processing.checking.checker import Checker
from features.processing.checking.column_plan import JudgedColumn
from features.processing.checking.declarations import import_all, row_checks
from features.processing.chunk_reports import ChunkReport, make_reports, split_chunk
from features.processing.column import Mask
from features.processing.inference.infer import MAX_ROWS, infer_table_schema
from features.processing.readers.base import Chunk, ContainedFile, FileUnreadable, Finding, Note, ReadAnew, ReadLimits, Source, Table, TableOpener
from features.processing.readers.damage import open_guarded, read_guarded
from features.processing.readers.row_spans import KeepsRows, RawTable
from features.processing.tuning import keep_pandas_out, tune_process
from shared.descriptors.table_dialect import TableDialect
from shared.descriptors.table_schema import Field, TableSchema
from shared.formats import describe_foreign, find_format, list_formats

# Everything is imported here and not on demand: a worker imports this module before it forks, so that its children share the imported modules.
import_all()
if row_checks():
    importlib.import_module("features.processing.checking.frames")
else:
    keep_pandas_out()
for file_format in list_formats():
    file_format.load_opener()
# Arrow's allocator reserves its GiB of address space now, so that it does not count towards the memory limit of a worker's child.
pa.allocate_buffer(64)

_HEAD_BYTES = 512
_CHUNKS_AT_ONCE = 6
"""Checking a chunk takes 3 ms however few rows it has: four at once take a quarter less time. Six, so that no block is cut in two."""
_MANY_ERRORS = 90_000
"""Errors that are found in rows that were checked together, past which the next ones are checked chunk by chunk."""
MAX_NOTES = 50
MAX_SAMPLE_BYTES = 24 * 2**20
"""Size of the rows that wait while the schema is inferred; if the first 10,000 rows are larger, it is inferred from fewer rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRows:
    """Consecutive rows of a file after their check, with everything that was found in them; a file's come in row order."""

    chunk: Chunk
    """The rows that were split into cells."""
    failed: Mask
    """Those of them that have an error."""
    findings: Sequence[Finding]
    """All errors of these rows, and of the rows between them that have no cells; columns are numbered as in the file."""
    judged: Mapping[int, JudgedColumn]
    """The columns that a field describes, with the values of their cells, by their index in the chunk; empty if the chunk has no rows."""
    fraction_read: float


class Inspection:
    """An opened file: its source and schema are known, its reports are still to come."""

    source: Source
    table_schema: TableSchema
    """The schema in use: the given one, or the one inferred from the first 10,000 rows."""

    def __init__(self, table: Table, *, table_schema: TableSchema | None, null_sequence: str | None, limits: ReadLimits, contained: Path | None = None) -> None:
        """`contained` is a temporary file that `table` reads, and that is removed at the end."""
        self._table, self._contained, self._chunk_rows = table, contained, limits.chunk_rows
        self._chunks = read_guarded(table)
        self._errors_at_once = 0
        """Errors that were found in the last rows that were checked together."""
        self.source = table.source
        self._inferred_notes: Sequence[Note] = ()
        waiting: list[Chunk] = []
        if table_schema is None:
            waiting = _read_sample(self._chunks)
            inferred = infer_table_schema(table.labels, _without(null_sequence, waiting))
            table_schema = inferred.table_schema
            self._inferred_notes = inferred.notes
        self._chunks = chain(waiting, self._chunks)
        self.table_schema = table_schema
        used = _with_missing_value(table_schema, null_sequence)
        self._checker = Checker(used, labels=table.labels, header_row=table.source.header_row, limits=limits, column_numbers=table.column_numbers)

    @property
    def notes(self) -> Sequence[Note]:
        """How the file was read, at most 50 notes; some are only known after the last report."""
        return [*self._table.notes, *self._inferred_notes][:MAX_NOTES]

    @property
    def labels(self) -> Sequence[str] | None:
        """The labels of the table's columns as they are in the file; None if it has no header."""
        return self._table.labels

    @property
    def column_numbers(self) -> Sequence[int] | None:
        """The number in the file of each column of the table; None if they are simply 1, 2, 3 and so on."""
        return self._table.column_numbers

    @property
    def fields(self) -> Mapping[int, Field]:
        """The field that describes each column of the table, by the column's index; columns without a field are absent."""
        return self._checker.fields

    @property
    def width(self) -> int:
        """How many columns the table has."""
        if isinstance(self._table, KeepsRows):
            return self._table.width
        return len(self._table.labels if self._table.labels is not None else self.table_schema.fields)

    @property
    def header_findings(self) -> Sequence[Finding]:
        """The errors of the header; columns are numbered as in the file."""
        return self._place(self._check_header())

    @property
    def raw_table(self) -> RawTable | None:
        """How the table stands in its text file; None in a workbook, and unless `ReadLimits.keep_rows` asked for it."""
        return self._table.raw_table if isinstance(self._table, KeepsRows) else None

    def first_rows(self) -> Iterator[tuple[int, Sequence[str | None]]]:
        """Yield the number and the cells of every row up to and including the header, if `ReadLimits.keep_rows` asked for them."""
        return self._table.first_rows() if isinstance(self._table, KeepsRows) else iter(())

    @property
    def may_report_late(self) -> bool:
        """Whether there may be errors that are only known after the last row."""
        return self._checker.may_report_late

    def late_findings(self) -> Iterator[Sequence[Finding]]:
        """Yield the errors that are only known after the last row, in parts of bounded size, each of later rows than the one before."""
        for result in self._checker.finish():
            yield self._place(result.findings)

    def checked_rows(self) -> Iterator[CheckedRows]:
        """Check the rows chunk by chunk, and yield the rows themselves; can be called once, and instead of `reports`. Raises as that does.

        Errors that are only known after the last row (`finish`) are not among them.
        """
        fraction = 0.0
        for part in self._split_where_errors_are_many():
            chunk = replace(part, columns=list(part.columns))
            del part
            result = self._checker.check(chunk)
            self._errors_at_once = sum(map(len, result.findings))
            fraction = max(fraction, min(1.0, chunk.bytes_read / max(1, self._table.bytes_total)))
            yield CheckedRows(chunk=chunk, failed=result.failed, findings=self._place(result.findings), judged=result.judged, fraction_read=fraction)
            del chunk, result

    def reports(self) -> Iterator[ChunkReport]:
        """Check the rows chunk by chunk, and yield the reports; can be called only once. Raises `FileUnreadable` if the file breaks off."""
        header_findings = self._place(self._check_header())
        fraction = 0.0
        asked_at = time.perf_counter()
        for chunk in self._split_where_errors_are_many():
            read_at = time.perf_counter()
            result = self._checker.check(chunk, keep_columns=False)
            self._errors_at_once = sum(map(len, result.findings))
            checked_at = time.perf_counter()
            fraction_before, fraction = fraction, max(fraction, min(1.0, chunk.bytes_read / max(1, self._table.bytes_total)))
            yield from make_reports(
                chunk,
                result.failed,
                [*header_findings, *self._place(result.findings)],
                chunk_rows=self._chunk_rows,
                fraction_before=fraction_before,
                fraction_read=fraction,
                reading_s=read_at - asked_at,
                checking_s=checked_at - read_at,
            )
            header_findings = ()
            # The result may be as large as the chunk; neither must be kept in memory while the next chunk is read.
            del chunk, result
            asked_at = time.perf_counter()
        if header_findings:
            yield ChunkReport(rows_processed=0, rows_failed=0, findings=header_findings, fraction_read=1.0)
        asked_at = time.perf_counter()
        for result in self._checker.finish():
            checking_s = time.perf_counter() - asked_at
            yield ChunkReport(rows_processed=0, rows_failed=result.rows_failed, findings=self._place(result.findings), fraction_read=1.0, checking_s=checking_s)
            asked_at = time.perf_counter()

    def _split_where_errors_are_many(self) -> Iterator[Chunk]:
        """Yield the chunks; those that were joined are taken apart after one with very many errors, which take more memory than the rows do."""
        for chunk in self._chunks:
            if self._errors_at_once > _MANY_ERRORS and len(chunk.row_numbers) > self._chunk_rows:
                yield from split_chunk(chunk, self._chunk_rows)
            else:
                yield chunk
            del chunk

    def _check_header(self) -> Sequence[Finding]:
        """Return the errors of the header: of a label those that the reader found in its cell, if there are any."""
        found = self._table.header_findings
        taken = {finding.column_number for finding in found}
        return [*found, *(finding for finding in self._checker.check_header() if finding.column_number is None or finding.column_number not in taken)]

    def _place(self, findings: Sequence[Finding]) -> Sequence[Finding]:
        """Return the findings with the number that their column has in the file."""
        numbers = self._table.column_numbers
        if numbers is None:
            return findings
        return [
            finding
            if finding.column_number is None or finding.error_type == "extra-cell"
            else replace(finding, column_number=_place_column(finding.column_number, numbers))
            for finding in findings
        ]

    def close(self) -> None:
        """Release files, threads and processes; may be called twice, and before `reports` has been read to its end."""
        with ExitStack() as rest:  # if one of them fails, the others are released all the same
            if self._contained is not None:
                rest.callback(self._contained.unlink, missing_ok=True)
            rest.callback(self._table.close)
            self._checker.close()


def inspect_file(
    path: Path,
    *,
    table_schema: TableSchema | None = None,
    dialect: TableDialect | None = None,
    encoding: str | None = None,
    limits: ReadLimits | None = None,
    known_schema: TableSchema | None = None,
) -> Inspection:
    """Open the file at `path`; its first bytes decide the format, and its extension only if they do not.

    `known_schema` is the schema that was inferred for this very file before: it is used as it is, and the table is found as it was then, without a schema.
    Raises `FileUnreadable` if it cannot be read: corrupt, encrypted, no such sheet, no header. If the file is still being fetched (`ReadLimits.arrival`), its
    rows may turn out to have been read in a wrong way; then their iterator raises `ReadAnew`.
    """
    tune_process()
    limits = replace(limits or ReadLimits(), chunks_at_once=_CHUNKS_AT_ONCE)
    inspect = partial(_inspect, path, table_schema=table_schema, dialect=dialect, encoding=encoding, known_schema=known_schema)
    try:
        return inspect(limits=limits)
    except ReadAnew:
        return inspect(limits=replace(limits, arrival=None))


def _inspect(
    path: Path, *, table_schema: TableSchema | None, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits, known_schema: TableSchema | None
) -> Inspection:
    field_names = [field.name for field in table_schema.fields] if table_schema is not None else None
    contained: Path | None = None
    table: Table | None = None
    try:
        try:
            table = _open_table(path, dialect=dialect, encoding=encoding, limits=limits, field_names=field_names)
        except ContainedFile as wrapper:
            contained = wrapper.path
            table = _open_table(contained, dialect=dialect, encoding=encoding, limits=replace(limits, arrival=None), field_names=field_names)
        null_sequence = dialect.null_sequence if dialect else None
        return Inspection(table, table_schema=table_schema or known_schema, null_sequence=null_sequence, limits=limits, contained=contained)
    except BaseException:
        if table is not None:
            table.close()
        if contained is not None:
            contained.unlink(missing_ok=True)
        raise


def _open_table(path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits, field_names: Sequence[str] | None) -> Table:
    if limits.arrival is not None:
        limits.arrival.wait(_HEAD_BYTES)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    foreign = describe_foreign(path.name, head)
    if foreign is not None:
        raise FileUnreadable(foreign)
    file_format = find_format(path.name, head)
    if limits.arrival is not None and not file_format.reads_in_order:
        limits.arrival.wait_all()
    opener: TableOpener = file_format.load_opener()
    return open_guarded(lambda: opener(path, dialect=dialect, encoding=encoding, limits=limits, field_names=field_names))


def _place_column(column_number: int, numbers: Sequence[int]) -> int:
    """Return the number in the file of a column of the table; what the table lacks would come after its last column."""
    return numbers[column_number - 1] if column_number <= len(numbers) else numbers[-1] + column_number - len(numbers)


def _read_sample(chunks: Iterator[Chunk]) -> list[Chunk]:
    """Read the chunks with the first 10,000 rows, or fewer chunks if they are larger than `MAX_SAMPLE_BYTES`."""
    sample: list[Chunk] = []
    rows = size_bytes = 0
    for chunk in chunks:
        columns = list(chunk.columns)
        sample.append(replace(chunk, columns=columns))
        rows += len(chunk.row_numbers)
        size_bytes += sum(column.nbytes for column in columns)
        if rows >= MAX_ROWS or size_bytes >= MAX_SAMPLE_BYTES:
            break
    return sample


def _without(null_sequence: str | None, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """Return the chunks with empty cells in place of the dialect's `nullSequence`, so that it does not count as a value."""
    if not null_sequence:
        return chunks
    return [replace(chunk, columns=[pc.if_else(pc.equal(column, null_sequence), pa.scalar(""), column) for column in chunk.columns]) for chunk in chunks]


def _with_missing_value(table_schema: TableSchema, null_sequence: str | None) -> TableSchema:
    """Return the schema with the dialect's `nullSequence` as an additional missing value."""
    if null_sequence is None:
        return table_schema
    fields = tuple(
        field if field.missing_values is None else replace(field, missing_values=(*field.missing_values, null_sequence)) for field in table_schema.fields
    )
    return replace(table_schema, fields=fields, missing_values=(*table_schema.missing_values, null_sequence))

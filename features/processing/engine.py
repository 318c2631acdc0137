"""One pass over one file: reader → checks → a report for each chunk. Pure: no web, no database, no Celery."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

import features.processing.formats  # noqa: F401  # registers them
from features.processing.checking.checker import Checker
from features.processing.checking.declarations import import_all, row_checks
from features.processing.inference.infer import MAX_ROWS, infer_table_schema
from features.processing.readers.base import Chunk, Finding, ReadLimits, Source, Table, TableOpener
from features.processing.tuning import keep_pandas_out, tune_process
from shared.descriptors.table_dialect import TableDialect
from shared.descriptors.table_schema import TableSchema
from shared.formats import FileFormat, find_format, list_formats

# Here and not when they are needed: a worker imports this module before it forks, so its children share all that is imported with it.
import_all()
if row_checks():
    importlib.import_module("features.processing.checking.frames")
else:
    keep_pandas_out()
_openers: dict[FileFormat, TableOpener] = {file_format: file_format.load_opener() for file_format in list_formats()}

_HEAD_BYTES = 64
MAX_SAMPLE_BYTES = 24 * 2**20
"""Rows that wait for the schema to be inferred; where the first 10,000 rows are larger, those that fit must do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkReport:
    """What was found in one chunk of rows; the reports of one inspection come in the order of the rows."""

    rows_processed: int
    """Rows of this chunk (not cumulative), with those that count though they hold no cells."""
    rows_failed: int
    """How many of them, or of rows that were processed before, have errors and had none until now."""
    findings: Sequence[Finding]
    fraction_read: float
    """How much of the file is behind this chunk, 0 to 1: an estimate, never falling."""
    reading_s: float = 0.0
    """How long the reader was waited for; it may run ahead in a thread of its own."""
    checking_s: float = 0.0


class Inspection:
    """A file that was opened: its source and schema are known, its reports are still to come."""

    source: Source
    table_schema: TableSchema
    """The schema that is used: the given one, or the one inferred from the first 10,000 rows."""

    def __init__(self, table: Table, *, table_schema: TableSchema | None, null_sequence: str | None, limits: ReadLimits) -> None:
        self._table = table
        self._chunks = table.chunks()
        self.source = table.source
        waiting: list[Chunk] = []
        if table_schema is None:
            waiting = _read_sample(self._chunks)
            table_schema = infer_table_schema(table.labels, _without(null_sequence, waiting))
        self._chunks = chain(waiting, self._chunks)
        self.table_schema = table_schema
        used = _with_missing_value(table_schema, null_sequence)
        self._checker = Checker(used, labels=table.labels, header_row=table.source.header_row, limits=limits)

    def reports(self) -> Iterator[ChunkReport]:
        """Check the rows chunk by chunk, once. Raises `FileUnreadable` where the file breaks off."""
        header_findings = self._checker.check_header()
        fraction = 0.0
        asked_at = time.perf_counter()
        for chunk in self._chunks:
            read_at = time.perf_counter()
            result = self._checker.check(chunk)
            checked_at = time.perf_counter()
            fraction = max(fraction, min(1.0, chunk.bytes_read / max(1, self._table.bytes_total)))
            yield ChunkReport(
                rows_processed=len(chunk.row_numbers) + chunk.rows_lost,
                rows_failed=result.rows_failed,
                findings=[*header_findings, *result.findings],
                fraction_read=fraction,
                reading_s=read_at - asked_at,
                checking_s=checked_at - read_at,
            )
            header_findings = ()
            # What was found may be as large as the chunk, and is not to be held while the next one is read.
            del chunk, result
            asked_at = time.perf_counter()
        if header_findings:
            yield ChunkReport(rows_processed=0, rows_failed=0, findings=header_findings, fraction_read=1.0)
        asked_at = time.perf_counter()
        for result in self._checker.finish():
            checking_s = time.perf_counter() - asked_at
            yield ChunkReport(rows_processed=0, rows_failed=result.rows_failed, findings=result.findings, fraction_read=1.0, checking_s=checking_s)
            asked_at = time.perf_counter()

    def close(self) -> None:
        """Give files, threads and processes back; may be called twice and while `reports` is half-way."""
        self._checker.close()
        self._table.close()


def inspect_file(
    path: Path,
    *,
    table_schema: TableSchema | None = None,
    dialect: TableDialect | None = None,
    encoding: str | None = None,
    limits: ReadLimits | None = None,
) -> Inspection:
    """Open `path`; its first bytes say what it is, its extension only if they do not.

    Raises `FileUnreadable` where there is nothing to read: corrupt, encrypted, no such sheet, no header.
    """
    tune_process()
    limits = limits or ReadLimits()
    table = _open_table(path, dialect=dialect, encoding=encoding, limits=limits)
    try:
        return Inspection(table, table_schema=table_schema, null_sequence=dialect.null_sequence if dialect else None, limits=limits)
    except BaseException:
        table.close()
        raise


def _open_table(path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits) -> Table:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    opener = _openers[find_format(path.name, head)]
    return opener(path, dialect=dialect, encoding=encoding, limits=limits)


def _read_sample(chunks: Iterator[Chunk]) -> list[Chunk]:
    """The chunks with the first 10,000 rows."""
    sample: list[Chunk] = []
    rows = size_bytes = 0
    for chunk in chunks:
        sample.append(chunk)
        rows += len(chunk.row_numbers)
        size_bytes += sum(column.nbytes for column in chunk.columns)
        if rows >= MAX_ROWS or size_bytes >= MAX_SAMPLE_BYTES:
            break
    return sample


def _without(null_sequence: str | None, chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """The chunks with empty cells in place of the dialect's `nullSequence`, so that it does not count as a value."""
    if not null_sequence:
        return chunks
    return [replace(chunk, columns=[pc.if_else(pc.equal(column, null_sequence), pa.scalar(""), column) for column in chunk.columns]) for chunk in chunks]


def _with_missing_value(table_schema: TableSchema, null_sequence: str | None) -> TableSchema:
    """The schema in which the dialect's `nullSequence` is a missing value as well."""
    if null_sequence is None:
        return table_schema
    fields = tuple(
        field if field.missing_values is None else replace(field, missing_values=(*field.missing_values, null_sequence)) for field in table_schema.fields
    )
    return replace(table_schema, fields=fields, missing_values=(*table_schema.missing_values, null_sequence))

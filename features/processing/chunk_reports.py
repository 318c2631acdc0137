"""Reports of chunks: what was found in rows that were checked together, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from features.processing.column import Mask
from features.processing.readers.base import Chunk, Finding, RowNumbers
from features.processing.readers.row_spans import cut_spans


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkReport:
    """The result of checking one chunk of rows; the reports of an inspection come in row order."""

    rows_processed: int
    """Number of rows of this chunk (not cumulative), including those that count although they have no cells."""
    rows_failed: int
    """Number of rows, of this chunk or processed before, that have errors and had none until now."""
    findings: Sequence[Finding]
    fraction_read: float
    """Fraction of the file that was read up to the end of this chunk, 0 to 1: an estimate that never decreases."""
    reading_s: float = 0.0
    """Time spent waiting for the reader, which may run ahead in its own thread."""
    checking_s: float = 0.0


def split_chunk(chunk: Chunk, chunk_rows: int) -> Iterator[Chunk]:
    """Yield the rows of a chunk in chunks of `chunk_rows`, with all that was found in them; nothing is copied."""
    firsts = range(0, len(chunk.row_numbers), chunk_rows)
    ends = chunk.row_numbers[firsts[1:]]
    rest = chunk.spans
    for first, end, findings, lost in zip(firsts, [*ends.tolist(), None], _cut_findings(chunk.findings, ends), chunk.lost.split(ends), strict=True):
        rows = slice(first, first + chunk_rows)
        spans, rest = (rest, ()) if end is None else cut_spans(rest, end)
        yield Chunk(
            columns=[column.slice(first, chunk_rows) for column in chunk.columns],
            native_types=None if chunk.native_types is None else [None if types is None else types[rows] for types in chunk.native_types],
            row_numbers=chunk.row_numbers[rows],
            findings=findings,
            lost=lost,
            spans=tuple(spans),
            bytes_read=chunk.bytes_read,
        )


def make_reports(
    chunk: Chunk,
    failed: Mask,
    findings: Sequence[Finding],
    *,
    chunk_rows: int,
    fraction_before: float,
    fraction_read: float,
    reading_s: float,
    checking_s: float,
) -> Iterator[ChunkReport]:
    """Yield the reports of rows that were checked together: one for each `chunk_rows` of them, with the rows between them that have no cells.

    `failed` marks the rows that have errors. `fraction_before` and `fraction_read` are the fractions of the file that were read before and after all these
    rows. The times are those of all rows together, and told once.
    """
    total = len(chunk.row_numbers)
    firsts = range(0, total, chunk_rows) or range(1)
    # A part ends before the first row of the next one.
    ends = chunk.row_numbers[firsts[1:]]
    parts = _cut_findings(findings, ends)
    for number, (first, part, lost) in enumerate(zip(firsts, parts, chunk.lost.split(ends), strict=True)):
        rows = failed[first : first + chunk_rows]
        yield ChunkReport(
            rows_processed=len(rows) + lost.rows,
            rows_failed=int(np.count_nonzero(rows)) + lost.rows,
            findings=part,
            # Rounded, the sum may be larger than the fraction that is read.
            fraction_read=min(fraction_read, fraction_before + (fraction_read - fraction_before) * (number + 1) / len(firsts)),
            reading_s=0.0 if number else reading_s,
            checking_s=0.0 if number else checking_s,
        )


def _cut_findings(findings: Sequence[Finding], ends: RowNumbers) -> list[Sequence[Finding]]:
    """Return the findings before each row number in `ends`, which ascend, and after the last one."""
    if not len(ends):
        return [findings]
    parts: list[list[Finding]] = [[] for _ in range(len(ends) + 1)]
    for finding in findings:
        places = [0, *np.searchsorted(finding.row_numbers, ends).tolist(), len(finding)]
        for part, (start, stop) in zip(parts, pairwise(places), strict=True):
            if start < stop:
                part.append(finding.slice(start, stop))
    return list(parts)

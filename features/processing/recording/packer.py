"""Turn reports into rows ready to be written: all the time-consuming work of storing errors, done in the thread that reads and checks.

A separate thread, or a pool, would only compete with the others for Python's lock: with it the same two million errors took a fifth more processor
time, and about 50 MB more memory, in the arenas of those threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from features.processing.checking.declarations import FileUncheckable
from features.processing.chunk_reports import ChunkReport
from features.processing.metrics import count_report, measured
from features.processing.readers.base import FileUnreadable, Finding
from features.processing.recording.copy_format import encode_rows
from features.processing.recording.findings import count_raw_bytes, split_rows, take_findings
from features.processing.recording.pieces import BYTES_PER_PIECE, RECORDS_PER_PIECE, ErrorRecords, Place, cut_records, make_records, merge_records
from features.processing.recording.tally import ErrorTally
from features.processing.types import Hold
from shared.jobs.job_state import Progress

RECORDS_AT_ONCE = 25_000
"""About this many records, always of whole rows, are packed at a time; the memory that packing takes is in proportion to this number."""
BATCH_BYTES = 4 * 2**20
"""Size of the packed records of a batch; it is exceeded by at most the records that are packed at a time. A batch for each 25,000 records would take
a statement for each."""
WAITING_RECORDS = 50_000
"""When this many records wait, they are packed: packing the records of several chunks together takes less time than packing each chunk."""
WAITING_BYTES = 8 * 2**20
"""The same limit for the size of their raw values: if these are long, fewer records wait."""
SILENCE_S = 0.1
"""After this time without anything to write, an empty batch follows, at which the writer checks that it still holds the job. Each check, though
short, takes Python's lock from the thread that reads."""


@dataclass(frozen=True, slots=True)
class Packed:
    """Error records that are ready to be written."""

    late: ErrorRecords
    """Records that belong before the end of those already written."""
    rows: list[bytes]
    """The pieces of all other records as rows for COPY, in parts; the writer takes ownership and empties the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records to write after some chunks of rows, or after part of a chunk; batches come in row order."""

    packed: Packed | None = None
    checkpoint: Progress | None = None
    """Set when a commit is due: all errors found so far are in this batch or an earlier one, and may be committed with this progress."""


class Packer:
    """Packs the reports of one attempt."""

    def __init__(self, hold: Hold, *, interval_s: float, max_stored: int) -> None:
        self._interval_s, self._max_stored = interval_s, max_stored
        self._pieces = PiecePacker(hold)
        self._tally = ErrorTally()
        self._rows_processed = self._rows_failed = self._percent = 0
        self._waiting: list[Finding] = []
        self._waiting_records = self._waiting_bytes = 0

    @property
    def progress(self) -> Progress:
        """The progress after all reports that were taken so far."""
        return Progress(
            percent=self._percent,
            rows_processed=self._rows_processed,
            rows_failed=self._rows_failed,
            total_rows=None,
            error_count=self._tally.error_count,
            errors_stored=self._tally.stored_count,
            error_tally=self._tally.to_json(),
        )

    def pack(self, reports: Iterable[ChunkReport]) -> Iterator[Batch]:
        """Yield batches with the errors of `reports`: at least one every `SILENCE_S`, or for each report if that takes longer, and one with the rest.

        Raises `FileUnreadable` or `FileUncheckable` if `reports` does, after the batch with the errors found before it.
        """
        told_at = checkpoint_at = time.monotonic()
        end: FileUnreadable | FileUncheckable | None = None
        try:
            for report in reports:
                count_report(report)
                self._take(report)
                # The report must not be kept in memory while the next one is produced.
                del report
                now = time.monotonic()
                is_checkpoint = now - checkpoint_at >= self._interval_s
                if is_checkpoint or self._waiting_records >= WAITING_RECORDS or self._waiting_bytes >= WAITING_BYTES:
                    yield from self._pack_waiting()
                    told_at = now
                if is_checkpoint:
                    yield Batch(packed=self._pack(()), checkpoint=self.progress)
                    checkpoint_at = time.monotonic()
                elif now - told_at >= SILENCE_S:
                    yield Batch()
                    told_at = now
        except (FileUnreadable, FileUncheckable) as error:
            end = error
        yield from self._pack_waiting()
        yield Batch(packed=self._pack(()))
        if end is not None:
            raise end

    def _take(self, report: ChunkReport) -> None:
        stored = self._choose_stored(report.findings)
        self._tally.add(report.findings, stored=stored)
        self._rows_processed += report.rows_processed
        self._rows_failed += report.rows_failed
        self._percent = max(self._percent, min(99, int(report.fraction_read * 100)))
        self._waiting += stored
        self._waiting_records += sum(map(len, stored))
        self._waiting_bytes += sum(count_raw_bytes(finding) for finding in stored)

    def _pack_waiting(self) -> Iterator[Batch]:
        waiting, self._waiting = self._waiting, []
        self._waiting_records = self._waiting_bytes = 0
        joined: Packed | None = None
        for findings in split_rows(waiting, RECORDS_AT_ONCE) if waiting else ():
            packed = self._pack(findings)
            if joined is None or packed is None:
                joined = packed or joined
            # Late records belong among those packed before, so those are written first.
            elif len(packed.late) or sum(map(len, joined.rows)) >= BATCH_BYTES:
                yield Batch(packed=joined)
                joined = packed
            else:
                joined.rows.extend(packed.rows)
        if joined is not None:
            yield Batch(packed=joined)

    def _choose_stored(self, findings: Sequence[Finding]) -> Sequence[Finding]:
        if self._max_stored == 0:
            return findings
        return take_findings(findings, self._max_stored - self._tally.stored_count)

    def _pack(self, findings: Sequence[Finding]) -> Packed | None:
        with measured("packing"):
            return self._pieces.pack(findings) if findings else self._pieces.pack_rest()


class PiecePacker:
    """Packs the records of one attempt into pieces; findings mostly come in page order, and records that do not are kept apart as late."""

    def __init__(self, hold: Hold, *, records_per_piece: int = RECORDS_PER_PIECE) -> None:
        self._hold = hold
        self._records_per_piece = records_per_piece
        self._waiting: list[ErrorRecords] = []
        self._last: Place | None = None

    def pack(self, findings: Sequence[Finding]) -> Packed | None:
        """Pack the records of `findings` together with all that wait; None if they all still wait, until there are enough to fill a piece."""
        self._waiting.append(make_records(findings))
        is_full = sum(map(len, self._waiting)) >= self._records_per_piece or sum(each.raw_values.nbytes for each in self._waiting) >= BYTES_PER_PIECE
        return self.pack_rest() if is_full else None

    def pack_rest(self) -> Packed | None:
        """Pack all records that wait; None if there are none."""
        if not any(map(len, self._waiting)):
            return None
        records = self._waiting[0] if len(self._waiting) == 1 else merge_records(self._waiting)
        self._waiting = []
        late_count = 0 if self._last is None else records.count_before(Place(self._last.row_number, self._last.column_number + 1))
        if late_count == len(records):
            return Packed(records, [])
        self._last = records.place(-1)
        return Packed(records[:late_count], [encode_pieces(records[late_count:], self._hold, max_records=self._records_per_piece)])


def encode_pieces(records: ErrorRecords, hold: Hold, *, max_records: int = RECORDS_PER_PIECE) -> bytes:
    """Encode the pieces of `records` as rows for COPY."""
    return encode_rows(cut_records(records, max_records=max_records), job_id=hold.job_id, attempt=hold.attempt)

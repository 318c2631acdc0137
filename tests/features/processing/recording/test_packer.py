"""The packer hands over every record exactly once, in time, and never more at once than is allowed."""

from __future__ import annotations

import itertools
import struct
import uuid
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking.declarations import FileUncheckable
from features.processing.chunk_reports import ChunkReport
from features.processing.readers.base import FileUnreadable, Finding
from features.processing.recording.copy_format import COLUMNS, copy_parts
from features.processing.recording.packer import BATCH_BYTES, RECORDS_AT_ONCE, WAITING_BYTES, WAITING_RECORDS, Batch, Packer
from features.processing.recording.pieces import BYTES_PER_PIECE
from features.processing.types import Hold
from shared.texts import MAX_TEXT_CHARACTERS

CHUNK_ROWS = 1000


def make_report(number: int, *, errors: int, text: str = "x") -> ChunkReport:
    """Return the report of chunk `number` (from 0), in which the first `errors` cells of the first column are bad."""
    rows = np.arange(errors, dtype=np.int64) + number * CHUNK_ROWS + 2
    finding = Finding(error_type="type-error", row_numbers=rows, message="No.", raw_values=pa.array([text] * errors), column_number=1, column_name="a")
    return ChunkReport(rows_processed=CHUNK_ROWS, rows_failed=errors, findings=[finding] if errors else [], fraction_read=0.5)


def make_packer(*, interval_s: float = 1000.0, max_stored: int = 0) -> Packer:
    return Packer(Hold(job_id=uuid.uuid4(), attempt=1, lease_s=30), interval_s=interval_s, max_stored=max_stored)


def count_records(batch: Batch) -> int:
    """Count the records in a batch: those that are late, and the sum of the record counts in its rows."""
    if batch.packed is None:
        return 0
    rows, at, count = b"".join(copy_parts(list(batch.packed.rows))), 19, len(batch.packed.late)
    while (fields := struct.unpack_from(">h", rows, at)[0]) >= 0:
        at += 2
        for name in COLUMNS[:fields]:
            (size,) = struct.unpack_from(">i", rows, at)
            if name == "record_count":
                count += struct.unpack_from(">q", rows, at + 4)[0]
            at += 4 + max(0, size)  # that of NULL is -1
    return count


def test_checkpoint_tells_of_what_was_handed_over_and_of_nothing_else() -> None:
    packer = make_packer(interval_s=0.0)
    handed_over = 0
    checkpoints = []
    for batch in packer.pack(make_report(number, errors=7) for number in range(20)):
        handed_over += count_records(batch)
        if batch.checkpoint is not None:
            checkpoints.append(batch.checkpoint)
            assert batch.checkpoint.errors_stored == batch.checkpoint.error_count == handed_over
    assert [checkpoint.rows_processed for checkpoint in checkpoints] == [CHUNK_ROWS * number for number in range(1, 21)]
    assert (packer.progress.rows_processed, packer.progress.rows_failed, packer.progress.errors_stored) == (20_000, 140, 140)


@pytest.mark.parametrize("errors", [0, 1, 400, CHUNK_ROWS])
def test_everything_is_handed_over_once(errors: int) -> None:
    packer = make_packer()
    assert sum(map(count_records, packer.pack(make_report(number, errors=errors) for number in range(120)))) == 120 * errors == packer.progress.errors_stored


def test_records_of_some_chunks_are_packed_together() -> None:
    sizes = [size for size in map(count_records, make_packer().pack(make_report(number, errors=CHUNK_ROWS) for number in range(120))) if size]
    assert sizes == [WAITING_RECORDS, WAITING_RECORDS, 20_000]


def test_records_of_a_large_chunk_are_packed_in_parts_that_share_a_batch_up_to_its_size() -> None:
    rows = np.arange(12 * RECORDS_AT_ONCE, dtype=np.int64) + 2
    large = Finding(error_type="type-error", row_numbers=rows, message="No.", column_number=1)
    report = ChunkReport(rows_processed=len(rows), rows_failed=len(rows), findings=[large], fraction_read=1.0)
    batches = [(count_records(batch), [len(part) for part in batch.packed.rows]) for batch in make_packer().pack([report]) if batch.packed is not None]
    assert [size for size, _ in batches] == [RECORDS_AT_ONCE * len(parts) for _, parts in batches]
    assert sum(size for size, _ in batches) == len(rows)
    assert all(sum(parts[:-1]) < BATCH_BYTES for _, parts in batches)
    assert [sum(parts) >= BATCH_BYTES for _, parts in batches] == [True, False]


def test_late_records_are_handed_over_each_in_a_batch_that_comes_behind_their_place() -> None:
    size = 4 * RECORDS_AT_ONCE
    rows = np.arange(size, dtype=np.int64) + 2
    early, late = (Finding(error_type="type-error", row_numbers=rows, message="No.", column_number=column) for column in (2, 1))
    reports = [ChunkReport(rows_processed=size, rows_failed=size, findings=[found], fraction_read=1.0) for found in (early, late)]
    batches = [batch.packed for batch in make_packer().pack(reports) if batch.packed is not None]
    assert [bool(packed.rows) for packed in batches] == sorted((bool(packed.rows) for packed in batches), reverse=True)
    assert sum(len(packed.late) for packed in batches) == size
    assert np.concatenate([packed.late.row_numbers for packed in batches]).tolist() == rows.tolist()


def test_long_values_do_not_wait_for_many_others() -> None:
    text = "x" * 10_000
    made = 0

    def make_reports() -> Iterator[ChunkReport]:
        nonlocal made
        for number in range(60):
            made = number + 1
            yield make_report(number, errors=100, text=text)

    handed_over = 0
    for batch in make_packer().pack(make_reports()):
        handed_over += count_records(batch)
        # Records wait with their text as in the file, and then packed, with their text as displayed, until they fill a piece.
        assert made * 100 - handed_over <= WAITING_BYTES // len(text) + BYTES_PER_PIECE // MAX_TEXT_CHARACTERS + 200
    assert handed_over == 6000


@pytest.mark.parametrize("kind", [FileUnreadable, FileUncheckable])
def test_what_was_found_comes_before_the_news_that_the_file_breaks_off(kind: type[Exception]) -> None:
    def break_off() -> Iterator[ChunkReport]:
        yield make_report(0, errors=3)
        raise kind("The file ends in the middle of a row.")

    packer = make_packer()
    batches = packer.pack(break_off())
    handed_over = 0
    with pytest.raises(kind, match="middle of a row"):
        for batch in batches:
            handed_over += count_records(batch)
    assert handed_over == packer.progress.errors_stored == 3
    assert packer.progress.rows_processed == CHUNK_ROWS


def test_limit_of_stored_records_is_kept_and_all_are_counted() -> None:
    packer = make_packer(max_stored=25)
    assert sum(map(count_records, packer.pack(make_report(number, errors=10) for number in range(9)))) == 25
    assert (packer.progress.error_count, packer.progress.errors_stored) == (90, 25)


def test_there_is_a_batch_now_and_then_though_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(step=0.04)
    monkeypatch.setattr("features.processing.recording.packer.time.monotonic", lambda: next(clock))
    batches = list(make_packer().pack(make_report(number, errors=0) for number in range(30)))
    assert {count_records(batch) for batch in batches} == {0}
    # A batch for every third report: the clock is read once for each report, and three steps are 0.12 s.
    assert len(batches) == 11


def test_report_is_not_held_while_the_next_one_is_made() -> None:
    held: list[bool] = []

    def reports() -> Iterator[ChunkReport]:
        rows: list[weakref.ref[np.ndarray[Any, Any]]] = []
        for number in range(3):
            held.extend(row() is not None for row in rows)
            waiting = [make_report(number, errors=7)]
            rows.append(weakref.ref(waiting[0].findings[0].row_numbers))
            yield waiting.pop()

    assert [count_records(batch) for batch in make_packer(interval_s=0.0).pack(reports()) if count_records(batch)] == [7] * 3
    assert held == [False] * 3

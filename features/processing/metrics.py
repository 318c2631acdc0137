"""Metrics of the slice: how long attempts and their stages took, and which rows and errors were found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, get_args

from shared.observing.metrics import Counter, Histogram

if TYPE_CHECKING:
    from features.processing.chunk_reports import ChunkReport
    from shared.db.models import Job

Stage = Literal["reading", "checking", "packing", "recording"]
Outcome = Literal["completed", "failed", "lost", "released", "crashed", "begun anew"]

_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
WAIT_SECONDS = Histogram("rowgate_job_wait_seconds", "Time from a job's upload to its first attempt", buckets=_BUCKETS)
ATTEMPT_SECONDS = Histogram(
    "rowgate_attempt_duration_seconds",
    "Time from the claim of a job to the end of this attempt: completed, failed, released, lost or crashed",
    ["outcome"],
    buckets=_BUCKETS,
)
OUTPUT_SECONDS = Histogram(
    "rowgate_output_duration_seconds",
    "Time from the claim of an output to the end of this attempt at it: completed, failed, released, lost or crashed",
    ["name", "outcome"],
    buckets=_BUCKETS,
)
OUTPUT_BYTES = Counter("rowgate_output_bytes", "Size of the outputs that were made", ["name"])
ROWS = Counter("rowgate_rows_processed", "Rows that were checked, in every attempt")
ROWS_FAILED = Counter("rowgate_rows_failed", "Rows in which errors were found")
ROW_ERRORS = Counter("rowgate_row_errors", "Errors that were found in rows", ["error_type"])
STAGE_SECONDS = Counter("rowgate_stage_seconds", "Time that jobs spent waiting for their reader, checking, packing errors, and recording", ["stage"])

# Prometheus sees the first increase only if the counter was 0 before.
for _stage in get_args(Stage):
    STAGE_SECONDS.labels(_stage)
for _outcome in get_args(Outcome):
    ATTEMPT_SECONDS.labels(_outcome)


def count_claim(job: Job) -> None:
    """Record how long the job waited, if this is its first attempt."""
    if job.attempt == 1 and job.started_at is not None:
        WAIT_SECONDS.observe((job.started_at - job.created_at).total_seconds())


def count_attempt(outcome: Outcome, *, duration_s: float) -> None:
    """Record the end of an attempt."""
    ATTEMPT_SECONDS.labels(outcome).observe(duration_s)


def count_output(name: str, outcome: Outcome, *, duration_s: float) -> None:
    """Record the end of an attempt at an output."""
    OUTPUT_SECONDS.labels(name, outcome).observe(duration_s)


def count_report(report: ChunkReport) -> None:
    """Count the rows, errors and times of a report."""
    ROWS.inc(report.rows_processed)
    ROWS_FAILED.inc(report.rows_failed)
    # A table of thousands of columns has as many findings, and each look-up of a label takes longer than the rest.
    counts: dict[str, int] = {}
    for finding in report.findings:
        counts[finding.error_type] = counts.get(finding.error_type, 0) + len(finding)
    for error_type, count in counts.items():
        ROW_ERRORS.labels(error_type).inc(count)
    STAGE_SECONDS.labels("reading").inc(report.reading_s)
    STAGE_SECONDS.labels("checking").inc(report.checking_s)


@contextmanager
def measured(stage: Stage) -> Iterator[None]:
    """Count the time of the block as spent in `stage`, even if it raises."""
    start = time.perf_counter()
    try:
        yield
    finally:
        STAGE_SECONDS.labels(stage).inc(time.perf_counter() - start)

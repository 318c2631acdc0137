"""What one attempt tells the metrics: how long it took, in which stage, and what was found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from shared.observing import metrics

if TYPE_CHECKING:
    from features.processing.engine import ChunkReport
    from shared.db.models import Job

Stage = Literal["reading", "checking", "packing", "recording"]
Outcome = Literal["completed", "failed", "lost", "released", "crashed"]


def count_claim(job: Job) -> None:
    """Note how long the job waited, where nobody had it before."""
    if job.attempt == 1 and job.started_at is not None:
        metrics.WAIT_SECONDS.observe((job.started_at - job.created_at).total_seconds())


def count_attempt(outcome: Outcome, *, duration_s: float) -> None:
    """Note the end of an attempt."""
    metrics.ATTEMPT_SECONDS.labels(outcome).observe(duration_s)


def count_report(report: ChunkReport) -> None:
    """Note what a chunk of rows came to."""
    metrics.ROWS.inc(report.rows_processed)
    metrics.ROWS_FAILED.inc(report.rows_failed)
    for finding in report.findings:
        metrics.ROW_ERRORS.labels(finding.error_type).inc(len(finding))
    metrics.STAGE_SECONDS.labels("reading").inc(report.reading_s)
    metrics.STAGE_SECONDS.labels("checking").inc(report.checking_s)


@contextmanager
def measured(stage: Stage) -> Iterator[None]:
    """Count the time of the block as spent in `stage`, however it ends."""
    start = time.perf_counter()
    try:
        yield
    finally:
        metrics.STAGE_SECONDS.labels(stage).inc(time.perf_counter() - start)

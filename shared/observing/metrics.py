"""The service's Prometheus metrics, declared in one place; names follow the Prometheus naming rules.

What a slice alone knows it may declare in its own folder. What is asked for at each scrape (jobs by status, free disk …) is in `features/health/gauges.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from shared.observing.process_slots import ProcessSlots

MULTIPROCESS_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
"""Where the processes of one service keep their counts, so that any of them answers for all."""
_slots = ProcessSlots(Path(MULTIPROCESS_FOLDER)) if MULTIPROCESS_FOLDER else None
if _slots is not None:
    # Before the first metric: each of them asks it for its file.
    values.ValueClass = values.MultiProcessValue(_slots.own)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped

JOB_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

HTTP_SECONDS = Histogram(
    "rowgate_http_request_duration_seconds",
    "Time from a request's first byte to the end of its answer",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
HTTP_IN_PROGRESS = Gauge("rowgate_http_requests_in_progress", "Requests that are being answered", multiprocess_mode="livesum")
UPLOADED_BYTES = Counter("rowgate_uploaded_bytes", "Bytes of accepted files")
UPLOADS = Counter("rowgate_uploads", "Accepted files", ["file_type"])
WEBHOOK_ATTEMPTS = Counter(
    "rowgate_webhook_attempts", "POSTs to webhooks by what came of them: 2xx … 5xx, timeout, refused, not_found, certificate, connection", ["outcome"]
)
WEBHOOK_ATTEMPT_SECONDS = Histogram(
    "rowgate_webhook_attempt_duration_seconds",
    "Time of one POST to a webhook, from the look-up of its host to the end of the answer",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2),
)
WEBHOOK_DELIVERIES = Counter("rowgate_webhook_deliveries", "Webhooks that are over: delivered, rejected, exhausted", ["outcome"])

WAIT_SECONDS = Histogram("rowgate_job_wait_seconds", "Time from a job's upload to its first attempt", buckets=JOB_BUCKETS)
ATTEMPT_SECONDS = Histogram(
    "rowgate_attempt_duration_seconds",
    "Time from the claim of a job to the end of this attempt: completed, failed, released, lost or crashed",
    ["outcome"],
    buckets=JOB_BUCKETS,
)
ROWS = Counter("rowgate_rows_processed", "Rows that were checked, in every attempt")
ROWS_FAILED = Counter("rowgate_rows_failed", "Rows in which errors were found")
ROW_ERRORS = Counter("rowgate_row_errors", "Errors that were found in rows", ["error_type"])
STAGE_SECONDS = Counter("rowgate_stage_seconds", "Time that jobs spent waiting for their reader, checking, packing errors, and recording", ["stage"])

LEASES_TAKEN_BACK = Counter("rowgate_leases_taken_back", "Jobs that were taken back from a silent worker, by what became of them", ["status"])
MESSAGES_SENT_AGAIN = Counter("rowgate_messages_sent_again", "Messages of QUEUED jobs that were sent again, because nobody had answered the first")
MESSAGES_UNSENT = Counter("rowgate_messages_unsent", "Messages that the broker did not take; the periodic ring sends them")

POOL_CHECKED_OUT = Gauge("rowgate_db_pool_checked_out", "Database connections in use, of each process", multiprocess_mode="liveall")
POOL_LIMIT = Gauge("rowgate_db_pool_limit", "Database connections that each process may have", multiprocess_mode="liveall")

# A first increase is seen only where there was a 0 before it.
for _stage in ("reading", "checking", "packing", "recording"):
    STAGE_SECONDS.labels(_stage)
for _status in ("QUEUED", "FAILED"):
    LEASES_TAKEN_BACK.labels(_status)
for _outcome in ("completed", "failed", "released", "lost", "crashed"):
    ATTEMPT_SECONDS.labels(_outcome)


class ProcessesCollector(Collector):
    """The metrics of this process; of all processes that share PROMETHEUS_MULTIPROC_DIR where that is set."""

    def collect(self) -> Iterable[Metric]:
        """What has been counted until now."""
        if _slots is None:
            return REGISTRY.collect()
        merged: Iterable[Metric] = MultiProcessCollector.merge(_slots.list_files())  # type: ignore[no-untyped-call]  # as above
        return merged


class _Families(Collector):
    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def make_registry(*collectors: Collector) -> CollectorRegistry:
    """A registry with the processes' metrics, and what `collectors` know."""
    registry = CollectorRegistry()
    for collector in (ProcessesCollector(), *collectors):
        registry.register(collector)
    return registry


def render_metrics(families: Sequence[Metric] = ()) -> bytes:
    """Prometheus text of the processes' metrics, and of `families`."""
    return generate_latest(make_registry(_Families(families)))

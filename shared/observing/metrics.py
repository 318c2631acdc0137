"""Prometheus metrics: how one process counts, how the processes of a service are added up, and the metrics of `shared` itself.

A slice declares its metrics in its `metrics.py`, which every process loads, with the classes from this module: importing it decides where metrics keep
their values, which has to happen before the first metric is created. Names follow the Prometheus naming rules.
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

__all__ = ["Counter", "Gauge", "Histogram", "ProcessesCollector", "make_registry", "render_metrics"]

MULTIPROCESS_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
"""Folder in which the processes of one service keep their counts, so that any of them can answer for all."""
_slots = ProcessSlots(Path(MULTIPROCESS_FOLDER)) if MULTIPROCESS_FOLDER else None
if _slots is not None:
    # Has to be set before the first metric is created: each metric asks it for its file.
    values.ValueClass = values.MultiProcessValue(_slots.own)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped

HTTP_SECONDS = Histogram(
    "rowgate_http_request_duration_seconds",
    "Time from the start of a request's handling to the end of its answer",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
HTTP_IN_PROGRESS = Gauge("rowgate_http_requests_in_progress", "Requests that are being answered", multiprocess_mode="livesum")
MESSAGES_UNSENT = Counter("rowgate_messages_unsent", "Messages that the broker did not take; the periodic ring sends them")

STORAGE_LOST = Gauge(
    "rowgate_storage_lost",
    "1 if a process must not use the stored files: they are not reached, are another database's, or cannot be written; else 0",
    multiprocess_mode="livemax",
)
MACHINE_FAULTS = Counter(
    "rowgate_machine_faults",
    "Attempts that the machine failed and not the file: `spill-disk-full`, `storage`, `file-missing`, `killed`",
    ["kind"],
)
for _kind in ("spill-disk-full", "storage", "file-missing", "killed"):
    MACHINE_FAULTS.labels(_kind)

SECRET_FILES_READ = Counter(
    "rowgate_secret_files_read",
    "Times a changed file of a secret was read: taken, or refused, and then the secret before it stays in use",
    ["setting", "result"],
)

POOL_CHECKED_OUT = Gauge("rowgate_db_pool_checked_out", "Database connections in use in each process", multiprocess_mode="liveall")
POOL_LIMIT = Gauge("rowgate_db_pool_limit", "Most database connections that each process may open", multiprocess_mode="liveall")


class ProcessesCollector(Collector):
    """The metrics of this process, or of all processes that share PROMETHEUS_MULTIPROC_DIR if it is set."""

    def collect(self) -> Iterable[Metric]:
        """Return what has been counted so far."""
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
    """Return a registry with the processes' metrics and those of `collectors`."""
    registry = CollectorRegistry()
    for collector in (ProcessesCollector(), *collectors):
        registry.register(collector)
    return registry


def render_metrics(families: Sequence[Metric] = ()) -> bytes:
    """Render the processes' metrics and `families` as Prometheus text."""
    return generate_latest(make_registry(_Families(families)))

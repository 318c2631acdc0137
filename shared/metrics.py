"""The service's Prometheus metrics, declared in one place; names follow the Prometheus naming rules."""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

MULTIPROCESS_FOLDER = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
"""Where the processes of one service keep their counts, so that any of them answers for all; a fresh folder at each start."""
if MULTIPROCESS_FOLDER:
    Path(MULTIPROCESS_FOLDER).mkdir(parents=True, exist_ok=True)

HTTP_SECONDS = Histogram(
    "rowgate_http_request_duration_seconds",
    "Time from a request's first byte to the end of its answer",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
UPLOADED_BYTES = Counter("rowgate_uploaded_bytes", "Bytes of accepted files")
UPLOADS = Counter("rowgate_uploads", "Accepted files", ["file_type"])
WEBHOOK_ATTEMPTS = Counter(
    "rowgate_webhook_attempts", "POSTs to webhooks by what came of them: 2xx … 5xx, timeout, refused, not_found, certificate, connection", ["result"]
)
WEBHOOK_ATTEMPT_SECONDS = Histogram(
    "rowgate_webhook_attempt_duration_seconds",
    "Time of one POST to a webhook, from the look-up of its host to the end of the answer",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2),
)
WEBHOOK_DELIVERIES = Counter("rowgate_webhook_deliveries", "Webhooks that are over: delivered, rejected, exhausted", ["outcome"])


def render_metrics() -> bytes:
    """Prometheus text of this process; of all API processes where PROMETHEUS_MULTIPROC_DIR is set."""
    if MULTIPROCESS_FOLDER:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # prometheus_client leaves it untyped
        return generate_latest(registry)
    return generate_latest()

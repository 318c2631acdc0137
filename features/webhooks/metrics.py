"""Metrics of the webhook slice."""

from __future__ import annotations

from shared.observing.metrics import Counter, Histogram

ATTEMPTS = Counter("rowgate_webhook_attempts", "POSTs to webhooks by outcome: 2xx … 5xx, timeout, refused, not_found, certificate, connection", ["outcome"])
ATTEMPT_SECONDS = Histogram(
    "rowgate_webhook_attempt_duration_seconds",
    "Duration of one POST to a webhook, from the look-up of its host to the end of the answer",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2),
)
DELIVERIES = Counter("rowgate_webhook_deliveries", "Webhooks that are over: delivered, rejected, exhausted", ["outcome"])

# Prometheus sees the first increase only if the counter was 0 before: without this the first webhook that is given up would raise no alert.
for _outcome in ("delivered", "rejected", "exhausted"):
    DELIVERIES.labels(_outcome)

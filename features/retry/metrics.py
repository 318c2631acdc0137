"""Metrics of the retry slice."""

from __future__ import annotations

from shared.observing.metrics import Counter

LEASES_TAKEN_BACK = Counter("rowgate_leases_taken_back", "Jobs that were taken back from a silent worker, by their new status", ["status"])
MESSAGES_SENT_AGAIN = Counter("rowgate_messages_sent_again", "Messages of QUEUED jobs that were sent again because no worker had answered the first")

# Prometheus only sees the first increase if the series was there with a 0 before it.
for _status in ("QUEUED", "FAILED"):
    LEASES_TAKEN_BACK.labels(_status)

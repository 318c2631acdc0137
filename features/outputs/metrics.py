"""Metrics of the outputs slice; those of making them are in `features/processing/metrics.py`."""

from __future__ import annotations

from shared.observing.metrics import Counter

ASKED = Counter("rowgate_outputs_asked", "Outputs that were asked for and were not there", ["name"])
LEASES_TAKEN_BACK = Counter("rowgate_output_leases_taken_back", "Outputs that were taken back from a silent worker, by their new status", ["status"])
MESSAGES_SENT_AGAIN = Counter("rowgate_output_messages_sent_again", "Messages of QUEUED outputs that were sent again")
EXPIRED = Counter("rowgate_outputs_expired", "Outputs whose content was removed by retention")
FILES_SWEPT = Counter("rowgate_output_files_swept", "Files and folders of outputs that belonged to nobody and were removed")

# Prometheus only sees the first increase if the series was there with a 0 before it.
for _status in ("QUEUED", "FAILED"):
    LEASES_TAKEN_BACK.labels(_status)

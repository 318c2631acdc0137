"""What the slice counts."""

from __future__ import annotations

from shared.observing.metrics import Counter

LEASES_TAKEN_BACK = Counter("rowgate_leases_taken_back", "Jobs that were taken back from a silent worker, by what became of them", ["status"])
MESSAGES_SENT_AGAIN = Counter("rowgate_messages_sent_again", "Messages of QUEUED jobs that were sent again, because nobody had answered the first")

# An increase is only seen after a 0.
for _status in ("QUEUED", "FAILED"):
    LEASES_TAKEN_BACK.labels(_status)

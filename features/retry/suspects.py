"""Telling a worker that is dead from a database that was away: after an outage everybody's lease is over, and nobody is to blame."""

from __future__ import annotations

from collections.abc import Sequence

from shared.jobs.job_state import RENEWALS_PER_LEASE, ExpiredLease

MARGIN_S = 2.0
MAX_PATIENCE_S = 20.0
"""A lease that is over is taken back within 30 s of its end, however long leases are."""
BLIND_S = 20.0
"""Without a look for so long, what was seen before says nothing."""


class Suspects:
    """Leases that were seen to be over, by one process. A worker that lives renews within a third of a lease, once it can."""

    def __init__(self) -> None:
        self._first_seen_s: dict[ExpiredLease, float] = {}
        self._looked_at_s: float | None = None

    def judge(self, expired: Sequence[ExpiredLease], *, now_s: float, lease_s: float) -> Sequence[ExpiredLease]:
        """Those of `expired` (as the database has them at `now_s`, monotonic) that were not renewed though their workers had the time to."""
        if self._looked_at_s is None or now_s - self._looked_at_s > BLIND_S:
            self._first_seen_s.clear()
        self._looked_at_s = now_s
        self._first_seen_s = {lease: self._first_seen_s.get(lease, now_s) for lease in expired}
        patience_s = min(lease_s / RENEWALS_PER_LEASE + MARGIN_S, MAX_PATIENCE_S)
        return [lease for lease, first_s in self._first_seen_s.items() if now_s - first_s >= patience_s]

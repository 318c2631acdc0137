"""Tell a dead worker from a database that was unreachable: after an outage every lease has expired, and no worker is to blame."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from shared.jobs.job_state import RENEWALS_PER_LEASE

MARGIN_S = 2.0
MAX_PATIENCE_S = 20.0
"""Limits the wait so that an expired lease is taken back within 30 s of its end, however long leases are."""
BLIND_S = 20.0
"""After this long without a look, earlier observations mean nothing."""

Lease = TypeVar("Lease", bound=Hashable)


class Suspects(Generic[Lease]):
    """Leases that one process has seen expired. A living worker renews within a third of a lease once it can reach the database."""

    def __init__(self) -> None:
        self._first_seen_s: dict[Lease, float] = {}
        self._looked_at_s: float | None = None

    def judge(self, expired: Sequence[Lease], *, now_s: float, lease_s: float) -> Sequence[Lease]:
        """Return those of `expired` that were not renewed although their workers had time to do so.

        `expired` is what the database says at `now_s`, in seconds of the monotonic clock.
        """
        if self._looked_at_s is None or now_s - self._looked_at_s > BLIND_S:
            self._first_seen_s.clear()
        self._looked_at_s = now_s
        self._first_seen_s = {lease: self._first_seen_s.get(lease, now_s) for lease in expired}
        patience_s = min(lease_s / RENEWALS_PER_LEASE + MARGIN_S, MAX_PATIENCE_S)
        return [lease for lease, first_s in self._first_seen_s.items() if now_s - first_s >= patience_s]

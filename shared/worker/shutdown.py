"""Tell a worker's children, through shared memory, by when their jobs must have ended or been given back."""

from __future__ import annotations

import mmap
import struct
import time

_TIMES = struct.Struct("dd")
_page = mmap.mmap(-1, _TIMES.size)
"""Anonymous shared memory, inherited by every child that is forked after this import; zero if nobody asked to stop."""


MAX_MARGIN_S = 2.0
"""Time that giving a job back may take: its reader finishes its chunk, and the database answers."""
_SHARE = 4


def request_stop(*, within_s: float) -> float:
    """Ask running jobs to end, or to be given back, within so many seconds; the first request counts. Returns the seconds that are left of its time."""
    stop_at, end_at = _TIMES.unpack_from(_page)
    now = time.monotonic()
    if stop_at == 0.0:
        end_at = now + within_s
        _TIMES.pack_into(_page, 0, end_at - min(MAX_MARGIN_S, within_s / _SHARE), end_at)
    return float(end_at - now)


def must_stop() -> bool:
    """Return whether running jobs must be given back now (CLOCK_MONOTONIC is the same for all processes of a machine)."""
    stop_at: float = _TIMES.unpack_from(_page)[0]
    return stop_at != 0.0 and time.monotonic() >= stop_at


def is_requested() -> bool:
    """Return whether this process has been asked to stop, even if running jobs may still go on for a while."""
    return bool(_TIMES.unpack_from(_page)[0] != 0.0)

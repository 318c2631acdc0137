"""Tell a worker's children, through shared memory, by when their jobs must have ended or been given back."""

from __future__ import annotations

import mmap
import struct
import time

_DEADLINE = struct.Struct("d")
_page = mmap.mmap(-1, _DEADLINE.size)
"""Anonymous shared memory, inherited by every child that is forked after this import; zero if nobody asked to stop."""


MAX_MARGIN_S = 2.0
"""Time that giving a job back may take: its reader finishes its chunk, and the database answers."""
_SHARE = 4


def request_stop(*, within_s: float) -> None:
    """Ask that running jobs end or are given back within `within_s` seconds; only the first request counts."""
    if _DEADLINE.unpack_from(_page)[0] == 0.0:
        _DEADLINE.pack_into(_page, 0, time.monotonic() + within_s - min(MAX_MARGIN_S, within_s / _SHARE))


def must_stop() -> bool:
    """Return whether running jobs must be given back now (CLOCK_MONOTONIC is the same for all processes of a machine)."""
    deadline: float = _DEADLINE.unpack_from(_page)[0]
    return deadline != 0.0 and time.monotonic() >= deadline


def withdraw_stop() -> None:
    """Withdraw the request, for a worker that is started in the same process later, as in tests."""
    _DEADLINE.pack_into(_page, 0, 0.0)

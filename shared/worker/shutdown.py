"""Tells the children of a worker, through shared memory, when their jobs have to end or to be given back."""

from __future__ import annotations

import mmap
import struct
import time

_DEADLINE = struct.Struct("d")
_page = mmap.mmap(-1, _DEADLINE.size)
"""Anonymous shared memory, inherited by every child that is forked after this import; zero if nobody asked to stop."""


MAX_MARGIN_S = 2.0
"""How long giving a job back may take: its reader ends its chunk, and the database answers."""
_SHARE = 4


def request_stop(*, within_s: float) -> None:
    """Ask running jobs to end, or to be given back, within so many seconds; the first request counts."""
    if _DEADLINE.unpack_from(_page)[0] == 0.0:
        _DEADLINE.pack_into(_page, 0, time.monotonic() + within_s - min(MAX_MARGIN_S, within_s / _SHARE))


def must_stop() -> bool:
    """Whether running jobs have to be given back now (CLOCK_MONOTONIC is the same for all processes of a machine)."""
    deadline: float = _DEADLINE.unpack_from(_page)[0]
    return deadline != 0.0 and time.monotonic() >= deadline


def withdraw_stop() -> None:
    """Forget the request, for a worker that starts in the same process, as in tests."""
    _DEADLINE.pack_into(_page, 0, 0.0)

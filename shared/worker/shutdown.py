"""One word from a worker's main process to its children: stop by then."""

from __future__ import annotations

import mmap
import struct
import time

_DEADLINE = struct.Struct("d")
_page = mmap.mmap(-1, _DEADLINE.size)
"""Anonymous shared memory, inherited by every child that is forked after this import; zero: nobody asked to stop."""


def request_stop(*, grace_s: float) -> None:
    """Ask for an end of running jobs in `grace_s` seconds; the first request counts."""
    if _DEADLINE.unpack_from(_page)[0] == 0.0:
        _DEADLINE.pack_into(_page, 0, time.monotonic() + grace_s)


def must_stop() -> bool:
    """Whether the time that was left to running jobs is over (CLOCK_MONOTONIC is one clock for all processes of a machine)."""
    deadline: float = _DEADLINE.unpack_from(_page)[0]
    return deadline != 0.0 and time.monotonic() >= deadline


def withdraw_stop() -> None:
    """Forget the request (a worker that starts in the same process, as tests do)."""
    _DEADLINE.pack_into(_page, 0, 0.0)

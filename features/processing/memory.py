"""What the C library does with the memory of a chunk when the next chunk is about to need as much again."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_THRESHOLD_BYTES = 32 * 2**20
_TRIM_THRESHOLD_BYTES = 64 * 2**20
_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 64 MiB that it gave back: glibc returns blocks of 128 KiB to the system and takes them again, page by page.

    That was 80,000 page faults and 15 % of the time for a million rows. Where the environment says what malloc is to do, or the C library is
    another, nothing is changed. Source: mallopt(3).
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SETTINGS):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)

"""Process-wide settings that make reading and checking faster: freed memory, page size of Arrow's allocator, Python's thread switch interval and collector."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from functools import cache

from shared.hidden_modules import hide

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_THRESHOLD_BYTES = 32 * 2**20
_TRIM_THRESHOLD_BYTES = 64 * 2**20
_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


_SWITCH_INTERVAL_S = 0.0005
_PURGE_DELAY_MS = 100


def tune_libraries() -> None:
    """Set what Arrow and numpy read from the environment when they are loaded, unless it says otherwise.

    Arrow's allocator (mimalloc) uses pages of 4 KiB instead of 2 MiB, and releases free memory soon. Huge pages took 30 to 40 MiB more memory in each
    process, and 3 % more time, spent on filling them with zeros again and again. By default each thread of mimalloc keeps free memory for a second: 30 MiB
    more if most cells are bad. With a delay of 100 ms a file takes as much time as with 300 ms, with 20 ms 2 to 3 % more (and 6 MiB less), and without any
    delay a quarter more. Source: mimalloc's documentation, "Environment Options".

    OpenBLAS, which numpy loads and nothing here uses, starts no threads; by default it has one for each processor, which wait in a loop for work at first.
    """
    os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", str(_PURGE_DELAY_MS))
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def keep_pandas_out() -> None:
    """Let Arrow believe that pandas is not installed, unless it is imported already.

    Arrow looks for pandas at its first conversion of Python values (`pa.array`), which would import it into every process: 35 MiB and 0.9 s, for
    nothing but to ask whether the values are a Series. Arrow's `to_pandas` finds pandas all the same; until it is first called, `pa.array` takes a
    Series for any other sequence of values.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415  # this module is imported before Arrow, which reads its settings when it is loaded

    with hide("pandas"):
        pa.array([0])


@cache
def tune_process() -> None:
    """Set how freed memory is kept, how long a thread holds Python's lock, and what its collector passes over; done once for this process.

    Reading, checking and recording are threads that mostly run without Python's lock; a thread that needs it waits until another releases it, after up
    to 5 ms by default. A whole job with two million errors took 2.7 s; with 0.5 ms it takes 2.5 s.
    """
    sys.setswitchinterval(min(_SWITCH_INTERVAL_S, sys.getswitchinterval()))
    # What has been imported stays: looking for garbage in it took 4 % of the time for a file with bad cells.
    gc.freeze()
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let this process keep up to 64 MiB of freed memory: by default glibc returns blocks of 128 KiB to the system and gets them back page by page.

    That caused 80,000 page faults and took 15 % of the time for a million rows. If the environment configures malloc, or the C library is not glibc,
    nothing is changed. Source: mallopt(3).
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _SETTINGS):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)

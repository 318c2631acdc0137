"""Settings of the whole process with which reading and checking are faster: freed memory, pages of Arrow's, how long a thread keeps Python's lock."""

from __future__ import annotations

import ctypes
import importlib.abc
import os
import sys
from functools import cache

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_THRESHOLD_BYTES = 32 * 2**20
_TRIM_THRESHOLD_BYTES = 64 * 2**20
_SETTINGS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


_SWITCH_INTERVAL_S = 0.0005
_PURGE_DELAY_MS = 20


def tune_arrow() -> None:
    """Let Arrow's allocator (mimalloc) take pages of 4 KiB and not of 2 MiB, and give back soon what is free, unless the environment says otherwise.

    Huge pages were 30 to 40 MiB more of memory for each process, and 3 % more time, which went into filling them with zeros again and again. What is
    free mimalloc keeps for a second, each thread for itself: 30 MiB more where most cells are bad. With 20 ms a clean file takes no more time than
    with 200, one with bad cells 5 to 10 % more, and with none at all a quarter more. Source: mimalloc's documentation, "Environment Options".
    """
    os.environ.setdefault("MIMALLOC_ALLOW_THP", "0")
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", str(_PURGE_DELAY_MS))


class _NoPandas(importlib.abc.MetaPathFinder):
    """Finds no pandas."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Refuse pandas, and leave every other module to the finders after this one."""
        del path, target
        if name == "pandas":
            raise ModuleNotFoundError(name, name=name)


_NO_PANDAS = _NoPandas()


def keep_pandas_out() -> None:
    """Let Arrow believe that pandas is not installed, unless it is imported already.

    Arrow looks for pandas at its first conversion of Python values (`pa.array`), which would import it into every process: 35 MiB and 0.9 s, for
    nothing but to ask whether the values are a Series. A later `import pandas`, and Arrow's own `to_pandas`, work as usual.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa  # noqa: PLC0415  # this module is imported before Arrow, which reads its settings when it is loaded

    sys.meta_path.insert(0, _NO_PANDAS)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_NO_PANDAS)


@cache
def tune_process() -> None:
    """Set what becomes of freed memory and how long a thread keeps the lock, once; they hold for everything that runs in this process.

    Reading, checking and recording are threads that mostly run without Python's lock; who needs it waits for as long as another keeps it, 5 ms by
    default. A whole job with two million errors took 2.7 s, with 0.5 ms it takes 2.5 s.
    """
    sys.setswitchinterval(min(_SWITCH_INTERVAL_S, sys.getswitchinterval()))
    _keep_freed_memory()


def _keep_freed_memory() -> None:
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

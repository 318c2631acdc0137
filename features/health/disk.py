"""Measure the disk space available for uploads."""

from __future__ import annotations

import asyncio
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk-space")
"""A single dedicated thread, so that a network file system that hangs blocks no other thread."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Space on the file system that holds a folder."""

    free_bytes: int
    size_bytes: int


async def measure_disk(folder: Path) -> DiskSpace:
    """Return the space on the folder's disk. Raises `OSError` if there is no such folder."""
    usage = await asyncio.get_running_loop().run_in_executor(_thread, shutil.disk_usage, folder)
    return DiskSpace(free_bytes=usage.free, size_bytes=usage.total)

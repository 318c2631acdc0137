"""Let go of temporary files, also if their disk is full."""

from __future__ import annotations

from contextlib import suppress
from typing import IO


def discard_file(file: IO[bytes]) -> None:
    """Close a temporary file whose content is wanted no more; may be called twice.

    What is still in its buffer need not find room on the disk: closing it fails then, but the file is closed and its room is free.
    """
    with suppress(OSError):
        file.close()

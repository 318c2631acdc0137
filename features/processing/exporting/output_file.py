"""The file that an output is written to: it asks for disk space as it grows, and is made durable at the end."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

from features.processing.exporting.writer import CheckRoom

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

BYTES_PER_CHECK = 8 * 2**20
"""After so many bytes the disk space is checked again."""
_BUFFER_BYTES = 2**20


class _CheckedFile(io.FileIO):
    """A file that checks the disk space before it grows further."""

    def __init__(self, path: Path, check_room: CheckRoom) -> None:
        super().__init__(path, "w+b")
        self.is_dropped = False
        self._check_room = check_room
        self._unchecked_bytes = 0
        check_room()

    def write(self, data: ReadableBuffer, /) -> int:
        """Write some bytes. Raises `OSError` if the disk has too little space left."""
        if self.is_dropped:
            return memoryview(data).nbytes
        if self._unchecked_bytes >= BYTES_PER_CHECK:
            self._check_room()
            self._unchecked_bytes = 0
        written = super().write(data)
        self._unchecked_bytes += written
        return written


class OutputFile(io.BufferedRandom):
    """A new file at `path`; what was there is discarded."""

    def __init__(self, path: Path, check_room: CheckRoom) -> None:
        self._checked = _CheckedFile(path, check_room)
        super().__init__(self._checked, _BUFFER_BYTES)

    def finish(self) -> None:
        """Make the file durable and close it."""
        self.flush()
        os.fsync(self.fileno())
        self.close()

    def drop(self) -> None:
        """Let what is written from now on go nowhere, so that a library can end its work on a disk that is full; may be called twice, also after `finish`."""
        self._checked.is_dropped = True

    def discard(self) -> None:
        """Close the file, whatever becomes of bytes that are not written yet; may be called twice, also after `finish`."""
        self.drop()
        self.close()

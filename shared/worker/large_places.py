"""How many children of one worker are at work on large files: one slot is spared from them while several submitters are active (ADR 33).

Each child that claims something large locks one byte of a file that all children have inherited. The kernel lets go of the locks of a process that ends,
however it ends, so nothing has to be counted or cleaned up (fcntl(2), "Advisory record locking").
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys

_FLOCK = struct.Struct("@hhqqi")
"""`struct flock` on 64-bit Linux: type, whence, start, length, process."""


class LargePlaces:
    """One place for each slot of a worker; to be made before the worker forks its children."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._file = os.memfd_create("rowgate-large-places")
        self._mine: int | None = None

    def take(self) -> bool:
        """Take a place for this process, if one is free, and return whether a slot would still be spared if it were used: another place is free then."""
        if self._mine is None:
            self._mine = next((place for place in range(self._slots) if self._lock(place)), None)
        others = sum(self._is_taken_by_another(place) for place in range(self._slots) if place != self._mine)
        return self._mine is not None and others < self._slots - 1

    def give_back(self) -> None:
        """Leave this process's place, if it has one."""
        if self._mine is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._mine)
            self._mine = None

    def close(self) -> None:
        """Close the file, and so leave the place."""
        os.close(self._file)
        self._mine = None

    def _lock(self, place: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            return False
        return True

    def _is_taken_by_another(self, place: int) -> bool:
        answer = fcntl.fcntl(self._file, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)


_places: LargePlaces | None = None


def open_places(slots: int) -> None:
    """Make the places of this worker, in its main process. A worker of one slot spares none, and neither does one that does not run on Linux."""
    global _places  # noqa: PLW0603  # a worker has one
    _places = LargePlaces(slots) if slots > 1 and sys.platform == "linux" else None


def take() -> bool:
    """Take a place for something large, and return whether this worker would still spare a slot with it."""
    return _places is None or _places.take()


def give_back() -> None:
    """Leave the place that `take` took."""
    if _places is not None:
        _places.give_back()

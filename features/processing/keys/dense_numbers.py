"""A set of whole numbers that lie close together, in any order, as the row of each number between the smallest and the largest: one look finds a number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from features.processing.column import Mask
from features.processing.keys.packed_keys import Rows
from features.processing.keys.rising_numbers import Numbers

_ROW_BYTES = 4
_ROOM = 4
"""A range that grows gets a quarter more than is needed, so that it grows seldom."""


class DenseNumbers:
    """Numbers within one range, which is as large as its user lets it become."""

    def __init__(self) -> None:
        self._first = 0
        self._rows: Rows = np.zeros(0, np.uint32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the range takes."""
        return self._rows.nbytes if self._count else 0

    def widen(self, numbers: Numbers, *, most_bytes: int) -> bool:
        """Let the range cover some numbers if it takes no more than `most_bytes` then; return whether it has grown."""
        if not len(numbers):
            return False
        lowest, highest = int(numbers.min()), int(numbers.max())
        first, end = (self._first, self._first + len(self._rows)) if len(self._rows) else (lowest, lowest)
        if first <= lowest and highest < end:
            return False
        new_first, new_end = min(first, lowest), max(end, highest + 1)
        room = (new_end - new_first) // _ROOM
        if (new_end - new_first + room) * _ROW_BYTES > most_bytes:
            return False
        # The room is on the side to which the range grows, or, if that is both sides, above; the range never leaves the whole numbers of 64 bits.
        if lowest < first and highest < end:
            new_first = max(new_first - room, -(2**63))
        else:
            new_end = min(new_end + room, 2**63)
        rows = np.zeros(new_end - new_first, np.uint32)
        if len(self._rows):
            rows[first - new_first : end - new_first] = self._rows
        self._first, self._rows = new_first, rows
        return True

    def covers(self, numbers: Numbers) -> Mask:
        """Mark the numbers within the range."""
        # Differences of unsigned words are right even if those of signed ones are too large.
        return self._places(numbers) < np.uint64(len(self._rows))

    def find(self, numbers: Numbers) -> Rows:
        """Return the row of each number; 0 for a number that is not in the set."""
        if not self._count:
            return np.zeros(len(numbers), np.uint32)
        inside = self.covers(numbers)
        if bool(inside.all()):
            return self._rows[self._places(numbers).view(np.int64)]
        found = np.zeros(len(numbers), np.uint32)
        found[inside] = self._rows[self._places(numbers[inside]).view(np.int64)]
        return found

    def add(self, numbers: Numbers, rows: Rows) -> Rows:
        """Add numbers within the range that are not in the set; return for each the row of the same number before it, and 0 for the first of its kind."""
        places = self._places(numbers).view(np.int64)
        # Of equal numbers the first one is written last.
        self._rows[places[::-1]] = rows[::-1]
        firsts = self._rows[places]
        firsts[firsts == rows] = 0
        self._count += len(numbers) - int(np.count_nonzero(firsts))
        return firsts

    def pieces(self, most: int) -> Iterator[tuple[Numbers, Rows]]:
        """Yield all numbers in ascending order, and their rows, at most `most` at a time."""
        for start in range(0, len(self._rows), most):
            rows = self._rows[start : start + most]
            places = np.flatnonzero(rows)
            if len(places):
                yield places + (self._first + start), rows[places]

    def _places(self, numbers: Numbers) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        return numbers.view(np.uint64) - np.uint64(self._first % 2**64)

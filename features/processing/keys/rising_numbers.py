"""A set of whole numbers to which only larger ones are added, as are the keys of most files; a sequence without gaps takes constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from features.processing.column import Mask

Numbers = npt.NDArray[np.int64]

_FEW = 256


class RisingNumbers:
    """Stretches of consecutive numbers, each stored as its first and last number in 16 bytes."""

    def __init__(self) -> None:
        self._firsts: Numbers = np.empty(_FEW, np.int64)
        self._lasts: Numbers = np.empty(_FEW, np.int64)
        self._count = 0

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the stretches take."""
        return self._firsts.nbytes + self._lasts.nbytes if self._count else 0

    @property
    def highest(self) -> int | None:
        """The largest number; None if the set is empty."""
        return int(self._lasts[self._count - 1]) if self._count else None

    def add(self, numbers: Numbers) -> None:
        """Add ascending numbers, all of them greater than `highest`."""
        if not len(numbers):
            return
        gaps = np.flatnonzero(numbers[1:] - 1 != numbers[:-1])
        firsts = numbers[np.concatenate([[0], gaps + 1])]
        lasts = numbers[np.append(gaps, len(numbers) - 1)]
        if self.highest == int(firsts[0]) - 1:
            self._lasts[self._count - 1] = lasts[0]
            firsts, lasts = firsts[1:], lasts[1:]
        end = self._count + len(firsts)
        if end > len(self._firsts):
            self._firsts, self._lasts = (_grow(words, self._count, end * 5 // 4) for words in (self._firsts, self._lasts))
        self._firsts[self._count : end], self._lasts[self._count : end] = firsts, lasts
        self._count = end

    def contains(self, numbers: Numbers) -> Mask:
        """Mark the numbers that are in the set."""
        if not self._count:
            return np.zeros(len(numbers), np.bool_)
        places = np.searchsorted(self._firsts[: self._count], numbers, side="right") - 1
        found: Mask = (places >= 0) & (numbers <= self._lasts[places])
        return found

    def pieces(self, most: int) -> Iterator[Numbers]:
        """Yield all numbers in ascending order, at most `most` at a time."""
        waiting: list[Numbers] = []
        room = most
        for first, last in zip(self._firsts[: self._count].tolist(), self._lasts[: self._count].tolist(), strict=True):
            start = first
            while start <= last:
                end = min(last, start + room - 1)
                waiting.append(np.arange(start, end + 1, dtype=np.int64))
                room -= end + 1 - start
                start = end + 1
                if not room:
                    yield np.concatenate(waiting)
                    waiting, room = [], most
        if waiting:
            yield np.concatenate(waiting)


def _grow(words: Numbers, count: int, size: int) -> Numbers:
    grown = np.empty(size, np.int64)
    grown[:count] = words[:count]
    return grown

"""A set of whole numbers to which only larger ones are added, as are the keys of most files; a sequence without gaps takes constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from features.processing.keys.packed_keys import Rows

Numbers = npt.NDArray[np.int64]

_FEW = 256
_Kind = TypeVar("_Kind", bound=np.generic)


class RisingNumbers:
    """Stretches of consecutive numbers in consecutive rows, each stored as its first and last number and its first row, in 20 bytes."""

    def __init__(self) -> None:
        self._firsts: Numbers = np.empty(_FEW, np.int64)
        self._lasts: Numbers = np.empty(_FEW, np.int64)
        self._rows: Rows = np.empty(_FEW, np.uint32)
        self._count = 0

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the stretches take."""
        return self._firsts.nbytes + self._lasts.nbytes + self._rows.nbytes if self._count else 0

    @property
    def highest(self) -> int | None:
        """The largest number; None if the set is empty."""
        return int(self._lasts[self._count - 1]) if self._count else None

    def add(self, numbers: Numbers, rows: Rows) -> None:
        """Add ascending numbers, all of them greater than `highest`, and the row of each."""
        if not len(numbers):
            return
        gaps = np.flatnonzero((numbers[1:] - 1 != numbers[:-1]) | (rows[1:] - rows[:-1] != 1))
        starts = np.concatenate([[0], gaps + 1])
        firsts, first_rows = numbers[starts], rows[starts]
        lasts = numbers[np.append(gaps, len(numbers) - 1)]
        if self.highest == int(firsts[0]) - 1 and self._row_after_highest == int(first_rows[0]):
            self._lasts[self._count - 1] = lasts[0]
            firsts, lasts, first_rows = firsts[1:], lasts[1:], first_rows[1:]
        end = self._count + len(firsts)
        if end > len(self._firsts):
            size = end * 5 // 4
            self._firsts, self._lasts = (_grow(words, self._count, size) for words in (self._firsts, self._lasts))
            self._rows = _grow(self._rows, self._count, size)
        self._firsts[self._count : end], self._lasts[self._count : end], self._rows[self._count : end] = firsts, lasts, first_rows
        self._count = end

    @property
    def _row_after_highest(self) -> int:
        last = self._count - 1
        return int(self._rows[last]) + int(self._lasts[last]) - int(self._firsts[last]) + 1

    def find(self, numbers: Numbers) -> Rows:
        """Return the row of each number; 0 for a number that is not in the set."""
        if not self._count:
            return np.zeros(len(numbers), np.uint32)
        places = np.searchsorted(self._firsts[: self._count], numbers, side="right") - 1
        is_known = (places >= 0) & (numbers <= self._lasts[places])
        found = np.zeros(len(numbers), np.uint32)
        places = places[is_known]
        found[is_known] = self._rows[places] + (numbers[is_known] - self._firsts[places]).astype(np.uint32)
        return found

    def take_few(self) -> tuple[Numbers, Rows] | None:
        """Return all numbers in ascending order, and their rows, if they are few; else None."""
        if not 0 < self._count < _FEW or int((self._lasts - self._firsts)[: self._count].max()) >= _FEW:
            return None
        return _join(list(self.pieces(_FEW * _FEW)))

    def pieces(self, most: int) -> Iterator[tuple[Numbers, Rows]]:
        """Yield all numbers in ascending order, and their rows, at most `most` at a time."""
        waiting: list[tuple[Numbers, Rows]] = []
        room = most
        stretches = (self._firsts[: self._count], self._lasts[: self._count], self._rows[: self._count])
        for first, last, row in zip(*(words.tolist() for words in stretches), strict=True):
            start = first
            while start <= last:
                end = min(last, start + room - 1)
                numbers = np.arange(start, end + 1, dtype=np.int64)
                waiting.append((numbers, np.arange(row + start - first, row + end - first + 1, dtype=np.uint32)))
                room -= end + 1 - start
                start = end + 1
                if not room:
                    yield _join(waiting)
                    waiting, room = [], most
        if waiting:
            yield _join(waiting)


def _join(parts: list[tuple[Numbers, Rows]]) -> tuple[Numbers, Rows]:
    return np.concatenate([numbers for numbers, _ in parts]), np.concatenate([rows for _, rows in parts])


def _grow(words: npt.NDArray[_Kind], count: int, size: int) -> npt.NDArray[_Kind]:
    grown = np.empty(size, words.dtype)
    grown[:count] = words[:count]
    return grown

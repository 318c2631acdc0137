"""Keys as two words of 64 bits each, one key for each row; how to sort them, and find them in sorted runs, with the row that had each first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.processing.column import Indices, Mask

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.uint32]
"""Row numbers, from 1; 0 stands for none. A file of 2^32 rows is larger than any that is taken."""


class PackedKeys(NamedTuple):
    """One key for each row, as two words."""

    high: Words
    low: Words

    def take(self, rows: Indices | Mask) -> PackedKeys:
        """Select some of the keys."""
        return PackedKeys(self.high[rows], self.low[rows])


class StoredKeys(NamedTuple):
    """Keys without repeats, and the row that had each first."""

    keys: PackedKeys
    rows: Rows

    def take(self, places: Indices | Mask) -> StoredKeys:
        """Select some of the keys."""
        return StoredKeys(self.keys.take(places), self.rows[places])


def join_stored(parts: Sequence[StoredKeys]) -> StoredKeys:
    """Put the keys of several parts one after the other."""
    return StoredKeys(
        PackedKeys(np.concatenate([part.keys.high for part in parts]), np.concatenate([part.keys.low for part in parts])),
        np.concatenate([part.rows for part in parts]),
    )


def empty_keys(size: int) -> PackedKeys:
    """Create `size` keys that are all zero."""
    return PackedKeys(np.zeros(size, np.uint64), np.zeros(size, np.uint64))


def scatter(keys: PackedKeys) -> PackedKeys:
    """Mix the low word into the high word, so that the high word alone decides nearly every comparison; a second call undoes it."""
    mixed = keys.low * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return PackedKeys(keys.high ^ mixed ^ (mixed >> np.uint64(32)), keys.low)


def order_of(keys: PackedKeys) -> Indices:
    """Return the sort order by both words; equal keys keep their order."""
    order = np.argsort(keys.high, kind="stable")
    high, low = keys.high[order], keys.low[order]
    if bool(((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any()):
        return np.lexsort((keys.low, keys.high))
    return order


def search_pairs(run: StoredKeys, keys: PackedKeys) -> Rows:
    """Return the row of each key in `run`, which is sorted by both words; 0 for a key that is not in it."""
    high, low = run.keys
    left = np.searchsorted(high, keys.high, side="left")
    right = np.searchsorted(high, keys.high, side="right")
    found = np.zeros(len(keys.high), np.uint32)
    single = np.flatnonzero(right - left == 1)
    single = single[low[left[single]] == keys.low[single]]
    found[single] = run.rows[left[single]]
    # Texts of one length with the same bytes from the ninth on share a high word: each is found by binary search in its stretch, all at once.
    several = np.flatnonzero(right - left > 1)
    low_end, high_end = left[several], right[several]
    wanted = keys.low[several]
    while bool((low_end < high_end).any()):
        middle = (low_end + high_end) // 2
        below = (low_end < high_end) & (low[np.minimum(middle, len(low) - 1)] < wanted)
        low_end, high_end = np.where(below, middle + 1, low_end), np.where(below, high_end, np.where(low_end < high_end, middle, high_end))
    inside = np.flatnonzero(low_end < right[several])
    inside = inside[low[low_end[inside]] == wanted[inside]]
    found[several[inside]] = run.rows[low_end[inside]]
    return found

"""Keys as two words of 64 bits each, one key for each row; how to sort them, and find them in sorted runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.processing.column import Indices, Mask

Words = npt.NDArray[np.uint64]


class PackedKeys(NamedTuple):
    """One key for each row, as two words."""

    high: Words
    low: Words

    def take(self, rows: Indices | Mask) -> PackedKeys:
        """Select some of the keys."""
        return PackedKeys(self.high[rows], self.low[rows])


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


def search_pairs(run: PackedKeys, keys: PackedKeys) -> Mask:
    """Mark the keys that occur in `run`, which is sorted by both words."""
    left = np.searchsorted(run.high, keys.high, side="left")
    right = np.searchsorted(run.high, keys.high, side="right")
    found = np.zeros(len(keys.high), np.bool_)
    single = right - left == 1
    found[single] = run.low[left[single]] == keys.low[single]
    # Texts of one length with the same bytes from the ninth on share a high word: each is found by binary search in its stretch, all at once.
    several = np.flatnonzero(right - left > 1)
    low_end, high_end = left[several], right[several]
    wanted = keys.low[several]
    while bool((low_end < high_end).any()):
        middle = (low_end + high_end) // 2
        below = (low_end < high_end) & (run.low[np.minimum(middle, len(run.low) - 1)] < wanted)
        low_end, high_end = np.where(below, middle + 1, low_end), np.where(below, high_end, np.where(low_end < high_end, middle, high_end))
    inside = low_end < right[several]
    found[several[inside]] = run.low[low_end[inside]] == wanted[inside]
    return found

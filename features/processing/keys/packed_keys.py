"""PackedKeys as two words of 64 bits, a key for each row; how they are ordered, and found in what is sorted."""

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
        """Some of the keys."""
        return PackedKeys(self.high[rows], self.low[rows])


def empty_keys(size: int) -> PackedKeys:
    """Room for keys."""
    return PackedKeys(np.zeros(size, np.uint64), np.zeros(size, np.uint64))


def scatter(keys: PackedKeys) -> PackedKeys:
    """Spread the first word over all its values, so that it alone decides nearly every comparison; it undoes itself."""
    mixed = keys.low * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return PackedKeys(keys.high ^ mixed ^ (mixed >> np.uint64(32)), keys.low)


def order_of(keys: PackedKeys) -> Indices:
    """The order by both words; equal keys stay in the order in which they came."""
    order = np.argsort(keys.high, kind="stable")
    high, low = keys.high[order], keys.low[order]
    if bool(((high[1:] == high[:-1]) & (low[1:] != low[:-1])).any()):
        return np.lexsort((keys.low, keys.high))
    return order


def search_pairs(run: PackedKeys, keys: PackedKeys) -> Mask:
    """Which keys stand in a run that is sorted by both words."""
    left = np.searchsorted(run.high, keys.high, side="left")
    right = np.searchsorted(run.high, keys.high, side="right")
    found = np.zeros(len(keys.high), np.bool_)
    single = right - left == 1
    found[single] = run.low[left[single]] == keys.low[single]
    # Texts of one length with the same bytes from the ninth on: a binary search of each in its own stretch, all at once.
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

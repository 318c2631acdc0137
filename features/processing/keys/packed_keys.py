"""Keys as two words of 64 bits each, one key for each row, with the row that had each first; how they are hashed."""

from __future__ import annotations

import hashlib
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

    def take(self, rows: Indices | Mask | slice) -> PackedKeys:
        """Select some of the keys."""
        return PackedKeys(self.high[rows], self.low[rows])


class StoredKeys(NamedTuple):
    """Keys without repeats, and the row that had each first."""

    keys: PackedKeys
    rows: Rows

    def take(self, places: Indices | Mask | slice) -> StoredKeys:
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


class KeyHash:
    """Hashes keys with a secret, so that nobody can prepare keys that share their hash; the upper bits are evenly spread.

    Source: M. Dietzfelbinger, T. Hagerup, J. Katajainen and M. Penttonen, "A reliable randomized algorithm for the closest-pair problem", Journal of
    Algorithms 25 (1997), section 2 (multiply-shift).
    """

    def __init__(self, secret: bytes) -> None:
        factors = np.frombuffer(hashlib.blake2b(secret, digest_size=24).digest(), "<u8")
        self._of_high, self._of_low, self._of_both = factors | np.uint64(1)

    def of(self, keys: PackedKeys) -> Words:
        """Return one word for each key."""
        mixed: Words = keys.high * self._of_high
        mixed += keys.low * self._of_low
        mixed ^= mixed >> np.uint64(32)
        mixed *= self._of_both
        return mixed

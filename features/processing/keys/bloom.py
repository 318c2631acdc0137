"""A Bloom filter that tells whether a key may be in a set: the four bits of a key are in one word, so that a look costs one access to memory.

Source: F. Putze, P. Sanders and J. Singler, "Cache-, hash- and space-efficient Bloom filters", WEA 2007 (blocked filters).
"""

from __future__ import annotations

import numpy as np

from features.processing.column import Mask
from features.processing.keys.packed_keys import Words

_WORD_BYTES = 8
_BIT_NUMBERS = np.uint64(63)
_ONE = np.uint64(1)


class Bloom:
    """The filter of one set; a negative answer is certain."""

    def __init__(self, size_bytes: int) -> None:
        self._words = np.zeros((1 << (size_bytes - 1).bit_length()) // _WORD_BYTES, np.uint64)
        self._mask = np.uint64(len(self._words) - 1)

    def add(self, hashes: Words) -> None:
        """Record that keys with these hashes are in the set; the lower half of a hash need not be spread evenly."""
        places, bits = self._places(hashes)
        self._words[places] |= bits
        # Of several keys with one place only the last has been recorded.
        lost = np.flatnonzero((self._words[places] & bits) != bits)
        np.bitwise_or.at(self._words, places[lost], bits[lost])

    def may_contain(self, hashes: Words) -> Mask:
        """Mark the keys that may be in the set; the others certainly are not."""
        places, bits = self._places(hashes)
        return np.asarray((self._words[places] & bits) == bits)

    def _places(self, hashes: Words) -> tuple[Words, Words]:
        mixed = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        bits = _ONE << (mixed >> np.uint64(58))
        for shift in (52, 46, 40):
            bits |= _ONE << ((mixed >> np.uint64(shift)) & _BIT_NUMBERS)
        return (hashes >> np.uint64(20)) & self._mask, bits

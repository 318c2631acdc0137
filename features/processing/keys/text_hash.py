"""Hash many texts at once with a secret: strongly universal multilinear hashing of 32-bit words.

Two different texts that were chosen without knowledge of the secret have the same 128 bits with a probability of 2^-128, whatever they are.
Source: D. Lemire and O. Kaser, "Strongly universal string hashing is fast", The Computer Journal 57 (2014), section 3 (MULTILINEAR).
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from features.processing.keys.packed_keys import Words

MOST_BYTES = 128
"""Longer texts are not hashed here: it takes a step for every eight bytes of the longest."""
_HASHES = 4
_WORD_BYTES = 8
_ROWS_AT_ONCE = 2**13
"""All that a step needs fits into the processor's cache then: a third less time."""
_NOTHING: Words = np.zeros(0, np.uint64)
_LOW_32 = np.uint64(2**32 - 1)
_SHIFT = np.uint64(32)
MASKS = np.array([(1 << (8 * size)) - 1 for size in range(_WORD_BYTES + 1)], np.uint64)
"""For each number of bytes the mask of the first ones of a word."""


def words_at_any_place(data: npt.NDArray[np.uint8]) -> Words:
    """Return the eight bytes from each place of `data` on that has as many; nothing is copied."""
    return np.ndarray((len(data) - _WORD_BYTES + 1,), "<u8", buffer=np.ascontiguousarray(data), strides=(1,))


class TextHash:
    """The hash with one secret."""

    def __init__(self, secret: bytes) -> None:
        count = 2 * MOST_BYTES // _WORD_BYTES + 2
        stream = hashlib.shake_256(secret).digest(_HASHES * count * _WORD_BYTES)
        self._factors = np.frombuffer(stream, "<u8").reshape(_HASHES, count)

    def hash_texts(self, windows: Words, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> tuple[Words, Words]:
        """Return two words for each text, which has a size of at most `MOST_BYTES`, in bytes.

        `windows` are the words at any place of data that has at least eight bytes after the last text.
        """
        firsts = range(0, len(starts), _ROWS_AT_ONCE)
        parts = [self._hash_some(windows, starts[first : first + _ROWS_AT_ONCE], sizes[first : first + _ROWS_AT_ONCE]) for first in firsts]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([part[0] for part in parts] or [_NOTHING]), np.concatenate([part[1] for part in parts] or [_NOTHING])

    def _hash_some(self, windows: Words, starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> tuple[Words, Words]:
        # The length is a word like the others: it tells texts apart that differ in zeros at their ends.
        sums = [factors[0] + factors[1] * sizes.astype(np.uint64) for factors in self._factors]
        for number in range(-(-int(sizes.max(initial=0)) // _WORD_BYTES)):
            left = sizes - number * _WORD_BYTES
            if bool((left > 0).all()):
                self._add(sums, number, windows[starts + number * _WORD_BYTES] & MASKS[np.minimum(left, _WORD_BYTES)])
                continue
            at = np.flatnonzero(left > 0)
            parts = [each[at] for each in sums]
            self._add(parts, number, windows[starts[at] + number * _WORD_BYTES] & MASKS[np.minimum(left[at], _WORD_BYTES)])
            for each, part in zip(sums, parts, strict=True):
                each[at] = part
        return _join(sums[0], sums[1]), _join(sums[2], sums[3])

    def hash_words(self, words: Words) -> tuple[Words, Words]:
        """Return two words for each row of `words`, whose shape is (rows, columns), with at most 16 columns."""
        sums = [factors[0] + factors[1] * np.full(len(words), words.shape[1], np.uint64) for factors in self._factors]
        for number in range(words.shape[1]):
            self._add(sums, number, words[:, number])
        return _join(sums[0], sums[1]), _join(sums[2], sums[3])

    def _add(self, sums: list[Words], number: int, words: Words) -> None:
        low, high = words & _LOW_32, words >> _SHIFT
        for total, factors in zip(sums, self._factors, strict=True):
            np.add(total, factors[2 + 2 * number] * low, out=total)
            np.add(total, factors[3 + 2 * number] * high, out=total)


def _join(first: Words, second: Words) -> Words:
    """Join the upper halves of two sums, in which alone all bits are evenly spread."""
    return (first & ~_LOW_32) | (second >> _SHIFT)

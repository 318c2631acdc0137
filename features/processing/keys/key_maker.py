"""Keys of values, for sets of them: equal if the values are equal.

A key has 128 bits: a whole number or a text of up to 15 bytes is stored as it is, anything else as a hash of 120 bits with a secret that is new for each
run (`text_hash`, or BLAKE2b for long texts). So for short values equal keys mean equal values for certain; for others the probability that two different
values are taken for equal is below 1e-18 for a billion rows, and nobody can prepare a file in which that happens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from features.processing.column import Column, Indices
from features.processing.keys.packed_keys import PackedKeys, Words, empty_keys
from features.processing.keys.rising_numbers import Numbers
from features.processing.keys.text_hash import MASKS, MOST_BYTES, TextHash, words_at_any_place

NUMBER_TAG = np.uint64(0xF1 << 56)
"""The upper word of every key of a whole number."""
_SHORT_BYTES = 15
_TAG_SHIFT = np.uint64(56)
_HASH_TAG = 0xFF << 56
_LOW_56 = (1 << 56) - 1


class KeyMaker:
    """Makes the keys of one file."""

    def __init__(self, secret: bytes) -> None:
        """Keys of different secrets cannot be compared."""
        self._secret = secret
        self._text_hash = TextHash(secret)

    def number_keys(self, numbers: npt.NDArray[np.int64]) -> PackedKeys:
        """Return the keys of whole numbers, which never equal keys of texts."""
        return tag_numbers(numbers)

    def text_keys(self, column: Column, rows: Indices) -> PackedKeys:
        """Return the keys of the texts of some cells, whose indices ascend."""
        is_whole = len(rows) == len(column)
        sizes = (column.sizes if is_whole else column.sizes[rows]).astype(np.int64)
        short = sizes <= _SHORT_BYTES
        # Eight bytes are read at any position, so there must be eight bytes after the last cell.
        data = np.concatenate([column.data, np.zeros(16, np.uint8)])
        windows = words_at_any_place(data)
        starts = (column.starts if is_whole else column.starts[rows]).astype(np.int64)
        if len(rows) and not bool(short.any()) and int(sizes.max()) <= MOST_BYTES:
            return _hashed(self._text_hash.hash_texts(windows, starts, sizes))
        keys = empty_keys(len(rows))
        if bool(short.any()):
            keys.low[:] = windows[starts] & MASKS[np.minimum(sizes, 8)]
            high = windows[np.minimum(starts + 8, len(data) - 8)] & MASKS[np.clip(sizes - 8, 0, 7)]
            keys.high[:] = high | (sizes.astype(np.uint64) << _TAG_SHIFT)
        middle = np.flatnonzero(~short & (sizes <= MOST_BYTES))
        if len(middle):
            _put_hashes(keys, middle, self._text_hash.hash_texts(windows, starts[middle], sizes[middle]))
        long = np.flatnonzero(sizes > MOST_BYTES)
        if len(long):
            self._hash_into(
                keys, long, (column.data[start : start + size].tobytes() for start, size in zip(starts[long].tolist(), sizes[long].tolist(), strict=True))
            )
        return keys

    def value_keys(self, identities: Iterable[bytes], count: int) -> PackedKeys:
        """Return the keys of values of any type, given in a canonical form."""
        keys = empty_keys(count)
        self._hash_into(keys, np.arange(count), identities)
        return keys

    def combined_keys(self, parts: list[PackedKeys]) -> PackedKeys:
        """Combine several keys of each row into one key."""
        if len(parts) == 1:
            return parts[0]
        words = np.stack([word for part in parts for word in part], axis=1)
        keys = empty_keys(len(words))
        size = words.shape[1] * 8
        if size <= MOST_BYTES:
            _put_hashes(keys, np.arange(len(words)), self._text_hash.hash_words(words))
            return keys
        data = words.tobytes()
        self._hash_into(keys, np.arange(len(words)), (data[start : start + size] for start in range(0, len(data), size)))
        return keys

    def _hash_into(self, keys: PackedKeys, rows: Indices, texts: Iterable[bytes]) -> None:
        blake2b, secret = hashlib.blake2b, self._secret
        digests = b"".join(blake2b(text, digest_size=16, key=secret).digest() for text in texts)
        words = np.frombuffer(digests, "<u8").reshape(-1, 2)
        _put_hashes(keys, rows, (words[:, 0], words[:, 1]))


def tag_numbers(numbers: Words | Numbers) -> PackedKeys:
    """Return the keys of whole numbers."""
    return PackedKeys(np.full(len(numbers), NUMBER_TAG, np.uint64), numbers.view(np.uint64))


def _put_hashes(keys: PackedKeys, rows: Indices, hashes: tuple[Words, Words]) -> None:
    keys.high[rows], keys.low[rows] = _hashed(hashes)


def _hashed(hashes: tuple[Words, Words]) -> PackedKeys:
    return PackedKeys((hashes[0] & np.uint64(_LOW_56)) | np.uint64(_HASH_TAG), hashes[1])

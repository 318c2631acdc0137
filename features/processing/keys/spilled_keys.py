"""Keys on disk: sorted runs in blocks of 80 KB, each found through one key in memory, and a Bloom filter in front of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np

from features.processing.column import Indices, Mask
from features.processing.keys.packed_keys import PackedKeys, Rows, StoredKeys, Words, empty_keys, join_stored, search_pairs
from features.processing.readers.base import ReadLimits
from shared.temporary_files import discard_file

BLOCK_KEYS = 4096
_KEY_BYTES = 20
"""Two words, and a row."""


class Bloom:
    """Bloom filter that tells whether a key may be on disk; a negative answer is certain."""

    def __init__(self, size_bytes: int) -> None:
        self._bits = np.zeros(1 << (size_bytes - 1).bit_length(), np.uint8)
        self._mask = np.uint64(len(self._bits) * 8 - 1)

    def add(self, keys: PackedKeys) -> None:
        """Record that the keys are on disk."""
        for place in self._places(keys):
            np.bitwise_or.at(self._bits, place >> np.uint64(3), (np.uint64(1) << (place & np.uint64(7))).astype(np.uint8))

    def may_contain(self, keys: PackedKeys) -> Mask:
        """Mark the keys that may be on disk; the others certainly are not."""
        result = np.ones(len(keys.high), np.bool_)
        for place in self._places(keys):
            result &= (self._bits[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8)) & np.uint8(1) == 1
        return result

    def _places(self, keys: PackedKeys) -> tuple[Words, Words]:
        mixed = (keys.low ^ (keys.high * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xD6E8FEB86659FD93)
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0xD6E8FEB86659FD93)
        return mixed & self._mask, (mixed >> np.uint64(29)) & self._mask


class SpilledRun:
    """Sorted keys, with their rows, in an unnamed temporary file; the first key of each block stays in memory."""

    def __init__(self, pieces: Iterable[StoredKeys], limits: ReadLimits) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="keys-", dir=limits.spill_dir)  # noqa: SIM115 - closed by close()
        self.size = 0
        fences = [empty_keys(0)]
        try:
            for keys, rows in _in_blocks(pieces):
                fences.append(keys.take(np.arange(1)))
                self._file.write(keys.high.tobytes() + keys.low.tobytes() + rows.tobytes())
                self.size += len(rows)
            self._file.flush()
        except BaseException:
            self.close()
            raise
        self._fences = PackedKeys(np.concatenate([keys.high for keys in fences]), np.concatenate([keys.low for keys in fences]))

    def find(self, keys: PackedKeys) -> Rows:
        """Return the row of each key; 0 for a key that is not in the file. Each block is read at most once."""
        found = np.zeros(len(keys.high), np.uint32)
        blocks = _last_not_greater(self._fences, keys)
        order = np.argsort(blocks, kind="stable")
        edges = np.flatnonzero(np.diff(blocks[order], prepend=-2, append=-2))
        for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            rows = order[start:end]
            if blocks[rows[0]] >= 0:
                found[rows] = search_pairs(self._read_block(int(blocks[rows[0]])), keys.take(rows))
        return found

    def close(self) -> None:
        """Delete the file; may be called twice."""
        discard_file(self._file)

    def _read_block(self, block: int) -> StoredKeys:
        count = min(BLOCK_KEYS, self.size - block * BLOCK_KEYS)
        self._file.seek(block * BLOCK_KEYS * _KEY_BYTES)
        data = self._file.read(count * _KEY_BYTES)
        words = np.frombuffer(data, np.uint64, 2 * count)
        return StoredKeys(PackedKeys(words[:count], words[count:]), np.frombuffer(data, np.uint32, count, words.nbytes))


def _in_blocks(pieces: Iterable[StoredKeys]) -> Iterator[StoredKeys]:
    """Yield the same keys in blocks of equal size; the last may be smaller."""
    rest: StoredKeys | None = None
    for piece in pieces:
        stored = piece if rest is None else join_stored([rest, piece])
        whole = len(stored.rows) - len(stored.rows) % BLOCK_KEYS
        for start in range(0, whole, BLOCK_KEYS):
            yield _slice(stored, start, start + BLOCK_KEYS)
        rest = _slice(stored, whole, len(stored.rows)) if whole < len(stored.rows) else None
    if rest is not None:
        yield rest


def _slice(stored: StoredKeys, start: int, end: int) -> StoredKeys:
    return StoredKeys(PackedKeys(stored.keys.high[start:end], stored.keys.low[start:end]), stored.rows[start:end])


def _last_not_greater(fences: PackedKeys, keys: PackedKeys) -> Indices:
    """Return for each key the index of the last fence that is not greater; -1 if all are greater."""
    low_end = np.zeros(len(keys.high), np.int64)
    high_end = np.full(len(keys.high), len(fences.high), np.int64)
    while bool((low_end < high_end).any()):
        middle = np.minimum((low_end + high_end) // 2, len(fences.high) - 1)
        high, low = fences.high[middle], fences.low[middle]
        not_greater = (low_end < high_end) & ((high < keys.high) | ((high == keys.high) & (low <= keys.low)))
        low_end, high_end = np.where(not_greater, middle + 1, low_end), np.where(~not_greater & (low_end < high_end), middle, high_end)
    return low_end - 1

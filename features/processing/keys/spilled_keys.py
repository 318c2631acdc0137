"""Keys on disk, in blocks of 88 KB, of which only those are read that may have a key: sorted ones, and those of a hash table."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Protocol

import numpy as np
import numpy.typing as npt

from features.processing.column import Indices
from features.processing.keys.packed_keys import PackedKeys, Rows, StoredKeys, Words, join_stored
from features.processing.readers.base import ReadLimits
from shared.temporary_files import discard_file

BLOCK_KEYS = 4096
_KEY_BYTES = 22
"""Two words, a row, and the first bits of a hash."""
_COMPARED_AT_ONCE = 2**20
Prefixes = npt.NDArray[np.uint16]


class SpilledKeys(Protocol):
    """Different keys with their rows, in an unnamed temporary file; of each block only its first key is in memory."""

    def find(self, keys: PackedKeys, hashes: Words) -> Rows:
        """Return the row of each key; 0 for a key that is not in the file."""
        ...

    def close(self) -> None:
        """Delete the file; may be called twice."""
        ...


class _Blocks:
    """Blocks of keys in a file, each in some order."""

    def __init__(self, pieces: Iterable[tuple[StoredKeys, Prefixes]], limits: ReadLimits) -> None:
        """`pieces` are keys, and the first 16 bits of their hashes."""
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="keys-", dir=limits.spill_dir)  # noqa: SIM115 - closed by close()
        self.size = 0
        firsts: list[tuple[int, int]] = []
        try:
            for ((high, low), rows), prefixes in _in_blocks(pieces):
                firsts.append((int(low[0]), int(prefixes[0])))
                self._file.write(high.tobytes() + low.tobytes() + rows.tobytes() + prefixes.tobytes())
                self.size += len(rows)
            self._file.flush()
        except BaseException:
            self.close()
            raise
        self.first_lows = np.array([low for low, _ in firsts], np.uint64)
        self.first_prefixes = np.array([prefix for _, prefix in firsts], np.uint16)

    def read(self, block: int) -> tuple[StoredKeys, Prefixes]:
        """Return the keys of a block."""
        count = min(BLOCK_KEYS, self.size - block * BLOCK_KEYS)
        self._file.seek(block * BLOCK_KEYS * _KEY_BYTES)
        data = self._file.read(count * _KEY_BYTES)
        words = np.frombuffer(data, np.uint64, 2 * count)
        rows = np.frombuffer(data, np.uint32, count, words.nbytes)
        return StoredKeys(PackedKeys(words[:count], words[count:]), rows), np.frombuffer(data, np.uint16, count, words.nbytes + rows.nbytes)

    def close(self) -> None:
        """Delete the file; may be called twice."""
        discard_file(self._file)


class SpilledNumbers:
    """Keys with the same first word, sorted by the second one."""

    def __init__(self, pieces: Iterable[tuple[StoredKeys, Prefixes]], limits: ReadLimits) -> None:
        self._blocks = _Blocks(pieces, limits)

    def find(self, keys: PackedKeys, hashes: Words) -> Rows:
        """See `SpilledKeys`."""
        found = np.zeros(len(hashes), np.uint32)
        for block, rows in _group(np.searchsorted(self._blocks.first_lows, keys.low, side="right") - 1):
            stored, _ = self._blocks.read(block)
            wanted = keys.take(rows)
            places = np.minimum(np.searchsorted(stored.keys.low, wanted.low), len(stored.rows) - 1)
            is_same = (stored.keys.low[places] == wanted.low) & (stored.keys.high[places] == wanted.high)
            found[rows] = np.where(is_same, stored.rows[places], np.uint32(0))
        return found

    def close(self) -> None:
        """See `SpilledKeys`."""
        self._blocks.close()


class SpilledTable:
    """Keys in the order of the first 16 bits of their hashes."""

    def __init__(self, pieces: Iterable[tuple[StoredKeys, Prefixes]], limits: ReadLimits) -> None:
        self._blocks = _Blocks(pieces, limits)

    def find(self, keys: PackedKeys, hashes: Words) -> Rows:
        """See `SpilledKeys`."""
        found = np.zeros(len(hashes), np.uint32)
        prefixes = prefixes_of(hashes)
        # Keys with these bits may be at the end of the block before the first one that begins with them.
        firsts = np.maximum(np.searchsorted(self._blocks.first_prefixes, prefixes, side="left") - 1, 0)
        blocks = np.searchsorted(self._blocks.first_prefixes, prefixes, side="right") - 1
        rest = np.flatnonzero(blocks >= firsts)
        while len(rest):
            for block, places in _group(blocks[rest]):
                rows = rest[places]
                stored, known = self._blocks.read(block)
                starts, ends = np.searchsorted(known, prefixes[rows], side="left"), np.searchsorted(known, prefixes[rows], side="right")
                found[rows] = _search(stored, keys.take(rows), starts, ends)
            blocks[rest] -= 1
            rest = rest[(found[rest] == 0) & (blocks[rest] >= firsts[rest])]
        return found

    def close(self) -> None:
        """See `SpilledKeys`."""
        self._blocks.close()


def prefixes_of(hashes: Words) -> Prefixes:
    """Return the first 16 bits of each hash."""
    return (hashes >> np.uint64(48)).astype(np.uint16)


def _group(blocks: Indices) -> Iterator[tuple[int, Indices]]:
    """Yield each block that is not negative, and the places that it has in `blocks`."""
    order = np.argsort(blocks, kind="stable")
    edges = np.flatnonzero(np.diff(blocks[order], prepend=-2, append=-2))
    for start, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        places = order[start:end]
        if blocks[places[0]] >= 0:
            yield int(blocks[places[0]]), places


def _search(stored: StoredKeys, keys: PackedKeys, starts: Indices, ends: Indices) -> Rows:
    """Return the row of each key among those of `stored` from its start up to its end, all of which are compared; 0 for a key that is not there."""
    found = np.zeros(len(starts), np.uint32)
    most = max(1, _COMPARED_AT_ONCE // max(1, int((ends - starts).max(initial=0))))
    for first in range(0, len(starts), most):
        some = slice(first, first + most)
        lengths = ends[some] - starts[some]
        asked = np.repeat(np.arange(first, first + len(lengths)), lengths)
        places = np.arange(len(asked)) - np.repeat(np.cumsum(lengths) - lengths - starts[some], lengths)
        is_same = (stored.keys.low[places] == keys.low[asked]) & (stored.keys.high[places] == keys.high[asked])
        found[asked[is_same]] = stored.rows[places[is_same]]
    return found


def _in_blocks(pieces: Iterable[tuple[StoredKeys, Prefixes]]) -> Iterator[tuple[StoredKeys, Prefixes]]:
    """Yield the same keys in blocks of equal size; the last may be smaller."""
    rest: tuple[StoredKeys, Prefixes] | None = None
    for piece in pieces:
        stored, prefixes = piece if rest is None else (join_stored([rest[0], piece[0]]), np.concatenate([rest[1], piece[1]]))
        whole = len(prefixes) - len(prefixes) % BLOCK_KEYS
        for start in range(0, whole, BLOCK_KEYS):
            block = slice(start, start + BLOCK_KEYS)
            yield stored.take(block), prefixes[block]
        rest = (stored.take(slice(whole, None)), prefixes[whole:]) if whole < len(prefixes) else None
    if rest is not None:
        yield rest

"""An exact set of keys in memory, as a hash table in a few arrays: all keys of a chunk are looked up, or added, in a few steps.

Keys of one bucket are a chain: the bucket has the place of the key that was added last, and each key that of the one before it. A look at a key that is not
in the set mostly ends at its bucket. Source: D. E. Knuth, The Art of Computer Programming, vol. 3, section 6.4 (separate chaining).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from features.processing.column import Indices
from features.processing.keys.packed_keys import KeyHash, PackedKeys, Rows, StoredKeys, Words
from features.processing.keys.spilled_keys import Prefixes, prefixes_of

_FIRST_BUCKETS = 2**12
_GROWTH = 4
_KEYS_PER_BUCKET = 2
"""At most, on average; with 1, a table takes up to 8 bytes more for each key, and an eighth less time."""
_FIRST_ROOM = 2**10
_PIECE_KEYS = 2**16
_WORD_BITS = 64
_Places = npt.NDArray[np.int32]


class KeyTable:
    """Keys, each with the row that had it first."""

    def __init__(self, key_hash: KeyHash, *, high: np.uint64 | None = None) -> None:
        """`high` is the first word of all keys, if it is the same for all; then it is not stored."""
        self._hash, self._common = key_hash, high
        self._size = 0
        self._high: Words = np.empty(0, np.uint64)
        self._low: Words = np.empty(0, np.uint64)
        self._rows: Rows = np.empty(0, np.uint32)
        self._before: _Places = np.empty(0, np.int32)
        """For each key the place of the next one in its chain, from 1; 0 at its end."""
        self._buckets: _Places = np.zeros(0, np.int32)
        """For each bucket the place of the first key of its chain, from 1; 0 if it is empty."""

    def __len__(self) -> int:
        return self._size

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that the keys take."""
        return self._high.nbytes + self._low.nbytes + self._rows.nbytes + self._before.nbytes + self._buckets.nbytes

    def find(self, keys: PackedKeys, hashes: Words) -> Rows:
        """Return the row of each key; 0 for a key that is not in the table."""
        found = np.zeros(len(hashes), np.uint32)
        if not self._size:
            return found
        places = self._buckets[self._bucket_of(hashes)]
        active = np.flatnonzero(places)
        places = places[active] - 1
        while len(active):
            is_same = self._low[places] == keys.low[active]
            if self._common is None:
                is_same &= self._high[places] == keys.high[active]
            found[active[is_same]] = self._rows[places[is_same]]
            places = self._before[places]
            goes_on = np.flatnonzero((places > 0) & ~is_same)
            active, places = active[goes_on], places[goes_on] - 1
        return found

    def add(self, keys: PackedKeys, hashes: Words, rows: Rows) -> None:
        """Add keys that are all different, and none of which is in the table."""
        start, self._size = self._size, self._size + len(rows)
        self._make_room()
        if self._common is None:
            self._high[start : self._size] = keys.high
        self._low[start : self._size], self._rows[start : self._size] = keys.low, rows
        if self._size <= _KEYS_PER_BUCKET * len(self._buckets):
            self._link(start, hashes)
            return
        # The old buckets are released first, so that both are never in memory.
        size = max(_FIRST_BUCKETS, len(self._buckets))
        while _KEYS_PER_BUCKET * size < self._size:
            size *= _GROWTH
        self._buckets = np.zeros(0, np.int32)
        self._buckets = np.zeros(size, np.int32)
        at = 0
        for stored in self.pieces():
            self._link(at, self._hash.of(stored.keys))
            at += len(stored.rows)

    def pieces_by_hash(self) -> Iterator[tuple[StoredKeys, Prefixes]]:
        """Yield all keys in the order of the first 16 bits of their hashes, with these bits, in pieces."""
        prefixes = np.empty(self._size, np.uint16)
        at = 0
        for stored in self.pieces():
            prefixes[at : at + len(stored.rows)] = prefixes_of(self._hash.of(stored.keys))
            at += len(stored.rows)
        order = np.argsort(prefixes, kind="stable")  # a radix sort: a sort of the keys themselves takes eight times as long
        for start in range(0, self._size, _PIECE_KEYS):
            places = order[start : start + _PIECE_KEYS]
            yield StoredKeys(self._keys_at(places), self._rows[places]), prefixes[places]

    def pieces(self) -> Iterator[StoredKeys]:
        """Yield all keys in the order in which they were added, in pieces."""
        for start in range(0, self._size, _PIECE_KEYS):
            places = slice(start, min(start + _PIECE_KEYS, self._size))
            yield StoredKeys(self._keys_at(places), self._rows[places])

    def _keys_at(self, places: Indices | slice) -> PackedKeys:
        low = self._low[places]
        return PackedKeys(np.full(len(low), self._common, np.uint64) if self._common is not None else self._high[places], low)

    def _bucket_of(self, hashes: Words) -> Indices:
        return (hashes >> np.uint64(_WORD_BITS - (len(self._buckets).bit_length() - 1))).view(np.int64)

    def _link(self, start: int, hashes: Words) -> None:
        """Put the keys from the place `start` on before the others in the chains of their buckets."""
        buckets = self._bucket_of(hashes)
        places = np.arange(start + 1, start + 1 + len(hashes), dtype=np.int32)
        while len(places):
            before = self._buckets[buckets]
            self._buckets[buckets] = places
            # Of several keys with one bucket the last one has been put there; the others come before it, one after the other.
            is_there = self._buckets[buckets] == places
            self._before[places[is_there] - 1] = before[is_there]
            rest = np.flatnonzero(~is_there)
            buckets, places = buckets[rest], places[rest]

    def _make_room(self) -> None:
        room = len(self._low)
        if self._size > room:
            room = max(_FIRST_ROOM, self._size, room * 5 // 4)
            # In place, as far as the C library can; nothing else refers to these arrays.
            for resize in (self._low.resize, self._rows.resize, self._before.resize):
                resize(room, refcheck=False)
            if self._common is None:
                self._high.resize(room, refcheck=False)


def find_firsts(keys: PackedKeys, hashes: Words) -> Indices:
    """Return for each key the index of the first one that equals it, which is its own index if none before it does."""
    count = len(hashes)
    firsts = np.arange(count)
    bits = max(1, (2 * count).bit_length())
    buckets = (hashes >> np.uint64(_WORD_BITS - bits)).view(np.int64)
    first_of = np.empty(1 << bits, np.int32)
    rest: Indices = firsts
    while len(rest):
        # Of several keys with one bucket the first one is in the table at the end.
        first_of[buckets[::-1]] = rest[::-1]
        first = first_of[buckets]
        others = np.flatnonzero(first != rest)
        rest, first, buckets = rest[others], first[others], buckets[others]
        is_same = (keys.low[rest] == keys.low[first]) & (keys.high[rest] == keys.high[first])
        firsts[rest[is_same]] = first[is_same]
        others = np.flatnonzero(~is_same)
        rest, buckets = rest[others], buckets[others]
    return firsts

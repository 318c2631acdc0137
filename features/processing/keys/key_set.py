"""Sets of keys (`key_maker`) over a whole file: exact, vectorised, in bounded memory.

With each key the row that had it first is kept. Keys are kept in hash tables, and numbers that rise or lie close together in less (`rising_numbers`,
`dense_numbers`). When the sets of one file together exceed their shared budget, the largest set moves to a file of its own, in blocks of 88 KB, each found
through one key in memory; a Bloom filter avoids looking there for new keys.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from features.processing.column import Mask
from features.processing.keys.bloom import Bloom
from features.processing.keys.dense_numbers import DenseNumbers
from features.processing.keys.key_maker import NUMBER_TAG, KeyMaker, tag_numbers
from features.processing.keys.key_table import KeyTable, find_firsts
from features.processing.keys.packed_keys import KeyHash, PackedKeys, Rows, StoredKeys, Words
from features.processing.keys.rising_numbers import Numbers, RisingNumbers
from features.processing.keys.spilled_keys import BLOCK_KEYS, Prefixes, SpilledKeys, SpilledNumbers, SpilledTable, prefixes_of
from features.processing.readers.base import ReadLimits, RowNumbers

_PIECE_KEYS = 16 * BLOCK_KEYS
_MIN_BLOOM_BYTES = 2**16
_MOST_BYTES = 192
"""Bytes that the range of dense numbers may take for each of them: eight times what a hash table takes. Of numbers in no order the first chunks have few."""


@dataclass
class KeySpace:
    """The budget and the secret that all key sets of one file share."""

    limits: ReadLimits
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    sets: list[KeySet] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Held by the thread that moves sets to disk; it may take the lock of a set meanwhile, and never the other way round."""

    @cached_property
    def maker(self) -> KeyMaker:
        """Makes the keys of all these sets."""
        return KeyMaker(self.secret)

    @cached_property
    def key_hash(self) -> KeyHash:
        """The hash by which keys are found in their sets."""
        return KeyHash(self.secret)

    def create_set(self) -> KeySet:
        """Create an empty set."""
        result = KeySet(self)
        self.sets.append(result)
        return result

    def keep_budget(self) -> None:
        """Move the largest sets to disk until the rest is within the budget, unless another thread does so already."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            while sum(each.memory_bytes for each in self.sets) > self.limits.spill_threshold_bytes:
                largest = max(self.sets, key=lambda each: each.memory_bytes)
                if not largest.memory_bytes:
                    return
                largest.spill()
        finally:
            self._lock.release()

    def close(self) -> None:
        """Delete the files; may be called twice."""
        for each in self.sets:
            each.close()


class KeySet:
    """The set of keys seen so far, each with the row that had it first. Sets of one space may be used by several threads at once."""

    def __init__(self, space: KeySpace) -> None:
        self._space = space
        self._lock = threading.Lock()
        self._hash = space.key_hash
        self._rising = RisingNumbers()
        """Numbers that were greater than all numbers before them."""
        self._dense = DenseNumbers()
        """Other numbers that lie close together."""
        self._numbers, self._others = self._make_tables()
        """All other numbers, and all keys that are no numbers."""
        self._highest: int | None = None
        """The largest number in `_dense` and `_numbers`."""
        self._spilled: list[SpilledKeys] = []
        self._bloom: Bloom | None = None
        """Knows all keys on disk; None if there are none."""

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that `spill` would release."""
        return sum(each.memory_bytes for each in (self._rising, self._dense, self._numbers, self._others))

    def contains(self, keys: PackedKeys) -> Mask:
        """Mark the keys that are in the set."""
        return self.find(keys) > 0

    def find(self, keys: PackedKeys) -> Rows:
        """Return the row that had each key first; 0 for a key that is not in the set."""
        with self._lock:
            return self._find(keys, self._hash.of(keys))

    def _find(self, keys: PackedKeys, hashes: Words) -> Rows:
        """Do the work of `find`, given the hashes of the keys."""
        is_number = keys.high == NUMBER_TAG
        if bool(is_number.all()):
            found = self._find_numbers(keys, hashes)
        elif not bool(is_number.any()):
            found = self._others.find(keys, hashes)
        else:
            found = np.empty(len(hashes), np.uint32)
            for rows, find in ((np.flatnonzero(is_number), self._find_numbers), (np.flatnonzero(~is_number), self._others.find)):
                found[rows] = find(keys.take(rows), hashes[rows])
        if self._bloom is not None:
            maybe = np.flatnonzero((found == 0) & self._bloom.may_contain(hashes))
            for spilled in self._spilled:
                if len(maybe):
                    found[maybe] = spilled.find(keys.take(maybe), hashes[maybe])
                    maybe = maybe[found[maybe] == 0]
        return found

    def _find_numbers(self, keys: PackedKeys, hashes: Words) -> Rows:
        found = self._numbers.find(keys, hashes)
        for numbers in (self._dense, self._rising):
            if numbers.memory_bytes:
                rest = np.flatnonzero(found == 0)
                found[rest] = numbers.find(keys.low[rest].view(np.int64))
        return found

    def add(self, keys: PackedKeys, row_numbers: RowNumbers) -> RowNumbers:
        """Add the keys of some rows in order; return for each key the row that had it before, in the set or among `keys`, and 0 for a new key."""
        with self._lock:
            firsts = self._add(keys, row_numbers.astype(np.uint32))
        self._space.keep_budget()
        return firsts

    def _add(self, keys: PackedKeys, rows: Rows) -> RowNumbers:
        if not len(rows) or not bool((keys.high == NUMBER_TAG).all()):
            return self._add_any(keys, rows).astype(np.int64)
        rising = self._find_rising(keys.low.view(np.int64))
        if len(self._dense) and 2 * np.count_nonzero(rising) < len(rows):
            # They are in no order, and a look into one set takes less time than one into two.
            rising[:] = False
        firsts = np.zeros(len(rows), np.int64)
        # A rising number is greater than all keys before it, so no earlier key equals it: the rising ones can be added first.
        self._rising.add(keys.low[rising].view(np.int64), rows[rising])
        rest = np.flatnonzero(~rising)
        is_dense = self._find_dense(keys.low[rest].view(np.int64))
        if bool(is_dense.any()):
            dense, rest = rest[is_dense], rest[~is_dense]
            firsts[dense] = self._add_dense(keys.take(dense), rows[dense])
        if len(rest) == len(rows):
            firsts[:] = self._add_any(keys, rows)
        elif len(rest):
            firsts[rest] = self._add_any(keys.take(rest), rows[rest])
        return firsts

    def _find_dense(self, numbers: Numbers) -> Mask:
        """Mark the numbers that are to be kept among the dense ones, whose range is widened for them if it may be."""
        known = len(self._dense) + len(self._numbers) + len(numbers)
        if self._dense.widen(numbers, most_bytes=min(self._space.limits.spill_threshold_bytes // 2, known * _MOST_BYTES)):
            self._move_numbers()
        return self._dense.covers(numbers)

    def _move_numbers(self) -> None:
        """Move the other numbers to the dense ones: those in the hash table, and those that rose if they are few; each if all of them are within the range."""
        few = self._rising.take_few()
        if few is not None and bool(self._dense.covers(few[0]).all()):
            self._dense.add(*few)
            self._note_highest(few[0])
            self._rising = RisingNumbers()
        if all(bool(self._dense.covers(stored.keys.low.view(np.int64)).all()) for stored in self._numbers.pieces()):
            for stored in self._numbers.pieces():
                self._dense.add(stored.keys.low.view(np.int64), stored.rows)
            self._numbers = self._make_tables()[0]

    def _add_dense(self, keys: PackedKeys, rows: Rows) -> Rows:
        numbers = keys.low.view(np.int64)
        firsts = self._dense.find(numbers)
        new = np.flatnonzero(firsts == 0)
        if self._rising.highest is not None:
            firsts[new] = self._rising.find(numbers[new])
            new = new[firsts[new] == 0]
        if len(self._numbers) or self._spilled:
            others = keys.take(new)
            firsts[new] = self._find(others, self._hash.of(others))
            new = new[firsts[new] == 0]
        firsts[new] = self._dense.add(numbers[new], rows[new])
        self._note_highest(numbers)
        return firsts

    def _note_highest(self, numbers: Numbers) -> None:
        highest = int(numbers.max())
        self._highest = max(highest, self._highest) if self._highest is not None else highest

    def _add_any(self, keys: PackedKeys, rows: Rows) -> Rows:
        hashes = self._hash.of(keys)
        first_of = find_firsts(keys, hashes)
        repeated = np.flatnonzero(first_of != np.arange(len(rows)))
        # A key that was there before is found for every repeat of it.
        firsts = self._find(keys, hashes)
        is_new = firsts == 0
        is_new[repeated] = False
        of_first = firsts[repeated]
        firsts[repeated] = np.where(of_first == 0, rows[first_of[repeated]], of_first)
        is_number = keys.high == NUMBER_TAG
        self._add_new(self._numbers, keys, hashes, rows, is_new & is_number)
        self._add_new(self._others, keys, hashes, rows, is_new & ~is_number)
        numbers = keys.low[is_number].view(np.int64)
        if len(numbers):
            self._note_highest(numbers)
        return firsts

    def _add_new(self, table: KeyTable, keys: PackedKeys, hashes: Words, rows: Rows, chosen: Mask) -> None:
        if bool(chosen.all()):
            table.add(keys, hashes, rows)
        elif bool(chosen.any()):
            places = np.flatnonzero(chosen)
            table.add(keys.take(places), hashes[places], rows[places])

    def _find_rising(self, numbers: Numbers) -> Mask:
        """Mark the numbers that are greater than all numbers in the set and before them: they cannot be repeats."""
        if self._spilled:
            return np.zeros(len(numbers), np.bool_)
        rising = np.empty(len(numbers), np.bool_)
        np.greater(numbers[1:], np.maximum.accumulate(numbers)[:-1], out=rising[1:])
        rising[0] = True
        known = [number for number in (self._highest, self._rising.highest) if number is not None]
        if known:
            rising &= numbers > max(known)
        return rising

    def spill(self) -> None:
        """Move the keys in memory to disk."""
        with self._lock:
            if self._bloom is None:
                self._bloom = self._make_bloom()
            for table in (self._numbers, self._others):
                if len(table):
                    self._spilled.append(SpilledTable(self._noted_table(table, self._bloom), self._space.limits))
            for numbers in (self._dense, self._rising):
                if numbers.memory_bytes:
                    self._spilled.append(SpilledNumbers(self._noted_numbers(numbers, self._bloom), self._space.limits))
            self._forget()

    def _make_tables(self) -> tuple[KeyTable, KeyTable]:
        return KeyTable(self._hash, high=NUMBER_TAG), KeyTable(self._hash)

    def _forget(self) -> None:
        self._rising, self._dense, self._highest = RisingNumbers(), DenseNumbers(), None
        self._numbers, self._others = self._make_tables()

    def _make_bloom(self) -> Bloom:
        # Memory that is never written to is none.
        return Bloom(max(self._space.limits.spill_threshold_bytes // (4 * len(self._space.sets)), _MIN_BLOOM_BYTES))

    def close(self) -> None:
        """Delete the files; may be called twice."""
        for spilled in self._spilled:
            spilled.close()
        self._spilled, self._bloom = [], None
        self._forget()

    def _noted_table(self, table: KeyTable, bloom: Bloom) -> Iterator[tuple[StoredKeys, Prefixes]]:
        for stored, prefixes in table.pieces_by_hash():
            bloom.add(self._hash.of(stored.keys))
            yield stored, prefixes

    def _noted_numbers(self, held: RisingNumbers | DenseNumbers, bloom: Bloom) -> Iterator[tuple[StoredKeys, Prefixes]]:
        # As unsigned words negative numbers come last.
        for negative in (False, True):
            for numbers, rows in held.pieces(_PIECE_KEYS):
                chosen = (numbers < 0) == negative
                if bool(chosen.any()):
                    stored = StoredKeys(tag_numbers(numbers[chosen]), rows[chosen])
                    hashes = self._hash.of(stored.keys)
                    bloom.add(hashes)
                    yield stored, prefixes_of(hashes)

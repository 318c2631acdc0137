"""Sets of keys over a whole file: exact, vectorised, in bounded memory.

A key has 128 bits: a whole number or a text of up to 15 bytes is stored as it is, anything else as a BLAKE2b hash of 120 bits, keyed with a secret
that is new for each run. So for short values equal keys mean equal values for certain; for others the probability that two different values are
taken for equal is below 1e-18 for a billion rows, and nobody can prepare a file in which that happens.

With each key the row that had it first is kept. Keys are kept as sorted runs that are merged as they grow. When the sets of one file together exceed
their shared budget, the largest set moves to a file of its own (in blocks of 80 KB, each found through one key in memory); a Bloom filter in memory
avoids looking up new keys there.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.processing.column import Column, Indices, Mask
from features.processing.keys.packed_keys import PackedKeys, Rows, StoredKeys, Words, empty_keys, join_stored, order_of, scatter, search_pairs
from features.processing.keys.rising_numbers import Numbers, RisingNumbers
from features.processing.keys.spilled_keys import BLOCK_KEYS, Bloom, SpilledRun
from features.processing.readers.base import ReadLimits, RowNumbers

_SHORT_BYTES = 15
_NUMBER_TAG = np.uint64(0xF1 << 56)
_TAG_SHIFT = np.uint64(56)
_HASH_TAG = 0xFF << 56
_LOW_56 = (1 << 56) - 1
_PIECE_KEYS = 16 * BLOCK_KEYS
_MIN_BLOOM_BYTES = 2**16
_MASKS = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)


@dataclass
class KeySpace:
    """The budget and the secret that all key sets of one file share."""

    limits: ReadLimits
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    sets: list[KeySet] = field(default_factory=list)

    def create_set(self) -> KeySet:
        """Create an empty set."""
        result = KeySet(self)
        self.sets.append(result)
        return result

    def number_keys(self, numbers: npt.NDArray[np.int64]) -> PackedKeys:
        """Return the keys of whole numbers, which never equal keys of texts."""
        return _tagged(numbers)

    def text_keys(self, column: Column, rows: Indices) -> PackedKeys:
        """Return the keys of the texts of some cells."""
        keys = empty_keys(len(rows))
        sizes = column.sizes[rows].astype(np.int64)
        short = sizes <= _SHORT_BYTES
        # Eight bytes are read at any position, so there must be eight bytes after the last cell.
        data = np.concatenate([column.data, np.zeros(16, np.uint8)])
        windows = np.lib.stride_tricks.sliding_window_view(data, 8)
        starts = column.starts[rows].astype(np.int64)
        low = np.ascontiguousarray(windows[starts]).view("<u8")[:, 0] & _MASKS[np.minimum(sizes, 8)]
        high = np.ascontiguousarray(windows[np.minimum(starts + 8, len(data) - 8)]).view("<u8")[:, 0] & _MASKS[np.clip(sizes - 8, 0, 7)]
        keys.low[:] = low
        keys.high[:] = high | (sizes.astype(np.uint64) << _TAG_SHIFT)
        long = np.flatnonzero(~short)
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
        data = words.tobytes()
        self._hash_into(keys, np.arange(len(words)), (data[start : start + size] for start in range(0, len(data), size)))
        return keys

    def keep_budget(self) -> None:
        """Move the largest sets to disk until the rest is within the budget."""
        while sum(each.memory_bytes for each in self.sets) > self.limits.spill_threshold_bytes:
            largest = max(self.sets, key=lambda each: each.memory_bytes)
            if not largest.memory_bytes:
                return
            largest.spill()

    def close(self) -> None:
        """Delete the files; may be called twice."""
        for each in self.sets:
            each.close()

    def _hash_into(self, keys: PackedKeys, rows: Indices, texts: Iterable[bytes]) -> None:
        blake2b, secret = hashlib.blake2b, self.secret
        digests = b"".join(blake2b(text, digest_size=16, key=secret).digest() for text in texts)
        words = np.frombuffer(digests, "<u8").reshape(-1, 2)
        keys.high[rows] = (words[:, 0] & np.uint64(_LOW_56)) | np.uint64(_HASH_TAG)
        keys.low[rows] = words[:, 1]


class KeySet:
    """The set of keys seen so far, each with the row that had it first."""

    def __init__(self, space: KeySpace) -> None:
        self._space = space
        self._rising = RisingNumbers()
        """Numbers that were greater than all numbers before them."""
        self._numbers: list[tuple[Numbers, Rows]] = []
        """The other numbers in sorted runs."""
        self._pairs: list[StoredKeys] = []
        self._spilled: list[SpilledRun] = []
        self._bloom: Bloom | None = None

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that `spill` would release."""
        numbers = sum(run.nbytes + rows.nbytes for run, rows in self._numbers)
        return self._rising.memory_bytes + numbers + sum(run.keys.high.nbytes * 2 + run.rows.nbytes for run in self._pairs)

    def contains(self, keys: PackedKeys) -> Mask:
        """Mark the keys that are in the set."""
        return self.find(keys) > 0

    def find(self, keys: PackedKeys) -> Rows:
        """Return the row that had each key first; 0 for a key that is not in the set."""
        found = np.zeros(len(keys.high), np.uint32)
        is_number = keys.high == _NUMBER_TAG
        numbers = np.flatnonzero(is_number)
        if len(numbers):
            found[numbers] = self._find_numbers(keys.low[numbers].view(np.int64))
        others = np.flatnonzero(~is_number)
        if len(others) and self._pairs:
            pairs = scatter(keys.take(others))
            for run in self._pairs:
                found[others] |= search_pairs(run, pairs)
        if self._spilled and self._bloom is not None:
            open_keys = np.flatnonzero(found == 0)
            maybe = open_keys[self._bloom.may_contain(keys.take(open_keys))]
            for spilled in self._spilled:
                rest = maybe[found[maybe] == 0]
                found[rest] = spilled.find(keys.take(rest))
        return found

    def add(self, keys: PackedKeys, row_numbers: RowNumbers) -> RowNumbers:
        """Add the keys of some rows in order; return for each key the row that had it before, in the set or among `keys`, and 0 for a new key."""
        rows = row_numbers.astype(np.uint32)
        rising = self._find_rising(keys)
        firsts = np.zeros(len(rows), np.int64)
        # A rising number is greater than all keys before it, so no earlier key equals it: the rising ones can be added first.
        self._rising.add(keys.low[rising].view(np.int64), rows[rising])
        rest = np.flatnonzero(~rising)
        if len(rest):
            firsts[rest] = self._add_any(keys.take(rest), rows[rest])
        self._space.keep_budget()
        return firsts

    def _add_any(self, keys: PackedKeys, rows: Rows) -> Rows:
        order, is_first = _sort_and_mark(keys)
        firsts = self.find(keys)
        fresh = order[is_first & (firsts[order] == 0)]
        is_repeated = np.flatnonzero(~is_first)
        if len(is_repeated):
            # The first of equal keys among these stands before them in the order.
            of_first = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
            places = order[is_repeated]
            firsts[places] = np.where(firsts[places] == 0, rows[order[of_first[is_repeated]]], firsts[places])
        stored = StoredKeys(keys.take(fresh), rows[fresh])
        is_number = stored.keys.high == _NUMBER_TAG
        if bool(is_number.any()):
            numbers, of_numbers = stored.keys.low[is_number].view(np.int64), stored.rows[is_number]
            # As unsigned words negative numbers sort last, so the numbers are sorted again as signed ones.
            by_number = np.argsort(numbers, kind="stable")
            _push_numbers(self._numbers, numbers[by_number], of_numbers[by_number])
        if not bool(is_number.all()):
            others = stored.take(~is_number)
            pairs = scatter(others.keys)
            _push_pairs(self._pairs, StoredKeys(pairs, others.rows).take(order_of(pairs)))
        return firsts

    def _find_rising(self, keys: PackedKeys) -> Mask:
        """Mark the numbers that are greater than all numbers in the set and before them: they cannot be repeats."""
        if self._spilled or not len(keys.low) or not bool((keys.high == _NUMBER_TAG).all()):
            return np.zeros(len(keys.low), np.bool_)
        numbers = keys.low.view(np.int64)
        rising = np.empty(len(numbers), np.bool_)
        np.greater(numbers[1:], np.maximum.accumulate(numbers)[:-1], out=rising[1:])
        rising[0] = True
        known = [int(run[-1]) for run, _ in self._numbers]
        if self._rising.highest is not None:
            known.append(self._rising.highest)
        if known:
            rising &= numbers > max(known)
        return rising

    def spill(self) -> None:
        """Move the keys in memory to disk."""
        runs = [StoredKeys(_tagged(run), rows) for run, rows in self._numbers]
        # `scatter` also undoes itself, since it changes one word by a function of the other.
        runs += [StoredKeys(scatter(run.keys), run.rows) for run in self._pairs]
        if self._bloom is None:
            self._bloom = Bloom(max(self._space.limits.spill_threshold_bytes // (4 * len(self._space.sets)), _MIN_BLOOM_BYTES))
        if runs:
            stored = join_stored(runs)
            self._spill_sorted([stored.take(np.lexsort((stored.keys.low, stored.keys.high)))])
        # Keys on disk are ordered as unsigned words, so negative numbers come last.
        self._spill_sorted(
            StoredKeys(_tagged(numbers[chosen]), rows[chosen])
            for negative in (False, True)
            for numbers, rows in self._rising.pieces(_PIECE_KEYS)
            if (chosen := (numbers < 0) == negative).any()
        )
        self._rising, self._numbers, self._pairs = RisingNumbers(), [], []

    def _spill_sorted(self, pieces: Iterable[StoredKeys]) -> None:
        assert self._bloom is not None
        run = SpilledRun(_noted(pieces, self._bloom), self._space.limits)
        if run.size:
            self._spilled.append(run)
        else:
            run.close()

    def close(self) -> None:
        """Delete the files; may be called twice."""
        for spilled in self._spilled:
            spilled.close()
        self._spilled, self._rising, self._numbers, self._pairs, self._bloom = [], RisingNumbers(), [], [], None

    def _find_numbers(self, numbers: Numbers) -> Rows:
        found = self._rising.find(numbers)
        lowest, highest = int(numbers.min()), int(numbers.max())
        for run, rows in self._numbers:
            if lowest <= int(run[-1]) and highest >= int(run[0]):
                places = np.minimum(np.searchsorted(run, numbers), len(run) - 1)
                found |= np.where(run[places] == numbers, rows[places], np.uint32(0))
        return found


def _sort_and_mark(keys: PackedKeys) -> tuple[Indices, Mask]:
    """Return the sort order of the keys, and a mask, in that order, of those that are the first of their value."""
    if bool((keys.high == _NUMBER_TAG).all()):
        order = np.argsort(keys.low, kind="stable")
    else:
        keys = scatter(keys)
        order = order_of(keys)
    high, low = keys.high[order], keys.low[order]
    is_first = np.ones(len(order), np.bool_)
    is_first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    return order, is_first


def _push_numbers(runs: list[tuple[Numbers, Rows]], numbers: Numbers, rows: Rows) -> None:
    """Add a sorted run."""
    runs.append((numbers, rows))
    while len(runs) > 1 and len(runs[-2][0]) < 2 * len(runs[-1][0]):
        (last, last_rows), (before, before_rows) = runs.pop(), runs.pop()
        merged, merged_rows = np.empty(len(before) + len(last), np.int64), np.empty(len(before) + len(last), np.uint32)
        is_last = np.zeros(len(merged), np.bool_)
        is_last[np.searchsorted(before, last) + np.arange(len(last))] = True
        merged[is_last], merged_rows[is_last] = last, last_rows
        np.logical_not(is_last, out=is_last)
        merged[is_last], merged_rows[is_last] = before, before_rows
        runs.append((merged, merged_rows))


def _push_pairs(runs: list[StoredKeys], stored: StoredKeys) -> None:
    """Add a sorted run."""
    runs.append(stored)
    while len(runs) > 1 and len(runs[-2].rows) < 2 * len(runs[-1].rows):
        last, before = runs.pop(), runs.pop()
        merged = join_stored([before, last])
        runs.append(merged.take(order_of(merged.keys)))


def _tagged(numbers: Words | Numbers) -> PackedKeys:
    return PackedKeys(np.full(len(numbers), _NUMBER_TAG, np.uint64), numbers.view(np.uint64))


def _noted(pieces: Iterable[StoredKeys], bloom: Bloom) -> Iterator[StoredKeys]:
    for stored in pieces:
        bloom.add(stored.keys)
        yield stored

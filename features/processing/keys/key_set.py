"""Sets of keys over a whole file: exact, vectorised, in bounded memory.

A key has 128 bits: a whole number or a text of up to 15 bytes is stored as it is, anything else as a BLAKE2b hash of 120 bits, keyed with a secret
that is new for each run. So for short values equal keys mean equal values for certain; for others the probability that two different values are
taken for equal is below 1e-18 for a billion rows, and nobody can prepare a file in which that happens.

Keys are kept as sorted runs that are merged as they grow. When the sets of one file together exceed their shared budget, the largest set moves to a
file of its own (in blocks of 64 KB, each found through one key in memory); a Bloom filter in memory avoids looking up new keys there.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from features.processing.column import Column, Indices, Mask
from features.processing.keys.packed_keys import PackedKeys, Words, empty_keys, order_of, scatter, search_pairs
from features.processing.keys.rising_numbers import RisingNumbers
from features.processing.keys.spilled_keys import BLOCK_KEYS, Bloom, SpilledRun
from features.processing.readers.base import ReadLimits

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
    """The set of keys seen so far."""

    def __init__(self, space: KeySpace) -> None:
        self._space = space
        self._rising = RisingNumbers()
        """Numbers that were greater than all numbers before them."""
        self._numbers: list[Words] = []
        """The other numbers in sorted runs, ordered as signed numbers."""
        self._pairs: list[PackedKeys] = []
        self._spilled: list[SpilledRun] = []
        self._bloom: Bloom | None = None

    @property
    def memory_bytes(self) -> int:
        """Bytes of memory that `spill` would release."""
        return self._rising.memory_bytes + sum(run.nbytes for run in self._numbers) + sum(run.high.nbytes * 2 for run in self._pairs)

    def contains(self, keys: PackedKeys) -> Mask:
        """Mark the keys that are in the set."""
        found = np.zeros(len(keys.high), np.bool_)
        is_number = keys.high == _NUMBER_TAG
        numbers = np.flatnonzero(is_number)
        if len(numbers):
            found[numbers] = self._contains_numbers(keys.low[numbers].view(np.int64))
        others = np.flatnonzero(~is_number)
        if len(others):
            pairs = scatter(keys.take(others))
            for run in self._pairs:
                found[others] |= search_pairs(run, pairs)
        if self._spilled and self._bloom is not None:
            open_rows = np.flatnonzero(~found)
            maybe = open_rows[self._bloom.may_contain(keys.take(open_rows))]
            for spilled in self._spilled:
                rest = maybe[~found[maybe]]
                found[rest] = spilled.contains(keys.take(rest))
        return found

    def add(self, keys: PackedKeys) -> Mask:
        """Add the keys in order, and mark those that were already in the set or occur earlier among `keys`."""
        rising = self._find_rising(keys)
        seen = np.zeros(len(keys.low), np.bool_)
        # A rising number is greater than all keys before it, so no earlier key equals it: the rising ones can be added first.
        self._rising.add(keys.low[rising].view(np.int64))
        rest = np.flatnonzero(~rising)
        if len(rest):
            seen[rest] = self._add_any(keys.take(rest))
        self._space.keep_budget()
        return seen

    def _add_any(self, keys: PackedKeys) -> Mask:
        order, repeated = _sort_and_mark(keys)
        seen = self.contains(keys)
        seen |= repeated
        fresh = keys.take(order[~seen[order]])
        is_number = fresh.high == _NUMBER_TAG
        if bool(is_number.any()):
            # As unsigned words negative numbers sort last, so the numbers are sorted again as signed ones.
            _push_numbers(self._numbers, np.sort(fresh.low[is_number].view(np.int64)))
        if not bool(is_number.all()):
            pairs = scatter(fresh.take(~is_number))
            _push_pairs(self._pairs, pairs.take(order_of(pairs)))
        return seen

    def _find_rising(self, keys: PackedKeys) -> Mask:
        """Mark the numbers that are greater than all numbers in the set and before them: they cannot be repeats."""
        if self._spilled or not len(keys.low) or not bool((keys.high == _NUMBER_TAG).all()):
            return np.zeros(len(keys.low), np.bool_)
        numbers = keys.low.view(np.int64)
        rising = np.empty(len(numbers), np.bool_)
        np.greater(numbers[1:], np.maximum.accumulate(numbers)[:-1], out=rising[1:])
        rising[0] = True
        known = [int(run.view(np.int64)[-1]) for run in self._numbers]
        if self._rising.highest is not None:
            known.append(self._rising.highest)
        if known:
            rising &= numbers > max(known)
        return rising

    def spill(self) -> None:
        """Move the keys in memory to disk."""
        runs = [_tagged(run) for run in self._numbers]
        # `scatter` also undoes itself, since it changes one word by a function of the other.
        runs += [scatter(run) for run in self._pairs]
        if self._bloom is None:
            self._bloom = Bloom(max(self._space.limits.spill_threshold_bytes // (4 * len(self._space.sets)), _MIN_BLOOM_BYTES))
        if runs:
            keys = PackedKeys(np.concatenate([run.high for run in runs]), np.concatenate([run.low for run in runs]))
            self._spill_sorted([keys.take(np.lexsort((keys.low, keys.high)))])
        # Keys on disk are ordered as unsigned words, so negative numbers come last.
        self._spill_sorted(
            _tagged(part) for negative in (False, True) for numbers in self._rising.pieces(_PIECE_KEYS) if len(part := numbers[(numbers < 0) == negative])
        )
        self._rising, self._numbers, self._pairs = RisingNumbers(), [], []

    def _spill_sorted(self, pieces: Iterable[PackedKeys]) -> None:
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

    def _contains_numbers(self, numbers: npt.NDArray[np.int64]) -> Mask:
        found = self._rising.contains(numbers)
        lowest, highest = int(numbers.min()), int(numbers.max())
        for run in self._numbers:
            signed = run.view(np.int64)
            if lowest <= int(signed[-1]) and highest >= int(signed[0]):
                places = np.searchsorted(signed, numbers)
                found |= signed[np.minimum(places, len(signed) - 1)] == numbers
        return found


def _sort_and_mark(keys: PackedKeys) -> tuple[Indices, Mask]:
    """Return the sort order of the keys, and a mask of those that occur earlier among them."""
    if bool((keys.high == _NUMBER_TAG).all()):
        order = np.argsort(keys.low, kind="stable")
    else:
        keys = scatter(keys)
        order = order_of(keys)
    high, low = keys.high[order], keys.low[order]
    repeated = np.zeros(len(order), np.bool_)
    repeated[order[1:][(high[1:] == high[:-1]) & (low[1:] == low[:-1])]] = True
    return order, repeated


def _push_numbers(runs: list[Words], numbers: npt.NDArray[np.int64]) -> None:
    if not len(numbers):
        return
    runs.append(numbers.view(np.uint64))
    while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
        last, before = runs.pop().view(np.int64), runs.pop().view(np.int64)
        merged = np.concatenate([before, last])
        if before[-1] > last[0]:
            merged.sort(kind="stable")
        runs.append(merged.view(np.uint64))


def _push_pairs(runs: list[PackedKeys], keys: PackedKeys) -> None:
    """Add a sorted run."""
    if not len(keys.high):
        return
    runs.append(keys)
    while len(runs) > 1 and len(runs[-2].high) < 2 * len(runs[-1].high):
        last, before = runs.pop(), runs.pop()
        merged = PackedKeys(np.concatenate([before.high, last.high]), np.concatenate([before.low, last.low]))
        runs.append(merged.take(order_of(merged)))


def _tagged(numbers: Words | npt.NDArray[np.int64]) -> PackedKeys:
    return PackedKeys(np.full(len(numbers), _NUMBER_TAG, np.uint64), numbers.view(np.uint64))


def _noted(pieces: Iterable[PackedKeys], bloom: Bloom) -> Iterator[PackedKeys]:
    for keys in pieces:
        bloom.add(keys)
        yield keys

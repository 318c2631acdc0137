"""Hash tables of keys are exact, also if many keys have one bucket."""

from __future__ import annotations

import numpy as np
import pytest

from features.processing.keys.key_table import KeyTable, find_firsts
from features.processing.keys.packed_keys import KeyHash, PackedKeys, Words


class OneBucket(KeyHash):
    """A hash that is the same for all keys, or for every thousandth of them."""

    def __init__(self, different: int) -> None:
        self._different = np.uint64(different)

    def of(self, keys: PackedKeys) -> Words:
        """Return one word for each key."""
        return (keys.low % self._different) << np.uint64(60)


HASHES = [KeyHash(b"secret"), OneBucket(1), OneBucket(3)]


@pytest.mark.parametrize("key_hash", HASHES, ids=["spread", "one", "three"])
@pytest.mark.parametrize("common", [None, np.uint64(7)])
def test_keys_are_found_with_their_rows_and_no_others(key_hash: KeyHash, common: np.uint64 | None) -> None:
    chooser = np.random.default_rng(1)
    count = 100_000 if key_hash is HASHES[0] else 300
    low = chooser.permutation(2 * count).astype(np.uint64)
    keys = PackedKeys(np.full(len(low), 7, np.uint64) if common is not None else low % np.uint64(3), low)
    table = KeyTable(key_hash, high=common)
    assert table.find(keys, key_hash.of(keys)).tolist() == [0] * len(low)
    start = 0
    while start < count:
        chosen = slice(start, min(count, start + int(chooser.integers(1, count // 5))))
        part = keys.take(chosen)
        table.add(part, key_hash.of(part), np.arange(chosen.start + 1, chosen.stop + 1, dtype=np.uint32))
        start = chosen.stop
    assert table.find(keys, key_hash.of(keys)).tolist() == [*range(1, count + 1), *[0] * count]
    found: list[tuple[int, int, int]] = []
    last = 0
    for (keys_of_piece, rows), prefixes in table.pieces_by_hash():
        assert prefixes.tolist() == sorted(prefixes.tolist()) == (key_hash.of(keys_of_piece) >> np.uint64(48)).tolist()
        assert int(prefixes[0]) >= last
        last = int(prefixes[-1])
        found += zip(keys_of_piece.high.tolist(), keys_of_piece.low.tolist(), rows.tolist(), strict=True)
    assert sorted(found) == sorted(zip(keys.high[:count].tolist(), keys.low[:count].tolist(), range(1, count + 1), strict=True))
    assert table.memory_bytes <= 45 * count + 2**15


@pytest.mark.parametrize("key_hash", HASHES, ids=["spread", "one", "three"])
@pytest.mark.parametrize("different", [1, 10, 400, 10**9])
def test_first_of_equal_keys_is_found(key_hash: KeyHash, different: int) -> None:
    chooser = np.random.default_rng(2)
    low = chooser.integers(0, different, 500, dtype=np.uint64)
    keys = PackedKeys(low % np.uint64(5), low)
    seen: dict[int, int] = {}
    expected = [seen.setdefault(key, index) for index, key in enumerate(low.tolist())]
    assert find_firsts(keys, key_hash.of(keys)).tolist() == expected
    assert find_firsts(PackedKeys(low[:0], low[:0]), low[:0]).tolist() == []

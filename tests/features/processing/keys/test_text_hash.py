"""The hash of many texts at once is the one that the paper defines, and a filter of keys forgets none."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.keys.bloom import Bloom
from features.processing.keys.packed_keys import KeyHash, PackedKeys
from features.processing.keys.text_hash import MOST_BYTES, TextHash, words_at_any_place

SECRET = b"s" * 32


def hash_one(text: bytes) -> tuple[int, int]:
    """Return the hash by the definition, in Python's numbers."""
    count = 2 * MOST_BYTES // 8 + 2
    stream = hashlib.shake_256(SECRET).digest(4 * count * 8)
    factors = [int.from_bytes(stream[start : start + 8], "little") for start in range(0, len(stream), 8)]
    words = [len(text), *(int.from_bytes(text[start : start + 4], "little") for start in range(0, len(text), 4))]
    uppers = []
    for number in range(4):
        first, *others = factors[number * count : (number + 1) * count]
        total = first + sum(factor * word for factor, word in zip(others, words, strict=False))
        uppers.append(total % 2**64 >> 32)
    return uppers[0] << 32 | uppers[1], uppers[2] << 32 | uppers[3]


def hash_all(texts: list[bytes]) -> list[tuple[int, int]]:
    data = np.frombuffer(b"".join(texts) + bytes(16), np.uint8)
    sizes = np.array([len(text) for text in texts], np.int64)
    first, second = TextHash(SECRET).hash_texts(words_at_any_place(data), np.cumsum(sizes) - sizes, sizes)
    return list(zip(first.tolist(), second.tolist(), strict=True))


@given(st.lists(st.binary(max_size=MOST_BYTES), min_size=1))
def test_hash_is_the_one_that_is_defined(texts: list[bytes]) -> None:
    assert hash_all(texts) == [hash_one(text) for text in texts]


def test_texts_that_differ_in_zeros_at_their_ends_have_different_hashes() -> None:
    texts = [b"a" * 20 + bytes(zeros) for zeros in range(20)]
    assert len(set(hash_all(texts))) == len(texts)


def test_another_secret_gives_other_hashes() -> None:
    windows, start, size = words_at_any_place(np.zeros(64, np.uint8)), np.array([0]), np.array([20])
    assert TextHash(SECRET).hash_texts(windows, start, size) != TextHash(b"t" * 32).hash_texts(windows, start, size)


def test_rows_of_words_are_hashed_like_each_other() -> None:
    words = np.random.default_rng(1).integers(0, 3, (1000, 3), np.uint64)
    first, second = TextHash(SECRET).hash_words(words)
    found = dict(zip(map(tuple, words.tolist()), zip(first.tolist(), second.tolist(), strict=True), strict=True))
    assert len(found) == len(set(found.values())) == 27
    assert [found[tuple(row)] for row in words.tolist()] == list(zip(first.tolist(), second.tolist(), strict=True))


@pytest.mark.parametrize("size_bytes", [8, 64, 2**16])
def test_filter_forgets_no_key_even_if_many_share_a_word(size_bytes: int) -> None:
    chooser = np.random.default_rng(2)
    bloom = Bloom(size_bytes)
    for _ in range(5):
        hashes = chooser.integers(0, 2**64, 500, np.uint64)
        bloom.add(hashes)
        assert bool(bloom.may_contain(hashes).all())


def test_large_filter_finds_hardly_any_other_key() -> None:
    key_hash = KeyHash(SECRET)
    bloom = Bloom(2**16)
    high = np.zeros(20_000, np.uint64)
    bloom.add(key_hash.of(PackedKeys(high, np.arange(20_000, dtype=np.uint64))))
    others = key_hash.of(PackedKeys(high, np.arange(2**32, 2**32 + 20_000, dtype=np.uint64)))
    assert float(bloom.may_contain(others).mean()) < 0.005

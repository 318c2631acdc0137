from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.events.types import Snapshot, Version

ids = st.integers(0, 2**63 - 1)


@given(ids, ids, st.frozensets(ids, max_size=5))
def test_snapshot_is_read_as_it_was_written(first: int, end: int, running: frozenset[int]) -> None:
    snapshot = Snapshot(first, end, running)
    assert Snapshot.parse(str(snapshot)) == snapshot


@pytest.mark.parametrize(
    "text", ["", ":", "1:2", "1:2:3,", "1:2:,3", "-1:2:", "1:2:x", "1:2: 3", "\u0661:2:", "1:" + "2" * 20 + ":", "1:2:" + "3," * 3000 + "3"]
)
def test_text_that_is_no_snapshot_is_none(text: str) -> None:
    assert Snapshot.parse(text) is None


@given(st.tuples(*[st.integers(0, 10**18 - 1)] * 3))
def test_version_is_read_as_it_was_written(parts: tuple[int, int, int]) -> None:
    assert Version.parse(str(Version(*parts))) == Version(*parts)


@pytest.mark.parametrize("text", ["", "1.2", "1.2.3.4", "1.2.x", "-1.2.3", "1.2." + "9" * 19])
def test_text_that_is_no_version_is_none(text: str) -> None:
    assert Version.parse(text) is None


def test_later_versions_are_greater() -> None:
    """`retry` removes the outputs, and with them their share of the version, but begins another attempt."""
    assert sorted([Version(2, 9, 0), Version(1, 8, 7), Version(1, 8, 3), Version(1, 7, 9)]) == [
        Version(1, 7, 9),
        Version(1, 8, 3),
        Version(1, 8, 7),
        Version(2, 9, 0),
    ]

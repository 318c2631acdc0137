from __future__ import annotations

import time
import uuid

import pytest

from features.processing.record_ids import MOST_UUIDS, make_uuids


@pytest.mark.parametrize("count", [0, 1, 300, 70_000])
def test_ids_are_ascending_version_7_uuids_of_now(count: int) -> None:
    before = time.time_ns() // 1_000_000
    ids = [uuid.UUID(digits) for digits in make_uuids(count).to_pylist()]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == count
    assert ids == sorted(ids)
    assert {made.version for made in ids} <= {7}
    assert {made.variant for made in ids} <= {uuid.RFC_4122}
    assert all(before <= made.int >> 80 <= after for made in ids)


def test_ids_of_two_calls_differ() -> None:
    assert not set(make_uuids(1000).to_pylist()) & set(make_uuids(1000).to_pylist())


def test_more_than_the_counter_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        make_uuids(MOST_UUIDS + 1)

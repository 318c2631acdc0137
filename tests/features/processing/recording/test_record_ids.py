from __future__ import annotations

import time
import uuid

from features.processing.recording.record_ids import make_piece_id
from shared.db.models import make_record_id, split_record_id


def test_piece_ids_are_version_7_uuids_of_now_with_room_for_places() -> None:
    before = time.time_ns() // 1_000_000
    ids = [make_piece_id() for _ in range(1000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 1000
    assert {made.version for made in ids} == {7}
    assert {made.variant for made in ids} == {uuid.RFC_4122}
    assert {made.int & 0xFFFFFFFF for made in ids} == {0}
    assert all(before <= made.int >> 80 <= after for made in ids)


def test_random_bits_of_piece_ids_all_vary() -> None:
    ids = [make_piece_id().int for _ in range(200)]
    varying = 0
    for made in ids:
        varying |= made ^ ids[0]
    assert (varying >> 64) & 0xFFF == 0xFFF
    assert (varying >> 32) & 0x3FFFFFFF == 0x3FFFFFFF


def test_record_ids_hold_piece_and_place() -> None:
    piece_id = make_piece_id()
    ids = [make_record_id(piece_id, place) for place in (1, 2, 5000)]
    assert len({piece_id, *ids}) == 4
    assert {made.version for made in ids} == {7}
    assert [split_record_id(made) for made in ids] == [(piece_id, 1), (piece_id, 2), (piece_id, 5000)]

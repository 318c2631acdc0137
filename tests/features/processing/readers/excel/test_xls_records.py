"""The records in a piece of a sheet are found in many places at once as they are one by one."""

from __future__ import annotations

import random
import struct

import pytest

from features.processing.readers.excel.xls import find_records as finding
from features.processing.readers.excel.xls.find_records import Piece, UnusualRecords, find_records
from features.processing.readers.excel.xls.record_kinds import CODES
from features.processing.readers.excel.xls.records import CELL_RECORDS

NUMBER, SHARED, NUMBERS, ROW, FORMULA, DRAWING = 0x203, 0xFD, 0xBD, 0x208, 0x06, 0xEC


def follow(data: bytes) -> tuple[list[int], int]:
    """Return where the records begin that `data` has as a whole, and where the last one ends, found one by one."""
    starts: list[int] = []
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at + 2 : at + 4], "little")
        if end > len(data):
            break
        starts.append(at)
        at = end
    return starts, at


def make_records(chooser: random.Random, size: int) -> bytes:
    """Return records of mostly usual kinds."""
    usual = chooser.random()
    parts: list[bytes] = []
    while len(parts) < size:
        code, length = chooser.choice([(NUMBER, 14), (SHARED, 10), (ROW, 16), (NUMBERS, 6 * chooser.randrange(2, 40)), (FORMULA, chooser.randrange(16, 90))])
        if chooser.random() > usual:
            code, length = chooser.choice([DRAWING, 0x3C, NUMBER, 0]), chooser.choice([0, 1, 14, 200, 3_000])
        # Some contents look like records themselves.
        data = chooser.choice([chooser.randbytes(length), struct.pack("<HH", NUMBER, 14) * (length // 4 + 1), bytes(length)])[:length]
        parts.append(struct.pack("<HH", code, length) + data)
    return b"".join(parts)


@pytest.mark.parametrize("seed", range(30))
def test_records_are_those_that_follow_one_another(seed: int) -> None:
    chooser = random.Random(seed)
    data = make_records(chooser, chooser.choice([1, 20, 500, 4_000]))
    data = chooser.choice([data, data[: chooser.randrange(len(data) + 1)], data + chooser.randbytes(5_000), chooser.randbytes(20_000), data + bytes(3_000)])
    starts, end = find_records(Piece(data))
    assert (starts.tolist(), end) == follow(data)


@pytest.mark.parametrize("data", [b"", b"\1", b"\1\0\0", bytes(4), bytes(5), b"\1\0\xff\xff"])
def test_pieces_of_few_bytes_have_few_records(data: bytes) -> None:
    starts, end = find_records(Piece(data))
    assert (starts.tolist(), end) == follow(data)


def test_records_that_look_like_others_all_along_are_followed_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = struct.pack("<HH", NUMBER, 14)
    data = b"\0\0\0\0" + (struct.pack("<HH", DRAWING, 14) + b"abc" + inner + bytes(7)) * 3_000
    assert find_records(Piece(data))[0].tolist() == follow(data)[0]
    monkeypatch.setattr(finding, "_MOST_SINGLE_STEPS", 1_000)
    with pytest.raises(UnusualRecords):
        find_records(Piece(data))


def test_every_record_that_xlrd_is_given_for_a_cell_is_known() -> None:
    assert CODES >= CELL_RECORDS

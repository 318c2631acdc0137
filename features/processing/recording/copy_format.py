"""Encode pieces of error records in PostgreSQL's binary COPY format (PostgreSQL documentation, COPY, "Binary Format"; arrays as in `array_send`)."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.base import RowNumbers
from features.processing.recording.pieces import ErrorRecords, RecordRule, RuleNumbers
from features.processing.recording.record_ids import make_piece_id

COLUMNS = ("job_id", "attempt", "first_row", "first_column", "record_count", "id", "rules", "row_numbers", "rule_numbers", "raw_values", "first_row_numbers")

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = struct.pack(">h", -1)
_INT2_OID, _INT8_OID, _TEXT_OID = 21, 20, 25
_JSONB_VERSION = b"\x01"
_INT2 = np.dtype([("size", ">i4"), ("value", ">i2")])
_INT8 = np.dtype([("size", ">i4"), ("value", ">i8")])
_LENGTH_BYTES = 4
_NULL = struct.pack(">i", -1)
_MAX_RULES = 1 << 15


def encode_rows(pieces: Iterable[ErrorRecords], *, job_id: uuid.UUID, attempt: int) -> bytes:
    """Encode each piece as one row of `COLUMNS`."""
    return b"".join(_encode_piece(piece, job_id, attempt) for piece in pieces)


def copy_parts(rows: list[bytes]) -> Iterator[bytes]:
    """Yield the parts of a complete COPY of these rows. Empties `rows`, so that no part is kept in memory once it was taken."""
    yield _HEADER
    rows.reverse()
    while rows:
        yield rows.pop()
    yield _TRAILER


def _encode_piece(records: ErrorRecords, job_id: uuid.UUID, attempt: int) -> bytes:
    first = records.place(0)
    rules, numbers = _select_rules(records)
    values = (
        job_id.bytes,
        struct.pack(">q", attempt),
        struct.pack(">q", first.row_number),
        struct.pack(">q", first.column_number),
        struct.pack(">q", len(records)),
        make_piece_id().bytes,
        _JSONB_VERSION + rules,
        _encode_numbers(records.row_numbers, _INT8, _INT8_OID),
        _encode_numbers(numbers, _INT2, _INT2_OID),
        _encode_texts(records.raw_values),
        _encode_first_rows(records.first_rows),
    )
    fields = [part for value in values for part in ((struct.pack(">i", len(value)), value) if value is not None else (_NULL,))]
    return b"".join((struct.pack(">h", len(values)), *fields))


def _select_rules(records: ErrorRecords) -> tuple[bytes, RuleNumbers]:
    """Return the rules that the records use, as JSON with counts, and for each record the new number of its rule.

    Raises `ValueError` if the records use more than 32,768 rules.
    """
    counts = np.bincount(records.rule_numbers, minlength=len(records.rules))
    used = np.flatnonzero(counts)
    if len(used) > _MAX_RULES:
        raise ValueError(f"a piece holds at most {_MAX_RULES} rules")
    new_numbers = np.zeros(len(counts), np.int32)
    new_numbers[used] = np.arange(len(used))
    listed = ",".join(
        f'{{"number":{number},"count":{count},{_describe(records.rules[index])}'
        for number, (index, count) in enumerate(zip(used.tolist(), counts[used].tolist(), strict=True))
    )
    return f"[{listed}]".encode(), new_numbers[records.rule_numbers]


@lru_cache(maxsize=1024)
def _describe(rule: RecordRule) -> str:
    """Return the members of the rule as JSON, with the closing brace; cached, since the same rules recur in piece after piece."""
    members = rule._asdict()
    params = members.pop("params")
    described = json.dumps(members, ensure_ascii=False)[1:]
    return described if params == "{}" else f'{described.removesuffix("}")}, "params": {params}}}'


def _encode_first_rows(first_rows: RowNumbers | None) -> bytes | None:
    """Encode an array of row numbers in which 0 is NULL; None, which is NULL itself, if all of them are 0."""
    if first_rows is None or not bool(first_rows.any()):
        return None
    is_set = first_rows > 0
    # An element is its size and its bytes; NULL is the size -1 alone.
    parts = [struct.pack(">iq", 8, row) if row else _NULL for row in first_rows.tolist()]
    return _array_header(len(first_rows), _INT8_OID, has_nulls=not bool(is_set.all())) + b"".join(parts)


def _encode_numbers(values: npt.NDArray[np.integer], kind: np.dtype[np.void], oid: int) -> bytes:
    elements = np.empty(len(values), kind)
    elements["size"] = kind["value"].itemsize
    elements["value"] = values
    return _array_header(len(values), oid, has_nulls=False) + elements.tobytes()


def _encode_texts(values: pa.StringArray) -> bytes:
    """Encode an array of texts: each element is its length and its bytes; NULL is the length -1 alone."""
    count = len(values)
    ends = np.frombuffer(values.buffers()[1], np.int32)[values.offset :][: count + 1]
    lengths = np.diff(ends).astype(">i4")
    if values.null_count:
        lengths[values.is_null().to_numpy(zero_copy_only=False)] = -1
    # All lengths followed by all texts; taken alternately, they form the elements.
    data = lengths.tobytes() + memoryview(values.buffers()[2] or b"")[ends[0] : ends[-1]]
    offsets = np.concatenate([np.arange(count, dtype=np.int32) * _LENGTH_BYTES, ends - ends[0] + np.int32(count * _LENGTH_BYTES)])
    parts = pa.BinaryArray.from_buffers(pa.binary(), 2 * count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    in_turn = np.arange(2 * count, dtype=np.int32).reshape(2, count).T.ravel()
    elements: bytes = parts.take(pa.array(in_turn)).buffers()[2][: len(data)].to_pybytes()
    return _array_header(count, _TEXT_OID, has_nulls=values.null_count > 0) + elements


def _array_header(count: int, oid: int, *, has_nulls: bool) -> bytes:
    """Encode the header of an array with one dimension of `count` elements, numbered from 1."""
    return struct.pack(">iiiii", 1, has_nulls, oid, count, 1)

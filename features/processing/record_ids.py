"""Ids of error records, made by the column: a default of the database would be computed row by row, and keeps COPY from inserting in bulk."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa

_UUID_BYTES = 16
_COUNTER_BITS = 26
MOST_UUIDS = 1 << _COUNTER_BITS

_random = np.random.default_rng()


def make_uuids(count: int) -> pa.StringArray:
    """`count` version 7 UUIDs (RFC 9562, section 5.7) in ascending order, as 32 hexadecimal digits each, which PostgreSQL takes.

    48 bits of time in milliseconds, 26 bits of a counter within the call (section 6.2, method 1), 48 random bits. At most `MOST_UUIDS`.
    """
    if count > MOST_UUIDS:
        raise ValueError(f"at most {MOST_UUIDS} ids at a time")
    counter = np.arange(count, dtype=np.uint32)
    uuids = _random.integers(0, 256, size=(count, _UUID_BYTES), dtype=np.uint8)
    uuids[:, :6] = np.frombuffer((time.time_ns() // 1_000_000).to_bytes(6, "big"), dtype=np.uint8)
    uuids[:, 6] = 0x70 | (counter >> 22)
    uuids[:, 7] = (counter >> 14) & 0xFF
    uuids[:, 8] = 0x80 | ((counter >> 8) & 0x3F)
    uuids[:, 9] = counter & 0xFF
    digits = uuids.tobytes().hex().encode("ascii")
    offsets = np.arange(count + 1, dtype=np.int32) * (2 * _UUID_BYTES)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(digits))

"""Ids of error records, created once for each piece: the id of a record is that of its piece, with its place in the last 32 bits (`shared.db.models`)."""

from __future__ import annotations

import secrets
import time
import uuid

from shared.db.models import PLACE_BITS

_RANDOM_BITS = 74
_VERSION_7, _VARIANT = 7, 2


def make_piece_id() -> uuid.UUID:
    """Create a version 7 UUID (RFC 9562, section 5.7) whose last 32 bits are 0: 48 bits of time in milliseconds, then 42 random bits."""
    random = secrets.randbits(_RANDOM_BITS - PLACE_BITS) << PLACE_BITS
    high, low = divmod(random, 1 << 62)
    return uuid.UUID(int=(time.time_ns() // 1_000_000) << 80 | _VERSION_7 << 76 | high << 64 | _VARIANT << 62 | low)

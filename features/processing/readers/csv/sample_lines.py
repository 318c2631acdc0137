"""Take a small sample of a file's lines that are not UTF-8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from features.processing.readers.csv.utf8_count import is_utf8

SAMPLE_BYTES = 2**16
_LINES = 4096
"""Lines that are looked at, in the whole file; at least a few in each block."""
_LINES_PER_BLOCK = 16
_BEFORE_BYTES, _AFTER_BYTES = 256, 1024
"""Of a longer line only what is around the byte that was found."""
_WORD_BREAKS = bytes(range(0x40))
"""Bytes that no double-byte character ends with, but for those of four bytes in GB 18030."""


def sample_lines(blocks: Iterator[bytes], *, count: int) -> bytes:
    """Return up to 64 KiB of lines that are not UTF-8, each once, from all of the `count` blocks alike."""
    # Each line is taken once: the same few letters repeated a thousand times look unlike any language.
    sample: dict[bytes, None] = {}
    left_bytes = SAMPLE_BYTES
    for index, block in enumerate(blocks):
        share_bytes = left_bytes // max(1, count - index)
        for line in _find_lines(block, wanted=max(_LINES_PER_BLOCK, _LINES // max(1, count))):
            if line not in sample and not is_utf8(pa.py_buffer(line)):
                sample[line] = None
                share_bytes -= len(line)
                left_bytes -= len(line)
                if share_bytes <= 0:
                    break
    return b"\n".join(sample)[:SAMPLE_BYTES]


def _find_lines(block: bytes, *, wanted: int) -> Iterator[bytes]:
    """Yield lines that have non-ASCII bytes: all of them, or some from the whole block if there are many."""
    found = np.flatnonzero(np.frombuffer(block, np.uint8) >= 0x80)  # noqa: PLR2004 - the first byte that is not ASCII
    chosen: Sequence[int] = (found if len(found) <= wanted else found[np.linspace(0, len(found) - 1, wanted).astype(np.int64)]).tolist()
    end = 0
    for at in chosen:
        if at >= end:
            start = _find_start(block, at, max(end, at - _BEFORE_BYTES))
            end = min(
                (stop for stop in (block.find(b"\n", at, at + _AFTER_BYTES), block.find(b"\r", at, at + _AFTER_BYTES)) if stop >= 0), default=at + _AFTER_BYTES
            )
            yield block[start:end]


def _find_start(block: bytes, at: int, earliest: int) -> int:
    start = max(block.rfind(b"\n", earliest, at), block.rfind(b"\r", earliest, at)) + 1
    if start or not earliest:
        return start
    # Within a long line, or a character, begin behind a byte that ends both.
    before = block[earliest:at]
    return at - len(before.lstrip(bytes(set(range(256)) - set(_WORD_BREAKS))))

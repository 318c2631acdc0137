"""Read a file as UTF-8 while it is still being fetched, and look at each of its bytes on the way: if one contradicts, all of them decide, as they would have.

The encoding of a file that does not say it is decided by the whole file. Nearly all files are UTF-8, so that waiting for the last byte before the first row is
checked would be in vain.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from features.processing.readers.base import ReadAnew
from features.processing.readers.csv.utf8_count import count_unfinished, is_utf8


class PresumedUtf8:
    """Checks the bytes of one file as they are read, in order; bytes that were read before are passed over."""

    def __init__(self, *, size_bytes: int, decide: Callable[[], str]) -> None:
        """`decide` waits for the whole file and returns its encoding; it is called once, at the first byte that is not UTF-8."""
        self.is_valid = True
        """Whether no byte so far contradicts."""
        self._size_bytes, self._decide = size_bytes, decide
        self._checked_to = 0
        self._unfinished = b""
        """The beginning of a character that ended the last block, and that the next one need not repeat."""

    def check(self, block: bytes, *, at: int) -> None:
        """Look at a block that was read at position `at`. Raises `ReadAnew` if the file has another encoding."""
        end = at + len(block)
        if not self.is_valid or end <= self._checked_to:
            return
        if at > self._checked_to:
            block, at = self._unfinished + block, self._checked_to
        cut = 0 if end == self._size_bytes else count_unfinished(block)
        begin = self._checked_to - at
        if is_utf8(pa.py_buffer(block).slice(begin, len(block) - begin - cut)):
            self._checked_to = end - cut
            self._unfinished = block[len(block) - cut :]
            return
        self.is_valid = False
        if self._decide() != "utf-8":
            raise ReadAnew

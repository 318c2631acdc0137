"""What the start tags of cells say: few differ from one another once the reference is taken out, so each kind is parsed once and recognised by its bytes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from features.processing.readers.excel.number_formats import NumberFormat

Words = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]

WORD_BYTES = 8
_WORDS = 3
_MOST_BYTES = _WORDS * WORD_BYTES
_SLOT_BITS = 16
_MOST_TAGS = 2**12
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
"""Odd numbers without a pattern in their bits, as for hashing."""
_TAG = re.compile(rb'(?: s="([0-9]+)")?+(?: t="([A-Za-z]+)")?+( ?/)?>')


class TagKind(IntEnum):
    """What the value of a cell is, by its start tag."""

    ODD = 0
    """Left to the pattern."""
    EMPTY = 1
    NUMBER = 2
    FORMATTED = 3
    """A number with a format."""
    SHARED = 4
    """The number of a shared string."""
    BOOLEAN = 5
    TEXT = 6


class CellTags:
    """The rests of start tags, after the reference, that a sheet has had so far."""

    def __init__(self, formats: Mapping[str | None, NumberFormat]) -> None:
        self._formats = formats
        self._slots = np.full(2**_SLOT_BITS, -1, np.int16)
        self._known = [np.zeros(_MOST_TAGS, np.uint64) for _ in range(_WORDS)]
        self._count = 0
        self.kinds = np.zeros(_MOST_TAGS, np.uint8)
        """The `TagKind` of each tag by its number."""
        self.styles: list[str | None] = []
        """The style of each tag; None if it has none."""

    def recognise(self, words: Words, begins: Positions, lengths: Positions) -> npt.NDArray[np.int16]:
        """Return the number of each tag, or -1 for those that must be left to the pattern.

        `words` are the eight bytes from each position on; the rest of a tag begins at `begins` and has `lengths` bytes.
        """
        parts = [load(words, begins, lengths)]
        longer = lengths > WORD_BYTES
        for number in range(1, _WORDS):
            part = np.zeros(len(begins), np.uint64)
            if bool(longer.any()):
                at = np.flatnonzero(lengths > number * WORD_BYTES)
                part[at] = load(words, begins[at] + number * WORD_BYTES, lengths[at] - number * WORD_BYTES)
            parts.append(part)
        slots = ((parts[0] * _FACTORS[0] + parts[1] * _FACTORS[1] + parts[2] * _FACTORS[2]) >> np.uint64(64 - _SLOT_BITS)).astype(np.int64)
        possible = lengths <= _MOST_BYTES
        while True:
            found = np.asarray(self._slots[slots])
            is_same = possible & (found >= 0)
            for part, known in zip(parts, self._known, strict=True):
                is_same &= part == known[found]
            unknown = np.flatnonzero(possible & (found < 0))
            if not len(unknown):
                found[~is_same] = -1
                return found
            first = unknown[0]
            if self._count == _MOST_TAGS:
                possible &= found >= 0
            else:
                self._learn(int(slots[first]), [part[first] for part in parts], int(lengths[first]))

    def _learn(self, slot: int, parts: list[np.uint64], length: int) -> None:
        tag = b"".join(int(part).to_bytes(WORD_BYTES, "little") for part in parts)[:length]
        style, kind = self._parse(tag)
        for part, known in zip(parts, self._known, strict=True):
            known[self._count] = part
        self.kinds[self._count] = kind
        self.styles.append(style)
        self._slots[slot] = self._count
        self._count += 1

    def _parse(self, tag: bytes) -> tuple[str | None, TagKind]:
        match = _TAG.fullmatch(tag)
        if match is None:
            return None, TagKind.ODD
        style = match[1].decode() if match[1] is not None else None
        if match[3] is not None:
            return style, TagKind.EMPTY
        cell_type = (match[2] or b"n").decode()
        if cell_type == "n":
            return style, TagKind.FORMATTED if style in self._formats else TagKind.NUMBER
        return style, {"s": TagKind.SHARED, "b": TagKind.BOOLEAN, "e": TagKind.ODD, "d": TagKind.ODD}.get(cell_type, TagKind.TEXT)


def load(words: Words, begins: Positions, lengths: Positions) -> Words:
    """Return the first `lengths` bytes (at most eight) from each position on; the others are 0."""
    return words[begins] & (_ONES >> ((WORD_BYTES - np.minimum(lengths, WORD_BYTES)) * 8).astype(np.uint64))


_ONES = np.uint64(2**64 - 1)

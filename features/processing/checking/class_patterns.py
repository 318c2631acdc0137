r"""Match whole columns against patterns that say of each place which characters may be there: `[0-9]{5}`, `\+[0-9]{9,15}`, `[A-Z]{2}-\d{4}`.

At most one part of such a pattern may repeat from so often to so often, so the size of a cell tells which part each of its bytes belongs to. Most patterns
for codes and numbers are of this kind, and a few operations on the bytes of a column take less time than a search in each cell.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.column import Column, Mask

_UNLIMITED = 2**31 - 1
_MOST_PLACES = 5
"""With more places outside the middle, each of which takes 4 ns a cell, RE2 takes no more time."""
_MOST_RANGES = 4
"""The same of a class whose characters have more ranges of codes, each of which takes two passes over the bytes."""
_PART = re.compile(
    r"[A-Za-z0-9_ ,:;/@#%=!'\"<>&~`-]"
    r"|\\[dw!-/:-@\[-`{-~]"
    r"|\[(?P<items>(?:\\[dw!-/:-@\[-`{-~](?!-[^\]])|[A-Za-z0-9]-[A-Za-z0-9]|[A-Za-z0-9_.,:;/@+#%=! '](?!-[^\]])|-(?=\]))+)\]"
)
_ITEM = re.compile(r"\\(?P<escape>.)|(?P<first>[A-Za-z0-9])-(?P<last>[A-Za-z0-9])|(?P<single>.)")
_REPEAT = re.compile(r"\{(?P<least>[0-9]{1,9})(?P<range>,(?P<most>[0-9]{0,9}))?\}|(?P<mark>[*+?])")
_MARKS = {"*": (0, _UNLIMITED), "+": (1, _UNLIMITED), "?": (0, 1)}
_ESCAPED = {"d": string.digits, "w": string.ascii_letters + string.digits + "_"}


@dataclass(frozen=True, slots=True)
class _Part:
    """Characters of one class that follow each other."""

    allowed: frozenset[int]
    """The codes of the characters, all of them ASCII."""
    least: int
    most: int


class ClassPattern:
    """A pattern of this kind: some places, a middle whose characters are of one class, and some places."""

    def __init__(self, before: Sequence[_Part], middle: _Part, after: Sequence[_Part]) -> None:
        self._before = [_Class(part.allowed) for part in before for _ in range(part.least)]
        self._middle = _Class(middle.allowed)
        self._after = [_Class(part.allowed) for part in reversed(after) for _ in range(part.least)]
        """From the last place to the first."""
        places = len(self._before) + len(self._after)
        self._least, self._most = places + middle.least, places + middle.most

    def find_bad(self, column: Column) -> Mask:
        """Mark the cells that do not match as a whole (`re.fullmatch`); bytes that are not ASCII match nothing. Takes up to 7 bytes for each of theirs."""
        bad: Mask = (column.sizes < self._least) | (column.sizes > self._most)
        # Cells of another size may have their places in another cell.
        sized = np.flatnonzero(~bad) if bool(bad.any()) else None
        if not len(column.data) or (sized is not None and not len(sized)):
            return bad
        if sized is not None and len(sized) * 2 < len(bad):
            bad[sized] = self.find_bad(Column(column.text.take(pa.array(sized))))
            return bad
        data, starts, lasts = column.data, column.starts, column.starts + column.sizes - 1
        is_outside = self._middle.find_others(data)
        around = [(starts + number, allowed) for number, allowed in enumerate(self._before)]
        around += [(lasts - number, allowed) for number, allowed in enumerate(self._after)]
        for places, allowed in around:
            bad |= allowed.find_others(data.take(places, mode="clip"))
            is_outside[places if sized is None else places[sized]] = False
        return bad | column.cells_with(is_outside)


def read_class_pattern(pattern: str) -> ClassPattern | None:
    r"""Read a valid regular expression of Python; None if it is not of this kind.

    `\d` and `\w` match ASCII only, and `$` only the end: what Python matches besides, its user has to look for.
    """
    text = pattern.removeprefix("^")
    if text.endswith("$") and not text.endswith("\\$"):
        text = text[:-1]
    parts: list[_Part] = []
    at = 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            return None
        at = found.end()
        least = most = 1
        if (repeat := _REPEAT.match(text, at)) is not None:
            at = repeat.end()
            if repeat["mark"]:
                least, most = _MARKS[repeat["mark"]]
            else:
                least = int(repeat["least"])
                most = int(repeat["most"] or _UNLIMITED) if repeat["range"] else least
        parts.append(_Part(_read_characters(found), least, most))
    return _arrange(_join_equal(parts))


def _read_characters(found: re.Match[str]) -> frozenset[int]:
    allowed: set[int] = set()
    for item in _ITEM.finditer(found["items"] or found[0]):
        if item["first"] is not None:
            allowed.update(range(ord(item["first"]), ord(item["last"]) + 1))
        else:
            allowed.update((item["single"] or _ESCAPED.get(item["escape"], item["escape"])).encode())
    return frozenset(allowed)


def _join_equal(parts: Sequence[_Part]) -> list[_Part]:
    """Return the parts with those of one class that follow each other as one: `[0-9][0-9]*` is `[0-9]+`."""
    joined: list[_Part] = []
    for part in parts:
        if joined and joined[-1].allowed == part.allowed:
            before = joined.pop()
            joined.append(_Part(part.allowed, before.least + part.least, min(_UNLIMITED, before.most + part.most)))
        else:
            joined.append(part)
    return joined


def _arrange(parts: Sequence[_Part]) -> ClassPattern | None:
    """Take the part whose size differs from cell to cell as the middle, else the longest one."""
    variable = [index for index, part in enumerate(parts) if part.least < part.most]
    if not parts or len(variable) > 1:
        return None
    at = variable[0] if variable else max(range(len(parts)), key=lambda index: parts[index].least)
    if sum(part.least for index, part in enumerate(parts) if index != at) > _MOST_PLACES or len(_find_ranges(parts[at].allowed)) > _MOST_RANGES:
        return None
    return ClassPattern(parts[:at], parts[at], parts[at + 1 :])


def _find_ranges(codes: Collection[int]) -> list[tuple[int, int]]:
    """Return the first and the last of the codes that follow each other."""
    firsts = [code for code in sorted(codes) if code - 1 not in codes]
    lasts = [code for code in sorted(codes) if code + 1 not in codes]
    return list(zip(firsts, lasts, strict=True))


class _Class:
    """Characters that a place may have, as ranges of their codes: comparing takes a fraction of the time of looking each byte up in a table."""

    def __init__(self, allowed: frozenset[int]) -> None:
        self._ranges = [(np.uint8(first), np.uint8(last - first)) for first, last in _find_ranges(allowed)]

    def find_others(self, codes: npt.NDArray[np.uint8]) -> Mask:
        """Mark the bytes that are none of the characters."""
        # Bytes before a range wrap around to large numbers.
        others: Mask = np.ones(len(codes), np.bool_)
        for first, count in self._ranges:
            others &= codes - first > count if count else codes != first
        return others

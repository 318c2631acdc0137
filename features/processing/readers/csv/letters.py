"""How likely a text is in a language, by the letters that follow each other in its words.

`letters.tsv` counts these pairs in the names of countries, languages, currencies, months and units of the Unicode CLDR
(© Unicode, Inc., Unicode License v3); compose/letters.py makes it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TypeAlias

Pairs: TypeAlias = Counter[tuple[str, str]]
"""How often a letter (second, in lower case) follows another, or a word's beginning (`" "`); a letter at a word's end is followed by `" "`."""

_COUNTS = Path(__file__).with_name("letters.tsv")
_FOLLOWER = re.compile(r"(\D)(\d+)")
_FOREIGN_SHARE = 3e-5
"""Of each letter that the language does not use, of its own script: names of other countries."""
_FOREIGN_SCRIPT_SHARE = 1e-7
_UNSEEN_SHARES = {"han": 0.2 / 4000, "hangul": 0.1 / 2350}
"""Scripts of which the counts cannot know every character: a share is left for those that standards call common, in equal parts."""
_RARE_HAN_SHARE = 1e-6
_PAIRS_PER_LETTER = 8.0
"""With so many pairs of a letter, the shares after that letter weigh half."""

_TRUST = 0.6
"""Weight of the shares after a letter at most; the rest is that of the letter alone, since names have pairs that common words have not."""

_SCRIPTS = (
    *((0x0000, "latin"), (0x0250, "other"), (0x0300, "mark"), (0x0370, "greek"), (0x0400, "cyrillic"), (0x0530, "other"), (0x0590, "hebrew")),
    *((0x0600, "arabic"), (0x0700, "other"), (0x0E00, "thai"), (0x0E80, "other"), (0x1E00, "latin"), (0x1F00, "greek"), (0x2000, "other")),
    *((0x3040, "kana"), (0x3100, "other"), (0x4E00, "han"), (0xA000, "other"), (0xAC00, "hangul"), (0xD7A4, "other"), (0xFF66, "kana"), (0xFFA0, "other")),
)
_STARTS = [start for start, _ in _SCRIPTS]
_COMMON_HAN = (("gb2312", 0xB0, 0xD7), ("big5", 0xA4, 0xC6), ("euc_jp", 0xB0, 0xCF))
"""Rows of the standards whose characters are ordered by use or called level 1."""
_WRITTEN_WITH = {"kana": {"han", "kana"}, "han": {"han", "kana"}}
"""Japanese words have both."""


def script_of(character: str) -> str:
    """Return the script of a letter; `other` for those that no legacy encoding of this module has."""
    return _SCRIPTS[bisect_right(_STARTS, ord(character)) - 1][1]


@lru_cache(maxsize=2**14)
def is_letter(character: str) -> bool:
    """Whether the character is part of a word: a letter, or a mark on one; ª, º and µ are signs of numbers."""
    return (character.isalpha() and character not in "ªºµ") or unicodedata.category(character) in ("Mn", "Mc")


@lru_cache(maxsize=2**14)
def _is_common_han(character: str) -> bool:
    for encoding, first, last in _COMMON_HAN:
        code = character.encode(encoding, "ignore")
        if len(code) == 2 and first <= code[0] <= last:  # noqa: PLR2004 - two bytes: a character of the standard's table
            return True
    return False


class Language:
    """Shares of letters and of pairs of letters in the words of one language."""

    def __init__(self, followers: Mapping[str, Mapping[str, int]]) -> None:
        """Take how often each letter follows another; `""` instead of the other one has those of which only themselves are counted."""
        self._followers = {before: counts for before, counts in followers.items() if before}
        self._totals = {before: sum(counts.values()) for before, counts in self._followers.items()}
        self._letters: Counter[str] = Counter()
        for counts in followers.values():
            self._letters.update(counts)
        self._total = sum(self._letters.values())

    @cached_property
    def scripts(self) -> frozenset[str]:
        """The scripts that at least a tenth of the language's non-ASCII letters belong to; Latin if it has none."""
        found: Counter[str] = Counter()
        for letter, count in self._letters.items():
            if not letter.isascii():
                found[script_of(letter)] += count
        return frozenset(script for script, count in found.items() if count * 10 >= found.total()) or frozenset({"latin"})

    def weigh(self, pairs: Pairs) -> float:
        """Return the logarithm of the likelihood of these pairs, in nats: below 0, and the lower the less likely."""
        weight = 0.0
        for (before, letter), count in pairs.items():
            total = self._totals.get(before, 0)
            trust = min(_TRUST, total / (total + _PAIRS_PER_LETTER))
            after = self._followers[before].get(letter, 0) / total if total else 0.0
            weight += count * math.log(trust * after + (1 - trust) * self._share(letter))
        return weight

    def _share(self, letter: str) -> float:
        script = script_of(letter)
        if script not in self.scripts:
            unseen = _FOREIGN_SCRIPT_SHARE
        elif script == "han" and not _is_common_han(letter):
            unseen = _RARE_HAN_SHARE
        else:
            unseen = _UNSEEN_SHARES.get(script, _FOREIGN_SHARE)
        return self._letters.get(letter, 0) / self._total + unseen


@lru_cache(maxsize=1)
def load_languages() -> Mapping[str, Language]:
    """Return the languages by their codes (BCP 47); they are read once, in about 30 ms."""
    followers: dict[str, dict[str, dict[str, int]]] = {}
    for line in _COUNTS.read_text("utf-8").splitlines():
        code, before, counts = line.split("\t")
        followers.setdefault(code, {})[before] = {letter: int(count) for letter, count in _FOLLOWER.findall(counts)}
    return {code: Language(counts) for code, counts in followers.items()}


def may_stand_together(first: str, second: str) -> bool:
    """Whether one word may have letters of both scripts."""
    return second in (first, "mark") or second in _WRITTEN_WITH.get(first, ())

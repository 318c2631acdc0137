"""What makes a decoded text implausible in every language: symbols inside words, capitals behind small letters, words of two scripts.

Costs are logarithms of likelihoods, in nats, as `letters.Language.weigh` returns them, so that both can be added. They were found by trying on short tables
of place names, names and occupations in 35 languages; `python -m bench reading` measures on others.
"""

# ruff: noqa: RUF001, RUF003 - these very characters are meant
from __future__ import annotations

import unicodedata
from collections import Counter
from typing import NamedTuple

from features.processing.readers.csv.letters import Pairs, is_letter, may_stand_together, script_of

_COMMON_SIGNS = {
    **dict.fromkeys("’€£°²³µ½", -5.5),
    **dict.fromkeys("\xa0–—‘“”«»„‚…·•ºª§©®™¼¾±×¥№", -7.0),
    **dict.fromkeys("、。（）「」，：；！？％～\u3000／《》＊\u200e\u200f\u200c،؛؟", -6.0),
    **dict.fromkeys("¡¿", -9.0),
    **dict.fromkeys("ー・", -4.0),
}
_RARE_SIGN, _WIDE_SIGN, _BOX, _NO_CHARACTER = -11.0, -9.0, -13.0, -18.0
_WIDE_SIGNS = frozenset("、。・ー（）「」，：；！？％～\u3000／《》＊")
"""Chinese, Japanese and Korean put no blank beside them."""
_OPEN_OR_CLOSE_WORDS_RARELY = frozenset("“…º°•")
_END_WORDS = frozenset("’”»®™©ª€²³‰‘")
_BEGIN_WORDS = frozenset("“‘«„‚¿¡§№€£•”·–—»°µ±")
_INSIDE_WORD, _BESIDE_WORD, _RARELY_BESIDE_WORD, _JOINS_WORD, _APOSTROPHE, _APOSTROPHE_BETWEEN_WORDS = -12.0, -8.0, -6.0, -2.0, -1.0, -5.0
_SMALL_THEN_CAPITAL, _CAPITAL_IN_WORD, _ALONE = -6.0, -4.0, -3.0
_MIXED_SCRIPTS, _MIXED_WIDE_SCRIPTS = -9.0, -6.0
_VOWELS = "aeiouy"
_WIDE_SCRIPTS = frozenset({"han", "kana", "hangul"})


class Reading(NamedTuple):
    """One way to read a text."""

    pairs: Pairs
    """Those that have a non-ASCII letter."""
    cost: float
    """Of all that is no pair of letters, and of pairs that no language has; at most 0."""


def read_text(text: str) -> Reading:
    """Return the pairs of letters of a text and the cost of what is implausible in it; only non-ASCII characters and their neighbours count."""
    pairs: Pairs = Counter()
    cost = 0.0
    padded = f"  {text}  "
    for index in range(2, len(padded) - 2):
        before, character, after = padded[index - 1], padded[index], padded[index + 1]
        if character.isascii():
            if before.isascii() or not is_letter(before):
                continue
            ends = not character.isalpha()
            pairs[_small(before), " " if ends else _small(character)] += 1
            cost += 0.0 if ends else _cost_of_neighbours(before, character)
        elif is_letter(character):
            continues = is_letter(before)
            pairs[_small(before) if continues else " ", _small(character)] += 1
            if not continues and not is_letter(after) and script_of(character) != "latin":
                cost += _ALONE
            if continues:
                cost += _cost_of_neighbours(before, character)
                cost += _CAPITAL_IN_WORD if before.isupper() and character.isupper() and after.islower() else 0.0
        elif character == "’" and is_letter(before) and is_letter(after):
            # L’Aquila, d’Orsay, it’s: a word of one or two letters stands on one of the sides.
            separates = is_letter(padded[index - 3]) and is_letter(padded[index - 2]) and is_letter(padded[index + 2])
            cost += _COMMON_SIGNS[character] + (_APOSTROPHE_BETWEEN_WORDS if separates else _APOSTROPHE)
        else:
            cost += _cost_of_sign(character) + _cost_of_place(character, follows_letter=is_letter(before), precedes_letter=is_letter(after))
    return Reading(pairs, cost)


def _small(letter: str) -> str:
    """Return the small letter; of İ, which becomes two characters, the first."""
    return letter.lower()[:1]


def _cost_of_neighbours(before: str, letter: str) -> float:
    cost = _SMALL_THEN_CAPITAL if before.islower() and letter.isupper() else 0.0
    first, second = script_of(before), script_of(letter)
    if second == "mark" and before.isascii() and before.lower() not in _VOWELS:
        # Only cp1258 has marks as characters of their own, and in Vietnamese they stand on vowels.
        return cost + _MIXED_SCRIPTS
    if may_stand_together(first, second):
        return cost
    return cost + (_MIXED_WIDE_SCRIPTS if first in _WIDE_SCRIPTS or second in _WIDE_SCRIPTS else _MIXED_SCRIPTS)


def _cost_of_sign(character: str) -> float:
    if (cost := _COMMON_SIGNS.get(character)) is not None:
        return cost
    if character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cn", "Co"):
        return _NO_CHARACTER
    if "\u2500" <= character < "\u25a0":
        return _BOX
    return _WIDE_SIGN if "\u3000" <= character < "\u3040" or "\uff00" <= character < "\ufff0" else _RARE_SIGN


def _cost_of_place(character: str, *, follows_letter: bool, precedes_letter: bool) -> float:
    """Return the cost of a sign that touches letters."""
    if character in _WIDE_SIGNS:
        return 0.0
    if follows_letter and precedes_letter:
        return _JOINS_WORD if character in "·\u200c" else _INSIDE_WORD
    if follows_letter and character not in _END_WORDS:
        return _RARELY_BESIDE_WORD if character in _OPEN_OR_CLOSE_WORDS_RARELY else _BESIDE_WORD
    return _BESIDE_WORD if precedes_letter and character not in _BEGIN_WORDS else 0.0

"""Words for yes and no in common languages."""

# ruff: noqa: RUF001 - words of other languages have letters that look like Latin ones
from __future__ import annotations

from collections.abc import Sequence

from features.processing.inference.sample import Sample

_LANGUAGES: Sequence[tuple[Sequence[str], Sequence[str]]] = (
    (("true", "t"), ("false", "f")),
    (("yes", "y"), ("no", "n")),
    (("on",), ("off",)),
    (("ja", "j"), ("nein", "n")),
    (("ja", "j"), ("nee", "n")),
    (("ja", "j"), ("nej", "n")),
    (("ja", "j"), ("nei", "n")),
    (("oui", "o"), ("non", "n")),
    (("sí", "si", "s"), ("no", "n")),
    (("sì", "si", "s"), ("no", "n")),
    (("sim", "s"), ("não", "nao", "n")),
    (("да", "д"), ("нет", "н")),
    (("так", "т"), ("ні", "н")),
    (("tak", "t"), ("nie", "n")),
    (("ano", "a"), ("ne", "n")),
    (("áno", "a"), ("nie", "n")),
    (("da",), ("ne",)),
    (("da",), ("nu",)),
    (("да",), ("не",)),
    (("igen", "i"), ("nem", "n")),
    (("kyllä", "k"), ("ei", "e")),
    (("jah",), ("ei",)),
    (("evet", "e"), ("hayır", "hayir", "h")),
    (("ναι",), ("όχι", "οχι")),
    (("wahr",), ("falsch",)),
    (("vrai",), ("faux",)),
    (("verdadero",), ("falso",)),
    (("verdadeiro",), ("falso",)),
    (("vero",), ("falso",)),
    (("prawda",), ("fałsz",)),
    (("истина",), ("ложь",)),
    (("sand",), ("falsk",)),
    (("waar",), ("onwaar",)),
    (("taip",), ("ne",)),
    (("jā",), ("nē",)),
    (("já",), ("nei",)),
    (("pravda",), ("nepravda",)),
    (("igaz",), ("hamis",)),
    (("doğru",), ("yanlış",)),
    (("sant",), ("falskt",)),
    (("sann",), ("usann",)),
    (("tosi",), ("epätosi",)),
    (("adevărat",), ("fals",)),
    (("有",), ("无",)),
    (("はい",), ("いいえ",)),
    (("是",), ("否",)),
    (("예", "네"), ("아니오", "아니요")),
    (("có",), ("không",)),
    (("ya",), ("tidak",)),
    (("نعم",), ("لا",)),
    (("כן",), ("לא",)),
    (("हाँ", "हां"), ("नहीं",)),
)
_STANDARD = ({"true", "True", "TRUE"}, {"false", "False", "FALSE"})
_CODE_LETTERS = 2
_USUAL_LETTERS = ({"y", "n"}, {"t", "f"}, {"j", "n"})
_ALL_WORDS = frozenset(word for language in _LANGUAGES for side in language for word in side)


def find_booleans(sample: Sample) -> dict[str, object] | None:
    """Return the type of a column of booleans with its `trueValues` and `falseValues`; None if it is none.

    One letter means yes or no only where the column has letters for both.
    """
    known = [(text, text.lower(), count) for text, count in sample.words if text.lower() in _ALL_WORDS]
    if not sample.is_most(sum(count for _, _, count in known)):
        return None
    best, most = None, 0
    for true, false in _LANGUAGES:
        spellings = [[text for text, word, _ in known if word in words] for words in (true, false)]
        count = sum(count for _, word, count in known if word in true or word in false)
        if count > most and (all(spellings) or any(len(text) > 1 or not text.isascii() for side in spellings for text in side)):
            best, most = (true, false, spellings), count
    if best is None or not sample.is_most(most):
        return None
    true, false, spellings = best
    found = [set(side) for side in spellings]
    if _are_codes(found, {text for text, _ in sample.words}):
        return None
    if all(side <= standard for side, standard in zip(found, _STANDARD, strict=True)):
        return {"type": "boolean"}
    return {"type": "boolean", "trueValues": _list_spellings(found[0], true), "falseValues": _list_spellings(found[1], false)}


def _are_codes(found: Sequence[set[str]], words: set[str]) -> bool:
    """Whether the words are rather codes, such as those of countries (`NO`, `SE`), provinces (`ON`, `QC`) or directions (`N`, `S`, `E`)."""
    rest = words - found[0] - found[1]
    if not rest or not all(len(text) <= _CODE_LETTERS and text.isascii() and text.isalpha() for text in rest):
        return False
    letters = {text.lower() for side in found for text in side}
    is_one_sided = not all(found) and all(len(text) <= _CODE_LETTERS for text in letters)
    return is_one_sided or (all(len(text) == 1 for text in letters) and letters not in _USUAL_LETTERS)


def _list_spellings(found: set[str], words: Sequence[str]) -> list[str]:
    """Return the words of one side that the column has, in any usual case; the first of the language if it has none."""
    present = [word for word in words if any(text.lower() == word for text in found)] or words[:1]
    spellings = [each for word in present for each in (word, word.capitalize(), word.upper())]
    return list(dict.fromkeys([*spellings, *sorted(found)]))

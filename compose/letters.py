"""Regenerate features/processing/readers/csv/letters.tsv, which counts pairs of letters by language, from the names that the Unicode CLDR has.

    pip install babel && python -m compose.letters

A line has a language's code, a letter (a blank for a word's beginning) and what follows it in how many words (a blank for a word's end). Of the characters
of Chinese, Japanese and Korean only themselves are counted, after an empty letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from babel import Locale  # type: ignore[import-not-found,unused-ignore]  # needed here only

LETTERS = Path(__file__).resolve().parent.parent / "features" / "processing" / "readers" / "csv" / "letters.tsv"
LANGUAGES = (
    "af",
    "ar",
    "az",
    "be",
    "bg",
    "ca",
    "cs",
    "da",
    "de",
    "el",
    "en",
    "es",
    "et",
    "fa",
    "fi",
    "fr",
    "ga",
    "gl",
    "he",
    "hr",
    "hu",
    "is",
    "it",
    "ja",
    "ko",
    "lt",
    "lv",
    "mk",
    "nb",
    "nl",
    "pl",
    "pt",
    "ro",
    "ru",
    "sk",
    "sl",
    "sq",
    "sr",
    "sv",
    "th",
    "tr",
    "uk",
    "ur",
    "vi",
    "zh",
    "zh_Hant",
)
ALPHABETS = {
    "af": "êëéôî",
    "az": "çəğıöşü",
    "ca": "àçèéíïòóúü",
    "cs": "áčďéěíňóřšťúůýž",
    "da": "æøåéö",
    "de": "äöüß",
    "en": "éüöèáçñïë",
    "es": "áéíóúñü",
    "et": "äõöüšž",
    "fi": "äöåšžé",
    "fr": "éèêëàâîïôûùüçœæÿ",
    "ga": "áéíóú",
    "gl": "áéíóúñü",
    "hr": "čćđšž",
    "hu": "áéíóöőúüű",
    "is": "áðéíóúýþæö",
    "it": "àèéìòùî",
    "lt": "ąčęėįšųūž",
    "lv": "āčēģīķļņšūž",
    "nb": "æøåéòôä",
    "nl": "éëïöüèáó",
    "pl": "ąćęłńóśźż",
    "pt": "áâãàçéêíóôõúü",
    "ro": "ăâîşţ",
    "sk": "áäčďéíĺľňóôŕšťúýž",
    "sl": "čšž",
    "sq": "ëç",
    "sv": "åäöéü",
    "tr": "çğıöşüâîû",
}
"""Each of these letters is counted three more times: names of countries alone have too few of some."""
MORE_WORDS = {
    "it": "città quantità attività società qualità unità disponibilità località proprietà università età novità"
    " più però perché così sì è già caffè tè là ciò può sarà",
}
"""Words of everyday tables, of a kind that names have too rarely: those that end in an accented vowel."""
BY_THEMSELVES = ("ja", "ko", "zh", "zh_Hant")
NAMES = ("territories", "languages", "scripts", "variants", "currencies", "months", "days", "quarters", "eras", "time_zones", "meta_zones")
UNITS = ("unit_display_names", "date_fields", "currency_names", "currency_names_plural", "unit_patterns")
WORD = re.compile(r"[^\W\d_]+(?:[\u0300-\u036f\u0590-\u05c7\u064b-\u0652\u0e30-\u0e4e]*[^\W\d_]*)*")


def main() -> None:
    """Count and write."""
    LETTERS.write_text("".join(line for code in LANGUAGES for line in _count(code)), "utf-8")


def _count(code: str) -> Iterator[str]:
    followers: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word in sorted(_find_words(code)):
        for before, letter in zip(f" {word}", f"{word} ", strict=True):
            followers["" if code in BY_THEMSELVES else before][letter] += 1
    for letter in ALPHABETS.get(code, ""):
        followers[""][letter] += 3
    for before in sorted(followers):
        yield f"{code}\t{before}\t{''.join(f'{letter}{count}' for letter, count in followers[before].most_common())}\n"


def _find_words(code: str) -> set[str]:
    """Return distinct words in small letters, in each of the forms that legacy encodings can write."""
    data = Locale.parse(code)._data  # noqa: SLF001 - Babel's properties have a part of it only
    texts = [text for name in (*NAMES, *UNITS) if name in data for text in _walk(data[name])]
    words = {word.lower() for text in texts for word in WORD.findall(re.sub(r"\{\d\}", "", text))}
    words.update(MORE_WORDS.get(code, "").split())
    if code == "vi":
        return {"".join(map(_split_tone, word)) for word in words}
    if code == "ro":
        return words | {word.translate(str.maketrans("șț", "şţ")) for word in words}
    if code == "fa":
        return words | {word.replace("ی", "ي") for word in words}
    return words


def _walk(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif hasattr(value, "values"):
        for part in value.values():
            yield from _walk(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _walk(part)


def _split_tone(letter: str) -> str:
    """Return a Vietnamese letter as cp1258 writes it: with its tone as a mark behind it."""
    try:
        letter.encode("cp1258")
    except UnicodeEncodeError:
        base, *marks = list(unicodedata.normalize("NFD", letter))
        for tone in marks:
            rest = unicodedata.normalize("NFC", base + "".join(mark for mark in marks if mark != tone))
            if len(rest) == 1 and tone in "\u0300\u0301\u0303\u0309\u0323":
                return rest + tone
    return letter


if __name__ == "__main__":
    main()

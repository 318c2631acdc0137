"""Guess the legacy encoding of text from its own letters.

Two things count: the letters of each language in the encodings that its people use, with what no language has (`letters.py`, `text_rules.py`), and chardet's
first choice. On large samples both agree. On short tables, where a few accented letters are all there is, chardet alone is right in 93 %, this in 98 %
(`python -m bench reading`).
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Mapping

import chardet

from features.processing.readers.csv.letters import load_languages
from features.processing.readers.csv.text_rules import Reading, read_text

LAST_RESORT = "cp1252"

_WESTERN = {"cp1252": 0.0, "mac_roman": 2.5, "cp850": 2.5, "iso8859_15": 2.5}
_CENTRAL = {"cp1250": 1.2, "iso8859_2": 2.0, "cp852": 2.7, "mac_latin2": 4.0}
_BALTIC = {"cp1257": 1.5, "iso8859_13": 3.0, "iso8859_4": 3.5, "cp775": 3.5}
_TURKIC = {"cp1254": 1.5, "iso8859_9": 2.5, "cp857": 3.0}
_CYRILLIC = {"cp1251": 1.0, "koi8_r": 2.0, "cp866": 2.2, "iso8859_5": 3.0, "mac_cyrillic": 3.0, "cp855": 4.0}
_USUAL_ENCODINGS: Mapping[str, Mapping[str, float]] = {
    **dict.fromkeys(("af", "ca", "da", "de", "en", "es", "fi", "fr", "ga", "gl", "is", "it", "nb", "nl", "pt", "sq", "sv"), _WESTERN),
    **dict.fromkeys(("cs", "hr", "hu", "pl", "sk", "sl"), _CENTRAL),
    "ro": {**_CENTRAL, "iso8859_16": 3.0},
    **dict.fromkeys(("lt", "lv"), _BALTIC),
    "et": {**_BALTIC, **_WESTERN},
    **dict.fromkeys(("az", "tr"), _TURKIC),
    **dict.fromkeys(("bg", "mk", "ru", "sr"), _CYRILLIC),
    "uk": {**_CYRILLIC, "koi8_u": 2.0},
    "be": {**_CYRILLIC, "koi8_u": 3.0},
    "el": {"cp1253": 1.0, "iso8859_7": 2.0, "cp737": 3.0},
    "he": {"cp1255": 1.0, "iso8859_8": 2.5, "cp862": 3.0},
    "ar": {"cp1256": 1.0, "iso8859_6": 3.0, "cp720": 4.0},
    "fa": {"cp1256": 1.0},
    "ur": {"cp1256": 2.0},
    "vi": {"cp1258": 1.5},
    "th": {"cp874": 1.0},
    "ja": {"cp932": 1.0, "euc_jp": 1.5},
    "zh": {"gb18030": 1.0},
    "zh_Hant": {"cp950": 1.3, "big5hkscs": 1.5, "gb18030": 3.0},
    "ko": {"cp949": 1.0, "johab": 4.0},
}
"""For each language the encodings that files in it have, with what speaks against each before anything is read, in nats; supersets stand for their subsets."""
_LANGUAGES_BY_ENCODING = {
    encoding: {language: costs[encoding] for language, costs in _USUAL_ENCODINGS.items() if encoding in costs}
    for encoding in dict.fromkeys(encoding for costs in _USUAL_ENCODINGS.values() for encoding in costs)
}
_LEAST_COSTS = {encoding: min(costs.values()) for encoding, costs in _LANGUAGES_BY_ENCODING.items()}
_CHARDET_WEIGHT = 3.0
"""In nats. chardet knows more languages; for those of `letters.tsv` weights from 0 to 6 are right in short tables equally often, to half a percent."""
_ENOUGH_FOR_CHARDET = 4
"""Of fewer non-ASCII bytes chardet can tell less."""
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_WORD = re.compile(rb"[@-~\x80-\xff]+")
"""Second bytes of double-byte encodings begin at `@`."""
_WORDS_BYTES = 1500
"""Distinct words that are weighed; with 3,000 bytes not one text of chardet's tests comes out otherwise."""
_UNDECODABLE_SHARE = 0.02
_ASCII_WEIGHT = 0.5
"""Words of plain letters say which language it is, but many tables have English ones beside those of their own."""
_ASCII_PAIRS = 400
"""More of them do not count more."""
_FAIRLY_WELL = 5
"""Of the Latin languages so many fit the plain words about as well as one that is not Latin would."""


def detect_legacy_encoding(sample: bytes) -> str:
    """Return the most likely encoding of lines that are not UTF-8, as Python's list of codecs names it; cp1252 where nothing tells."""
    words = dict.fromkeys(_WORD.findall(sample))
    odd = b" ".join(word for word in words if not word.isascii())
    odd, is_whole = odd[:_WORDS_BYTES], len(odd) <= _WORDS_BYTES
    languages = _weigh_plain_words(word.decode().lower() for word in words if word.isascii() and word.isalpha())
    texts: dict[str, str] = {}
    weights: dict[str, float] = {}
    for encoding, costs in _LANGUAGES_BY_ENCODING.items():
        text = _decode(odd, encoding, is_whole=is_whole)
        if text.count("\ufffd") <= len(odd) * _UNDECODABLE_SHARE + 1:
            texts[encoding], weights[encoding] = text, _weigh(read_text(text), costs, languages)
    if not weights:
        return LAST_RESORT
    choice = _decode(odd, chardet.detect(sample, compat_names=False)["encoding"] or LAST_RESORT, is_whole=is_whole)
    chardet_weight = _CHARDET_WEIGHT * min(1.0, len(_HIGH_BYTE.findall(odd)) / _ENOUGH_FOR_CHARDET)
    likeliest = max(weights, key=lambda encoding: weights[encoding] + chardet_weight * (texts[encoding] == choice))
    return _find_usual_one(sample, likeliest, texts)


def _find_usual_one(sample: bytes, likeliest: str, candidates: Iterable[str]) -> str:
    """Return the most usual of the encodings in which the sample is the same text."""
    text = sample.decode(likeliest, "replace")
    return min((encoding for encoding in candidates if sample.decode(encoding, "replace") == text), key=lambda encoding: _LEAST_COSTS[encoding])


def _decode(data: bytes, encoding: str, *, is_whole: bool) -> str:
    """Decode; of text that is not whole, a character that is cut at the end is left out."""
    return codecs.getincrementaldecoder(encoding)("replace").decode(data, is_whole)


def _weigh_plain_words(words: Iterable[str]) -> Mapping[str, float]:
    """Return the weight of each Latin language by words of plain letters, in nats above that of one which fits them fairly well."""
    text = " ".join(words)
    pairs = Counter(zip(f" {text}", f"{text} ", strict=True))
    scale = _ASCII_WEIGHT * min(1.0, _ASCII_PAIRS / max(1, pairs.total()))
    weights = {code: scale * language.weigh(pairs) for code, language in load_languages().items() if "latin" in language.scripts}
    # Other scripts, of which plain words say nothing, are compared with languages that fit fairly well.
    usual = sorted(weights.values())[-_FAIRLY_WELL]
    return {code: weight - usual for code, weight in weights.items()}


def _weigh(reading: Reading, costs: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Return the weight of a reading in the likeliest language of its encoding."""
    languages = load_languages()
    return reading.cost + max(languages[code].weigh(reading.pairs) - cost + weights.get(code, 0.0) for code, cost in costs.items())

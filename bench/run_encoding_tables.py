"""Write short tables in many languages and encodings: `python -m bench.run_encoding_tables FOLDER`, in the peers' environment.

Rows have a number, one to three columns of Faker's words (places, names, occupations, colours) and another number, under a header of plain letters. Words are
divided in two halves by their checksums: the rules of the detector were tried on tables of the one; these tables have words of the other only.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path

_WESTERN = ("cp1252", "mac_roman", "cp850")
_CENTRAL = ("cp1250", "iso8859_2", "cp852")
ENCODINGS: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("de_DE", "fr_FR", "es_ES", "it_IT", "pt_PT", "sv_SE"), _WESTERN),
    "pt_BR": ("cp1252", "cp850"),
    "da_DK": ("cp1252", "cp850"),
    "no_NO": ("cp1252", "mac_roman"),
    "fi_FI": ("cp1252", "cp850"),
    "nl_NL": ("cp1252",),
    "is_IS": ("cp1252",),
    "ga_IE": ("cp1252",),
    "et_EE": ("cp1257", "cp1252"),
    "lt_LT": ("cp1257",),
    "lv_LV": ("cp1257",),
    **dict.fromkeys(("pl_PL", "cs_CZ", "sk_SK", "hu_HU", "hr_HR"), _CENTRAL),
    "ro_RO": ("cp1250", "iso8859_2"),
    "sl_SI": ("cp1250", "iso8859_2"),
    "tr_TR": ("cp1254", "cp857"),
    "az_AZ": ("cp1254",),
    "ru_RU": ("cp1251", "koi8_r", "cp866", "mac_cyrillic", "iso8859_5"),
    "bg_BG": ("cp1251", "cp866"),
    "uk_UA": ("cp1251", "koi8_u"),
    "el_GR": ("cp1253", "iso8859_7"),
    "he_IL": ("cp1255",),
    "fa_IR": ("cp1256",),
    "vi_VN": ("cp1258",),
    "th_TH": ("cp874",),
    "ja_JP": ("cp932", "euc_jp"),
    "zh_CN": ("gb18030",),
    "zh_TW": ("big5",),
    "ko_KR": ("cp949",),
}
SIZES = (3, 6, 12, 40)
SEEDS = 3
_PROVIDERS = ("address", "person", "job", "color")
_LISTS = ("cit", "state", "countr", "provinc", "town", "villag", "munic", "region", "distri", "first_name", "last_name", "male", "female", "jobs", "all_colors")
_PARTS_OF_LISTS = ("format", "formats", "suffix", "prefix", "suffixes", "prefixes")


def write_tables(folder: Path) -> list[dict[str, str]]:
    """Write the tables; return the name, the encoding and the language of each."""
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for locale, encodings in ENCODINGS.items():
        columns = _find_columns(locale)
        for encoding in encodings:
            usable = {name: [form for word in words if (form := _write(word, locale, encoding))] for name, words in columns.items()}
            usable = {name: words for name, words in usable.items() if words}
            for size in SIZES:
                for seed in range(SEEDS):
                    data = _make_table(usable, size, random.Random(f"{locale} {encoding} {size} {seed}")).encode(encoding)
                    name = f"{locale}-{encoding}-{size}-{seed}.csv"
                    (folder / name).write_bytes(data)
                    index.append({"name": name, "encoding": encoding, "group": locale})
    return index


def _find_columns(locale: str) -> dict[str, list[str]]:
    columns = {}
    for provider in _PROVIDERS:
        try:
            members = vars(import_module(f"faker.providers.{provider}.{locale}").Provider)
        except ModuleNotFoundError:
            continue
        lists = [value for name, value in sorted(members.items()) if name.startswith(_LISTS) and not name.endswith(_PARTS_OF_LISTS) and not callable(value)]
        words = sorted({word.strip() for value in lists for word in _walk(value) if 1 < len(word) < 40 and "{" not in word and _is_held_out(word.strip())})
        if len(words) > 5:
            columns[provider] = words
    return columns


def _walk(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _walk(key)
            yield from _walk(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from _walk(part)


def _is_held_out(word: str) -> bool:
    return hashlib.md5(word.encode(), usedforsecurity=False).digest()[0] % 2 == 1


def _write(word: str, locale: str, encoding: str) -> str | None:
    """Return the word as people write it in the encoding; None if they cannot."""
    if locale == "ro_RO":
        word = word.translate(str.maketrans("șțȘȚ", "şţŞŢ"))
    elif locale == "fa_IR":
        word = word.replace("ی", "ي")
    elif encoding == "cp1258":
        word = "".join(map(_split_tone, word))
    try:
        word.encode(encoding)
    except UnicodeEncodeError:
        return None
    return word


def _split_tone(letter: str) -> str:
    """Return a Vietnamese letter as cp1258 has it: with its tone as a mark behind it."""
    base, *marks = list(unicodedata.normalize("NFD", letter))
    for tone in marks if len(marks) == 2 else ():
        rest = unicodedata.normalize("NFC", base + "".join(mark for mark in marks if mark != tone))
        if len(rest) == 1 and tone in "\u0300\u0301\u0303\u0309\u0323":
            return rest + tone
    return unicodedata.normalize("NFD", letter) if letter in "ẢẠẺẼẸỈĨỊỎÕỌỦŨỤỲỶỸỴảạẻẽẹỉĩịỏõọủũụỳỷỹỵ" else letter


def _make_table(columns: Mapping[str, Sequence[str]], size: int, choice: random.Random) -> str:
    """Return a table that has at least one letter beyond ASCII."""
    while True:
        delimiter = choice.choice(",;\t")
        names = choice.sample(sorted(columns), choice.randint(1, min(3, len(columns))))
        rows = [["id", *names, "amount"]]
        rows += [[str(number), *(choice.choice(columns[name]) for name in names), str(choice.randint(1, 9999))] for number in range(1, size + 1)]
        text = "".join(delimiter.join(cell.replace(delimiter, " ") for cell in row) + "\r\n" for row in rows)
        if not text.isascii():
            return text


if __name__ == "__main__":
    print(json.dumps({"tables": write_tables(Path(sys.argv[1]))}))

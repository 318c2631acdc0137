"""Columns in the forms that people write: good cells of each form, and cells that are certainly none of it."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

# ruff: noqa: RUF001 - nothing here is secret, and words of other languages have letters that look like Latin ones

MARKS = ("N/A", "NA", "#N/A", "NULL", "null", "None", "nil", "NaN", "-", "--", "?", "n/a", "\\N")
_NO_NUMBERS = ("frei", "unknown", "abc", "?!", "siehe unten")
_NO_DATES = ("unknown", "soon", "13.13.13.13", "tomorrow")
_NO_WORDS = ("maybe", "2", "vielleicht", "xyz")

Chance: TypeAlias = random.Random


@dataclass(frozen=True, slots=True)
class Form:
    """One everyday form of a column."""

    name: str
    write: Callable[[Chance], str]
    """Makes a good cell."""
    bad: Sequence[str]
    """Cells that are wrong in such a column; none where any text is right."""
    expected: Mapping[str, object]
    """What the schema says of the column, its name and constraints left out."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column with planted bad cells."""

    form: Form
    cells: Sequence[str]
    bad_rows: frozenset[int]
    """From 0."""


def make_column(form: Form, chance: Chance, *, rows: int, bad_share: float, clean_rows: int = 0) -> Column:
    """Return a column of the form in which about a share of the cells is bad, at most a tenth; the first `clean_rows` are good."""
    bad_rows = frozenset(chance.sample(range(clean_rows, rows), min(int(rows * bad_share), rows // 10) if form.bad else 0))
    return Column(form, [chance.choice(form.bad) if row in bad_rows else form.write(chance) for row in range(rows)], bad_rows)


def list_forms() -> list[Form]:
    """Return all forms, each with a name of its own."""
    return [*_whole_numbers(), *_numbers(), *_booleans(), *_dates(), *_datetimes(), *_times(), *_texts(), *_plain_texts()]


def _group(digits: str, mark: str, *, indian: bool = False) -> str:
    head, tail = digits[:-3], digits[-3:]
    parts = [tail]
    size = 2 if indian else 3
    while head:
        parts.insert(0, head[-size:])
        head = head[:-size]
    return mark.join(parts)


def _amount(chance: Chance) -> int:
    return chance.choice([chance.randrange(1, 1_000), chance.randrange(1_000, 1_000_000), chance.randrange(1_000_000, 50_000_000)])


def _whole_numbers() -> Iterator[Form]:
    yield Form("integer", lambda chance: str(chance.randrange(0, 10_000)), _NO_NUMBERS, {"type": "integer"})
    yield Form("integer, negative too", lambda chance: str(chance.randrange(-10_000, 10_000)), ("1-2", *_NO_NUMBERS), {"type": "integer"})
    for name, mark in (("comma", ","), ("point", "."), ("space", " "), ("no-break space", "\u00a0"), ("narrow space", "\u202f"), ("apostrophe", "'")):
        yield Form(
            f"integer, groups by {name}",
            lambda chance, mark=mark: chance.choice(["", "", "-"]) + _group(str(_amount(chance)), mark),  # type: ignore[misc]
            (f"1{mark}23{mark}4", *_NO_NUMBERS),
            {"type": "integer", "groupChar": mark},
        )
    yield Form(
        "integer, Indian groups",
        lambda chance: _group(str(_amount(chance)), ",", indian=True),
        ("1,23,45", *_NO_NUMBERS),
        {"type": "integer", "groupChar": ","},
    )


_NUMBER_STYLES = (
    ("point", ".", ""),
    ("comma", ",", ""),
    ("US", ".", ","),
    ("German", ",", "."),
    ("French", ",", "\u202f"),
    ("Swedish", ",", " "),
    ("Swiss", ".", "'"),
    ("Swiss, curly", ".", "\u2019"),
)


def _decimals(chance: Chance, decimal: str, group: str, places: int = 2) -> str:
    whole = _group(str(_amount(chance)), group) if group else str(chance.randrange(0, 100_000))
    return f"{whole}{decimal}{chance.randrange(10**places):0{places}}"


def _describe_number(decimal: str, group: str, *, bare: bool) -> dict[str, object]:
    described: dict[str, object] = {"type": "number"}
    if decimal != ".":
        described["decimalChar"] = decimal
    if group:
        described["groupChar"] = group
    return described if bare else described | {"bareNumber": False}


def _numbers() -> Iterator[Form]:
    for style, decimal, group in _NUMBER_STYLES:
        yield Form(
            f"number, {style}",
            lambda chance, decimal=decimal, group=group: chance.choice(["", "", "-"]) + _decimals(chance, decimal, group),  # type: ignore[misc]
            (f"1{decimal}2{decimal}3", *_NO_NUMBERS),
            _describe_number(decimal, group, bare=True),
        )
    dressed = (
        ("US", "$", ""),
        ("US", "USD ", ""),
        ("US", "£", ""),
        ("German", "", " €"),
        ("German", "", "\u00a0€"),
        ("German", "EUR ", ""),
        ("German", "R$ ", ""),
        ("comma", "", " zł"),
        ("Swedish", "", " kr"),
        ("Swiss", "CHF ", ""),
        ("point", "", "%"),
        ("comma", "", " %"),
    )
    for style, before, behind in dressed:
        decimal, group = next((decimal, group) for name, decimal, group in _NUMBER_STYLES if name == style)
        yield Form(
            f"number, {style}, {before or '_'}1{behind or '_'}",
            lambda chance, decimal=decimal, group=group, before=before, behind=behind: (  # type: ignore[misc]
                chance.choice(["", "", "-"]) + before + _decimals(chance, decimal, group) + behind
            ),
            _NO_NUMBERS,
            _describe_number(decimal, group, bare=False),
        )
    for style, decimal, group in _NUMBER_STYLES[2:4]:
        yield Form(
            f"number, {style}, brackets for negative",
            lambda chance, decimal=decimal, group=group: chance.choice(["{}", "{}", "({})"]).format(_decimals(chance, decimal, group)),  # type: ignore[misc]
            _NO_NUMBERS,
            _describe_number(decimal, group, bare=False),
        )
    yield Form("integer, per cent", lambda chance: f"{chance.randrange(101)}%", _NO_NUMBERS, {"type": "integer", "bareNumber": False})
    yield Form("number, few decimals", lambda chance: chance.choice(["{}"] * 9 + ["{}.5"]).format(chance.randrange(99)), _NO_NUMBERS, {"type": "number"})


def _booleans() -> Iterator[Form]:
    languages = (
        ("yes", "no"),
        ("Yes", "No"),
        ("Y", "N"),
        ("t", "f"),
        ("ON", "OFF"),
        ("ja", "nein"),
        ("oui", "non"),
        ("sí", "no"),
        ("sim", "não"),
        ("да", "нет"),
        ("tak", "nie"),
        ("ano", "ne"),
        ("evet", "hayır"),
        ("はい", "いいえ"),
        ("vrai", "faux"),
        ("WAHR", "FALSCH"),
    )
    yield Form("boolean, true/false", lambda chance: chance.choice(["true", "false"]), _NO_WORDS, {"type": "boolean"})
    for words in languages:
        yield Form(f"boolean, {'/'.join(words)}", lambda chance, words=words: chance.choice(words), _NO_WORDS, {"type": "boolean"})  # type: ignore[misc]


def _moment(chance: Chance) -> dt.datetime:
    start = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
    return start + dt.timedelta(microseconds=chance.randrange(6 * 365 * 86_400 * 10**6))


def write_moment(moment: dt.datetime, pattern: str, *, short: bool = False) -> str:
    """Return a moment in a pattern of strftime; `short`: day, month and hour without leading zeros."""
    if short:
        pattern = (
            pattern.replace("%d", str(moment.day)).replace("%m", str(moment.month)).replace("%I", str(moment.hour % 12 or 12)).replace("%H", str(moment.hour))
        )
    return moment.strftime(pattern)


def _dated(name: str, type_name: str, pattern: str, bad: Sequence[str], *, short: bool = False, default: bool = False) -> Form:
    expected: dict[str, object] = {"type": type_name}
    return Form(name, lambda chance: write_moment(_moment(chance), pattern, short=short), bad, expected if default else expected | {"format": pattern})


def _dates() -> Iterator[Form]:
    yield _dated("date, ISO", "date", "%Y-%m-%d", ("2024-02-30", "2024-13-01", *_NO_DATES), default=True)
    for mark in "./-":
        wrong = [f"31{mark}02{mark}2024", f"99{mark}01{mark}2024", *_NO_DATES]
        yield _dated(f"date, d{mark}m{mark}Y", "date", f"%d{mark}%m{mark}%Y", wrong)
        yield _dated(f"date, m{mark}d{mark}Y", "date", f"%m{mark}%d{mark}%Y", [f"02{mark}31{mark}2024", *wrong[1:]])
        yield _dated(f"date, d{mark}m{mark}y", "date", f"%d{mark}%m{mark}%y", [f"31{mark}02{mark}24", *_NO_DATES])
    for mark in "./":
        yield _dated(f"date, Y{mark}m{mark}d", "date", f"%Y{mark}%m{mark}%d", [f"2024{mark}02{mark}31", *_NO_DATES])
    yield _dated("date, m/d/y", "date", "%m/%d/%y", ["02/31/24", *_NO_DATES])
    yield _dated("date, d.m.Y short", "date", "%d.%m.%Y", ["31.2.2024", *_NO_DATES], short=True)
    yield _dated("date, m/d/Y short", "date", "%m/%d/%Y", ["2/31/2024", *_NO_DATES], short=True)
    for pattern in ("%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d. %B %Y"):
        yield _dated(f"date, {pattern}", "date", pattern, ["31 Foo 2024", *_NO_DATES])


def _datetimes() -> Iterator[Form]:
    wrong = ("2024-02-31 99:30:00", "2024-01-01 25:00:00", *_NO_DATES)
    yield _dated("datetime, ISO", "datetime", "%Y-%m-%dT%H:%M:%S", wrong, default=True)
    yield _dated("datetime, ISO with Z", "datetime", "%Y-%m-%dT%H:%M:%SZ", wrong, default=True)
    yield Form(
        "datetime, ISO with a fraction and a zone",
        lambda chance: write_moment(_moment(chance), "%Y-%m-%dT%H:%M:%S.%f") + chance.choice(["+01:00", "+02:00"]),
        wrong,
        {"type": "datetime"},
    )
    for pattern in (
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d %H:%M:%S.%f",
        "%Y-%m-%dT%H:%M",
        "%Y/%m/%d %H:%M:%S",
        "%d.%m.%Y %H:%M",
        "%d/%m/%Y %H:%M:%S",
        "%m/%d/%Y %H:%M",
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%Y %I:%M:%S %p",
        "%d-%b-%Y %H:%M:%S",
        "%d.%m.%Y, %H:%M:%S",
        "%Y-%m-%d %H:%M:%S UTC",
        "%Y-%m-%d %H:%M:%S+00",
    ):
        yield _dated(f"datetime, {pattern}", "datetime", pattern, wrong)
    yield _dated("datetime, m/d/Y I:M p short", "datetime", "%m/%d/%Y %I:%M %p", wrong, short=True)
    yield Form(
        "datetime, zone without a colon",
        lambda chance: write_moment(_moment(chance), "%Y-%m-%d %H:%M:%S") + chance.choice(["+0100", "+0200"]),
        wrong,
        {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S%z"},
    )


def _times() -> Iterator[Form]:
    wrong = ("25:00", "12:60", "noon", "late", "1:2:3:4")
    yield _dated("time, ISO", "time", "%H:%M:%S", wrong, default=True)
    for pattern in ("%H:%M", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f"):
        yield _dated(f"time, {pattern}", "time", pattern, wrong)
    yield _dated("time, H:M short", "time", "%H:%M", wrong, short=True)


def _texts() -> Iterator[Form]:
    yield Form("code, five digits", lambda chance: f"{chance.randrange(100_000):05}", ("abcde", "12a45", "123 4"), {"type": "string"})
    yield Form("code, any width", lambda chance: "0" * chance.randrange(3) + str(chance.randrange(1, 10_000)), ("abcde", "12a"), {"type": "string"})
    yield Form(
        "e-mail",
        lambda chance: f"{chance.choice(['ann', 'bob.lee', 'c+d'])}{chance.randrange(999)}@{chance.choice(['example.org', 'mail.example.com'])}",
        ("user.example.org", "me@home", "a b@example.org"),
        {"type": "string", "format": "email"},
    )
    yield Form(
        "web address",
        lambda chance: f"{chance.choice(['https', 'http'])}://example.org/{chance.randrange(9_999)}?q={chance.randrange(9)}",
        ("example org", "see below", "http:// example.org"),
        {"type": "string", "format": "uri"},
    )
    yield Form("UUID", lambda chance: str(uuid.UUID(int=chance.getrandbits(128))), ("123", "no id", "123e4567e89b"), {"type": "string", "format": "uuid"})


def _plain_texts() -> Iterator[Form]:
    words = {
        "names": ["Ann", "Bob", "Cy", "Ó Briain", "d'Arc", "Müller-Lüdenscheidt"],
        "countries": ["NA", "DE", "FR", "NO", "ON", "IS"],
        "grades": ["A", "B", "C", "-", "F"],
        "parts": ["A-100", "B/7", "17 mm", "1/2 in", "M8"],
        "months": ["May 2024", "June", "Q1", "2024-W05"],
    }
    for name, listed in words.items():
        yield Form(f"text, {name}", lambda chance, listed=listed: chance.choice(listed), (), {"type": "string"})  # type: ignore[misc]
    yield Form("text, versions", lambda chance: f"{chance.randrange(9)}.{chance.randrange(20)}.{chance.randrange(9)}", (), {"type": "string"})
    yield Form("text, hosts", lambda chance: ".".join(str(chance.randrange(256)) for _ in range(4)), (), {"type": "string"})
    yield Form("text, phones", lambda chance: f"+49 {chance.randrange(100, 999)} {chance.randrange(10_000, 999_999)}", (), {"type": "string"})

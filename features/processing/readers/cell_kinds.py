"""What a cell looks like (a number, a date, a word), judged by cheap patterns, to find out how a file is laid out.

Not the types of the Table Schema: here it is enough to tell values from words. Every pattern takes time linear in a cell, of which at most 64 characters are
looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum

_MAX_CHARACTERS = 64


class CellKind(IntEnum):
    """The kind of one cell; the kinds from `NUMBER` on are those of values, which no label has."""

    EMPTY = 0
    """Nothing, white space, or a mark for nothing, such as `N/A`."""
    ODD = 1
    """Text in which characters stand that often separate cells, as `5;2;3` or `a|b`, or a quotation mark that has no partner."""
    TEXT = 2
    NUMBER = 3
    """In any local form, with a currency or `%` too."""
    DATE = 4
    """With or without a time."""
    TIME = 5
    BOOLEAN = 6
    ADDRESS = 7
    """An e-mail or IP address, a URL or a UUID."""


_CURRENCY = r"(?:[$€£¥₹₽₺₩฿]|EUR|USD|GBP|CHF|JPY|PLN|SEK|NOK|DKK|CZK|HUF|R\$|kr\.?|zł|Kč|Ft)"
_DIGITS = r"(?:\d+|\d{1,3}(?:[.,'\u2019 \u00a0\u202f]\d{2,3})+)?(?:(?<=\d)[.,]|[.,]\d+)?(?:(?<=\d)[eE][-+]?\d+)?"
_NUMBER = re.compile(rf"[-+(]?[ ]?{_CURRENCY}?\s?[-+]?{_DIGITS}\s?(?:%|‰|{_CURRENCY})?[-)]?")
_DAY = (
    r"(?:\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\.?|\d{4}[-/]\d{1,2}|\d{1,2}[. -]{0,2}[^\W\d_]{3,10}\.?[ ,-]{0,2}\d{2,4}"
    r"|[^\W\d_]{3,10}\.? ?\d{1,2},? ?\d{4}|\d{4}-[^\W\d_]{3,9}-\d{1,2})"
)
_CLOCK = r"\d{1,2}[:.h]\d{2}(?::\d{2}(?:[.,]\d+)?)?(?: ?[AaPp]\.?[Mm]\.?)?(?: ?Z| ?[-+]\d{2}:?\d{2})?"
_DATE = re.compile(rf"{_DAY}(?:(?:T| |, )+{_CLOCK})?")
_TIME = re.compile(_CLOCK.replace("[:.h]", ":"))
_ADDRESS = re.compile(
    r"[^@\s,;|\"<>]+@[^@\s,;|\"<>]+\.[A-Za-z]{2,}|(?:https?|ftp)://\S+|www\.\S+|\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_BOOLEANS = frozenset(
    "true,false,yes,no,y,n,t,f,on,off,ja,nein,oui,non,si,sí,sì,não,sim,tak,nie,wahr,falsch,vrai,faux,verdadero,falso,да,нет".split(","),  # noqa: SIM905
)
_NOTHING = frozenset(["", "n/a", "na", "#n/a", "null", "none", "nil", "nan", "-", "--", ".", "..", "?", "\\n"])
_ODD = re.compile(r"[;,|\t](?! )(?!\Z)|[;|\t]\Z")
"""A separator in front of anything but a blank; in prose a blank follows it."""


def find_kind(text: str) -> CellKind:
    """Return the kind of a cell."""
    cell = text.strip()
    if len(cell) > _MAX_CHARACTERS:
        # A long text is prose, or a row that was not split.
        return CellKind.ODD if _is_odd(cell[: 4 * _MAX_CHARACTERS]) else CellKind.TEXT
    if cell.isdecimal():
        return CellKind.NUMBER
    if cell.casefold() in _NOTHING:
        return CellKind.EMPTY
    if cell.isalpha():
        return CellKind.BOOLEAN if cell.casefold() in _BOOLEANS else CellKind.TEXT
    return _find_kind_by_pattern(cell)


def _find_kind_by_pattern(cell: str) -> CellKind:
    if any(map(str.isdigit, cell)):
        for pattern, kind in ((_DATE, CellKind.DATE), (_NUMBER, CellKind.NUMBER), (_TIME, CellKind.TIME)):
            if pattern.fullmatch(cell):
                return kind
    if ("." in cell or "-" in cell or "/" in cell) and _ADDRESS.fullmatch(cell):
        return CellKind.ADDRESS
    return CellKind.ODD if _is_odd(cell) else CellKind.TEXT


def _is_odd(cell: str) -> bool:
    return cell.count('"') % 2 == 1 or _ODD.search(cell) is not None


class KindCache:
    """The kinds of the cells of one sample; equal texts are judged once."""

    def __init__(self) -> None:
        self._kinds: dict[str, CellKind] = {}

    def kinds(self, cells: Iterable[str]) -> list[CellKind]:
        """Return the kind of each cell."""
        known = self._kinds
        found = []
        for cell in cells:
            kind = known.get(cell)
            if kind is None:
                kind = known[cell] = find_kind(cell)
            found.append(kind)
        return found

"""What the number format of a cell makes of its number: a date, a time, a duration, a number with leading zeros.

Uses the standard library only, because the XLS reader runs in a small separate process. Source: ECMA-376 part 1, 18.8.30 (number formats).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

_LITERAL = re.compile(r'"[^"]*"?|\\.|_.|\*.')
_ELAPSED = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)
_BRACKET = re.compile(r"\[[^\]]*\]?")
_HALF_DAY = re.compile(r"am/pm|a/p|上午/下午", re.IGNORECASE)
_DATE_PARTS = re.compile(r"[dmyhs]")
_MINUTES = re.compile(r"h[^dmyhs]*m{1,2}(?!m)|(?<!m)m{1,2}(?!m)[^dmyhs]*s")
_FRACTION = re.compile(r"s\]?[.,](0{1,3})", re.IGNORECASE)
_FEW_NUMBERS = re.compile(r"\[(?:=|<)[^\]]*\]")
_ZEROS = re.compile(r"0{2,30}")


class FormatKind(IntEnum):
    """How a number format displays a number."""

    NUMBER = 0
    DATE = 1
    TIME = 2
    DATETIME = 3
    DURATION = 4
    MOMENT = 5
    """A format of East Asian versions of Excel that shows a date or a time depending on the country: here the number decides."""
    ZEROS = 6
    """Zeros only, `00000`: a whole number is shown with so many digits at least."""


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """What of a number format matters for the text of a cell."""

    kind: FormatKind = FormatKind.NUMBER
    decimals: int = 0
    """How many decimals of a second it shows, at most 3."""
    digits: int = 0
    """The least number of digits that a format of the kind `ZEROS` shows."""


GENERAL = NumberFormat()

_BUILT_IN = {
    **dict.fromkeys((14, 15, 16, 17, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58), NumberFormat(FormatKind.DATE)),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45), NumberFormat(FormatKind.TIME)),
    **dict.fromkeys((34, 35, 55, 56), NumberFormat(FormatKind.MOMENT)),
    22: NumberFormat(FormatKind.DATETIME),
    46: NumberFormat(FormatKind.DURATION),
    47: NumberFormat(FormatKind.TIME, decimals=1),
}
"""The built-in formats by number; workbooks do not contain their codes."""


def built_in_format(number: int) -> NumberFormat:
    """Return a built-in number format, which only its number (0 to 163) identifies."""
    return _BUILT_IN.get(number, GENERAL)


def parse_format(code: str) -> NumberFormat:
    """Parse the code of a number format, such as `yyyy-mm-dd`; the section for positive numbers decides."""
    sections = _LITERAL.sub("", code).split(";")
    # A first section may have a condition that few numbers meet, as in [=0]"";dd.mm.yyyy
    code = next((section for section in sections if not _FEW_NUMBERS.search(section)), sections[0])
    fraction = _FRACTION.search(code)
    decimals = len(fraction[1]) if fraction else 0
    if _ELAPSED.search(code):
        return NumberFormat(FormatKind.DURATION, decimals=decimals)
    code = _BRACKET.sub("", code).lower()
    if _ZEROS.fullmatch(code.strip()):
        return NumberFormat(FormatKind.ZEROS, digits=len(code.strip()))
    if code.strip() in ("general", "standard", "@"):
        return GENERAL
    has_half_day = _HALF_DAY.search(code) is not None
    code = _HALF_DAY.sub("", code)
    if not has_half_day and not _DATE_PARTS.search(code):
        return GENERAL
    has_time = has_half_day or "h" in code or "s" in code
    has_date = "d" in code or "y" in code or "m" in _MINUTES.sub("", code)
    if has_time:
        return NumberFormat(FormatKind.DATETIME if has_date else FormatKind.TIME, decimals=decimals)
    return NumberFormat(FormatKind.DATE)

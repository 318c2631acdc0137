"""Parse whole numbers and numbers strictly and exactly, with the decimal and group characters and the text around them that a field allows.

Source: https://datapackage.org/standard/table-schema/#number; a group character stands every three digits from the right, or as in India: three
digits at the right, two in every group before them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from shared.descriptors.table_schema.model import Field
from shared.descriptors.table_schema.temporal import NotOfTypeError

_MAX_INT_DIGITS = 4000
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SPECIAL_NUMBERS = {"nan": Decimal("NaN"), "inf": Decimal("Infinity"), "-inf": Decimal("-Infinity")}
_DIGITS = "0123456789"
_FIRST_DIGIT, _SIGN = re.compile(r"[0-9]"), re.compile(r"[+-]")


def integer_parser(field: Field) -> Callable[[str], int | Decimal]:
    """Return a parser from text to `int`, or `Decimal` above 4,000 digits; it raises `NotOfTypeError`."""
    clean = _cleaner(field)
    return parse_integer if clean is None else lambda text: parse_integer(clean(text))


def number_parser(field: Field) -> Callable[[str], Decimal]:
    """Return a parser from text to `Decimal`; it raises `NotOfTypeError`."""
    clean = _cleaner(field)
    return parse_number if clean is None else lambda text: parse_number(clean(text))


def parse_integer(text: str) -> int | Decimal:
    """Parse digits with an optional sign. Raises `NotOfTypeError`."""
    if _INTEGER.fullmatch(text) is None:
        raise NotOfTypeError
    # int() refuses more than 4,300 digits and takes quadratic time; Decimal is exact and takes linear time.
    return int(text) if len(text) <= _MAX_INT_DIGITS else Decimal(text)


def parse_number(text: str) -> Decimal:
    """Parse a `decimal` or `double` of XML Schema, with its words for special numbers in any case. Raises `NotOfTypeError`."""
    if _NUMBER.fullmatch(text) is None:
        special = _SPECIAL_NUMBERS.get(text.lower())
        if special is None:
            raise NotOfTypeError
        return special
    try:
        return Decimal(text)
    except InvalidOperation as error:
        # The exponent has more than 18 digits.
        raise NotOfTypeError from error


def grouped_digits(group: str) -> str:
    """Return a regular expression of digits with at least one group character, each where it may stand: `1,234,567` or `12,34,567`."""
    mark = re.escape(group)
    # No text matches both: where the first has a group of three digits the second has one of two, or its end.
    return rf"(?:[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+|[0-9]{{1,2}}(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}})"


def _cleaner(field: Field) -> Callable[[str], str] | None:
    """Return a function that normalises the text of a number to digits with a point before it is parsed; None if this is never needed.

    The function raises `NotOfTypeError` if group characters occur anywhere but where `grouped_digits` has them, in the integer part.
    """
    decimal_char = field.decimal_char if field.type == "number" else "."
    group, bare = field.group_char, field.bare_number
    if bare and not group and decimal_char == ".":
        return None
    grouped = re.compile(rf"[+-]?{grouped_digits(group)}(?![0-9])") if group else None

    def clean(text: str) -> str:
        if not bare:
            text = _strip_bare(text, decimal_char)
        if grouped is not None and group in text:
            match = grouped.match(text)
            if match is None or group in text[match.end() :]:
                raise NotOfTypeError
            text = match.group().replace(group, "") + text[match.end() :]
        if decimal_char != "." and text.lower() not in _SPECIAL_NUMBERS:
            if "." in text:
                raise NotOfTypeError
            text = text.replace(decimal_char, ".")
        return text

    return clean


def _strip_bare(text: str, decimal_char: str) -> str:
    """Strip the text around a number: keeps everything from the first digit (with the point and the sign before it) to the last digit.

    Brackets around it, and a minus right behind the last digit, say that it is negative, as bookkeepers write it.
    """
    stripped = text.strip()
    if stripped.lower() in _SPECIAL_NUMBERS:
        return stripped
    first = _FIRST_DIGIT.search(text)
    if first is None:
        raise NotOfTypeError
    end = next(end for end in range(len(text), 0, -1) if text[end - 1] in _DIGITS)
    start = first.start()
    if text[:start].endswith(decimal_char):
        start -= len(decimal_char)
    sign = _SIGN.search(text[:start])
    before, behind = text[:start], text[end:]
    # The bracket before the number that was opened last is open still, and the first one behind it closes it.
    closing, opening = behind.find(")"), behind.find("(")
    in_brackets = before.rfind("(") > before.rfind(")") and closing >= 0 and (opening < 0 or closing < opening)
    minus_behind = behind[:1] == "-" and not behind[1:2].isalnum()
    is_negative = sign.group() == "-" if sign is not None else in_brackets or minus_behind
    return ("-" if is_negative else "") + text[start:end]

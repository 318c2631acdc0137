"""Say why a cell is no value of its type, where a person could see it only by looking closely: a blank at its end, a decimal comma, another order of dates.

Only refused cells come here, each distinct text once, and only short ones are looked at. What is said names no part of the cell but single
characters, so that cells with one cause have one message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from features.processing.checking.explain_dates import OR, date_explainer
from shared.descriptors.table_schema import Field
from shared.texts import quote_briefly

__all__ = ["HIDDEN", "OR", "Explainer", "describe_padding", "make_explainer"]

Explainer: TypeAlias = Callable[[str], str | None]
"""Returns the end of a sentence that begins with what the value must be; None if there is nothing to say."""

_MAX_CHARACTERS = 100
_INVISIBLE = {
    "\u00a0": "a no-break space (U+00A0)",
    "\u2007": "a figure space (U+2007)",
    "\u2009": "a thin space (U+2009)",
    "\u202f": "a narrow no-break space (U+202F)",
    "\u3000": "an ideographic space (U+3000)",
    "\u200b": "a zero-width space (U+200B)",
    "\u200c": "a zero-width non-joiner (U+200C)",
    "\u200d": "a zero-width joiner (U+200D)",
    "\u200e": "a left-to-right mark (U+200E)",
    "\u200f": "a right-to-left mark (U+200F)",
    "\u2060": "a word joiner (U+2060)",
    "\ufeff": "a byte order mark (U+FEFF)",
    "\u00ad": "a soft hyphen (U+00AD)",
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a line break",
    "\0": "a NUL character",
}
HIDDEN = tuple(character for character in _INVISIBLE if not character.isascii() and not character.isspace())
"""Characters that have no width."""
_LOOKALIKES = {
    "\u2212": "a minus sign (U+2212) in place of a hyphen",
    "\u2013": "a dash (U+2013) in place of a hyphen",
    "\u2014": "a dash (U+2014) in place of a hyphen",
}
_QUOTES = "\"'\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb`"
_NUMBER = re.compile(
    r"[+-]?(?P<whole>[0-9]+(?P<groups>(?:(?P<group>[.,' \u00a0\u2009\u202f\u2019])[0-9]{3})(?:(?P=group)[0-9]{3})*)?)(?:(?P<decimal>[.,])(?P<places>[0-9]+))?"
)
_BESIDE = re.compile(r"[+-]?(?:(?P<before>[^\d\s.,+-]{1,4})[ \u00a0]?[+-]?[0-9][0-9.,]*|[0-9][0-9., ]*?[ \u00a0\u202f]?(?P<behind>[^\d\s.,+-]{1,4}))")
_SIGNS = ("%", "‰", "$", "€", "£", "¥", "₹", "EUR", "USD", "GBP", "CHF")
"""What is named beside a number; of other texts there could be any number."""
_JSON_TYPES = ("object", "array", "geojson", "geopoint", "list", "any")


def make_explainer(field: Field, is_value: Callable[[str], bool]) -> Explainer | None:
    """Return the explainer of a field, given a function that tells values of the field; None for types whose values have no usual slips."""
    if field.type in _JSON_TYPES or (field.type == "string" and field.format in ("default", "binary")):
        return None
    explain_more = _EXPLAINERS.get(field.type, _nothing)(field)

    def explain(text: str) -> str | None:
        if not text.strip() or len(text) > _MAX_CHARACTERS:
            return None
        stripped = text.strip()
        if len(stripped) < len(text) and is_value(stripped):
            return _describe_blanks(text, stripped)
        if not text.isascii() or not text.isprintable():
            hidden = _describe_hidden(text)
            if hidden is not None:
                return hidden
        if text[0] in _QUOTES and text[-1] in _QUOTES and is_value(text[1:-1].strip()):
            return "it has quotation marks around it"
        return explain_more(text)

    return explain


def _nothing(_field: Field) -> Explainer:
    return lambda _text: None


def _describe_blanks(text: str, stripped: str) -> str:
    at_start, at_end = text[0].isspace(), text[-1].isspace()
    blanks = {_INVISIBLE.get(character, "a blank") for character in (text[: text.index(stripped[0])] + text[len(text.rstrip()) :])}
    place = "at its start and its end" if at_start and at_end else "at its end" if at_end else "at its start"
    return f"it has {min(blanks, key=lambda blank: blank == 'a blank')} {place}"


def describe_padding(text: str) -> str:
    """Say where a text has blanks, or which character of it cannot be seen; it has one of them."""
    stripped = text.strip()
    return _describe_blanks(text, stripped) if len(stripped) < len(text) else _describe_hidden(text) or "it contains characters that cannot be seen"


def _describe_hidden(text: str) -> str | None:
    for character in text:
        if character in _INVISIBLE:
            return f"it contains {_INVISIBLE[character]}, which cannot be seen"
        if character in _LOOKALIKES:
            return f"it has {_LOOKALIKES[character]}"
    return "it has digits of another script" if any(character.isdecimal() and not character.isascii() for character in text) else None


def _number_explainer(field: Field) -> Explainer:
    decimal_char = field.decimal_char if field.type == "number" else "."

    def explain(text: str) -> str | None:
        match = _NUMBER.fullmatch(text)
        if match is not None:
            return _explain_marks(match, field, decimal_char)
        if text[0] == "(" and text[-1] == ")":
            return "it stands in brackets" if _NUMBER.fullmatch(text[1:-1]) else None
        if text[-1] == "-":
            return "its minus stands behind it" if _NUMBER.fullmatch(text[:-1]) else None
        beside = _BESIDE.fullmatch(text) if field.bare_number else None
        if beside is not None:
            sign = beside["before"] or beside["behind"]
            return f"it has {sign if sign in _SIGNS else 'letters or signs'} beside its digits"
        return None

    return explain


def _explain_marks(match: re.Match[str], field: Field, decimal_char: str) -> str | None:
    """Explain digits with points, commas or blanks between them."""
    group, decimal = match["group"], match["decimal"]
    if field.group_char and field.group_char in (group, decimal):
        return f"{quote_briefly(field.group_char)!r} has to stand every three digits, counted from the right"
    if decimal is not None:
        if field.type == "integer":
            return "it has decimals" if decimal == "." or not field.group_char else f"it has a {decimal!r} where there must be no decimals"
        if decimal != decimal_char:
            return f"its decimals follow {_name(decimal)}; the schema says {_name(decimal_char)}"
    if group is not None and group != field.group_char:
        return f"it has {_name(group)} between its digits"
    return None


def _name(mark: str) -> str:
    return {".": "a point", ",": "a comma", " ": "a blank", "'": "an apostrophe"}.get(mark, _INVISIBLE.get(mark, quote_briefly(repr(mark))))


def _boolean_explainer(field: Field) -> Explainer:
    folded = {text.casefold() for text in (*field.true_values, *field.false_values)}
    return lambda text: "capital and small letters are not the same" if text.casefold() in folded else None


def _string_explainer(field: Field) -> Explainer:
    def explain_email(text: str) -> str | None:
        if "@" not in text:
            return 'it has no "@"'
        return "it contains a blank" if any(map(str.isspace, text)) else None

    def explain_uri(text: str) -> str | None:
        if any(map(str.isspace, text)):
            return "it contains a blank"
        if text.startswith("www."):
            return 'it does not begin with "https://" or the like'
        return "it has letters that a web address must write with % signs" if not text.isascii() else None

    return {"email": explain_email, "uri": explain_uri}.get(field.format, lambda _text: None)


_EXPLAINERS: dict[str, Callable[[Field], Explainer]] = {
    "integer": _number_explainer,
    "number": _number_explainer,
    "boolean": _boolean_explainer,
    "string": _string_explainer,
    **dict.fromkeys(("date", "time", "datetime"), date_explainer),
}

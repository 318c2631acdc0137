"""Keep spreadsheets from running a text of a CSV file as a formula, by a quote before it; numbers stay as they are.

Source: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

GUARD = "'"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?"
_NUMBER_PATTERN = re.compile(_NUMBER)


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run a text instead of showing it."""
    return text[:1] in _FORMULA_STARTS and _NUMBER_PATTERN.fullmatch(text) is None


def guard_formulas(texts: pa.StringArray) -> pa.StringArray:
    """Return the texts, with a quote before those that `is_formula` finds."""
    begins = pc.match_substring_regex(texts, r"\A[=+\-@\t\r]")
    if not pc.any(begins).as_py():
        return texts
    is_run = pc.and_(begins, pc.invert(pc.match_substring_regex(texts, rf"\A(?:{_NUMBER})\z")))
    return pc.if_else(is_run, pc.binary_join_element_wise(GUARD, texts, ""), texts)

"""Judge whether a formula can have the number 0 as its value.

Some programs write the value 0 for every formula and ask Excel to compute them when it opens the workbook. Where a formula gives text, a truth value, or a
number that is never 0, that 0 was never computed. Only the outermost operation of a formula is judged, in one pass over a bounded piece of it.
Source: ECMA-376 part 1, 18.17 (formulas).
"""

from __future__ import annotations

import re

MAX_FORMULA_CHARS = 8_192
"""The longest formula that Excel takes."""
_MAX_NESTING = 8

_TEXT = (
    "ADDRESS ARRAYTOTEXT ASC BAHTTEXT BASE BIN2HEX BIN2OCT CHAR CLEAN CONCAT CONCATENATE DBCS DEC2BIN DEC2HEX DEC2OCT DOLLAR ENCODEURL FIXED FORMULATEXT "
    "HEX2BIN HEX2OCT JIS LEFT LEFTB LOWER MID MIDB OCT2BIN OCT2HEX PHONETIC PROPER REPLACE REPLACEB REPT RIGHT RIGHTB ROMAN SUBSTITUTE T TEXT TEXTAFTER "
    "TEXTBEFORE TEXTJOIN TRIM UNICHAR UPPER VALUETOTEXT WEBSERVICE"
)
_BOOLEAN = "AND EXACT FALSE ISBLANK ISERR ISERROR ISEVEN ISFORMULA ISLOGICAL ISNA ISNONTEXT ISNUMBER ISODD ISREF ISTEXT NOT OR TRUE XOR"
_NEVER_ZERO = "AREAS CODE COLUMN COLUMNS COSH DATE EXP FACT FIND FINDB MATCH MONTH NOW PI ROW ROWS SEARCH SEARCHB SHEET SHEETS TODAY UNICODE XMATCH YEAR"
_NOT_ZERO = frozenset(f"{_TEXT} {_BOOLEAN} {_NEVER_ZERO}".split())
_BRANCHES = {"IF": slice(1, 3), "IFERROR": slice(0, 2), "IFNA": slice(0, 2), "HYPERLINK": slice(1, 2)}
"""Functions that give one of their arguments, and which of them."""

_CALL = re.compile(r"\s*(?:_xlfn\.)?(?:_xlws\.)?([A-Z][A-Z0-9.]{0,30})\(", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[-+]?\s*[0-9.]{0,30}[1-9][0-9.]{0,30}(?:E[+-]?[0-9]{1,3})?%?\s*", re.IGNORECASE)
# Longest first; a quote that is not closed takes the rest.
_TOKEN = re.compile(
    r"""(?P<text>"[^"]*(?:"|\Z)|'[^']*(?:'|\Z))|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<comma>,)|(?P<compare>[<>=])|(?P<join>&)|(?P<count>[-+*/^])"""
    r"|[A-Z0-9_.!$:#@]+|\s+|.",
    re.IGNORECASE | re.DOTALL,
)


def can_be_zero(formula: str) -> bool:
    """Whether the formula, without its `=`, may give the number 0; True also if this cannot be known."""
    return len(formula) > MAX_FORMULA_CHARS or _can_be_zero(formula, _MAX_NESTING)


def _can_be_zero(formula: str, nesting: int) -> bool:
    formula = formula.strip().removeprefix("=")
    operations, arguments, is_closed = _split(formula)
    if "compare" in operations or "join" in operations:
        # These bind most loosely: the whole gives a truth value, or text.
        return False
    if "count" in operations or not nesting:
        return _NUMBER.fullmatch(formula) is None
    if formula.startswith("(") and is_closed:
        return _can_be_zero(formula[1:-1], nesting - 1)
    call = _CALL.match(formula) if is_closed else None
    if call is None:
        return not formula.startswith('"') and _NUMBER.fullmatch(formula) is None and formula.upper() not in ("TRUE", "FALSE")
    return _call_can_be_zero(call[1].upper(), arguments, nesting)


def _call_can_be_zero(name: str, arguments: list[str], nesting: int) -> bool:
    if name in _NOT_ZERO or (name == "HYPERLINK" and len(arguments) == 1):
        return False
    branches = arguments[_BRANCHES[name]] if name in _BRANCHES else []
    return not branches or any(_can_be_zero(branch, nesting - 1) for branch in branches)


def _split(formula: str) -> tuple[set[str], list[str], bool]:
    """Return the kinds of operations outside of brackets, the pieces of the first brackets that commas separate, and whether these end the formula."""
    operations: set[str] = set()
    arguments: list[str] = []
    depth = start = 0
    end = -1
    for token in _TOKEN.finditer(formula):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
            if depth == 1 and end < 0:
                start = token.end()
        elif kind == "close":
            depth -= 1
            if depth == 0 and end < 0:
                end = token.end()
                arguments.append(formula[start : token.start()])
        elif kind == "comma" and depth == 1 and end < 0:
            arguments.append(formula[start : token.start()])
            start = token.end()
        elif depth == 0 and kind in ("compare", "join", "count"):
            operations.add(kind)
    return operations, arguments, end == len(formula)

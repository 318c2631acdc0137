r"""Validate `pattern` constraints, and choose the regular expression engine that checks them.

A pattern has the meaning that Python's `re.fullmatch` gives it; if only RE2 can read it (`\p{L}`, `[[:alpha:]]`), the meaning that RE2 gives it.
Additions of XML Schema that neither engine knows (class subtraction, `\i`, `\c`) are refused.
"""

from __future__ import annotations

import functools
import re
import warnings
from dataclasses import dataclass

import re2

from shared.texts import quote_briefly

MAX_PATTERN = 10_000
_CLASS_PARTS = re.compile(r"\\.|-\[|[\[\]]", re.DOTALL)
_POSIX_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
# RE2 reads {,3} and {02} as text, Python as "up to 3" and "twice".
_UNLIKE_REPEAT = re.compile(r"\{,[0-9]|\{(?:[0-9]+,)?0[0-9]")
_ESCAPED_CLASS = re.compile(r"\\[dDwWsSbB]|\(\?[a-zA-Z]*i")
_LINE_END = re.compile(r"\$")
# Parts that match no line feed and do not look around: characters, `.`, classes that list their members, groups, alternatives, repeats.
_WITHIN_LINE = re.compile(r"(?:[^\\\[\]()^$\x00-\x1f]|\\(?:[dw]|[^\w\s])|\[(?!\^)(?:[^\\\[\]\x00-\x1f]|\\(?:[dw]|[^\w\s]))+\]|\((?:\?:|(?!\?))|\))*")


@dataclass(frozen=True, slots=True)
class PatternPlan:
    """How cells are matched against one pattern."""

    pattern: str
    re2_pattern: str | None
    """The pattern for RE2, anchored at both ends; None if RE2 cannot read it or would read it differently."""
    is_ascii_only: bool
    """The answer of RE2 is valid for ASCII cells only, since classes such as `\\w` cover every script in Python."""
    is_line_only: bool
    """The answer of RE2 is valid for cells without line breaks only, since `$` in Python also matches before the last one."""
    is_python: bool
    """Python can read the pattern, so its meaning decides."""
    re2_lines: str | None = None
    """A pattern for RE2 that matches any number of matching texts joined by line feeds; None if a match could span a line feed."""


class PatternInvalidError(ValueError):
    """The pattern cannot be used; the message is one plain sentence."""


@functools.lru_cache(maxsize=1024)
def plan_pattern(pattern: str) -> PatternPlan:
    """Plan how cells are matched against `pattern`. Raises `PatternInvalidError` if it cannot be used."""
    if len(pattern) > MAX_PATTERN:
        raise PatternInvalidError(f"A pattern must have at most {MAX_PATTERN} characters.")
    if _has_class_subtraction(pattern):
        raise PatternInvalidError("This pattern uses class subtraction ([a-z-[aeiou]]), which is not supported.")
    re2_pattern = rf"\A(?:{pattern})\z"
    re2_problem = _re2_problem(pattern) or _re2_problem(re2_pattern)
    python_problem = _python_problem(pattern)
    if re2_problem is not None and python_problem is not None:
        raise PatternInvalidError(f"This is not a regular expression that can be used: {quote_briefly(python_problem)}.")
    is_python = python_problem is None and not (_POSIX_CLASS.search(pattern) and re2_problem is None)
    if re2_problem is not None or (is_python and _UNLIKE_REPEAT.search(pattern)):
        return PatternPlan(pattern, None, is_ascii_only=False, is_line_only=False, is_python=True)
    return PatternPlan(
        pattern,
        re2_pattern,
        is_ascii_only=is_python and _ESCAPED_CLASS.search(pattern) is not None,
        is_line_only=is_python and _LINE_END.search(pattern) is not None,
        is_python=is_python,
        re2_lines=_plan_lines(pattern),
    )


def _has_class_subtraction(pattern: str) -> bool:
    """Whether `-[` stands within a character class; in one pass, since a search from each `[` to the end would take quadratic time."""
    in_class = False
    for part in _CLASS_PARTS.finditer(pattern):
        if part[0] == "-[" and in_class:
            return True
        if part[0][0] != "\\":
            in_class = part[0] != "]"
    return False


def _plan_lines(pattern: str) -> str | None:
    re2_lines = rf"\A(?:{pattern})(?:\n(?:{pattern}))*\z"
    return re2_lines if _WITHIN_LINE.fullmatch(pattern) and _re2_problem(re2_lines) is None else None


def _re2_problem(pattern: str) -> str | None:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        return str(error)
    return None


def _python_problem(pattern: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            return str(error)
    return None

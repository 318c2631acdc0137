"""`pattern`: a value must match a regular expression as a whole; checked by its bytes or RE2 if possible, else in a child process under limits."""

from __future__ import annotations

import time
from concurrent.futures import Future
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.class_patterns import ClassPattern, read_class_pattern
from features.processing.checking.declarations import CheckContext, ColumnRule, column_check
from features.processing.checking.params import make_params
from features.processing.checking.slow_rule import SlowRules
from features.processing.checking.type_rule import Typed
from features.processing.checking.work_ahead import LEAST_BYTES, WorkAhead
from features.processing.column import Column, Mask, as_mask
from shared.descriptors.table_schema import Field
from shared.descriptors.table_schema.patterns import plan_pattern
from shared.texts import shorten

_LINE_FEED = 10
# White space for \s in Python but not in RE2.
_ODD_SPACES = (0x0B, 0x1C, 0x1D, 0x1E, 0x1F)
_SHOWN_PATTERN = 200
_ORDINARY_CELL_S, _ORDINARY_BYTE_S = 200e-9, 50e-9
"""CPU time that RE2 may take for a cell and for a byte of it; a usual pattern takes a quarter of that."""
_ROUNDING_S = 1e-6
"""Past its limit by so much, a field certainly has no time left, and what was not matched matters no more."""
_PART_BYTES = 2**18
"""Size of the parts of a column that RE2 matches at once; larger cells are matched in the child process."""
_CLASSES_PART_BYTES = 2**21
"""The same for patterns that are matched by the bytes of all cells at once."""


@column_check("pattern", error_type="pattern-error")
def build(field: Field, context: CheckContext) -> ColumnRule | None:
    """Reject values that the pattern does not match as a whole."""
    pattern = field.constraints.pattern
    if pattern is None:
        return None
    plan = plan_pattern(pattern)
    shown = shorten(pattern, _SHOWN_PATTERN)
    message, not_judged = f"This value must match the pattern {shown}.", f"This value cannot be checked: the pattern {shown} needs too much memory for it."
    rules = SlowRules(field, context, message=message, not_judged=not_judged)
    in_python = rules.add("pattern", pattern)
    classes = read_class_pattern(pattern) if plan.is_python and plan.re2_pattern is not None else None
    re2_rule = _Re2Rule(plan.re2_pattern, plan.re2_lines, rules, context.ahead) if plan.re2_pattern is not None else None

    def find_bad_values(typed: Typed) -> Mask:
        rules.start_column()
        if classes is not None and not _has_large(typed.column):
            bad = _match_classes(classes, typed.column)
        elif re2_rule is not None:
            bad = re2_rule.find_bad(typed.column, typed.ok)
        else:
            return rules.find_bad(in_python, typed.column, typed.ok)
        doubtful = np.zeros(len(bad), np.bool_)
        if plan.is_ascii_only:
            doubtful = _cells_with_odd_bytes(typed.column)
        if plan.is_line_only:
            doubtful |= typed.column.cells_with(typed.column.data == _LINE_FEED)
        doubtful &= typed.ok
        if bool(doubtful.any()):
            bad[doubtful] = rules.find_bad(in_python, typed.column, doubtful)[doubtful]
        return bad

    return ColumnRule(
        message=rules.messages,
        begin=re2_rule.begin if re2_rule is not None and classes is None else None,
        find_bad_values=find_bad_values,
        params=make_params(pattern=pattern),
    )


def _has_large(column: Column) -> bool:
    return len(column.data) > _PART_BYTES and int(column.sizes.max()) > _PART_BYTES


def _match_classes(classes: ClassPattern, column: Column) -> Mask:
    """Mark the cells that do not match, part by part."""
    bad = np.zeros(len(column), np.bool_)
    for start, part in _split(column, _CLASSES_PART_BYTES):
        bad[start : start + len(part)] = classes.find_bad(part)
    return bad


class _Re2Rule:
    """Matches a pattern with RE2, in parts whose time is counted, since RE2 cannot be interrupted and takes up to 25 s for a mebibyte."""

    def __init__(self, pattern: str, pattern_of_lines: str | None, rules: SlowRules, ahead: WorkAhead) -> None:
        self._pattern = pattern
        self._lines = _LinesRule(pattern_of_lines)
        self._rules = rules
        """Count the time, and match cells that are larger than a part."""
        self._in_judge = rules.add("re2-pattern", pattern)
        self._ahead = ahead
        self._begun: tuple[pa.StringArray, Future[tuple[Mask, float]]] | None = None

    def begin(self, column: Column) -> bool:
        """Match the cells of a column in another thread, unless there are few, or large ones among them, or all of them may be matched at once."""
        if self._lines.may_match or len(column.data) < LEAST_BYTES or _has_large(column):
            return False
        self._begun = column.text, self._ahead.begin(self._match, column.text, self._rules.left_s)
        return True

    def find_bad(self, column: Column, candidates: Mask) -> Mask:
        """Mark the cells that RE2 does not match; large cells only if they are among `candidates`. Raises `FileUncheckable` if all of it takes too long."""
        begun, self._begun = self._begun, None
        if begun is not None and begun[0] is column.text:
            return self._counted(*begun[1].result())
        large = column.sizes > _PART_BYTES
        if not bool(large.any()):
            return self._counted(*self._match(column.text, self._rules.left_s))
        bad = self._rules.find_bad(self._in_judge, column, large & candidates)
        rows = np.flatnonzero(~large)
        bad[rows] = self._counted(*self._match(column.text.take(pa.array(rows)), self._rules.left_s))
        return bad

    def _counted(self, bad: Mask, slow_s: float) -> Mask:
        self._rules.spend(slow_s)
        return bad

    def _match(self, text: pa.StringArray, left_s: float) -> tuple[Mask, float]:
        """Mark the cells that RE2 does not match, and return the CPU time that slow cells took; with `left_s` it stops, and leaves the rest unmarked."""
        column = Column(text)
        bad = np.zeros(len(column), np.bool_)
        slow_s = 0.0
        for start, part in _split(column, _PART_BYTES):
            started_s = time.thread_time()
            bad[start : start + len(part)] = self._match_part(part)
            slow_s += max(0.0, time.thread_time() - started_s - len(part) * _ORDINARY_CELL_S - len(part.data) * _ORDINARY_BYTE_S)
            if slow_s > left_s + _ROUNDING_S or self._ahead.is_closing:
                break
        return bad, slow_s

    def _match_part(self, column: Column) -> Mask:
        if self._lines.all_match(column):
            return np.zeros(len(column), np.bool_)
        bad: Mask = ~as_mask(pc.match_substring_regex(column.text, self._pattern))
        self._lines.were_good = not bool(bad.any())
        return bad


def _split(column: Column, part_bytes: int) -> list[tuple[int, Column]]:
    """Return a column in parts of about `part_bytes`, and the index of the first cell of each."""
    if len(column.data) <= part_bytes:
        return [(0, column)]
    parts = len(column.data) // part_bytes + 1
    ends = np.unique(np.searchsorted(column.starts, [len(column.data) * part // parts for part in range(1, parts)])).tolist()
    return [(start, Column(column.text.slice(start, end - start))) for start, end in pairwise([0, *ends, len(column)]) if end > start]


class _LinesRule:
    """Matches a pattern against all cells of a column at once, in two thirds of the time of one search for each cell."""

    def __init__(self, re2_lines: str | None) -> None:
        self._re2_lines = re2_lines
        self.were_good = True
        """Whether every cell of the previous column matched; if one cell does not, matching all at once tells nothing and its time is wasted."""

    @property
    def may_match(self) -> bool:
        """Whether matching all cells at once is tried."""
        return self._re2_lines is not None and self.were_good

    def all_match(self, column: Column) -> bool:
        """Whether every cell matches; False also if this was not tried."""
        if not self.may_match or not len(column) or column.text.null_count or _LINE_FEED in column.data:
            return False
        whole = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(column)], pa.int32()), column.text), "\n")
        return bool(pc.match_substring_regex(whole, self._re2_lines)[0].as_py())


def _cells_with_odd_bytes(column: Column) -> Mask:
    data = column.data
    is_odd = data >= 0x80  # noqa: PLR2004 - not ASCII
    if len(data) and int(data.min()) < 0x20:  # noqa: PLR2004 - control characters are rare
        is_odd |= np.isin(data, _ODD_SPACES)
    return column.cells_with(is_odd)

"""The rules of one field, applied to one column of a chunk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.processing.checking.declarations import ColumnCheck, ColumnRule, make_messages
from features.processing.checking.native_cells import NativeRule
from features.processing.checking.padding import find_bad_without_padding, name_padding
from features.processing.checking.params import type_params
from features.processing.checking.reasons import Reasons
from features.processing.checking.type_rule import TOO_LONG, Typed, TypeRule
from features.processing.checking.work_ahead import LEAST_BYTES
from features.processing.column import Column, Indices, Mask, TextSet
from features.processing.readers.base import Finding, NativeTypes, RowNumbers
from shared.descriptors.table_schema import Field, TableSchema

_TYPES_WITH_BLANK_VALUES = ("string", "any", "boolean")
_REQUIRED_MESSAGE = "This cell must not be empty."


@dataclass(frozen=True, slots=True)
class JudgedColumn:
    """A column of a chunk after its checks."""

    raw: Column
    column_number: int
    column_name: str | None
    findings: list[Finding]
    failed: Mask
    """Cells that have an error."""
    typed: Typed
    missing: Mask


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """A column of a chunk whose types are judged."""

    raw: Column
    column: Column
    """The cells as they are judged."""
    too_long: Mask | None
    """Cells that are too long for a value of their type; None if there are none."""
    typed: Typed
    missing: Mask
    candidates: Mask
    """Cells that should be values."""


class EmptyColumns:
    """What all columns of a chunk have in common that have no cell with content."""

    def __init__(self, count: int) -> None:
        self.nothing = np.zeros(count, np.bool_)
        self.everything = np.ones(count, np.bool_)
        self._column: Column | None = None

    def column(self, raw: Column) -> Column:
        """Return one such column for all; `raw` is one."""
        if self._column is None:
            self._column = raw
        return self._column


class ColumnPlan:
    """The rules of one field, or of several that differ in their names only."""

    def __init__(self, table_schema: TableSchema, field: Field, rules: Sequence[tuple[ColumnCheck, ColumnRule]], *, may_fail_later: bool) -> None:
        self.field = field
        self._may_fail_later = may_fail_later
        self._type_rule = TypeRule(field)
        self._type_params = type_params(field)
        self._native_rule = NativeRule(field, self._type_rule)
        given = table_schema.missing_values if field.missing_values is None else field.missing_values
        # A cell that has only white space counts as "", and so does a missing value that has only white space.
        texts = {text if text.strip() else "" for text in given}
        self._empty_is_missing = "" in texts
        self._missing_texts = TextSet(sorted(texts - {""}))
        self._missing_values = frozenset(identity for text in texts - {""} if (identity := self._type_rule.identify(text)) is not None)
        self._rules = rules
        self._begins = [rule.begin for _, rule in rules if rule.begin is not None]
        self._by_waiting = sorted((rule for _, rule in rules), key=lambda rule: (rule.begin_values is not None, rule.begin is not None))
        self._begins_values = [rule.begin_values for _, rule in rules if rule.begin_values is not None]
        judges = {check.error_type: find_bad_without_padding(field, check.error_type, partial(self._find_bad, rule)) for check, rule in self._rules}
        self._judges_without_padding = {error_type: judge for error_type, judge in judges.items() if judge is not None}

    def _say(self, error_type: str, message: str | ColumnRule, reasons: Reasons | None, column: Column, rows: Indices) -> str | pa.StringArray:
        """Return the message of some bad cells, or a message for each."""
        if isinstance(message, str):
            return message if reasons is None else reasons.of_rows(rows)
        said = make_messages(message.message if isinstance(message.message, str) else message.message(column, rows), len(rows))
        judge = self._judges_without_padding.get(error_type)
        return said if judge is None else name_padding(column, rows, said, judge)

    def _find_bad(self, rule: ColumnRule, column: Column) -> Mask:
        typed = self._type_rule.judge(column, column.present)
        bad, _ = _judge_by(rule, column, typed, np.zeros(len(column), np.int64))
        return bad | ~typed.ok

    def begin(self, text: pa.StringArray, types: NativeTypes | None) -> bool:
        """Let rules begin with the column of this field in a chunk, if they can work ahead, and return whether one has; `check` follows."""
        if not self._begins or not self._empty_is_missing or types is not None:
            # Such rules are not given the text as it is.
            return False
        begun = [begin(Column(text)) for begin in self._begins]
        return any(begun)

    def begin_values(self, text: pa.StringArray, types: NativeTypes | None, row_numbers: RowNumbers) -> TypedColumn | None:
        """Let rules begin with the values of a column, if they can work ahead, and return it for `check`, which follows; None if none has begun."""
        if not self._begins_values or len((raw := Column(text)).data) < LEAST_BYTES:
            return None
        judged = self._judge_types(raw, types)
        begun = [begin(judged.typed, row_numbers) for begin in self._begins_values]
        return judged if any(begun) else None

    def check(
        self,
        text: pa.StringArray,
        types: NativeTypes | None,
        row_numbers: RowNumbers,
        column_number: int,
        column_name: str | None,
        empty: EmptyColumns,
        judged: TypedColumn | None = None,
    ) -> JudgedColumn:
        """Check the column of this field in a chunk; `types` are the native types of its cells, `judged` is the column if its types are judged already."""
        raw = Column(text) if judged is None else judged.raw
        if text.null_count == len(text):
            # No row of the chunk has this column.
            nothing = np.zeros(len(raw), np.bool_)
            return JudgedColumn(raw, column_number, column_name, [], nothing, self._type_rule.judge_none(raw), nothing)
        if self._empty_is_missing and not text.null_count and not len(raw.data):
            return self._judge_empty(raw, row_numbers, column_number, column_name, empty)
        judged = self._judge_types(raw, types) if judged is None else judged
        column, typed, missing = judged.column, judged.typed, judged.missing
        findings: list[Finding] = []
        failed = np.zeros(len(raw), np.bool_)

        def report(error_type: str, bad: Mask, rule: str | ColumnRule, params: Mapping[str, Any], first_rows: RowNumbers | None = None) -> None:
            if bool(bad.any()):
                rows = np.flatnonzero(bad)
                said = self._say(error_type, rule, typed.reasons if rule is self._type_rule.message else None, column, rows)
                finding = make_finding(error_type, raw, rows, row_numbers, said, column_number, column_name)
                findings.append(replace(finding, params=params, first_rows=None if first_rows is None else first_rows[rows]))
                np.logical_or(failed, bad, out=failed)

        report("type-error", judged.candidates & ~typed.ok, self._type_rule.message, self._type_params)
        if judged.too_long is not None:
            report("type-error", judged.too_long, TOO_LONG, self._type_params)
        if self.field.constraints.required:
            report("required-error", missing, _REQUIRED_MESSAGE, {})
        # What was begun in another thread comes last, so that nothing waits for it.
        found = {id(rule): _judge_by(rule, column, typed, row_numbers) for rule in self._by_waiting}
        for check, rule in self._rules:
            bad, first_rows = found[id(rule)]
            report(check.error_type, bad & typed.ok & ~failed, rule, rule.params, first_rows)
        return JudgedColumn(raw, column_number, column_name, findings, failed, typed, missing)

    def _judge_types(self, raw: Column, types: NativeTypes | None) -> TypedColumn:
        column = raw if self._empty_is_missing else raw.blanks_emptied()
        too_long = self._type_rule.find_too_long(column)
        if too_long is not None:
            too_long &= ~raw.blank
            column = column.without(too_long)
        return TypedColumn(raw, column, too_long, *self._judge(raw, column, types))

    def _judge(self, raw: Column, column: Column, types: NativeTypes | None) -> tuple[Typed, Mask, Mask]:
        """Return the values of a column, which cells are missing, and which should be values; `column` is `raw` as it is judged."""
        natives = self._native_rule.find(column, types)
        if natives is None or types is None:
            fast = self._type_rule.parse_fast(column)
            missing = self._find_missing(raw, fast.accepted)
            candidates = column.present & ~missing
            return self._native_rule.explain(self._type_rule.judge(column, candidates, fast), candidates, types), missing, candidates
        missing = self._find_missing(raw, natives.mask)
        typed = self._native_rule.judge(column, natives, column.present & ~missing, types)
        missing |= self._find_missing_values(typed, natives.mask)
        return typed, missing, column.present & ~missing

    def _judge_empty(self, raw: Column, row_numbers: RowNumbers, column_number: int, column_name: str | None, empty: EmptyColumns) -> JudgedColumn:
        """Judge a column whose cells are all empty: what is known of it is the same for every such column, and kept in memory once."""
        findings: list[Finding] = []
        failed = empty.nothing
        if self.field.constraints.required:
            rows = np.flatnonzero(empty.everything)
            findings.append(make_finding("required-error", raw, rows, row_numbers, _REQUIRED_MESSAGE, column_number, column_name))
            failed = empty.everything
        # A rule over rows may mark further cells.
        failed = failed.copy() if self._may_fail_later else failed
        return JudgedColumn(
            empty.column(raw), column_number, column_name, findings, failed, self._type_rule.judge_none(empty.column(raw), empty.nothing), empty.everything
        )

    def _find_missing(self, raw: Column, accepted: Mask) -> Mask:
        """Mark the cells that count as empty; those in `accepted` are values of their type."""
        if not self._empty_is_missing:
            missing = np.zeros(len(raw), np.bool_)
        elif self.field.type in _TYPES_WITH_BLANK_VALUES:
            missing = raw.blank
        else:
            # For other types the parser accepts no blank cell, so only cells that it did not accept can be blank.
            missing = raw.blank_among(np.flatnonzero(~accepted))
        return missing | self._missing_texts.find_in(raw) if len(self._missing_texts) else missing

    def _find_missing_values(self, typed: Typed, natives: Mask) -> Mask:
        """Mark native cells that have the value of a missing value that is written as the schema prescribes; they are values no longer."""
        missing = np.zeros(len(natives), np.bool_)
        if self._missing_values:
            rows = np.flatnonzero(natives & typed.ok)
            missing[rows] = [identity in self._missing_values for identity in typed.identities(rows)]
            np.logical_and(typed.ok, ~missing, out=typed.ok)
        return missing

    def close(self) -> None:
        """Release files and processes; may be called twice."""
        for _, rule in self._rules:
            if rule.close is not None:
                rule.close()


def _judge_by(rule: ColumnRule, column: Column, typed: Typed, row_numbers: RowNumbers) -> tuple[Mask, RowNumbers | None]:
    """Mark the cells that a rule finds bad, and return, for a rule of values that must not come again, the row that has each first."""
    if rule.find_first_rows is not None:
        first_rows = rule.find_first_rows(typed, row_numbers)
        return first_rows > 0, first_rows
    if rule.find_bad_values is not None:
        return rule.find_bad_values(typed), None
    return rule.find_bad(column) if rule.find_bad is not None else ~typed.ok, None


def make_finding(
    error_type: str, column: Column, rows: Indices, row_numbers: RowNumbers, message: str | pa.StringArray, column_number: int, column_name: str | None
) -> Finding:
    """Return the errors of some cells of a column; `row_numbers` are those of all its cells."""
    return Finding(
        error_type=error_type,
        row_numbers=row_numbers[rows],
        message=message,
        raw_values=column.take_beginnings(rows),
        column_number=column_number,
        column_name=column_name,
    )

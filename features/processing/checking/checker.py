"""Turn a Table Schema into rules for the columns of one file, and check the file against them chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import structlog

from features.processing.checking.declarations import (
    CheckContext,
    ColumnCheck,
    ColumnRule,
    KeyRule,
    LateFinding,
    RowCheck,
    RowRule,
    TypedChunk,
    column_checks,
    key_checks,
    make_messages,
    row_checks,
)
from features.processing.checking.labels import find_misfits, match_columns
from features.processing.checking.native_cells import NativeRule
from features.processing.checking.padding import find_bad_without_padding, name_padding
from features.processing.checking.reasons import Reasons
from features.processing.checking.type_rule import TOO_LONG, Typed, TypeRule
from features.processing.column import Column, Indices, Mask, TextSet
from features.processing.keys.key_set import KeySpace
from features.processing.readers.base import Chunk, Finding, NativeTypes, ReadLimits, RowNumbers
from shared.descriptors.table_schema import Field, TableSchema

_TYPES_WITH_BLANK_VALUES = ("string", "any", "boolean")
_REQUIRED_MESSAGE = "This cell must not be empty."

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking one part of the file."""

    findings: Sequence[Finding]
    """Findings of the reader and of the checks; they are not ordered by row."""
    rows_failed: int
    """Number of distinct rows that have at least one error and were not counted before."""


class Checker:
    """Checks the rows of one file against a schema, chunk by chunk, in row order."""

    def __init__(
        self,
        table_schema: TableSchema,
        *,
        labels: Sequence[str] | None,
        header_row: int | None,
        limits: ReadLimits,
        column_numbers: Sequence[int] | None = None,
    ) -> None:
        self._match = match_columns(table_schema, labels, header_row, column_numbers)
        self._labels = labels
        self._table_schema = table_schema
        self._context = CheckContext(limits=limits, keys=KeySpace(limits))
        self._columns = {index: _ColumnPlan(table_schema, field, self._context) for index, field in self._match.fields.items()}
        self._row_rules = _RowRules(table_schema, self._context)
        self._key_rules: list[tuple[str, KeyRule]] = [(check.error_type, rule) for check in key_checks() for rule in check.build(table_schema, self._context)]

    def check_header(self) -> Sequence[Finding]:
        """Return the problems of the labels; they do not count as failed rows."""
        return self._match.findings

    def check(self, chunk: Chunk) -> CheckResult:
        """Check the next chunk."""
        findings = [self._renamed(finding) for finding in chunk.findings]
        failed = _rows_with(chunk.findings, chunk.row_numbers)
        if self._labels is None and len(chunk.row_numbers):
            misfits = find_misfits(self._table_schema, chunk)
            findings += misfits
            failed |= _rows_with(misfits, chunk.row_numbers)
        typed_chunk = TypedChunk(row_numbers=chunk.row_numbers, columns={}, missing={}, failed=failed)
        judged_columns: dict[str, _Judged] = {}
        for index, plan in self._columns.items():
            if index < len(chunk.columns) and len(chunk.row_numbers):
                types = chunk.native_types[index] if chunk.native_types is not None else None
                judged = plan.check(chunk.columns[index], types, chunk.row_numbers, index + 1, self._match.names.get(index))
                findings += judged.findings
                failed |= judged.failed
                typed_chunk.columns[plan.field.name], typed_chunk.missing[plan.field.name] = judged.typed, judged.missing
                judged_columns[plan.field.name] = judged
        if len(chunk.row_numbers):
            findings += self._row_rules.check(typed_chunk, judged_columns)
            # Rows that a key rule rejects count as failed for the rules after it as well, so each row is counted once.
            for error_type, rule in self._key_rules:
                for found in rule.find_bad(typed_chunk):
                    failed[found.rows] = True
                    findings.append(Finding(error_type=error_type, row_numbers=chunk.row_numbers[found.rows], message=found.message))
        return CheckResult(findings, int(np.count_nonzero(failed)) + chunk.rows_lost)

    def finish(self) -> Iterator[CheckResult]:
        """Yield, in parts of bounded size, the results that are only known after the last chunk."""
        waiting = [(error_type, rule.finish()) for error_type, rule in self._key_rules]
        heads = [(error_type, rest, next(rest, None)) for error_type, rest in waiting]
        while any(head is not None for _, _, head in heads):
            # Every rule has reported all its rows up to the smallest last row of these parts, so each of those rows can be counted once.
            end = min(int(head.row_numbers[-1]) for _, _, head in heads if head is not None)
            findings: list[Finding] = []
            fresh: list[RowNumbers] = []
            later: list[tuple[str, Iterator[LateFinding], LateFinding | None]] = []
            for error_type, rest, head in heads:
                if head is None:
                    continue
                count = int(np.searchsorted(head.row_numbers, end, side="right"))
                if count:
                    findings.append(Finding(error_type=error_type, row_numbers=head.row_numbers[:count], message=head.message))
                    fresh.append(head.row_numbers[:count][~head.had_failed[:count]])
                later.append((error_type, rest, _rest_of(head, count) if count < len(head.row_numbers) else next(rest, None)))
            heads = later
            yield CheckResult(findings, len(np.unique(np.concatenate(fresh))))

    def close(self) -> None:
        """Release files and processes; may be called twice."""
        for plan in self._columns.values():
            plan.close()
        for _, rule in self._key_rules:
            rule.close()
        self._context.judge.close()
        self._context.keys.close()

    def _renamed(self, finding: Finding) -> Finding:
        """Return a finding of the reader with the column name that all errors of its column have."""
        if finding.column_number is None or finding.error_type == "extra-cell":
            return finding
        name = self._match.names.get(finding.column_number - 1, finding.column_name)
        return finding if name == finding.column_name else replace(finding, column_name=name)


@dataclass(frozen=True, slots=True)
class _Judged:
    """A column of a chunk after its checks."""

    raw: Column
    column_number: int
    column_name: str | None
    findings: list[Finding]
    failed: Mask
    """Cells that have an error."""
    typed: Typed
    missing: Mask


class _RowRules:
    """The rules that span columns. pandas is only imported if there is at least one."""

    def __init__(self, table_schema: TableSchema, context: CheckContext) -> None:
        self._fields = {field.name: field for field in table_schema.fields}
        self._rules: list[tuple[RowCheck, RowRule]] = [(check, rule) for check in row_checks() for rule in check.build(table_schema, context)]

    def check(self, chunk: TypedChunk, columns: Mapping[str, _Judged]) -> list[Finding]:
        """Check one chunk; rows and cells found bad are marked in `chunk.failed` and in the `failed` of their column."""
        if not self._rules:
            return []
        from features.processing.checking.frames import ChunkFrames, find_bad_rows  # noqa: PLC0415  # imports pandas, so only if needed

        frames = ChunkFrames(chunk, self._fields)
        findings: list[Finding] = []
        for check, rule in self._rules:
            if not all(name in columns for name in (*rule.fields, *([rule.field] if rule.field is not None else []))):
                continue
            try:
                rows, message = find_bad_rows(rule, frames)
            except Exception:
                log.error("a row check failed", check=check.name)  # noqa: TRY400  # whoever catches it logs where; its message may quote a cell
                raise
            finding = _report(check.error_type, rows, message, chunk, columns[rule.field] if rule.field is not None else None)
            if finding is not None:
                findings.append(finding)
        return findings


def _report(error_type: str, rows: Indices, message: str | pa.StringArray, chunk: TypedChunk, column: _Judged | None) -> Finding | None:
    """Report rows, or those of their cells in `column` that have no error yet."""
    if column is not None:
        # A null is a cell that the reader has reported already, or that is not there.
        is_new = ~column.failed[rows] & column.raw.present[rows]
        rows, message = rows[is_new], message if isinstance(message, str) else message.filter(pa.array(is_new))
    if not len(rows):
        return None
    chunk.failed[rows] = True
    if column is None:
        return Finding(error_type=error_type, row_numbers=chunk.row_numbers[rows], message=message)
    column.failed[rows] = True
    return _finding(error_type, column.raw, rows, chunk.row_numbers, message, column.column_number, column.column_name)


class _ColumnPlan:
    """The rules of one field."""

    def __init__(self, table_schema: TableSchema, field: Field, context: CheckContext) -> None:
        self.field = field
        self._type_rule = TypeRule(field)
        self._native_rule = NativeRule(field, self._type_rule)
        given = table_schema.missing_values if field.missing_values is None else field.missing_values
        # A cell that has only white space counts as "", and so does a missing value that has only white space.
        texts = {text if text.strip() else "" for text in given}
        self._empty_is_missing = "" in texts
        self._missing_texts = TextSet(sorted(texts - {""}))
        self._missing_values = frozenset(identity for text in texts - {""} if (identity := self._type_rule.identify(text)) is not None)
        built = ((check, check.build(field, context)) for check in column_checks())
        self._rules: list[tuple[ColumnCheck, ColumnRule]] = [(check, rule) for check, rule in built if rule is not None]
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
        bad = rule.find_bad_values(typed) if rule.find_bad_values is not None else rule.find_bad(column) if rule.find_bad is not None else ~typed.ok
        return bad | ~typed.ok

    def check(self, text: pa.StringArray, types: NativeTypes | None, row_numbers: RowNumbers, column_number: int, column_name: str | None) -> _Judged:
        raw = Column(text)
        if text.null_count == len(text):
            # No row of the chunk has this column.
            nothing = np.zeros(len(raw), np.bool_)
            return _Judged(raw, column_number, column_name, [], nothing, self._type_rule.judge_none(raw), nothing)
        column = raw if self._empty_is_missing else raw.blanks_emptied()
        too_long = self._type_rule.find_too_long(column)
        if too_long is not None:
            too_long &= ~raw.blank
            column = column.without(too_long)
        natives = self._native_rule.find(column, types)
        if natives is None:
            fast = self._type_rule.parse_fast(column)
            missing = self._find_missing(raw, fast.accepted)
            candidates = column.present & ~missing
            typed = self._native_rule.explain(self._type_rule.judge(column, candidates, fast), candidates, types)
        else:
            assert types is not None
            missing = self._find_missing(raw, natives.mask)
            candidates = column.present & ~missing
            typed = self._native_rule.judge(column, natives, candidates, types)
            missing |= self._find_missing_values(typed, natives.mask)
            candidates &= ~missing
        findings: list[Finding] = []
        failed = np.zeros(len(raw), np.bool_)

        def report(error_type: str, bad: Mask, message: str | ColumnRule, reasons: Reasons | None = None) -> None:
            if bool(bad.any()):
                rows = np.flatnonzero(bad)
                said = self._say(error_type, message, reasons, column, rows)
                findings.append(_finding(error_type, raw, rows, row_numbers, said, column_number, column_name))
                np.logical_or(failed, bad, out=failed)

        report("type-error", candidates & ~typed.ok, self._type_rule.message, typed.reasons)
        if too_long is not None:
            report("type-error", too_long, TOO_LONG)
        if self.field.constraints.required:
            report("required-error", missing, _REQUIRED_MESSAGE)
        for check, rule in self._rules:
            bad = rule.find_bad_values(typed) if rule.find_bad_values is not None else rule.find_bad(column) if rule.find_bad is not None else failed
            if bool(bad.any()):
                report(check.error_type, bad & typed.ok & ~failed, rule)
        return _Judged(raw, column_number, column_name, findings, failed, typed, missing)

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
        for _, rule in self._rules:
            if rule.close is not None:
                rule.close()


def _finding(
    error_type: str, column: Column, rows: Indices, row_numbers: RowNumbers, message: str | pa.StringArray, column_number: int, column_name: str | None
) -> Finding:
    return Finding(
        error_type=error_type,
        row_numbers=row_numbers[rows],
        message=message,
        raw_values=column.take_beginnings(rows),
        column_number=column_number,
        column_name=column_name,
    )


def _rows_with(findings: Sequence[Finding], row_numbers: RowNumbers) -> Mask:
    """Mark the rows of a chunk in which something was found."""
    failed = np.zeros(len(row_numbers), np.bool_)
    if len(failed):
        rows: RowNumbers | None = None
        for finding in findings:
            if finding.row_numbers is rows:
                continue
            rows = finding.row_numbers
            places = np.minimum(np.searchsorted(row_numbers, finding.row_numbers), len(failed) - 1)
            failed[places[row_numbers[places] == finding.row_numbers]] = True
    return failed


def _rest_of(finding: LateFinding, count: int) -> LateFinding:
    return replace(finding, row_numbers=finding.row_numbers[count:], had_failed=finding.had_failed[count:])

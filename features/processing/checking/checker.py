"""Turn a Table Schema into rules for the columns of one file, and check the file against them chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import structlog

from features.processing.checking.column_plan import EmptyColumns, JudgedColumn, TypedColumn, make_finding
from features.processing.checking.column_stacks import ColumnStacks, make_plans
from features.processing.checking.declarations import (
    CheckContext,
    KeyRule,
    LateFinding,
    RowCheck,
    RowRule,
    TypedChunk,
    key_checks,
    row_checks,
)
from features.processing.checking.labels import find_misfits, match_columns
from features.processing.column import Indices, Mask
from features.processing.keys.key_set import KeySpace
from features.processing.readers.base import Chunk, Finding, ReadLimits, RowNumbers
from shared.descriptors.table_schema import Field, TableSchema

log = structlog.get_logger(__name__)
_FEW_COLUMNS = 16
"""If more than one in so many columns of a grid is needed, all of them are made: one after the other they take longer."""
_NO_ROWS: Mask = np.zeros(0, np.bool_)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of checking one part of the file."""

    findings: Sequence[Finding]
    """Findings of the reader and of the checks; they are not ordered by row."""
    rows_failed: int
    """Number of distinct rows that have at least one error and were not counted before."""
    failed: Mask
    """Rows of the chunk that have an error."""
    judged: Mapping[int, JudgedColumn] = field(default_factory=dict)
    """The columns that a field describes, by their index in the chunk; empty if the chunk has no rows. See `Checker.check`."""


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
        self._row_rules = _RowRules(table_schema, self._context)
        self._columns = make_plans(table_schema, self._match.fields, self._context, self._row_rules.may_fail)
        self._key_rules: list[tuple[str, KeyRule]] = [(check.error_type, rule) for check in key_checks() for rule in check.build(table_schema, self._context)]
        self._stacks = ColumnStacks(self._columns, self._find_alone())

    @property
    def fields(self) -> Mapping[int, Field]:
        """The field that describes each column of the table, by the column's index; columns without a field are absent."""
        return self._match.fields

    @property
    def may_report_late(self) -> bool:
        """Whether `finish` may find errors."""
        return any(getattr(rule, "reports_late", True) for _, rule in self._key_rules)

    def check_header(self) -> Sequence[Finding]:
        """Return the problems of the labels; they do not count as failed rows."""
        return self._match.findings

    def check(self, chunk: Chunk, *, keep_columns: bool = True) -> CheckResult:
        """Check the next chunk. Without `keep_columns` the result need not have the columns without errors, which may be judged together."""
        findings = [self._renamed(finding) for finding in chunk.findings]
        failed = _rows_with(chunk.findings, chunk.row_numbers)
        if self._labels is None and len(chunk.row_numbers):
            misfits = find_misfits(self._table_schema, chunk)
            findings += misfits
            failed |= _rows_with(misfits, chunk.row_numbers)
        typed_chunk = TypedChunk(row_numbers=chunk.row_numbers, columns={}, missing={}, failed=failed)
        judged_columns: dict[str, JudgedColumn] = {}
        by_index: dict[int, JudgedColumn] = {}
        good = set() if keep_columns else self._stacks.find_good(chunk)
        left: list[int] = []
        if len(good) < len(self._columns):
            left = [index for index in self._columns if index < len(chunk.columns) and len(chunk.row_numbers) and index not in good]
        for index, judged in self._judge_columns(chunk, left, typed_chunk):
            findings += judged.findings
            failed |= judged.failed
            name = self._match.fields[index].name
            typed_chunk.columns[name], typed_chunk.missing[name] = judged.typed, judged.missing
            judged_columns[name] = by_index[index] = judged
        if len(chunk.row_numbers):
            findings += self._row_rules.check(typed_chunk, judged_columns)
            # Rows that a key rule rejects count as failed for the rules after it as well, so each row is counted once.
            for error_type, rule in self._key_rules:
                for found in rule.find_bad(typed_chunk):
                    failed[found.rows] = True
                    findings.append(
                        Finding(
                            error_type=error_type,
                            row_numbers=chunk.row_numbers[found.rows],
                            message=found.message,
                            params=found.params,
                            first_rows=found.first_rows,
                        )
                    )
        return CheckResult(findings, int(np.count_nonzero(failed)) + chunk.rows_lost, failed, by_index)

    def _judge_columns(self, chunk: Chunk, indices: Sequence[int], typed_chunk: TypedChunk) -> Iterator[tuple[int, JudgedColumn]]:
        """Judge some columns, and yield each with its index; those with which rules have begun come last, so that nothing waits for these rules meanwhile.

        `typed_chunk` has the columns that were yielded before, when the next one is asked for.
        """
        columns = list(chunk.columns) if len(indices) * _FEW_COLUMNS > len(chunk.columns) else chunk.columns
        texts = {index: columns[index] for index in indices}
        begun = {index for index in indices if self._columns[index].begin(texts[index], chunk.types_of(index))}
        started = {index: self._columns[index].begin_values(texts[index], chunk.types_of(index), chunk.row_numbers) for index in indices}
        order = sorted(indices, key=lambda index: (started[index] is not None, index in begun, index))
        first_waiting = next((index for index in order if started[index] is not None), None)
        empty = EmptyColumns(len(chunk.row_numbers))
        for index in order:
            if index == first_waiting:
                self._begin_key_rules(typed_chunk, {self._match.fields[index].name: column for index, column in started.items()})
            text, types, name = texts.pop(index), chunk.types_of(index), self._match.names.get(index)
            yield index, self._columns[index].check(text, types, chunk.row_numbers, index + 1, name, empty, started.pop(index))

    def _begin_key_rules(self, chunk: TypedChunk, waiting: Mapping[str, TypedColumn | None]) -> None:
        """Let rules about keys begin that need no more than the types of the cells, those of the `waiting` columns included."""
        for name, column in waiting.items():
            if column is not None:
                chunk.columns[name], chunk.missing[name] = column.typed, column.missing
        for _, rule in self._key_rules:
            begin: Callable[[TypedChunk], None] | None = getattr(rule, "begin", None)
            if begin is not None:
                begin(chunk)

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
                    findings.append(Finding(error_type=error_type, row_numbers=head.row_numbers[:count], message=head.message, params=head.params))
                    fresh.append(head.row_numbers[:count][~head.had_failed[:count]])
                later.append((error_type, rest, _rest_of(head, count) if count < len(head.row_numbers) else next(rest, None)))
            heads = later
            yield CheckResult(findings, len(np.unique(np.concatenate(fresh))), _NO_ROWS)

    def close(self) -> None:
        """Release files and processes; may be called twice."""
        self._context.ahead.close()  # before what it works on
        for plan in self._columns.values():
            plan.close()
        for _, rule in self._key_rules:
            rule.close()
        self._context.judge.close()
        self._context.keys.close()

    def _find_alone(self) -> Collection[int]:
        """Return the indices of the columns whose values other rules need, which are therefore judged one by one."""
        used: set[str] = set(self._row_rules.field_names)
        for _, rule in self._key_rules:
            names: Collection[str] | None = getattr(rule, "field_names", None)
            if names is None:
                return self._columns.keys()
            used.update(names)
        return {index for index, field in self._match.fields.items() if field.name in used}

    def _renamed(self, finding: Finding) -> Finding:
        """Return a finding of the reader with the column name that all errors of its column have."""
        if finding.column_number is None or finding.error_type == "extra-cell":
            return finding
        name = self._match.names.get(finding.column_number - 1, finding.column_name)
        return finding if name == finding.column_name else replace(finding, column_name=name)


class _RowRules:
    """The rules that span columns. pandas is only imported if there is at least one."""

    def __init__(self, table_schema: TableSchema, context: CheckContext) -> None:
        self._fields = {field.name: field for field in table_schema.fields}
        self._rules: list[tuple[RowCheck, RowRule]] = [(check, rule) for check in row_checks() for rule in check.build(table_schema, context)]

    @property
    def field_names(self) -> Collection[str]:
        """The names of the fields that the rules use."""
        return {name for _, rule in self._rules for name in (*rule.fields, *([rule.field] if rule.field is not None else []))}

    def may_fail(self, name: str) -> bool:
        """Whether a rule may reject cells of a field."""
        return any(rule.field == name for _, rule in self._rules)

    def check(self, chunk: TypedChunk, columns: Mapping[str, JudgedColumn]) -> list[Finding]:
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


def _report(error_type: str, rows: Indices, message: str | pa.StringArray, chunk: TypedChunk, column: JudgedColumn | None) -> Finding | None:
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
    return make_finding(error_type, column.raw, rows, chunk.row_numbers, message, column.column_number, column.column_name)


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

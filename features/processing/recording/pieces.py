"""Error records as columns in page order, and cutting them into the pieces that are stored. There is no loop over single records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.base import Finding, RowNumbers
from features.processing.recording.display import show_message, show_name, show_values

RECORDS_PER_PIECE = 5_000
BYTES_PER_PIECE = 2**20
"""Of raw values. Only records of a single place, which stay together, may exceed these limits."""
_UINT16_MAX = 2**16 - 1

RuleNumbers: TypeAlias = npt.NDArray[np.int32]


class Place(NamedTuple):
    """The row and column of records, by which they are ordered; column 0 stands for the whole row."""

    row_number: int
    column_number: int


class RecordRule(NamedTuple):
    """The values that records share if they differ only in row and raw value."""

    column_number: int | None
    column_name: str | None
    error_type: str
    error_message: str
    params: str = "{}"
    """The values in the sentence, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecords:
    """Error records as they are stored, ordered by place; records of the same place are in the order in which they were found."""

    rules: Sequence[RecordRule]
    """Distinct rules; a slice of records may use only some of them."""
    row_numbers: RowNumbers
    rule_numbers: RuleNumbers
    """Index into `rules` for each record, from 0."""
    raw_values: pa.StringArray
    """As they are displayed; null for records of whole rows."""
    first_rows: RowNumbers | None = None
    """For each record of a value that was there before, the row that has it first; 0 for the others, None if there are only others."""

    def __len__(self) -> int:
        return len(self.row_numbers)

    def __getitem__(self, part: slice) -> ErrorRecords:
        return ErrorRecords(
            rules=self.rules,
            row_numbers=self.row_numbers[part],
            rule_numbers=self.rule_numbers[part],
            raw_values=self.raw_values[part],
            first_rows=None if self.first_rows is None else self.first_rows[part],
        )

    def place(self, index: int) -> Place:
        """Return the place of one record."""
        return Place(int(self.row_numbers[index]), self.rules[self.rule_numbers[index]].column_number or 0)

    def count_before(self, place: Place) -> int:
        """Count the records before `place`."""
        start, end = (int(np.searchsorted(self.row_numbers, place.row_number, side)) for side in ("left", "right"))
        columns = self.column_numbers(slice(start, end))
        return start + int(np.searchsorted(columns, place.column_number, "left"))

    def column_numbers(self, part: slice) -> npt.NDArray[np.int64]:
        """Return the column of each record of a slice, 0 for the whole row."""
        of_rule = np.fromiter((rule.column_number or 0 for rule in self.rules), np.int64, len(self.rules))
        return of_rule[self.rule_numbers[part]]


def make_records(findings: Iterable[Finding]) -> ErrorRecords:
    """Create the records of findings. They keep no reference to the findings, which may be slices of whole chunks."""
    rules: dict[RecordRule, int] = {}
    numbers: list[RuleNumbers] = []
    rows: list[RowNumbers] = []
    raw_values: list[pa.StringArray] = []
    first_rows: list[RowNumbers | None] = []
    for finding in findings:
        if not len(finding):
            continue
        first_rows.append(finding.first_rows)
        rows.append(finding.row_numbers)
        raw_values.append(pa.nulls(len(finding), pa.string()) if finding.raw_values is None else finding.raw_values)
        numbers.append(_number_rules(finding, rules))
    if not rows:
        return ErrorRecords(rules=(), row_numbers=np.array([], np.int64), rule_numbers=np.array([], np.int32), raw_values=pa.array([], pa.string()))
    firsts = _join_first_rows(first_rows, list(map(len, rows)))
    return _sort(list(rules), np.concatenate(rows), np.concatenate(numbers), show_values(pa.concat_arrays(raw_values)), firsts)


def merge_records(parts: Sequence[ErrorRecords]) -> ErrorRecords:
    """Merge the records of all parts; at the same place those of an earlier part come first."""
    rules: dict[RecordRule, int] = {}
    numbers = []
    for part in parts:
        new_numbers = np.fromiter((rules.setdefault(rule, len(rules)) for rule in part.rules), np.int32, len(part.rules))
        numbers.append(new_numbers[part.rule_numbers])
    return _sort(
        list(rules),
        np.concatenate([part.row_numbers for part in parts]),
        np.concatenate(numbers),
        pa.concat_arrays([part.raw_values for part in parts]),
        _join_first_rows([part.first_rows for part in parts], list(map(len, parts))),
    )


def cut_records(records: ErrorRecords, *, max_records: int = RECORDS_PER_PIECE, max_bytes: int = BYTES_PER_PIECE) -> Iterator[ErrorRecords]:
    """Cut the records into pieces of about equal size, each within both limits; records of one place are never separated."""
    count = len(records)
    size = -(-count // max(1, -(-count // max_records)))
    ends = np.frombuffer(records.raw_values.buffers()[1], np.int32)[records.raw_values.offset :][: count + 1] if count else np.zeros(1, np.int32)
    starts_place = _find_starts(records)
    start = 0
    while start < count:
        by_bytes = int(np.searchsorted(ends, int(ends[start]) + max_bytes, "right")) - 1
        end = max(start + 1, min(start + size, by_bytes))
        if end < count and not starts_place[end]:
            before = np.flatnonzero(starts_place[start + 1 : end])
            after = np.flatnonzero(starts_place[end:])
            end = start + 1 + int(before[-1]) if len(before) else end + int(after[0]) if len(after) else count
        yield records[start:end]
        start = end


def _find_starts(records: ErrorRecords) -> npt.NDArray[np.bool_]:
    """Mark the records that are the first of their place."""
    rows, columns = records.row_numbers, records.column_numbers(slice(None))
    starts = np.ones(len(records), np.bool_)
    starts[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    return starts


def _number_rules(finding: Finding, rules: dict[RecordRule, int]) -> RuleNumbers:
    """Return the rule number of each error of the finding; rules that are new are added to `rules`."""
    name = show_name(finding.column_name)
    params = json.dumps(dict(finding.params), ensure_ascii=False) if finding.params else "{}"

    def number(message: str) -> int:
        return rules.setdefault(RecordRule(finding.column_number, name, finding.error_type, show_message(message), params), len(rules))

    if isinstance(finding.message, str):
        return np.full(len(finding), number(finding.message), np.int32)
    messages = finding.message.dictionary_encode()
    of_message = np.fromiter((number(message) for message in messages.dictionary.to_pylist()), np.int32, len(messages.dictionary))
    numbers: RuleNumbers = of_message[messages.indices.to_numpy(zero_copy_only=False)]
    return numbers


def _join_first_rows(parts: Sequence[RowNumbers | None], sizes: Sequence[int]) -> RowNumbers | None:
    """Return the first rows of all parts, which have so many records each; None if no part has any."""
    if all(part is None for part in parts):
        return None
    return np.concatenate([np.zeros(size, np.int64) if part is None else part for part, size in zip(parts, sizes, strict=True)])


def _sort(rules: Sequence[RecordRule], rows: RowNumbers, numbers: RuleNumbers, raw_values: pa.StringArray, first_rows: RowNumbers | None) -> ErrorRecords:
    columns = np.fromiter((rule.column_number or 0 for rule in rules), np.int64, len(rules))
    order = _order(rows, columns[numbers])
    return ErrorRecords(
        rules=rules,
        row_numbers=rows[order],
        rule_numbers=numbers[order],
        raw_values=raw_values.take(pa.array(order)),
        first_rows=None if first_rows is None else first_rows[order],
    )


def _order(rows: RowNumbers, columns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the stable sort order by row, then column."""
    if not len(rows):
        return np.array([], np.int64)
    least, most = int(rows.min()), int(rows.max())
    if most - least <= _UINT16_MAX and int(columns.max()) <= _UINT16_MAX:
        # numpy sorts 16-bit numbers by radix: two such sorts take half the time of one by both columns in 64 bits.
        by_column = np.argsort(columns.astype(np.uint16), kind="stable")
        return by_column[np.argsort((rows - least).astype(np.uint16)[by_column], kind="stable")]
    return np.lexsort((columns, rows))

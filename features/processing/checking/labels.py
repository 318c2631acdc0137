"""Match columns with fields, and find problems in the labels of the header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.processing.column import Column
from features.processing.readers.base import Chunk, Finding
from shared.descriptors.table_schema import Field, TableSchema
from shared.texts import MAX_TEXT_CHARACTERS, escape_unstorable, quote_briefly, shorten

_MAX_NAMES_CHARACTERS = 2**18
"""A quarter of what a descriptor may have in bytes, since each field takes some more."""
_SHORTEST_NAME = 60
"""No name is cut to fewer characters than this, however many there are."""


@dataclass(frozen=True, kw_only=True)
class ColumnMatch:
    """The result of matching columns with fields."""

    fields: dict[int, Field] = field(default_factory=dict)
    """The field of each column (from 0) that has one."""
    names: dict[int, str | None] = field(default_factory=dict)
    """The name of each column (from 0) as errors report it; None if it has neither a label nor a field."""
    findings: tuple[Finding, ...] = ()
    """Problems of the header, one for each label."""


def printable_label(label: str) -> str:
    r"""Return a label with what no database takes as an escape: NUL as `\x00`. It is as long as in the file, so that it differs from all others."""
    return escape_unstorable(label)


def match_columns(table_schema: TableSchema, labels: Sequence[str] | None, header_row: int | None) -> ColumnMatch:
    """Match columns with fields as `fieldsMatch` says, or by position if there is no header."""
    if labels is None:
        return ColumnMatch(fields=dict(enumerate(table_schema.fields)), names={index: each.name for index, each in enumerate(table_schema.fields)})
    header = _Header(labels, header_row or 1)
    match = _match_by_position if table_schema.fields_match == "exact" else _match_by_name
    fields = match(table_schema, header)
    names = {index: header.name_of(index, fields.get(index)) for index in range(len(labels))}
    return ColumnMatch(fields=fields, names=names, findings=tuple(header.findings))


class _Header:
    """The labels of the header, and the problems found in them."""

    def __init__(self, labels: Sequence[str], row_number: int) -> None:
        self.labels = [printable_label(label) for label in labels]
        most = self._most = longest_name(self.labels)
        names = usable_names(labels) if any(len(label) > most for label in self.labels) else self.labels
        self._short_names = [name if len(label) > most else label for label, name in zip(self.labels, names, strict=True)]
        self._raw = labels
        self._row_number = row_number
        self.findings: list[Finding] = []
        self.first: dict[str, int] = {}
        """Index of the first column with each label; blank labels are left out."""
        self.broken: set[int] = set()
        for index, label in enumerate(self.labels):
            if not label.strip():
                self.add("blank-label", index, "This column has no name in the header.")
            elif label in self.first:
                self.add(
                    "duplicate-label",
                    index,
                    f"The column name {quote_briefly(label)} is used more than once; it is first used in column {self.first[label] + 1}.",
                )
            else:
                self.first[label] = index
        self.broken = {finding.column_number - 1 for finding in self.findings if finding.column_number is not None}

    def names(self, index: int) -> tuple[str, str]:
        """Return the names that the field of a column may have: its label, and the name that `usable_names` gives to a long one."""
        return self.labels[index], self._short_names[index]

    def name_of(self, index: int, column_field: Field | None) -> str | None:
        """Return the name that errors report: that of the field if the label stands for it or is blank, else the label, cut if the header is too long."""
        label = self.labels[index]
        if column_field is not None and (not label.strip() or column_field.name in self.names(index)):
            return shorten(column_field.name)
        return shorten(label, self._most) if label.strip() else None

    def add(self, error_type: str, index: int, message: str) -> None:
        """Record a problem with one label."""
        label = self.labels[index]
        self._append(error_type, message, raw=self._raw[index], column_number=index + 1, column_name=shorten(label, self._most) if label.strip() else None)

    def add_missing(self, name: str, column_number: int | None) -> None:
        """Record that a label is missing."""
        self._append("missing-label", f"The column {quote_briefly(name)} is missing from the header.", raw="", column_number=column_number, column_name=name)

    def _append(self, error_type: str, message: str, *, raw: str, column_number: int | None, column_name: str | None) -> None:
        self.findings.append(
            Finding(
                error_type=error_type,
                row_numbers=np.array([self._row_number], np.int64),
                message=message,
                raw_values=pa.array([raw], pa.string()),
                column_number=column_number,
                column_name=column_name,
            ),
        )


def _match_by_position(table_schema: TableSchema, header: _Header) -> dict[int, Field]:
    for index, label in enumerate(header.labels):
        if index in header.broken:
            continue
        if index >= len(table_schema.fields):
            header.add("extra-label", index, f"The column {quote_briefly(label)} is not expected: the schema has {len(table_schema.fields)} columns.")
        elif table_schema.fields[index].name not in header.names(index):
            header.add("incorrect-label", index, f"This column must be named {quote_briefly(table_schema.fields[index].name)}.")
    for index in range(len(header.labels), len(table_schema.fields)):
        header.add_missing(table_schema.fields[index].name, index + 1)
    return dict(zip(range(len(header.labels)), table_schema.fields, strict=False))


def _match_by_name(table_schema: TableSchema, header: _Header) -> dict[int, Field]:
    by_name = {table_field.name: table_field for table_field in table_schema.fields}
    fields: dict[int, Field] = {}
    for label, index in header.first.items():
        found = next((by_name[name] for name in header.names(index) if name in by_name), None)
        if found is not None:
            fields[index] = found
        elif table_schema.fields_match in ("equal", "superset"):
            header.add("extra-label", index, f"The column {quote_briefly(label)} is not expected: the schema does not name it.")
    found_names = {each.name for each in fields.values()}
    for name in _names_needed(table_schema, found=bool(fields)):
        if name not in found_names:
            header.add_missing(name, None)
    return fields


def _names_needed(table_schema: TableSchema, *, found: bool) -> list[str]:
    """Return the names of the fields that need a column; `found` tells whether any field has one."""
    if table_schema.fields_match in ("equal", "subset") or (table_schema.fields_match == "partial" and not found):
        return [each.name for each in table_schema.fields]
    # A column may be left out if its cells may be empty.
    return [each.name for each in table_schema.fields if each.constraints.required or each.name in table_schema.primary_key]


def find_misfits(table_schema: TableSchema, chunk: Chunk) -> list[Finding]:
    """Return the missing and extra cells of a table without a header: one error for each cell, because there are no labels to report."""
    findings: list[Finding] = []
    width, expected = len(chunk.columns), len(table_schema.fields)
    if table_schema.fields_match in ("exact", "equal", "subset"):
        findings += [
            Finding(
                error_type="missing-cell",
                row_numbers=chunk.row_numbers,
                message=f"This row ends before this column: the schema has {expected} columns, this row has {width}.",
                raw_values=pa.array([""] * len(chunk.row_numbers), pa.string()),
                column_number=index + 1,
                column_name=table_schema.fields[index].name,
            )
            for index in range(width, expected)
        ]
    if table_schema.fields_match in ("exact", "equal", "superset"):
        for index in range(expected, width):
            rows = np.flatnonzero(Column(chunk.columns[index]).present)
            if len(rows):
                findings.append(
                    Finding(
                        error_type="extra-cell",
                        row_numbers=chunk.row_numbers[rows],
                        message=f"This cell is one too many: the schema has {expected} columns.",
                        raw_values=Column(chunk.columns[index]).take_beginnings(rows),
                        column_number=index + 1,
                    ),
                )
    return findings


def usable_names(labels: Sequence[str]) -> list[str]:
    """Return a distinct field name for each label: the label itself, or an unused name if the label is blank, too long or was used before.

    No name has more than 1,000 characters, or fewer if all names together would be longer than a descriptor may be.
    """
    printable = [printable_label(label) for label in labels]
    most = longest_name(printable)
    shortened = [shorten(label, most) for label in printable]
    taken = Counter(label for label in shortened if label.strip())
    names: list[str] = []
    used: set[str] = set()
    suffixes: Counter[str] = Counter()
    for index, label in enumerate(shortened):
        name = label if label not in used else _with_suffix(label, f"_{index + 1}", most)
        if not label.strip():
            name = f"column_{index + 1}"
        base = name
        while name in used or (name != label and name in taken):
            suffixes[base] += 1
            name = _with_suffix(base, f"~{suffixes[base] + 1}", most)
        used.add(name)
        names.append(name)
    return names


def longest_name(labels: Sequence[str]) -> int:
    """Return how long a name made of one of these labels may be, so that all of them fit in a descriptor and in the counts of errors."""
    room = _MAX_NAMES_CHARACTERS
    for shorter, length in enumerate(sorted(min(len(label), MAX_TEXT_CHARACTERS) for label in labels)):
        share = room // (len(labels) - shorter)
        if length > share:
            return max(share, _SHORTEST_NAME)
        room -= length
    return MAX_TEXT_CHARACTERS


def _with_suffix(name: str, suffix: str, most: int) -> str:
    return shorten(name, most - len(suffix)) + suffix

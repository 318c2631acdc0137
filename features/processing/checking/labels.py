"""Match columns with fields, and find problems in the labels of the header."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.processing.checking.match_labels import Likeness, add_by_place, describe_difference, find_moved, pair_by_name
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


def match_columns(table_schema: TableSchema, labels: Sequence[str] | None, header_row: int | None, column_numbers: Sequence[int] | None = None) -> ColumnMatch:
    """Match columns with fields as `fieldsMatch` says, or by position if there is no header. `column_numbers` are those of `Table`, for sentences."""
    if labels is None:
        return ColumnMatch(fields=dict(enumerate(table_schema.fields)), names={index: each.name for index, each in enumerate(table_schema.fields)})
    header = _Header(labels, header_row or 1, column_numbers or range(1, len(labels) + 1))
    match = _match_in_order if table_schema.fields_match == "exact" else _match_by_name
    fields = match(table_schema, header)
    names = {index: header.name_of(index, fields.get(index)) for index in range(len(labels))}
    return ColumnMatch(fields=fields, names=names, findings=tuple(header.findings))


class _Header:
    """The labels of the header, and the problems found in them."""

    def __init__(self, labels: Sequence[str], row_number: int, column_numbers: Sequence[int]) -> None:
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
                    f"The column name {quote_briefly(label)} is used more than once; it is first used in column {column_numbers[self.first[label]]}.",
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


def _match_in_order(table_schema: TableSchema, header: _Header) -> dict[int, Field]:
    """Match labels by name as far as they tell, and the rest by place; the columns must be those of the schema, in its order."""
    fields = table_schema.fields
    meant = [header.names(index) for index in range(len(header.labels))]
    pairs = pair_by_name(meant, [field.name for field in fields], left_out=header.broken)
    named = sorted(pairs)
    in_file = [pairs[index].field for index in named]
    belongs = dict(zip(named, sorted(in_file), strict=True))
    moved = {named[position] for position in find_moved(in_file)}
    add_by_place(pairs, labels=len(meant), fields=len(fields))
    for index, label in enumerate(header.labels):
        if index in header.broken:
            continue
        pair = pairs.get(index)
        if pair is None:
            header.add("extra-label", index, _not_expected(label))
        elif pair.likeness is not Likeness.SAME:
            header.add("incorrect-label", index, _describe_mistake(label, fields[pair.field].name, pair.likeness))
        elif index in moved:
            header.add(
                "incorrect-label",
                index,
                f"The column {quote_briefly(label)} is not at its place: the schema has {quote_briefly(fields[belongs[index]].name)} here, "
                f"and {quote_briefly(label)} as column {pair.field + 1}.",
            )
    found = {pair.field for pair in pairs.values()}
    for number, missing in enumerate(fields):
        if number not in found:
            header.add_missing(missing.name, number + 1)
    return {index: fields[pair.field] for index, pair in sorted(pairs.items())}


def _match_by_name(table_schema: TableSchema, header: _Header) -> dict[int, Field]:
    """Match labels by name alone. A label that is nearly a name is only taken for it if one of both would be an error otherwise."""
    by_name = {field.name: field for field in table_schema.fields}
    meant = [header.names(index) for index in range(len(header.labels))]
    pairs = pair_by_name(meant, list(by_name), left_out=header.broken)
    are_extras_wrong = table_schema.fields_match in ("equal", "superset")
    needed = set(_names_needed(table_schema, found=bool(pairs)))
    fields: dict[int, Field] = {}
    for index in header.first.values():
        pair, label = pairs.get(index), header.labels[index]
        field = table_schema.fields[pair.field] if pair is not None else None
        if pair is not None and field is not None and (pair.likeness is Likeness.SAME or are_extras_wrong or field.name in needed):
            fields[index] = field
            if pair.likeness is not Likeness.SAME:
                header.add("incorrect-label", index, _describe_mistake(label, field.name, pair.likeness))
        elif are_extras_wrong:
            header.add("extra-label", index, _not_expected(label))
    found_names = {each.name for each in fields.values()}
    for name in _names_needed(table_schema, found=bool(fields)):
        if name not in found_names:
            header.add_missing(name, None)
    return fields


def _not_expected(label: str) -> str:
    return f"The column {quote_briefly(label)} is not expected: the schema does not name it."


def _describe_mistake(label: str, name: str, likeness: Likeness) -> str:
    if likeness is Likeness.ALIKE:
        return f"This column must be named {quote_briefly(name)}: {describe_difference(label, name)}."
    if likeness is Likeness.NEAR:
        return f"This column must be named {quote_briefly(name)}: {quote_briefly(label)} is probably misspelt."
    return f"This column must be named {quote_briefly(name)}."


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

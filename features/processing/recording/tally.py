"""Count errors by column, type and cause: exact over all rows, however many of the errors are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from features.processing.column import Indices
from features.processing.readers.base import Finding
from features.processing.recording.display import show_message, show_name, show_values
from shared.jobs.error_counts import EXAMPLES, OTHER_CAUSES, count_by_column, count_by_type
from shared.texts import shorten

MAX_CAUSES = 10
"""So many sentences are told apart in one column and type; the rest share an entry, since a sentence may name what is in its row."""
MAX_CAUSES_OF_ALL = 1_000
"""From so many causes on, only one more is kept for each column and type, without examples: a table may have thousands of columns."""
_EXAMPLE_CHARACTERS = 100
_LOOKS = 5
"""In so many findings of a cause examples are looked for, among the first values of each."""
_VALUES_PER_LOOK = 100


@dataclass(slots=True)
class Cause:
    """Errors of one column and type that have the same sentence."""

    error_message: str
    first_row_number: int
    count: int = 0
    examples: list[str] = field(default_factory=list)
    """Up to three distinct values, each of at most 100 characters."""
    looks: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the cause as JSON."""
        return {"error_message": self.error_message, "count": self.count, "first_row_number": self.first_row_number, "examples": self.examples}


@dataclass(slots=True, kw_only=True)
class TallyEntry:
    """The errors of one type in one column; both column fields are None for errors of whole rows."""

    column_number: int | None
    column_name: str | None
    error_type: str
    count: int = 0
    stored: int = 0
    """How many of them are stored as records."""
    causes: dict[str, Cause] = field(default_factory=dict)
    """By sentence, in the order in which they were found; their counts add up to `count`."""


@dataclass(frozen=True, slots=True)
class _Messages:
    """The distinct sentences of a finding, and which of its errors have each."""

    texts: Sequence[str]
    counts: Sequence[int]
    firsts: Sequence[int]
    """Index of the first error with each."""
    numbers: Indices
    """For each error the number of its sentence."""


class ErrorTally:
    """Counts findings. Its size depends on columns, error types and causes, not on rows."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int | None, str | None, str], TallyEntry] = {}
        self._causes = 0
        self._last: tuple[pa.StringArray, _Messages] | None = None

    def add(self, findings: Iterable[Finding], *, stored: Iterable[Finding] = ()) -> None:
        """Count `findings`; those that are stored are passed a second time as `stored`."""
        for finding in findings:
            if len(finding):
                entry = self._entry(finding)
                entry.count += len(finding)
                self._add_causes(entry, finding)
        for finding in stored:
            if len(finding):
                self._entry(finding).stored += len(finding)
        self._last = None

    @property
    def entries(self) -> Sequence[TallyEntry]:
        """All entries, ordered by column number (whole rows first), then error type."""
        return sorted(self._entries.values(), key=lambda entry: (entry.column_number or 0, entry.error_type, entry.column_name or ""))

    @property
    def error_count(self) -> int:
        """Number of errors that were found."""
        return sum(entry.count for entry in self._entries.values())

    @property
    def stored_count(self) -> int:
        """Number of errors that were stored."""
        return sum(entry.stored for entry in self._entries.values())

    def by_type(self) -> list[dict[str, Any]]:
        """See `count_by_type`."""
        return count_by_type(self.to_json())

    def by_column(self) -> list[dict[str, Any]]:
        """See `count_by_column`."""
        return count_by_column(self.to_json())

    def to_json(self) -> list[dict[str, Any]]:
        """Return the entries as JSON values, in order."""
        return [
            {
                "column_number": entry.column_number,
                "column_name": entry.column_name,
                "error_type": entry.error_type,
                "count": entry.count,
                "stored": entry.stored,
                "causes": [cause.to_json() for cause in entry.causes.values()],
            }
            for entry in self.entries
        ]

    def _entry(self, finding: Finding) -> TallyEntry:
        key = (finding.column_number, show_name(finding.column_name), finding.error_type)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = TallyEntry(column_number=key[0], column_name=key[1], error_type=key[2])
        return entry

    def _add_causes(self, entry: TallyEntry, finding: Finding) -> None:
        if isinstance(finding.message, str):
            cause = self._cause(entry, finding.message, int(finding.row_numbers[0]))
            cause.count += len(finding)
            _look_for_examples(cause, finding, None)
            return
        messages = self._messages_of(finding.message)
        for number, (text, count, first) in enumerate(zip(messages.texts, messages.counts, messages.firsts, strict=True)):
            cause = self._cause(entry, text, int(finding.row_numbers[first]))
            cause.count += count
            if cause.looks < _LOOKS and len(cause.examples) < EXAMPLES:
                _look_for_examples(cause, finding, np.flatnonzero(messages.numbers == number)[:_VALUES_PER_LOOK])

    def _cause(self, entry: TallyEntry, message: str, row_number: int) -> Cause:
        """Return the cause to which errors with this sentence count; a new one while there is room."""
        cause = entry.causes.get(message) or entry.causes.get(OTHER_CAUSES)
        if cause is None:
            is_crowded = self._causes >= MAX_CAUSES_OF_ALL
            most = 1 if is_crowded else MAX_CAUSES
            message = message if len(entry.causes) < most else OTHER_CAUSES
            shown = shorten(show_message(message), _EXAMPLE_CHARACTERS) if is_crowded else show_message(message)
            cause = entry.causes[message] = Cause(shown, row_number, looks=_LOOKS if is_crowded or message == OTHER_CAUSES else 0)
            self._causes += 1
        cause.first_row_number = min(cause.first_row_number, row_number)
        return cause

    def _messages_of(self, messages: pa.StringArray) -> _Messages:
        # Findings of many columns in the same rows share their messages.
        if self._last is None or self._last[0] is not messages:
            encoded = messages.dictionary_encode()
            numbers = encoded.indices.to_numpy(zero_copy_only=False)
            _, firsts, counts = np.unique(numbers, return_index=True, return_counts=True)
            self._last = messages, _Messages(encoded.dictionary.to_pylist(), counts.tolist(), firsts.tolist(), numbers)
        return self._last[1]


def _look_for_examples(cause: Cause, finding: Finding, places: Indices | None) -> None:
    """Add distinct raw values of the errors at `places` (None: the first ones) to the examples, until there are three."""
    if finding.raw_values is None or cause.looks >= _LOOKS or len(cause.examples) >= EXAMPLES:
        return
    cause.looks += 1
    values = finding.raw_values.slice(0, _VALUES_PER_LOOK) if places is None else finding.raw_values.take(pa.array(places))
    shown = (shorten(value, _EXAMPLE_CHARACTERS) for value in show_values(values).to_pylist() if value is not None)
    fresh = dict.fromkeys(value for value in shown if value not in cause.examples)
    cause.examples += islice(fresh, EXAMPLES - len(cause.examples))

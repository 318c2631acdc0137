"""Count errors by type and column: exact over all rows, however many of the errors are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from features.processing.readers.base import Finding
from features.processing.recording.display import show_name
from shared.jobs.error_counts import count_by_column, count_by_type


@dataclass(slots=True, kw_only=True)
class TallyEntry:
    """Count of the errors of one type in one column; both column fields are None for errors of whole rows."""

    column_number: int | None
    column_name: str | None
    error_type: str
    count: int = 0
    stored: int = 0
    """How many of them are stored as records."""


class ErrorTally:
    """Counts findings. Its size depends on columns and error types, not on rows."""

    def __init__(self) -> None:
        self._entries: dict[tuple[int | None, str | None, str], TallyEntry] = {}

    def add(self, findings: Iterable[Finding], *, stored: Iterable[Finding] = ()) -> None:
        """Count `findings`; those that are stored are passed a second time as `stored`."""
        for finding in findings:
            self._entry(finding).count += len(finding)
        for finding in stored:
            self._entry(finding).stored += len(finding)

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
            }
            for entry in self.entries
        ]

    def _entry(self, finding: Finding) -> TallyEntry:
        key = (finding.column_number, show_name(finding.column_name), finding.error_type)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = TallyEntry(column_number=key[0], column_name=key[1], error_type=key[2])
        return entry

"""Internal data types of the slice."""

from __future__ import annotations

import uuid
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPlace:
    """The sort key of an error, where one page ends and the next begins; column number 0 means no column."""

    row_number: int
    column_number: int
    id: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFilter:
    """Which errors to list; None does not restrict."""

    error_type: str | None
    column_name: str | None
    error_message: str | None = None
    message_begins: str | None = None
    """How the sentence begins, of a cause whose sentence is cut in the summary."""
    other_than: tuple[str, ...] = ()
    """For the cause that has all others: the sentences that are causes of their own; one that ends with `…` was cut."""

    @property
    def has_message(self) -> bool:
        """Whether sentences decide."""
        return self.error_message is not None or self.message_begins is not None or bool(self.other_than)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStart:
    """Where a page begins: the piece that begins at this row and column, and how many listed errors to skip from there on."""

    first_row: int = 0
    first_column: int = 0
    skipped: int = 0

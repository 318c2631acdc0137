"""Recognise a file that comes back: the columns `_row` and `_errors`, which outputs put in front of a table, are none of the table's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from features.processing.readers.base import Note

OWN_LABELS = ROW_LABEL, ERRORS_LABEL = "_row", "_errors"
"""The labels of our columns, in their order."""
VALID_SHEET, REJECTED_SHEET, ANNOTATED_SHEET = "Valid rows", "Rejected rows", "Annotated rows"
"""The first sheets of workbooks that are outputs; rows that do not fit go on on a second, whose name is the same with ` 2` after it."""
OUTSIDE_MARK = "(extra-cell)"
"""What stands in `_errors` after the column of a cell outside the table, so that its row is known when the file comes back, whatever the sentence says."""
_MOST_DIGITS = 18

Cell = TypeVar("Cell")


@dataclass(frozen=True, slots=True)
class OwnColumns:
    """Where these columns are; indices are those in the file, from 0."""

    row: int
    """The first column of row numbers."""
    columns: frozenset[int]
    """All of them: a file may have come back more than once."""

    def take_out(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells of a row, or the columns of a table, without them."""
        return [cell for index, cell in enumerate(cells) if index not in self.columns]

    def take_out_of_sample(self, rows: Sequence[Sequence[str]]) -> list[list[str]]:
        """Return rows without these columns, and without the rows that have a cell outside the table: alone these would look as wide as a table."""
        return [self.take_out(row) for row in rows if not any(index < len(row) and OUTSIDE_MARK in row[index] for index in self.columns)]

    def find_place(self, index: int) -> int:
        """Return where in the file a column is that has this index without them."""
        for column in sorted(self.columns):
            index += column <= index
        return index

    def find_index(self, place: int) -> int | None:
        """Return the index that a column of the file has without them; None if it is one of them."""
        return None if place in self.columns else place - sum(1 for column in self.columns if column < place)

    def make_note(self) -> Note:
        """Return the note that says so."""
        return Note(
            code="returned-file",
            message=f"The columns {ROW_LABEL} and {ERRORS_LABEL} come from an output of an earlier check and are left out; "
            "rename them, or put them into the schema, to have them checked.",
        )


def find_own_columns(labels: Sequence[str], field_names: Sequence[str] | None) -> OwnColumns | None:
    """Return where the columns of an output are, unless one is missing or the schema has a field of such a name."""
    if ROW_LABEL not in labels or ERRORS_LABEL not in labels or not set(OWN_LABELS).isdisjoint(field_names or ()):
        return None
    found = frozenset(index for index, label in enumerate(labels) if label in OWN_LABELS)
    # A table of nothing else is one that is meant.
    return OwnColumns(labels.index(ROW_LABEL), found) if len(found) < len(labels) else None


def read_mark(text: str | None) -> int:
    """Return the row number that an output has written into a cell; 0 if it has not."""
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0

"""Which columns of a file make up its table: those with a label, and those with a cell. A file may have others, where rows end with delimiters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from features.processing.readers.base import Note
from features.processing.readers.own_columns import OwnColumns

_MOST_NAMED = 10
_FEW_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnLayout:
    """The columns of a table in its file; indices are from 0."""

    kept: Sequence[int]
    """Index in the file of each column of the table, ascending."""
    left_out: frozenset[int] = frozenset()
    """Indices in the file of columns that have neither a label nor, in the first rows, a cell."""
    row_width: int
    """How many cells most rows have, at least up to the last kept column."""

    @property
    def column_numbers(self) -> Sequence[int] | None:
        """The number in the file, from 1, of each column of the table; None if nothing before the last was left out."""
        return None if list(self.kept) == list(range(len(self.kept))) else [index + 1 for index in self.kept]

    def make_notes(self, own: OwnColumns | None = None) -> list[Note]:
        """Return the note that names the columns left out, or none; the layout is that of the table without its `own` columns."""
        places = sorted(self.left_out if own is None else map(own.find_place, self.left_out))
        notes = [] if own is None else [own.make_note()]
        return [*notes, note_empty_columns([str(place + 1) for place in places])] if places else notes


def note_empty_columns(names: Sequence[str]) -> Note:
    """Return the note that some columns are left out, which are called by their numbers or letters."""
    named = ", ".join(names[:_MOST_NAMED]) + (" …" if len(names) > _MOST_NAMED else "")
    if len(names) == 1:
        message = f"Column {named} has no name in the header and no cells, or hardly any, and is left out; give it a name in the header to have it checked."
    else:
        message = (
            f"Columns {named} have no names in the header and no cells, or hardly any, and are left out; give them names in the header to have them checked."
        )
    return Note(code="empty-columns", message=message)


def find_layout(labels: Sequence[str], rows: Sequence[Sequence[str]]) -> ColumnLayout:
    """Return which columns are the table's, from its labels and some of its rows."""
    row_width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    # Beyond the labels cells must be empty: rows that end with delimiters, and not rows that are too long.
    alike = [row for row in rows if len(row) == row_width]
    ends_empty = all(is_empty_column(index, alike) for index in range(len(labels), row_width))
    unlabelled = [index for index, label in enumerate(labels) if not label.strip()] + (list(range(len(labels), row_width)) if ends_empty else [])
    # Cells that are absent are as empty as others.
    left_out = frozenset(index for index in unlabelled if is_empty_column(index, rows))
    kept = [index for index in range(len(labels)) if index not in left_out]
    if not kept:
        return ColumnLayout(kept=range(len(labels)), row_width=len(labels))
    least = kept[-1] + 1
    ends_left_out = row_width > least and all(index in left_out for index in range(least, row_width))
    return ColumnLayout(kept=kept, left_out=left_out, row_width=row_width if ends_left_out else least)


def is_empty_column(index: int, rows: Sequence[Sequence[str]]) -> bool:
    """Whether a column has no cell in these rows, or so few that they are there by mistake."""
    filled = sum(1 for row in rows if index < len(row) and row[index].strip())
    return not filled or filled * 100 <= len(rows) or (filled == 1 and len(rows) >= _FEW_ROWS)

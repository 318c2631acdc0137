"""Find the header of a table among its first rows, in a file or sheet of any format.

With the names of a schema's fields it is the row whose labels fit them best. Without, or where none fits, it is the first row that is as wide as the table
and whose cells are labels, not values.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from features.processing.readers.cell_kinds import CellKind, KindCache

HEADER_ROWS = 50
"""The header is one of so many first rows."""
SAMPLE_ROWS = 200
"""So many rows are enough to see how wide the table is, and what its columns hold."""
_EXACT, _FOLDED = 1.0, 0.9
_NAMES_NEEDED = 2
_MOST = 0.8
_FEW = 2
_FEW_ROWS = 3
_JUDGED_COLUMNS, _JUDGED_ROWS = 100, 100
_NARROW = 3
_FEW_WIDE = 4
_YEARS = range(1800, 2200)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundHeader:
    """Which of the given rows is the header."""

    index: int
    is_record: bool
    """It looks like a record: its cells have the types of their columns, and not all of them are text."""


def find_header(rows: Sequence[Sequence[str]], *, starts_section: Sequence[bool], field_names: Sequence[str] | None) -> FoundHeader | None:
    """Find the header among `rows`, the first rows of the table that are neither blank nor comments; None if there are no rows.

    `starts_section` tells for each row whether blank rows stand above it; `field_names` are those of the schema, if one was given.
    """
    if not rows:
        return None
    if field_names:
        named = find_names(rows[:HEADER_ROWS], field_names)
        if named is not None:
            return FoundHeader(index=named[0], is_record=False)
    return _Shape(rows).find(starts_section)


def find_names(rows: Sequence[Sequence[str]], field_names: Sequence[str]) -> tuple[int, float] | None:
    """Return the index of the row with most of the names, the first of several, and how many it has: one that only resembles its name counts as a bit less.

    None if no row has enough of them.
    """
    exact = frozenset(field_names)
    scores: list[float] = []
    folded: frozenset[str] = frozenset()
    for row in rows:
        cells = [cell for cell in dict.fromkeys(row) if cell.strip()]
        others = [cell for cell in cells if cell not in exact]
        if others:
            folded = folded or frozenset(map(fold_label, field_names))
        scores.append(_EXACT * (len(cells) - len(others)) + _FOLDED * sum(fold_label(cell) in folded for cell in others))
        if scores[-1] >= _EXACT * len(exact):
            # It has all of them; no row can have more.
            break
    best = max(scores, default=0)
    # One name among many may be a value of some record.
    return (scores.index(best), best) if exact and best >= _FOLDED * min(_NAMES_NEEDED, len(folded or exact)) else None


def fold_label(label: str) -> str:
    """Return a label without case, blanks, separators of words and invisible characters, for comparison."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return "".join(character for character in folded if character.isalnum()) or folded.strip()


class _Shape:
    """How wide a table is, and what kind of values its columns have, judged by its first rows."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        self._rows = rows
        self._cache = KindCache()
        self._ends = [_find_end(row) for row in rows]
        """For each row the number of cells up to the last one that is not empty."""
        self._filled = [sum(1 for cell in row if cell.strip()) for row in rows]
        self._width = _find_width(self._ends, [len(row) for row in rows])
        self._kinds, self._has_years = self._judge_columns()

    def find(self, starts_section: Sequence[bool]) -> FoundHeader:
        """Return the header: the first row of the table, or of its last section above the records."""
        first = next((index for index in range(min(len(self._rows), HEADER_ROWS)) if self._may_be_header(index)), None)
        if first is None:
            return FoundHeader(index=0, is_record=self._is_record(0))
        if self._is_record(first):
            above = first - 1
            # A header that is short by more than one cell is one all the same if it stands right above the records.
            if above >= 0 and self._is_short_header(above) and not starts_section[first]:
                return FoundHeader(index=above, is_record=False)
            below = self._find_labels_below(first)
            return FoundHeader(index=first, is_record=True) if below is None else FoundHeader(index=below, is_record=False)
        first = self._pass_values(first)
        for index in range(first + 1, min(len(self._rows), HEADER_ROWS)):
            if self._is_record(index):
                break
            if not self._may_be_header(index) or not self._has_labels(index):
                continue
            # Blank rows separate what is said about the table from the table itself.
            is_next_section = starts_section[index] and self._filled[index] >= self._filled[first] and self._has_records_below(index)
            fits_better = self._filled[first] < self._width <= self._filled[index] or self._ends[first] > self._width == self._ends[index]
            is_right_above = index + 1 < len(self._rows) and self._is_record(index + 1)
            if is_next_section or (fits_better and is_right_above):
                first = index
        return FoundHeader(index=first, is_record=False)

    def _pass_values(self, first: int) -> int:
        """Return the first row from `first` on that has labels only and stands above the records; `first` itself if there is none.

        Above a header may stand what the table is about, as wide as it is: a period, a sum.
        """
        for index in range(first, min(len(self._rows), HEADER_ROWS)):
            if self._is_record(index):
                break
            if self._has_labels(index) and self._may_be_header(index):
                return index
        return first

    def _find_labels_below(self, record: int) -> int | None:
        """Return a row that has labels in all columns and stands shortly below a row that looks like a record, such as one of sums; None if there is none."""
        for index in range(record + 1, min(record + 1 + _FEW_ROWS, len(self._rows))):
            if self._filled[index] >= self._width and self._has_labels(index) and not self._is_record(index) and self._may_be_header(index):
                texts = self._cache.kinds(self._rows[index][: len(self._kinds)])
                if any(kind is CellKind.TEXT and self._kinds[column] is not None for column, kind in enumerate(texts)):
                    return index
        return None

    def _may_be_header(self, index: int) -> bool:
        """Whether a row is as wide as the table: not a title, which fills few cells, nor a note, which has few cells."""
        end, filled, width = self._ends[index], self._filled[index], self._width
        is_title = filled <= max(1, width // 2) and (end < width or width > _NARROW)
        if width > 1 and is_title and not self._is_sparse_record(index):
            return False
        if not any(cell.strip() for cell in self._rows[index][:width]):
            # Something beside the table, such as the date on which it was printed.
            return False
        if end >= width or len(self._rows[index]) >= width:
            return True
        # One label short: only right above the table, since a note may be as wide.
        below = index + 1
        is_above = below >= len(self._rows) or self._ends[below] >= width
        return end == width - 1 and filled == end and is_above and not self._is_note(index)

    def _is_note(self, index: int) -> bool:
        """Whether a row has values among its cells, or was cut at a comma of a sentence, as the rows below it are not."""
        row, below = self._rows[index], self._rows[min(index + 1, len(self._rows) - 1)]
        if any(kind >= CellKind.NUMBER for kind in self._cache.kinds(row)):
            return True
        return any(cell.startswith(" ") for cell in row[1:]) and not any(cell.startswith(" ") for cell in below[1:])

    def _is_sparse_record(self, index: int) -> bool:
        """Whether a row with few filled cells has a value in a column of values, which no title has."""
        return self._ends[index] > 1 and self._is_record(index)

    def _is_short_header(self, index: int) -> bool:
        row, end = self._rows[index], self._ends[index]
        return end > 1 and self._filled[index] == end and 2 * end >= self._width and all(kind < CellKind.NUMBER for kind in self._cache.kinds(row[:end]))

    def _has_labels(self, index: int) -> bool:
        row = self._rows[index][: len(self._kinds)]
        return all(kind < CellKind.NUMBER or _is_year(cell) for cell, kind in zip(row, self._cache.kinds(row), strict=True))

    def _has_records_below(self, index: int) -> bool:
        return index + 1 < len(self._rows) and self._ends[index + 1] >= self._width - 1

    def _is_record(self, index: int) -> bool:
        """Whether the cells in columns of values, and at least one of them, are such values themselves."""
        row = self._rows[index][: len(self._kinds)]
        kinds = self._cache.kinds(row)
        judged = [column for column, kind in enumerate(kinds) if self._kinds[column] is not None and kind is not CellKind.EMPTY]
        # A year above other numbers may be a label as well as a value.
        clear = [column for column in judged if self._has_years[column] or not _is_year(row[column])]
        fitting = [column for column in clear if kinds[column] is self._kinds[column]]
        if not fitting or len(fitting) < _MOST * len(clear):
            return False
        return not self._are_labels_in_turn(index, [column for column in fitting if kinds[column] is CellKind.NUMBER])

    def _are_labels_in_turn(self, index: int, columns: Sequence[int]) -> bool:
        """Whether the numbers of a row are labels that follow each other, as years and months do, and those below them are not."""
        labels = [self._rows[index][column] for column in columns]
        below = self._rows[index + 1] if index + 1 < len(self._rows) else []
        values = [below[column] for column in columns if column < len(below)]
        are_alike = all(map(_is_year, labels)) == all(map(_is_year, values))
        return _are_in_turn(labels) and not (are_alike and _are_in_turn(values))

    def _judge_columns(self) -> tuple[list[CellKind | None], list[bool]]:
        """Return the kind of values in each of the first columns, and whether they may be years; None for a column of text, one that is empty or mixed."""
        wide = [row for row, end in zip(self._rows, self._ends, strict=True) if end >= self._width]
        if len(wide) < _FEW_WIDE:
            wide = [row for row, end in zip(self._rows, self._ends, strict=True) if end >= self._width - 1]
        # What stands above the records of a short table is in its first third.
        table = wide[min(max(1, len(wide) // 3), HEADER_ROWS) :] or self._rows
        kinds: list[CellKind | None] = []
        has_years: list[bool] = []
        for column in range(min(self._width, _JUDGED_COLUMNS)):
            cells = [row[column] for row in table[:_JUDGED_ROWS] if column < len(row)]
            counts = Counter(self._cache.kinds(cells))
            counts.pop(CellKind.EMPTY, None)
            kind, count = counts.most_common(1)[0] if counts else (CellKind.EMPTY, 0)
            is_most = count >= _MOST * counts.total() or count == counts.total() - 1 >= _FEW
            kinds.append(kind if kind >= CellKind.NUMBER and is_most else None)
            has_years.append(2 * sum(map(_is_year, cells)) > len(cells))
        return kinds, has_years


def _find_end(row: Sequence[str]) -> int:
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return end


def _find_width(ends: Sequence[int], lengths: Sequence[int]) -> int:
    """Return the width of most rows: up to the last cell that is not empty in at least a tenth of the rows of the most frequent length."""
    counts = Counter(lengths)
    # Of equally frequent lengths the greater one: what stands above a table is narrower.
    length = max(counts, key=lambda each: (counts[each], each))
    inside = sorted(end for end, each in zip(ends, lengths, strict=True) if each == length)
    return max(1, inside[-1 - len(inside) // 10])


def _is_year(cell: str) -> bool:
    text = cell.strip()
    return len(text) == 4 and text.isascii() and text.isdigit() and int(text) in _YEARS  # noqa: PLR2004 - digits of a year


def _are_in_turn(numbers: Sequence[str]) -> bool:
    """Whether numbers are years, or at least three whole numbers, each of them by as much greater or less than the one before."""
    texts = [number.strip() for number in numbers]
    if not all(text.isascii() and text.isdigit() and len(text) <= 4 for text in texts):  # noqa: PLR2004 - digits of a year
        return False
    if len(texts) < (2 if all(map(_is_year, texts)) else 3):
        return False
    steps = {int(later) - int(earlier) for earlier, later in pairwise(texts)}
    return len(steps) == 1 and steps.pop() in (-1, 1, 5, -5, 10, -10)

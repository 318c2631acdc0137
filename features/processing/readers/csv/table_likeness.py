"""How much rows of cells look like one table: rows of one width, columns of one kind.

The score of a split of the sample into cells is the product of uniformity, types and columns, each from 0 to 1. Sources: van den Burg, Nazábal and
Sutton, Wrangling messy CSV files by detecting row and type patterns (2019), for the product; García, CSV dialect detection by table uniformity (2024),
for rows that deviate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from features.processing.readers.cell_kinds import CellKind, KindCache

_Item = TypeVar("_Item")
_JUDGED_ROWS = 100
_JUDGED_COLUMNS = 60
_WIDTHS_TRIED = 3
_MARGIN_WEIGHT = 0.25
"""Weight of a narrow row above or below the table, a title or a note, beside that of a row of the table."""
_COLUMN_SHARE = 0.4
_CHANCE = 0.5
_TITLED_RECORD = 0.8
_ODD_TITLE = 0.7
_JUDGED_TITLES = 10
_ODD_HEADER_WIDTH = 3
_KIND_VALUES = {CellKind.ODD: 0.2, CellKind.TEXT: 0.85}
_LIST_VALUE = 0.5
_LINE_VALUE = 0.55
"""Worth of a line of text that is not split, beside 0.95 of a value: nearly every text can be split somewhere."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """The judgement of one split."""

    score: float
    width: int
    """The number of cells of the rows of the table, without a last one that is empty in all of them."""
    uniformity: float
    typed_columns: int
    """The number of columns whose cells are mostly values and not text."""


NO_TABLE = Likeness(0.0, 0, 0.0, 0)


def judge_rows(rows: Sequence[Sequence[str]], delimiter: str, kinds: KindCache) -> Likeness:
    """Judge rows that were split at `delimiter`, none of them blank, as a table of two columns or more."""
    counts = Counter(map(len, rows))
    counts.pop(1, None)
    best = NO_TABLE
    # Of equally frequent widths the first that occurs, which is the header's, comes first.
    for width, _ in counts.most_common(_WIDTHS_TRIED):
        best = max(best, _judge_width(rows, width, delimiter, kinds), key=lambda likeness: likeness.score)
    return best


def judge_lines(lines: Sequence[str], kinds: KindCache) -> Likeness:
    """Judge lines that are not split at all, as a table of one column."""
    judged = lines[1:] or lines
    values, typed = _judge_column(_spread(judged, _JUDGED_ROWS), "", kinds)
    return Likeness((0.95 if typed else _LINE_VALUE) * values, 1, 1.0, int(typed))


def _judge_width(rows: Sequence[Sequence[str]], width: int, delimiter: str, kinds: KindCache) -> Likeness:
    at = [index for index, row in enumerate(rows) if len(row) == width or (len(row) == width + 1 and not row[-1].strip())]
    inside = Counter(len(row) < width for row in rows[at[0] : at[-1] + 1] if len(row) != width)
    first = at[0] - 1 if _is_odd_header(rows, at[0], width, kinds) else at[0]
    margin = [len(row) < width for row in (*rows[:first], *rows[at[-1] + 1 :])] + [True] * (at[0] - first)
    narrow = sum(margin)
    # A few narrow rows around a table are titles and notes; more of them than the table has rows are no margin.
    outside = _MARGIN_WEIGHT * min(narrow, len(at)) + max(0, narrow - len(at)) + len(margin) - narrow
    deviating = inside[True] * 0.8 + inside[False] - sum(len(rows[index]) != width for index in at)
    uniformity = len(at) / (len(at) + max(0.0, deviating) + outside)
    if len(at) == 1 < len(rows) - 1:
        # One row has its width by chance.
        uniformity *= _CHANCE
    table = [rows[index] for index in _spread(at[1:] or at, _JUDGED_ROWS)]
    # What the labels of a whole header lack may separate the items of a list in a cell.
    items = "".join(mark for mark in ",;|\t" if not any(mark in label for label in rows[0])) if len(rows[0]) == width else ""
    columns = [_judge_column([row[column] for row in table], delimiter, kinds, items) for column in _spread(range(width), _JUDGED_COLUMNS)]
    used = width
    if used > 1 and not any(row[width - 1].strip() for row in table):
        used -= 1
        columns.pop()
    types = sum(value for value, _ in columns) / len(columns)
    types *= _judge_top(rows[:first][-_JUDGED_TITLES:], rows[first][:_JUDGED_COLUMNS], kinds)
    score = uniformity * types * (1 - _COLUMN_SHARE / used) * (_LINE_VALUE if used == 1 else 1)
    return Likeness(score, used, uniformity, sum(typed for _, typed in columns))


def _is_odd_header(rows: Sequence[Sequence[str]], first: int, width: int, kinds: KindCache) -> bool:
    """Whether the row above the first one of a table of three columns or more is its header, with one label too few or too many."""
    if not first or width < _ODD_HEADER_WIDTH or abs(len(rows[first - 1]) - width) != 1:
        return False
    labels = kinds.kinds(rows[first - 1][:_JUDGED_COLUMNS])
    is_record = any(kind >= CellKind.NUMBER for kind in kinds.kinds(rows[first][:_JUDGED_COLUMNS]))
    return is_record and all(kind is CellKind.TEXT for kind in labels)


def _judge_top(above: Sequence[Sequence[str]], first: Sequence[str], kinds: KindCache) -> float:
    """Return how well rows above a table and its first row fit each other, from 0 to 1: what stands above a record is rather the header of another split."""
    if not above:
        return 1.0
    has_labels = all(kind < CellKind.NUMBER for kind in kinds.kinds(first))
    has_odd_titles = any(CellKind.ODD in kinds.kinds(row) for row in above)
    return (1.0 if has_labels else _TITLED_RECORD) * (_ODD_TITLE if has_odd_titles else 1.0)


def _judge_column(cells: Sequence[str], delimiter: str, kinds: KindCache, items: str = "") -> tuple[float, bool]:
    """Return how much the cells of a column are of one kind and no odd text, from 0 to 1, and whether most of them are values."""
    filled = Counter(
        # Only quotes keep a delimiter or a line break in a cell, so there is nothing odd about them.
        CellKind.TEXT if kind is CellKind.ODD and ((delimiter and delimiter in cell) or "\n" in cell or "\r" in cell) else kind
        for cell, kind in zip(cells, kinds.kinds(cells), strict=True)
        if kind is not CellKind.EMPTY
    )
    total = filled.total()
    if not total:
        return 0.6, False
    odd = _LIST_VALUE if filled[CellKind.ODD] and items and all(_is_list(cell, items) for cell in cells) else _KIND_VALUES[CellKind.ODD]
    value = sum(count * (odd if kind is CellKind.ODD else _KIND_VALUES.get(kind, 1.0)) for kind, count in filled.items()) / total
    kind, count = filled.most_common(1)[0]
    return value * (0.6 + 0.4 * count / total), kind >= CellKind.NUMBER and 2 * count > total


def _is_list(cell: str, items: str) -> bool:
    """Whether a cell may be a list: the only separators in it are one of `items`."""
    marks = {mark for mark in ",;|\t" if mark in cell}
    return cell.count('"') % 2 == 0 and (not marks or (len(marks) == 1 and marks <= set(items)))


def _spread(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """Return at most `most` of the items, evenly spread."""
    return items if len(items) <= most else [items[index * len(items) // most] for index in range(most)]

"""Labels of a header that the dialect names by its rows: joined for each column, with merged labels for every column that they span."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from features.processing.readers.excel.sheet_layout import make_grid
from features.processing.readers.excel.sheet_rows import MergedRange, SheetRow
from features.processing.readers.header import check_header_size, join_labels

NO_LABEL = "?"
"""Stands for a label that is a formula without a value, or a picture, until the columns are known."""


def read_labels(
    rows: Mapping[int, SheetRow], wanted: Sequence[int], *, merged: Sequence[MergedRange], below: frozenset[int], separator: str, max_chars: int
) -> dict[int, str]:
    """Return the label of each column (from 0) that has one.

    `rows` are those with the numbers in `wanted` that have content; `below` are the columns with cells below the header. Raises `FileUnreadable` if the
    labels have more than `max_chars` characters in all.
    """
    by_row = dict(zip(rows, make_grid(list(rows.values())), strict=True))
    bad = {cell.column for row in rows.values() for cell in row.bad or ()}
    for number, row in rows.items():
        for cell in row.bad or ():
            del by_row[number][cell.column]
    if len(wanted) > 1:
        # A title that is merged over more columns than the table has is the label of those that it has.
        _spread_merged(by_row, wanted, merged, sorted(below.union(*by_row.values())))
    check_header_size([list(cells.values()) for cells in by_row.values()], max_chars=max_chars)
    columns = sorted(set().union(*by_row.values()))
    parts = [[by_row.get(number, {}).get(column, "") for column in columns] for number in wanted]
    labels = dict(zip(columns, join_labels(parts, separator, max_chars=max_chars), strict=True)) if columns else {}
    return dict.fromkeys(sorted(bad), NO_LABEL) | {column: label for column, label in labels.items() if label.strip()}


def _spread_merged(by_row: dict[int, dict[int, str]], wanted: Sequence[int], merged: Sequence[MergedRange], columns: Sequence[int]) -> None:
    """Give merged labels to all of `columns` that they span, each column of a row once, however ranges overlap."""
    covered: dict[int, set[int]] = {number: set() for number in wanted}
    for each in merged:
        text = by_row.get(each.first_row, {}).get(each.first_column, "")
        if not text or each.first_column in covered[each.first_row]:
            continue
        spanned = columns[bisect_left(columns, each.first_column) : bisect_right(columns, each.last_column)]
        for number in wanted[bisect_left(wanted, each.first_row) : bisect_right(wanted, each.last_row)]:
            cells = by_row.setdefault(number, {})
            for column in spanned:
                cells.setdefault(column, text)
            covered[number].update(spanned)

"""The table on a sheet: its header, its columns, and what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from features.processing.readers.excel.sheet_layout import SheetLayout, find_table, make_grid
from tests.features.processing.readers.excel.sheet_rows import make_rows

RECORDS = [[str(number), f"name {number}", f"{number}.5"] for number in range(1, 21)]


def _find(rows: Iterable[Sequence[str]], names: Sequence[str] | None = None) -> SheetLayout:
    sheet = make_rows(*rows)
    starts = [row.number > before + 1 for row, before in zip(sheet, [0, *(row.number for row in sheet)], strict=False)]
    layout = find_table(make_grid(sheet), starts_section=starts, field_names=names)
    assert layout is not None
    return layout


def test_table_in_the_corner_has_all_columns() -> None:
    layout = _find([["id", "name", "amount"], *RECORDS])
    assert (layout.header, layout.columns, layout.labels, layout.left_out, layout.others) == (0, [0, 1, 2], ["id", "name", "amount"], frozenset(), [])


def test_table_that_begins_in_b2_leaves_out_column_a() -> None:
    layout = _find([[], ["", "id", "name", "amount"], *(["", *row] for row in RECORDS)])
    assert (layout.header, list(layout.columns), sorted(layout.left_out)) == (0, [1, 2, 3], [0])


@pytest.mark.parametrize("title", [["Sales of May"], ["", "", "", "", "printed 2024-05-01"], ["Sales", "", "", "", "", "", "page 1"]])
def test_title_above_the_header_is_passed(title: list[str]) -> None:
    assert _find([title, [], ["id", "name", "amount"], *RECORDS]).header == 1


def test_label_in_the_last_column_makes_one_column_more_and_no_others() -> None:
    layout = _find([["id", "name", "amount", *[""] * 16_380, "x"], *RECORDS])
    assert layout.columns == [0, 1, 2, 16_383]
    assert layout.left_out == set(range(3, 16_383))
    assert layout.width == 3


def test_spacer_columns_stay_in_one_table() -> None:
    layout = _find([["id", "", "name", "", "amount"], *([a, "", b, "", c] for a, b, c in RECORDS)])
    assert (list(layout.columns), sorted(layout.left_out), list(layout.others)) == ([0, 2, 4], [1, 3], [])


def test_comments_beside_some_rows_stay_in_the_table() -> None:
    layout = _find([["id", "name", "amount", "", "remark"], *([*row, "", "see below"] if number < 4 else row for number, row in enumerate(RECORDS))])
    assert (layout.columns, layout.others) == ([0, 1, 2, 4], [])


LEGEND = [["code", "meaning"], ["N", "new"], ["O", "old"], ["P", "paid"]]


def _beside(left: Sequence[Sequence[str]], right: Sequence[Sequence[str]], *, down: int = 0) -> list[list[str]]:
    width = max(map(len, left))
    right = [*[[] for _ in range(down)], *right]
    rows = max(len(left), len(right))
    pad = [*left, *[[]] * (rows - len(left))]
    other = [*right, *[[]] * (rows - len(right))]
    return [[*mine, *[""] * (width - len(mine)), "", *theirs] for mine, theirs in zip(pad, other, strict=True)]


@pytest.mark.parametrize("names", [None, ["id", "name", "amount"]])
@pytest.mark.parametrize("down", [0, 3])
def test_second_table_to_the_right_is_another_table(names: Sequence[str] | None, down: int) -> None:
    layout = _find(_beside([["id", "name", "amount"], *RECORDS], LEGEND, down=down), names)
    assert (layout.header, layout.columns, layout.others) == (0, [0, 1, 2], [(4, 5)])


def test_longer_table_to_the_right_is_another_table() -> None:
    longer = [["code", "meaning"], *([f"C{number}", "x"] for number in range(40))]
    layout = _find(_beside([["id", "name", "amount"], *RECORDS], longer))
    assert (layout.columns, layout.others) == ([0, 1, 2], [(4, 5)])


def test_names_of_a_schema_find_their_table_to_the_right() -> None:
    layout = _find(_beside(LEGEND, [["id", "name", "amount"], *RECORDS]), ["id", "name", "amount"])
    assert (layout.columns, layout.others) == ([3, 4, 5], [(0, 1)])


def test_small_table_before_a_large_one_is_not_the_table() -> None:
    layout = _find(_beside(LEGEND, [["id", "name", "amount"], *RECORDS]))
    assert (layout.columns, layout.others) == ([3, 4, 5], [(0, 1)])


def test_names_of_a_schema_on_both_sides_of_a_gap_are_one_table() -> None:
    rows = [["id", "name", "", "amount", "tax"], *([a, b, "", c, "1"] for a, b, c in RECORDS[:10]), *([a, b] for a, b, _ in RECORDS[10:])]
    assert _find(rows, ["id", "name", "amount", "tax"]).columns == [0, 1, 3, 4]


@pytest.mark.parametrize("names", [None, ["id", "name", "amount"]])
def test_repeated_labels_beside_a_gap_are_another_table(names: Sequence[str] | None) -> None:
    layout = _find(_beside([["id", "name", "amount"], *RECORDS], [["id", "name", "amount"], *RECORDS]), names)
    assert (layout.columns, layout.others) == ([0, 1, 2], [(4, 6)])


def test_few_cells_to_the_right_are_no_table() -> None:
    rows = [["id", "name", "amount"], *RECORDS]
    rows[4] = [*rows[4], "", "", "check this"]
    layout = _find(rows)
    assert (layout.columns, layout.others) == ([0, 1, 2], [])


def test_lines_above_the_header_are_no_other_table() -> None:
    head = [["Sales", "", "", "", "", "Date", "2026-05-01"], ["of May", "", "", "", "", "Page", "1"], []]
    layout = _find([*head, ["id", "name", "amount"], *RECORDS])
    assert (layout.header, layout.columns, layout.others) == (2, [0, 1, 2], [])

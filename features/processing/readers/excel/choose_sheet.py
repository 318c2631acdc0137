"""Choose the sheet of a workbook whose table is read, in workbooks of both formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from features.processing.readers.base import FileUnreadable, Note
from features.processing.readers.excel.sheet_layout import Grid, NameFit, SheetLayout, find_table, fit_names, make_grid
from features.processing.readers.excel.sheet_rows import SheetRow, is_blank
from features.processing.readers.own_columns import ANNOTATED_SHEET, REJECTED_SHEET, VALID_SHEET
from shared.descriptors.table_dialect import TableDialect
from shared.texts import list_briefly, quote_briefly

_NAMES_SHOWN = 20
_MOST_SHEETS, _MOST_CELLS = 300, 2_000_000
"""So many sheets and cells are looked at; a workbook may have thousands of sheets."""
_TABLE_COLUMNS = 2
_TABLE = 3


class SheetName(NamedTuple):
    """A sheet as the workbook lists it."""

    name: str
    is_visible: bool
    has_rows: bool
    """False for charts, dialogs and macros, which count as sheets."""


class SheetPeeker(Protocol):
    """A workbook whose sheets can be looked at before one of them is read."""

    @property
    def sheets(self) -> Sequence[SheetName]:
        """Return the sheets in the order of the workbook."""
        ...

    def peek(self, index: int) -> Sequence[SheetRow]:
        """Return the first rows of a sheet that have content, at most 200, out of a bounded piece of it. Raises `FileUnreadable` if that is damaged."""
        ...


@dataclass(frozen=True, slots=True)
class ChosenSheet:
    """The sheet that is read."""

    index: int
    notes: Sequence[Note] = ()
    """The note that names the sheets that are not read."""


def choose_sheet(workbook: SheetPeeker, *, dialect: TableDialect | None, field_names: Sequence[str] | None) -> ChosenSheet:
    """Return the sheet that the dialect names; else the first visible one with a table, or that which has most of the names of the schema's fields.

    Raises `FileUnreadable`, listing the sheets, if there is none.
    """
    sheets = workbook.sheets
    listed = list_briefly([sheet.name for sheet in sheets], _NAMES_SHOWN)
    if dialect is not None and (dialect.sheet_name is not None or dialect.sheet_number is not None):
        index = _find_named(sheets, dialect, listed)
        if not sheets[index].has_rows:
            raise FileUnreadable(f"The sheet {quote_briefly(sheets[index].name)} holds no rows: it is a chart or a macro. The workbook's sheets are: {listed}.")
        return ChosenSheet(index)
    visible = [index for index, sheet in enumerate(sheets) if sheet.is_visible and sheet.has_rows]
    if not visible:
        raise FileUnreadable(f"The workbook has no visible sheet with rows. Its sheets are: {listed}.")
    looks = _Looks(workbook)
    index = _find_table_sheet(visible, looks, field_names)
    hidden = [other for other, sheet in enumerate(sheets) if sheet.has_rows and not sheet.is_visible]
    if hidden and not looks.has_cells(index):
        _require_no_cells(sheets, [other for other in hidden if looks.has_cells(other)])
    others = [other for other, sheet in enumerate(sheets) if other != index and sheet.has_rows and looks.has_cells(other)]
    _require_whole([sheets[each].name for each in (index, *others)])
    return ChosenSheet(index, [_note_others(sheets, index, others)] if others else [])


def _require_whole(names: Sequence[str]) -> None:
    """Raise `FileUnreadable` if the workbook is an output whose rows go on on a further sheet: read alone, the first one would pass for all of them."""
    going_on = next((f"{name} 2" for name in (VALID_SHEET, REJECTED_SHEET, ANNOTATED_SHEET) if name in names and f"{name} 2" in names), None)
    if going_on is not None:
        raise FileUnreadable(
            f"The rows of this workbook go on on the sheet {going_on}, and only one sheet of a file is read. Move each sheet to a file of its own, "
            f"and upload them one by one; to read one sheet alone, send its name in the dialect, such as {_show_dialect(going_on)}."
        )


def _find_named(sheets: Sequence[SheetName], dialect: TableDialect, listed: str) -> int:
    if dialect.sheet_name is not None:
        wanted = dialect.sheet_name
        found = [index for index, sheet in enumerate(sheets) if _fold(sheet.name) == _fold(wanted)]
        if found:
            return next((index for index in found if sheets[index].name == wanted), found[0])
        raise FileUnreadable(f"The workbook has no sheet named {quote_briefly(wanted)}. Its sheets are: {listed}.")
    assert dialect.sheet_number is not None
    if dialect.sheet_number > len(sheets):
        raise FileUnreadable(f"The workbook has no sheet number {dialect.sheet_number}. Its sheets are, from 1: {listed}.")
    return dialect.sheet_number - 1


def _require_no_cells(sheets: Sequence[SheetName], hidden: Sequence[int]) -> None:
    """Raise `FileUnreadable`, naming them, if there are hidden sheets with cells and no others."""
    if hidden:
        raise FileUnreadable(
            "The visible sheets of the workbook are empty. To read a hidden one, send its name in the dialect, "
            f"such as {_show_dialect(sheets[hidden[0]].name)}; hidden sheets with cells are: "
            f"{list_briefly([sheets[index].name for index in hidden], _NAMES_SHOWN)}."
        )


def _fold(name: str) -> str:
    """Return the name of a sheet for comparison: Excel tells no two sheets apart by case."""
    return name.strip().casefold()


class _Looks:
    """The first rows of the sheets of one workbook. They are read when they are asked for, and not kept: a workbook may have many sheets, and wide ones."""

    def __init__(self, workbook: SheetPeeker) -> None:
        self._workbook = workbook
        self._has_cells: dict[int, bool] = {}
        self._damaged: set[int] = set()
        self._cells = 0

    @property
    def is_over(self) -> bool:
        """Whether so much has been looked at that it is enough."""
        return len(self._has_cells) >= _MOST_SHEETS or self._cells >= _MOST_CELLS

    def has_cells(self, index: int) -> bool:
        """Whether a sheet has a cell; one that is damaged, or too far down the list to be looked at, counts as if it had."""
        if index not in self._has_cells and self.is_over:
            return True
        return self.is_damaged(index) or self._has_cells[index]

    def is_damaged(self, index: int) -> bool:
        """Whether a sheet cannot be read."""
        if index not in self._has_cells:
            self.grid(index)
        return index in self._damaged

    def grid(self, index: int) -> tuple[Grid, list[bool]]:
        """Return the first rows that are not blank, and which of them have blank rows above them; none of a damaged sheet."""
        rows: list[SheetRow] = []
        try:
            rows = sorted((row for row in self._workbook.peek(index) if not is_blank(row)), key=lambda row: row.number)
        except FileUnreadable:
            self._damaged.add(index)
        self._has_cells[index] = bool(rows)
        self._cells += sum(len(row.cells) + len(row.beyond or ()) for row in rows)
        return make_grid(rows), [row.number > before + 1 for row, before in zip(rows, [0, *(row.number for row in rows)], strict=False)]


def _find_table_sheet(visible: Sequence[int], looks: _Looks, field_names: Sequence[str] | None) -> int:
    """Return the sheet with the table; the first one if none has any. A damaged sheet is chosen, so that it is reported, if no table stands before it."""
    if len(visible) == 1:
        return visible[0]
    named = _find_best_names(visible, looks, field_names) if field_names else None
    if named is not None:
        return named
    best, rank = visible[0], 0
    for index in visible:
        if looks.is_over:
            break
        grid, starts = looks.grid(index)
        if looks.is_damaged(index):
            return index if rank < _TABLE else best
        layout = find_table(grid, starts_section=starts, field_names=None)
        found = _rank_table(layout, len(grid))
        if found > rank:
            best, rank = index, found
        if rank == _TABLE:
            break
    return best


def _rank_table(layout: SheetLayout | None, rows: int) -> int:
    """Return how much a sheet with so many rows looks like a table."""
    if layout is None or layout.header is None:
        return 0
    records = rows - layout.header - 1
    if len(layout.columns) < _TABLE_COLUMNS or not records:
        # Prose, or a header without rows; a table of one column looks the same.
        return 1
    # On a cover page there is more prose than table.
    return _TABLE if records >= layout.header else 2


def _find_best_names(indices: Sequence[int], looks: _Looks, field_names: Sequence[str]) -> int | None:
    """Return the first sheet whose header fits the names best; None if no sheet has any."""
    best, most = None, NameFit()
    for index in indices:
        fit = fit_names(looks.grid(index)[0], field_names)
        if fit > most:
            best, most = index, fit
        if most == (len(set(field_names)), True, 1) or looks.is_over:
            break
    return best


def _note_others(sheets: Sequence[SheetName], index: int, others: Sequence[int]) -> Note:
    named = list_briefly([sheets[other].name + ("" if sheets[other].is_visible else " (hidden)") for other in others], _NAMES_SHOWN)
    sentence = "the other sheet with cells was not" if len(others) == 1 else f"the {len(others):,} other sheets with cells were not"
    return Note(
        code="other-sheets",
        message=f"The sheet {quote_briefly(sheets[index].name)} was read, and {sentence}: {named}. To read another one, send its name in the dialect, "
        f"such as {_show_dialect(sheets[others[0]].name)}.",
    )


def _show_dialect(sheet_name: str) -> str:
    return json.dumps({"sheetName": quote_briefly(sheet_name)}, ensure_ascii=False)

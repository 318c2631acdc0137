"""What is said about cells without a value, and about how a sheet was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from features.processing.readers.base import Note
from features.processing.readers.excel.sheet_rows import BadCell, CellTrouble, MergedRange, SheetFacts, SheetRow, column_letters
from features.processing.readers.own_columns import OwnColumns
from shared.texts import list_briefly

_NAMED_PLACES = 5
_NAMED_COLUMNS = 10
_PICTURE, _NOT_COMPUTED, _ERROR = "This cell holds a picture and no value", "The formula in this cell was never computed", "This cell holds the error"
_SENTENCES_ON_BAD_CELLS = (_PICTURE, _NOT_COMPUTED, _ERROR)
_ERRORS = {
    "#DIV/0!": "its formula divides by zero",
    "#N/A": "a value that was looked for was not found",
    "#NAME?": "its formula uses a name that Excel does not know",
    "#NULL!": "its formula uses two ranges that do not meet",
    "#NUM!": "its formula gives no number that Excel can hold",
    "#REF!": "its formula refers to a cell that no longer exists",
    "#VALUE!": "its formula was given a value of the wrong kind",
}


def describe_trouble(cell: BadCell) -> str:
    """Return one plain sentence that says why a cell has no value."""
    if cell.trouble is CellTrouble.PICTURE:
        return f"{_PICTURE}; write the value into the cell."
    if cell.trouble is CellTrouble.NOT_COMPUTED:
        return f"{_NOT_COMPUTED}, so the file has no value for it. Open the file in Excel, save it and upload it again."
    reason = _ERRORS.get(cell.text)
    said = f"{_ERROR} {cell.text[:40]} and no value"
    return f"{said}: {reason}." if reason else f"{said}."


def restore_bad(row: SheetRow, labels: Mapping[int, str], own: OwnColumns) -> None:
    """Mark cells of a row that comes back as bad again if the sentences in front of it say so: outputs can only write their text.

    `labels` are those of the table, by column.
    """
    said = " ".join(row.cells[column] for column in own.columns if column < len(row.cells))
    if not any(sentence in said for sentence in _SENTENCES_ON_BAD_CELLS):
        return
    for column, label in labels.items():
        text = row.cells[column] if column < len(row.cells) else ""
        if not text:
            continue
        for trouble in CellTrouble:
            cell = BadCell(column, text, trouble)
            if f"{label}: {describe_trouble(cell)}" in said and (trouble is not CellTrouble.NOT_COMPUTED or text.startswith("=")):
                row.cells[column], row.types[column] = "", 0
                row.bad = [*(row.bad or ()), cell]
                break


def make_notes(facts: SheetFacts, *, column_name: Callable[[int], str | None], kept: frozenset[int], first_row: int) -> list[Note]:
    """Return the notes on what was learnt of a sheet while its rows were read.

    `kept` are the columns of the table (from 0), `first_row` is the row number of its first record, and `column_name` gives the name of a column.
    """
    notes = []
    merged = [each for each in facts.merged if each.last_row >= first_row and any(column in kept for column in range(each.first_column, each.last_column + 1))]
    if merged:
        notes.append(_describe_merged(merged, is_cut=facts.merged_count > len(facts.merged)))
    for column, row in islice(_in_table(facts.long_numbers, kept, first_row), _NAMED_COLUMNS):
        notes.append(_describe_long_numbers(column, row, column_name(column)))
    zeros = {} if facts.has_results else facts.doubtful_zeros
    for column, row in islice(_in_table(zeros, kept, first_row), _NAMED_COLUMNS):
        notes.append(_describe_zeros(column, row, column_name(column)))
    return notes


def describe_other_tables(ranges: Sequence[tuple[int, int]]) -> Note:
    """Return the note on other tables beside the one that is read; `ranges` are their first and last columns, from 0."""
    named = list_briefly([f"{column_letters(first)} to {column_letters(last)}" for first, last in ranges], _NAMED_PLACES)
    return Note(
        code="other-tables",
        message=f"Beside the table, behind an empty column, the sheet has other cells that were not checked, in columns {named}; "
        "put them on a sheet of their own to have them checked.",
    )


def _in_table(found: Mapping[int, int], kept: frozenset[int], first_row: int) -> list[tuple[int, int]]:
    return sorted((column, row) for column, row in found.items() if column in kept and row >= first_row)


def _describe_merged(merged: Sequence[MergedRange], *, is_cut: bool) -> Note:
    places = [f"{column_letters(each.first_column)}{each.first_row}:{column_letters(each.last_column)}{each.last_row}" for each in sorted(merged)]
    shown = list_briefly(places, _NAMED_PLACES) + (" at least" if is_cut else "")
    return Note(
        code="merged-cells",
        message=f"Cells are merged in {shown}; only the first cell of each has the value, which the others lack. "
        "Unmerge them in Excel and fill in every cell to have each row checked with its value.",
        row_number=min(merged).first_row,
    )


def _describe_long_numbers(column: int, row: int, name: str | None) -> Note:
    return Note(
        code="digits-lost",
        message=f"Cell {column_letters(column)}{row} and perhaps others of its column hold numbers of more than 15 digits, of which Excel keeps only the "
        "first 15; format the column as text in Excel and enter them again.",
        row_number=row,
        column_name=name,
    )


def _describe_zeros(column: int, row: int, name: str | None) -> Note:
    return Note(
        code="formulas-not-computed",
        message=f"The program that wrote the file computes no formulas and stored 0 for that in cell {column_letters(column)}{row} and others of its column, "
        "so the value may be wrong; open the file in Excel, save it and upload it again.",
        row_number=row,
        column_name=name,
    )

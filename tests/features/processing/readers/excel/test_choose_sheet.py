"""The sheet that is read is the one with the table, or the one that fits the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.choose_sheet import ChosenSheet, SheetName, choose_sheet
from features.processing.readers.excel.sheet_rows import SheetRow
from shared.descriptors.table_dialect import parse_table_dialect
from tests.features.processing.readers.excel.sheet_rows import make_rows

TABLE = [["id", "name", "amount"], ["1", "a", "2"], ["2", "b", "3"]]
COVER = [["Report of May"], [], ["made by the accounts department"]]


class Book:
    """A workbook of given sheets; a sheet that is None is damaged, one that is `"chart"` has no rows, and `~` before a name hides it."""

    def __init__(self, sheets: Mapping[str, Sequence[Sequence[str]] | str | None]) -> None:
        self.sheets = [SheetName(name.lstrip("~"), not name.startswith("~"), rows != "chart") for name, rows in sheets.items()]
        self._rows = list(sheets.values())
        self.peeked: list[int] = []

    def peek(self, index: int) -> Sequence[SheetRow]:
        self.peeked.append(index)
        rows = self._rows[index]
        if rows is None:
            raise FileUnreadable("damaged")
        return make_rows(*rows)


def _choose(sheets: Mapping[str, Any], *, names: Sequence[str] | None = None, dialect: Mapping[str, Any] | None = None) -> ChosenSheet:
    return choose_sheet(Book(sheets), dialect=None if dialect is None else parse_table_dialect(dict(dialect)), field_names=names)


@pytest.mark.parametrize(
    ("sheets", "index"),
    [
        ({"A": TABLE}, 0),
        ({"A": TABLE, "B": TABLE}, 0),
        ({"A": [], "B": TABLE}, 1),
        ({"A": COVER, "B": TABLE}, 1),
        ({"A": [*COVER, ["Author", "Version"], ["Bob", "2"]], "B": TABLE}, 1),
        ({"A": [["Orders"], *TABLE], "B": TABLE}, 0),
        ({"A": TABLE[:2], "B": TABLE}, 0),
        ({"A": [["id", "name"]], "B": TABLE}, 1),
        ({"A": "chart", "B": TABLE}, 1),
        ({"~A": TABLE, "B": TABLE}, 1),
        ({"A": COVER, "B": []}, 0),
        ({"A": [], "B": []}, 0),
        ({"A": [], "B": [["id", "name"]]}, 1),
        ({"A": None, "B": TABLE}, 0),
        ({"A": TABLE, "B": None}, 0),
    ],
)
def test_first_visible_sheet_with_a_table_is_read(sheets: Mapping[str, Any], index: int) -> None:
    assert _choose(sheets).index == index


@pytest.mark.parametrize(
    ("sheets", "index"),
    [
        ({"A": [["x", "y"], ["1", "2"]], "B": TABLE}, 1),
        ({"A": [["id", "name", "x"], ["1", "2", "3"]], "B": TABLE}, 1),
        ({"A": TABLE, "B": TABLE}, 0),
        ({"A": [["title"], [], *TABLE], "B": TABLE}, 0),
        ({"A": [["x", "y"], ["1", "2"]], "B": [["p", "q"], ["1", "2"]]}, 0),
        ({"~A": TABLE, "B": [["x", "y"], ["1", "2"]]}, 1),
        ({"A": None, "B": TABLE}, 1),
        ({"Template": TABLE[:1], "Data": TABLE}, 1),
        ({"Template": TABLE[:1], "Other": [["id", "name"], ["1", "2"]]}, 0),
        ({"Read me": [["Columns:", "id", "name", "amount"], ["", "a number", "a text", "a number"]], "Data": TABLE}, 1),
    ],
)
def test_first_sheet_that_fits_the_schema_is_read(sheets: Mapping[str, Any], index: int) -> None:
    assert _choose(sheets, names=["id", "name", "amount"]).index == index


def test_note_names_the_sheets_with_cells_that_are_not_read() -> None:
    notes = _choose({"A": TABLE, "Empty": [], "B": TABLE, "~C": TABLE, "D": "chart"}).notes
    assert [note.code for note in notes] == ["other-sheets"]
    assert "B, C (hidden)" in notes[0].message
    assert '{"sheetName": "B"}' in notes[0].message
    assert "Empty" not in notes[0].message


@pytest.mark.parametrize("sheets", [{"A": TABLE}, {"A": TABLE, "B": []}])
def test_workbook_with_one_table_gets_no_note(sheets: Mapping[str, Any]) -> None:
    assert not _choose(sheets).notes


@pytest.mark.parametrize(("dialect", "index"), [({"sheetName": "Data"}, 1), ({"sheetName": "data"}, 2), ({"sheetName": "OTHER"}, 0), ({"sheetNumber": 2}, 1)])
def test_dialect_names_the_sheet_in_any_case(dialect: Mapping[str, Any], index: int) -> None:
    chosen = _choose({"Other": TABLE, "Data": [], "data": TABLE}, dialect=dialect)
    assert (chosen.index, chosen.notes) == (index, ())


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ({"sheetName": "X"}, "no sheet named X. Its sheets are: A, Data"),
        ({"sheetNumber": 4}, "no sheet number 4. Its sheets are, from 1: A, Data"),
        ({"sheetNumber": 3}, "holds no rows"),
    ],
)
def test_sheet_that_is_not_there_lists_those_that_are(dialect: Mapping[str, Any], words: str) -> None:
    with pytest.raises(FileUnreadable, match=words):
        _choose({"A": TABLE, "Data": TABLE, "Chart": "chart"}, dialect=dialect)


def test_workbook_whose_visible_sheets_are_empty_names_the_hidden_ones() -> None:
    with pytest.raises(FileUnreadable, match=r"visible sheets of the workbook are empty.*hidden sheets with cells are: Data"):
        _choose({"A": [], "~Data": TABLE, "~Empty": []})


def test_thousands_of_sheets_are_not_all_looked_at() -> None:
    book = Book({f"S{number}": [] for number in range(3_000)})
    choose_sheet(book, dialect=None, field_names=["id"])
    assert len(book.peeked) <= 300

"""Name cells as spreadsheets do: `C9` is the cell of column 3 in row 9."""

from __future__ import annotations

from functools import lru_cache

_LETTERS = 26


@lru_cache(maxsize=4096)
def name_column(column_number: int) -> str:
    """Return the letters of a column, counted from 1: `A`, `Z`, `AA`; columns past a sheet's last (`XFD`) go on in the same way."""
    letters = ""
    while column_number > 0:
        column_number, rest = divmod(column_number - 1, _LETTERS)
        letters = chr(ord("A") + rest) + letters
    return letters


def name_cell(row_number: int, column_number: int | None) -> str | None:
    """Return the name of a cell; None for a whole row."""
    return None if column_number is None else f"{name_column(column_number)}{row_number}"

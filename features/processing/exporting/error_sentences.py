"""The two columns that say of each row of the file what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from features.processing.exporting.rows import RowError
from features.processing.readers.own_columns import ERRORS_LABEL, OUTSIDE_MARK, OWN_LABELS
from shared.cell_names import name_column

NO_HEADER = "The table has no header, so the row numbers and the errors are its first two columns without a label."
"""What is said of an output of such a table."""


def say_errors(errors: Sequence[RowError]) -> str:
    """Return the sentences of all errors of a row in one line, each with its column, such as `id: This cell must not be empty.` for a cell."""
    return " ".join([_say_error(error) for error in errors])


def note_cut(rows: int, reason: str) -> str:
    """Return what is said of an output in which the errors of so many rows were cut; `reason` follows a comma."""
    return f"The errors of {'1 row' if rows == 1 else f'{rows:,} rows'} were cut in the column {ERRORS_LABEL}, {reason}: errors.csv lists each of them."


def _say_error(error: RowError) -> str:
    if error.column_number is None:
        return error.message
    # A column without a name is called by its letters in the file that is written, which has two columns in front.
    column = error.column_name or f"Column {name_column(error.column_number + len(OWN_LABELS))}"
    return f"{column} {OUTSIDE_MARK}: {error.message}" if error.error_type == "extra-cell" else f"{column}: {error.message}"

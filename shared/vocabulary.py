"""What the errors and notes of a file are called, what each name means, and the way out. Uses the standard library only.

The engine gives errors and notes, and checks that are added bring names of their own; the API only describes the built-in ones, without importing the engine.
"""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """What a name says to the person with the file."""

    text: str
    remedy: str
    """What to do about it, or, for a note, what to send if it is wrong."""


ERROR_TYPES = {
    # Rows
    "blank-row": Meaning("A row without any value, or a run of such rows, between rows that have some", "Delete the empty rows"),
    "row-too-long": Meaning("The row has more bytes or cells than are read", "Look for a quotation mark that is never closed; else split the row"),
    "unclosed-quote": Meaning("A quotation mark opens a cell and is never closed", 'Close it; double it (`""`) if it belongs to the text'),
    "primary-key-error": Meaning("The row's `primaryKey` is that of an earlier row, or a part of it is empty", "Give each row a key of its own"),
    "unique-key-error": Meaning("The values of a unique key (`uniqueKeys`) are those of an earlier row", "Remove the repeated row, or correct its values"),
    "foreign-key-error": Meaning("No row of the file has the values that this row refers to (`foreignKeys`)", "Correct the reference, or add the row"),
    # Labels: the cells of the header
    "blank-label": Meaning("The column has no name in the header", "Name the column, or delete it"),
    "duplicate-label": Meaning("An earlier column has the same name", "Rename one of the two columns"),
    "missing-label": Meaning("A column of the schema is not in the header", "Add the column"),
    "extra-label": Meaning("The schema has no such column", "Remove the column, or add a field to the schema"),
    "incorrect-label": Meaning(
        "The column's name is spelled in another way than in the schema, or the column is not at its place", "Rename or move the column"
    ),
    # Cells
    "missing-cell": Meaning("The row ends before this column", "Fill in the row; look for a delimiter that is missing"),
    "extra-cell": Meaning("The cell is outside the table: no column of the header is its own", "Remove the cell; quote a cell that has the delimiter in it"),
    "encoding-error": Meaning("The cell has bytes that are no text in the file's encoding", "Save the file as UTF-8, or send its `encoding`"),
    "stray-quote": Meaning("Text follows the quotation mark that closes the cell", 'Double each quotation mark (`""`) inside a quoted cell'),
    "formula-error": Meaning(
        "The cell shows an error of Excel such as `#N/A`, or a formula that was never computed", "Correct the formula; open and save the file in Excel"
    ),
    "type-error": Meaning("The value is not of its column's type, or not written in its format", "Write the value as the sentence says, or correct the schema"),
    "required-error": Meaning("The cell is empty and must not be", "Fill in the cell"),
    "unique-error": Meaning("An earlier row has the same value in a column whose values must differ", "Correct one of the two values"),
    "enum-error": Meaning("The value is none of those that the schema lists (`enum`)", "Use one of the values that the sentence names"),
    "pattern-error": Meaning("The value does not match the schema's `pattern`", "Write the value as the pattern wants it"),
    "minimum-error": Meaning("The value is less than the `minimum`", "Correct the value"),
    "maximum-error": Meaning("The value is greater than the `maximum`", "Correct the value"),
    "exclusive-minimum-error": Meaning("The value is not greater than the `exclusiveMinimum`", "Correct the value"),
    "exclusive-maximum-error": Meaning("The value is not less than the `exclusiveMaximum`", "Correct the value"),
    "min-length-error": Meaning("The value is shorter than `minLength`", "Correct the value"),
    "max-length-error": Meaning("The value is longer than `maxLength`", "Shorten the value"),
    "json-schema-error": Meaning("The JSON in the cell does not match the field's `jsonSchema`", "Correct the JSON"),
    "category-error": Meaning("The value is none of the field's `categories`", "Use one of the categories"),
}
"""The types of errors that the built-in readers and checks give. A check that is added brings its own."""

NOTE_CODES = {
    "rows-above-header": Meaning("The header is not the first row; the rows above it are no records", "`headerRows` in the `dialect`"),
    "no-header": Meaning("The first row looks like a record, and was taken as labels all the same", "`header: false` in the `dialect`"),
    "empty-columns": Meaning("Columns without a label and without a cell were left out", "labels for them"),
    "encoding-guessed": Meaning("The file does not say how it is encoded, and it is not UTF-8", "`encoding`"),
    "other-sheets": Meaning("The workbook has other sheets with cells, which were not read", "`sheetName` or `sheetNumber` in the `dialect`"),
    "other-tables": Meaning("Other cells stand beside the table, with an empty column between", "(put them on a sheet of their own)"),
    "merged-cells": Meaning("Of merged cells only the first has the value", "(unmerge them)"),
    "digits-lost": Meaning("Numbers of more than 15 digits, of which Excel keeps 15", "(format the column as text)"),
    "formulas-not-computed": Meaning("The program that wrote the file stored 0 for each formula", "(open and save it in Excel)"),
    "returned-file": Meaning(
        "The columns `_row` and `_errors` of a `rejected` or `annotated` file that came back were left out", "(rename them, or put them into the `schema`)"
    ),
    "ambiguous-dates": Meaning("Day-month and month-day both fit all dates of a column", "`format` of the field in the `schema`"),
}
"""The codes of notes, which tell how a file was read and are no errors."""

"""Labels of a header that spans one row or several, and what is said about where it was found."""

from __future__ import annotations

from collections.abc import Sequence

from features.processing.readers.base import FileUnreadable, Note


def join_labels(rows: Sequence[Sequence[str]], separator: str, *, max_chars: int) -> list[str]:
    """Return one label for each column of a header of one or more rows.

    A header of several rows has the non-blank parts of each column joined by `separator`; a part that repeats the one above it is left out.
    Raises `FileUnreadable` if the labels have more than `max_chars` characters in all.
    """
    if len(rows) == 1:
        return list(rows[0])
    check_header_size(rows, max_chars=max_chars)
    labels = []
    chars = 0
    for column in range(max(map(len, rows))):
        parts: list[str] = []
        for row in rows:
            if column < len(row) and row[column].strip() and parts[-1:] != [row[column]]:
                parts.append(row[column])
        chars += sum(map(len, parts)) + len(separator) * (len(parts) - 1)
        if chars > max_chars:
            raise _too_long(max_chars)
        labels.append(separator.join(parts))
    return labels


def check_header_size(rows: Sequence[Sequence[str]], *, max_chars: int) -> None:
    """Raise `FileUnreadable` if the cells of a header have more than `max_chars` characters in all."""
    if sum(sum(map(len, row)) for row in rows) > max_chars:
        raise _too_long(max_chars)


def _too_long(max_chars: int) -> FileUnreadable:
    return FileUnreadable(f"The header cannot be read: its labels have more than {max_chars:,} characters in all.")


def note_rows_above(row: int, count: int) -> Note:
    """Return the note that `count` rows above the header in `row` are no records."""
    above = "the row above it is" if count == 1 else f"the {count} rows above it are"
    return Note(
        code="rows-above-header",
        message=f"Row {row} is taken as the header, and {above} not checked; if the column names stand in another row, or in several, "
        f'send the numbers in the dialect, such as {{"headerRows": [{row - 1}, {row}]}}.',
        row_number=row,
    )


def note_no_header(row: int) -> Note:
    """Return the note that the header in `row` looks like a record."""
    return Note(
        code="no-header",
        message=f"Row {row} looks like a record and is taken as the column names all the same; "
        'if the file has no row with column names, send {"header": false} as the dialect.',
        row_number=row,
    )

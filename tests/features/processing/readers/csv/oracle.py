"""A slow and simple CSV reader that goes through the whole text character by character. The real reader must give the same result."""

from __future__ import annotations

# ruff: noqa: PLR0912, PLR0915 - one plain loop keeps it simple
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Expected:
    """The expected output of a reader, without chunks."""

    labels: list[str] | None = None
    rows: list[tuple[int, list[str | None]]] = field(default_factory=list)
    errors: list[tuple[int, int, str, str | None]] = field(default_factory=list)
    rows_lost: int = 0


def split_records(
    text: str,
    *,
    delimiter: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    double: bool = True,
    skip_space: bool = False,
    comment: str | None = None,
    strays: dict[tuple[int, int], str] | None = None,
) -> list[tuple[str, list[str] | None, bool]]:
    """Return for each row its raw text, its cells (None if a quote is never closed), and whether it is a comment.

    `strays` is filled with the raw text of the cells that go on after their closing quote, by the indices of their row and column.
    """
    records: list[tuple[str, list[str] | None, bool]] = []
    strays = {} if strays is None else strays
    at, size = 0, len(text)

    def escaped(i: int) -> bool:
        return escape is not None and text[i] == escape

    def line_end(i: int) -> int:
        while i < size:
            if escaped(i):
                i += 2
                continue
            if text[i] in "\r\n":
                return i
            i += 1
        return size

    def behind_break(i: int) -> int:
        if i < size and text[i : i + 2] == "\r\n":
            return i + 2
        return min(i + 1, size)

    def closing(i: int) -> int | None:
        """Return the position of the quote that closes the one at i, or None."""
        j, lines = i + 1, False
        while j < size:
            if escaped(j):
                j += 2
                continue
            if text[j] in "\r\n":
                lines = True
            if text[j] == quote:
                if double and text[j + 1 : j + 2] == quote:
                    j += 2
                    continue
                good = j + 1 == size or text[j + 1] in "\r\n" or text[j + 1] == delimiter
                return None if lines and not good else j
            j += 1
        return None

    while at < size:
        start = at
        if comment and text.startswith(comment, at):
            stop = line_end(at)
            records.append((text[start:stop], [], True))
            at = behind_break(stop)
            continue
        cells: list[str] = []
        broken = False
        while True:
            cell, at_cell = "", at
            while skip_space and at < size and text[at] == " ":
                at += 1
            begin, closed = at_cell, None
            if quote and at < size and text[at] == quote:
                close = closing(at)
                if close is None:
                    at = line_end(at + 1)
                    broken = True
                    break
                at += 1
                while at < close:
                    if escaped(at):
                        cell += text[at + 1]
                        at += 2
                    elif text[at] == quote:
                        cell += quote
                        at += 2
                    else:
                        cell += text[at]
                        at += 1
                at = closed = close + 1
            while at < size and text[at] not in "\r\n" and text[at] != delimiter:
                if escaped(at):
                    cell += text[at + 1 : at + 2]
                    at += 2
                else:
                    cell += text[at]
                    at += 1
            at = min(at, size)
            if closed is not None and text[closed:at].strip(" "):
                strays[len(records), len(cells)] = text[begin:at]
            cells.append(cell)
            if at < size and text[at] == delimiter:
                at += 1
                continue
            break
        records.append((text[start:at], None if broken else cells, False))
        at = behind_break(at)
    return records


def find_header_row(data: bytes, *, comment_rows: Sequence[int] = (), max_row_bytes: int = 2**24, **characters: Any) -> int | None:
    """Return the number of the first row that is neither blank nor a comment; one that is too long is not blank."""
    for number, (raw, cells, is_comment) in enumerate(split_records(decode(data), **characters), start=1):
        is_too_long = len(raw.encode("utf-8", "surrogateescape")) > max_row_bytes
        if not is_comment and number not in comment_rows and (cells is None or is_too_long or any(cell.strip() for cell in cells)):
            return number
    return None


def read(data: bytes, *, header: bool = True, comment_rows: Sequence[int] = (), max_row_bytes: int = 2**24, **characters: Any) -> Expected | None:
    """Read a UTF-8 file whose header is the first row that is neither blank nor a comment; None if it has no header."""
    text = decode(data)
    result = Expected()
    width: int | None = None
    blank_from = blank_rows = 0
    strays: dict[tuple[int, int], str] = {}
    records = split_records(text, strays=strays, **characters)
    left_out: set[int] = set()
    for number, (raw, cells, is_comment) in enumerate(records, start=1):
        if is_comment or number in comment_rows:
            continue
        too_long = len(raw.encode("utf-8", "surrogateescape")) > max_row_bytes
        blank = cells is not None and not too_long and not any(cell.strip() for cell in cells)
        if width is None:
            if blank:
                if header:
                    continue
            elif header and (cells is None or too_long):
                return None
            if header:
                assert cells is not None
                below = [
                    (index, row)
                    for index, (line, row, is_remark) in enumerate(records[number:], start=number + 1)
                    if row
                    and not is_remark
                    and index not in comment_rows
                    and any(cell.strip() for cell in row)
                    and len(line.encode("utf-8", "surrogateescape")) <= max_row_bytes
                ]
                left_out = find_left_out(cells, [row for _, row in below])
                result.labels = [show(cell) for column, cell in enumerate(cells) if column not in left_out]
                width = len(cells)
                continue
            if cells is not None and not too_long and not blank:
                width = len(cells)
        if blank:
            blank_from = blank_from or number
            blank_rows += 1
            continue
        if blank_rows:
            result.errors.append((blank_from, 0, "blank-row", None))
            result.rows_lost += blank_rows
            blank_from = blank_rows = 0
        if too_long or cells is None:
            result.errors.append((number, 0, "row-too-long" if too_long else "unclosed-quote", None))
            result.rows_lost += 1
            continue
        assert width is not None
        row: list[str | None] = []
        for column in range(max(width, len(cells))):
            if column in left_out:
                if column < len(cells) and cells[column].strip():
                    result.errors.append((number, column + 1, "extra-cell", show(cells[column])))
                continue
            place = column - sum(other < column for other in left_out) if column < width else column
            if column >= len(cells):
                result.errors.append((number, place + 1, "missing-cell", None))
                row.append(None)
            elif left_out and column >= width:
                result.errors.append((number, column + 1, "extra-cell", show(cells[column])))
            elif show(cells[column]) != cells[column]:
                result.errors.append((number, place + 1, "encoding-error", show(cells[column])))
                row.append(None)
            elif (number - 1, column) in strays:
                result.errors.append((number, place + 1, "stray-quote", strays[number - 1, column]))
                row.append(None)
            elif column >= width:
                result.errors.append((number, column + 1, "extra-cell", cells[column]))
            else:
                row.append(cells[column])
        result.rows.append((number, row[: width - len([column for column in left_out if column < width])]))
    result.errors.sort(key=lambda error: error[:3])
    return result if width is not None else None


def find_left_out(labels: list[str], rows: list[list[str]]) -> set[int]:
    """Return the columns that have neither a label nor a cell."""
    lengths = [len(row) for row in rows]
    usual = max(lengths, key=lengths.count) if lengths else 0
    beyond = range(len(labels), usual)
    if any(not is_empty([row for row in rows if len(row) == usual], column) for column in beyond):
        beyond = range(0)
    unlabelled = [column for column, label in enumerate(labels) if not label.strip()] + list(beyond)
    return {column for column in unlabelled if is_empty(rows, column)}


def is_empty(rows: list[list[str]], column: int) -> bool:
    """Whether a column has no cell, or only one by mistake: one in three rows or more, or one in a hundred."""
    filled = sum(bool(cell.strip()) for row in rows for cell in row[column : column + 1])
    return filled == 0 or (filled == 1 and len(rows) >= 3) or filled * 100 <= len(rows)


def decode(data: bytes) -> str:
    """Return the text of a file; a line end that was doubled when it was written, CR CR LF, is one."""
    return data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\r\n", b"\r\n").decode("utf-8", "surrogateescape")


def show(cell: str) -> str:
    return "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in cell)

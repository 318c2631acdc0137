"""Write the two columns that stand in front of a record of a CSV file, so that the record is still read as it was."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from features.processing.exporting.error_sentences import say_errors
from features.processing.exporting.rows import RowError
from features.processing.readers.row_spans import RawTable
from shared.texts import ELLIPSIS

MAX_ERRORS, MAX_ERRORS_CHARACTERS = 200, 10_000
"""More sentences of a row are cut: a row of a few bytes may lack thousands of columns."""
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@")
_ESCAPES = range(0xDC00, 0xDD00)
_HANDLER = "rowgate.undecodable-again"


def _write_undecodable(error: UnicodeError) -> tuple[str | bytes, int]:
    r"""Write bytes that could not be decoded as they were, and `?` for characters that the encoding lacks."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    width = len("\n".encode(error.encoding)) if error.encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be") else 1
    if width == 1 and all(ord(character) in _ESCAPES for character in text):
        return bytes(ord(character) - _ESCAPES.start for character in text), error.end
    return "?" * len(text), error.end


codecs.register_error(_HANDLER, _write_undecodable)


class RowPrefixes:
    """Writes row numbers and errors in the encoding and by the grammar of a file."""

    def __init__(self, table: RawTable) -> None:
        self._table = table
        self._quote = table.quote_char
        self._blank = " " if table.delimiter != " " else "_"
        self._after_number = self._encode(table.delimiter * 2) if self._encode("0") == b"0" else None
        """What stands between the number and the record of a good row, where digits are written as in ASCII."""
        self.may_be_wrapped = table.is_wrapped
        """Rows of the file are quoted as one cell; then ours go into that cell."""
        self.rows_cut = 0
        """Number of rows whose errors were cut."""

    def of_row(self, row_number: int, errors: Sequence[RowError]) -> bytes:
        """Return what stands before the record in a row."""
        if not errors and self._after_number is not None:
            return b"%d%b" % (row_number, self._after_number)
        return self._encode(self._join(str(row_number), self._say(errors)))

    def put_before_row(self, row_number: int, errors: Sequence[RowError], row: bytes) -> bytes:
        """Return a record with its number and errors in front."""
        return self.put_before((str(row_number), self._say(errors)), row)

    def put_before(self, cells: tuple[str, str], row: bytes) -> bytes:
        """Return a record, or a row of the header, with two cells in front."""
        prefix = self._join(*cells)
        if self.may_be_wrapped and self._is_wrapped(row):
            wrapper = self._encode('"')
            return wrapper + self._encode(prefix.replace('"', '""')) + row[len(wrapper) :]
        return self._encode(prefix) + row

    def make_row(self, row_number: int, errors: Sequence[RowError], text: bytes | None) -> bytes:
        """Return a row of our own with the text of one that cannot be split, given with its line break, as one cell."""
        cells = [str(row_number), self._write_cell(self._say(errors))]
        if text is not None:
            decoded = self._table.decode(text)
            cells.append(self._write_cell(decoded.removesuffix("\n").rstrip("\r") if decoded.endswith("\n") else decoded.removesuffix("\r"), always=True))
        row = self._table.delimiter.join(cells)
        if self.may_be_wrapped:
            row = '"' + row.replace('"', '""') + '"'
        return self._encode(row + self._table.line_end)

    def _say(self, errors: Sequence[RowError]) -> str:
        if not errors:
            return ""
        said = " ".join(say_errors(errors[:MAX_ERRORS]).splitlines())
        if len(errors) > MAX_ERRORS or len(said) > MAX_ERRORS_CHARACTERS:
            self.rows_cut += 1
            said = said[: MAX_ERRORS_CHARACTERS - 1] + ELLIPSIS
        return f"'{said}" if said.startswith(_RUN_BY_SPREADSHEETS) else said

    def _join(self, number: str, said: str) -> str:
        delimiter = self._table.delimiter
        return f"{number}{delimiter}{self._write_cell(said)}{delimiter}"

    def _write_cell(self, text: str, *, always: bool = False) -> str:
        """Return the text of a cell, quoted where it has to be; without a quote character its delimiters become blanks."""
        table, quote = self._table, self._quote
        if not quote:
            for mark in (table.delimiter, table.escape_char, "\n", "\r"):
                text = text if mark is None else text.replace(mark, self._blank)
            return text
        if not always and (not text or text.isidentifier()):  # nothing, or our own label
            return text
        if table.escape_char is not None:
            text = text.replace(table.escape_char, table.escape_char * 2)
        if table.double_quote:
            text = text.replace(quote, quote * 2)
        else:
            text = text.replace(quote, table.escape_char + quote if table.escape_char is not None else "'" if quote != "'" else '"')
        return f"{quote}{text}{quote}"

    def _is_wrapped(self, row: bytes) -> bool:
        line = self._table.decode(row).rstrip("\r\n")
        return len(line) > 1 and line.startswith('"') and line.endswith('"') and '"' not in line[1:-1].replace('""', "")

    def _encode(self, text: str) -> bytes:
        return text.encode(self._table.encoding, _HANDLER)

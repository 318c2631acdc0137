"""The shared strings of an XLS workbook, read as far as they go: neither count in the table matters, only the strings that are there.

Texts of formulas have the same form. Source: MS-XLS 2.4.265 (SST), 2.4.268 (String), 2.5.293 (XLUnicodeRichExtendedString).
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_STRINGS, MAX_STRING_BYTES = 2**22, 2**26
"""So many strings are passed on to the process that wants the cells; a workbook with more is read where there are limits on memory."""
_HEAD_BYTES = 8
"""Two counts, which many programs write wrongly."""
_STRING_HEAD_BYTES = 3
_IS_WIDE, _HAS_PHONETIC, _HAS_RUNS = 1, 4, 8
_RUN_BYTES = 4


def read_shared_strings(pieces: Sequence[bytes]) -> list[str]:
    """Return the strings in a table that goes on from record to record; it ends where a string is cut off."""
    strings: list[str] = []
    add = strings.append
    # Empty records continue nothing.
    pieces = [pieces[0][_HEAD_BYTES:], *pieces[1:]]
    table = _Pieces([piece for piece in pieces if piece])
    try:
        while table.find_string():
            data, at = table.data, table.at
            options = data[at + 2]
            # Nearly all strings are like this: nothing but text, in one record.
            end = at + _STRING_HEAD_BYTES + ((data[at] | data[at + 1] << 8) << (options & _IS_WIDE))
            if options <= _IS_WIDE and end <= len(data):
                text = data[at + _STRING_HEAD_BYTES : end]
                add(text.decode("utf_16_le", "surrogatepass") if options else text.decode("latin_1"))
                table.at = end
            else:
                add(table.take_string())
    except IndexError:
        # A table that was cut short; a cell without its string is damage, and found there.
        return strings
    return strings


class _Pieces:
    """A place in the data of records, one after the other."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces
        self._index = 0
        self.data = pieces[0] if pieces else b""
        self.at = 0

    def find_string(self) -> bool:
        """Go to the next string, which no record cuts within its first three bytes; false at the end."""
        while self.at + _STRING_HEAD_BYTES > len(self.data):
            if self._index + 1 >= len(self._pieces):
                return False
            self._next()
        return True

    def take_string(self) -> str:
        """Take a string that goes on in other records or has more than text. Raises `IndexError` if it is cut off."""
        characters, options = int.from_bytes(self.data[self.at : self.at + 2], "little"), self.data[self.at + 2]
        self.at += _STRING_HEAD_BYTES
        runs = int.from_bytes(self._take(2), "little") if options & _HAS_RUNS else 0
        phonetic_bytes = int.from_bytes(self._take(4), "little") if options & _HAS_PHONETIC else 0
        text = self._take_text(characters, options)
        self._skip(runs * _RUN_BYTES + phonetic_bytes)
        return text

    def _take_text(self, characters: int, options: int) -> str:
        texts: list[str] = []
        while True:
            width = 1 + (options & _IS_WIDE)
            count = min(characters, (len(self.data) - self.at) // width)
            part = self.data[self.at : self.at + count * width]
            texts.append(part.decode("utf_16_le", "surrogatepass") if width > 1 else part.decode("latin_1"))
            self.at += count * width
            characters -= count
            if not characters:
                break
            self._next()
            # The rest of a text may be stored in the other width.
            options = self.data[0]
            self.at = 1
        text = "".join(texts)
        # The halves of one character may be in two records.
        return text.encode("utf_16_le", "surrogatepass").decode("utf_16_le", "replace") if len(texts) > 1 and not text.isascii() else text

    def _take(self, count: int) -> bytes:
        if self.at >= len(self.data):
            self._next()
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken

    def _skip(self, count: int) -> None:
        while count > len(self.data) - self.at:
            count -= len(self.data) - self.at
            if self._index + 1 >= len(self._pieces):
                # Nothing but the end of what no cell needs is missing.
                self.at = len(self.data)
                return
            self._next()
        self.at += count

    def _next(self) -> None:
        self._index += 1
        self.data = self._pieces[self._index]
        self.at = 0


def read_result(data: bytes) -> str | None:
    """Return the text in the data of a record with the result of a formula; None if it goes on in the next record."""
    characters = int.from_bytes(data[:2], "little")
    if not characters:
        return ""
    is_wide = int.from_bytes(data[2:3], "little") & _IS_WIDE
    text = data[_STRING_HEAD_BYTES : _STRING_HEAD_BYTES + (characters << is_wide)]
    if len(text) < characters << is_wide:
        return None
    return join_surrogates(text.decode("utf_16_le" if is_wide else "latin_1", "surrogatepass"))


def join_surrogates(text: str) -> str:
    """Return a text in which no half of a character is left over."""
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

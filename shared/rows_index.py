"""A file with the rows of a table and their errors, of which any few rows are found at once: writer and reader. Uses the standard library only.

The rows come first, as JSON in blocks of about 200 rows, each compressed by zlib. Then come the columns and an index with one entry for each block, which
is searched on disk. The last bytes say where they are.
"""

from __future__ import annotations

import errno
import json
import operator
import os
import re
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from json.encoder import encode_basestring
from pathlib import Path
from typing import NamedTuple, Protocol, Self

ROWS_PER_BLOCK = 200
CHARACTERS_PER_BLOCK = 2**18
MAX_CELL_CHARACTERS = 1000
MAX_ROW_CHARACTERS = 2**20
"""Of the cells of one row: those of a row of thousands of long cells are cut shorter."""
MAX_ANSWER_BYTES = 4 * 2**20
"""An answer ends before the row that would make it longer, but has one row at least."""
MAX_ROW_NUMBER = 2**62

_LEVEL = 1
"""Of zlib: the fastest. The file is larger by a quarter than with the default, and made in a third of the time."""
_MAGIC = b"rowsidx1"
_ENTRY = struct.Struct("<5Q")
_END = struct.Struct("<6Q8s")
_GOOD, _FAILED = ".", "!"
_FAILED_BYTE = _FAILED.encode()
_ROW_NUMBER = re.compile(rb'.\{"row_number":([0-9]+)')


class RowsIndexDamaged(Exception):
    """The file is not what a writer has made; it has to be made anew."""


class _Entry(NamedTuple):
    """A block: where it is, and what is before it."""

    first_row: int
    offset: int
    size: int
    rows_before: int
    failed_before: int


@dataclass(frozen=True, slots=True)
class IndexedRows:
    """Some rows, in file order."""

    rows: Sequence[bytes]
    """Each is a JSON object: `row_number`, `cells` and `errors`."""
    next_row: int | None
    """The number of the row after them; None if there is none."""


_get_first_row, _get_rows_before, _get_failed_before = (operator.attrgetter(name) for name in ("first_row", "rows_before", "failed_before"))


class RowsIndexWriter:
    """Writes the file at `path`, which does not exist yet; rows are added in file order."""

    def __init__(self, path: Path, *, columns: Sequence[str | None], check_room: Callable[[], None] = lambda: None) -> None:
        """`check_room` is called before the first byte, and once for each MiB or so."""
        self._file = path.open("xb")
        self._columns = _encode(_list_cells(columns))
        self._check_room = check_room
        self._entries = array("Q")
        self._block: list[str] = []
        self._block_characters = self._first_row = self._failed_in_block = 0
        self._offset = self._rows = self._failed = self._checked_at = 0
        check_room()

    @property
    def row_count(self) -> int:
        """Number of rows so far."""
        return self._rows + len(self._block)

    def add(self, row_number: int, cells: Sequence[str | None], errors: Sequence[tuple[int | None, str, str]]) -> None:
        """Add a row; `errors` are the column number (None for the whole row), the type and the sentence of each."""
        told = ",".join(_list_errors(errors))
        row = f'{_FAILED if told else _GOOD}{{"row_number":{row_number},"cells":{_list_cells(cells)},"errors":[{told}]}}'
        if not self._block:
            self._first_row = row_number
        self._block.append(row)
        self._block_characters += len(row)
        self._failed_in_block += bool(told)
        if len(self._block) >= ROWS_PER_BLOCK or self._block_characters >= CHARACTERS_PER_BLOCK:
            self._write_block()

    def finish(self) -> None:
        """Complete the file and make it durable."""
        if self._block:
            self._write_block()
        columns = zlib.compress(self._columns, _LEVEL)
        entries = b"".join(_ENTRY.pack(*self._entries[start : start + 5]) for start in range(0, len(self._entries), 5))
        end = _END.pack(self._offset, len(columns), self._offset + len(columns), len(self._entries) // 5, self._rows, self._failed, _MAGIC)
        for part in (columns, entries, end):
            self._file.write(part)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _write_block(self) -> None:
        data = zlib.compress(_encode("\n".join(self._block)), _LEVEL)
        self._entries.extend((self._first_row, self._offset, len(data), self._rows, self._failed))
        self._file.write(data)
        self._offset += len(data)
        self._rows += len(self._block)
        self._failed += self._failed_in_block
        self._block.clear()
        self._block_characters = self._failed_in_block = 0
        if self._offset - self._checked_at >= 2**20:
            self._check_room()
            self._checked_at = self._offset


def _list_cells(cells: Sequence[str | None]) -> str:
    """Return the cells as a JSON array: each of at most 1,000 characters, and all of at most `MAX_ROW_CHARACTERS`."""
    most = MAX_CELL_CHARACTERS
    if len(cells) * most > MAX_ROW_CHARACTERS and sum(min(len(cell or ""), most) for cell in cells) > MAX_ROW_CHARACTERS:
        most = max(1, MAX_ROW_CHARACTERS // len(cells))
    # An encoder for the whole row takes three times as long.
    return f"[{','.join(['null' if cell is None else encode_basestring(cell if len(cell) <= most else cell[:most]) for cell in cells])}]"


def _list_errors(errors: Sequence[tuple[int | None, str, str]]) -> list[str]:
    """Return the errors as JSON, the first ones if they would make the row longer than `MAX_ROW_CHARACTERS`."""
    told = [_describe_error(*error) for error in errors]
    if len(told) * MAX_CELL_CHARACTERS <= MAX_ROW_CHARACTERS:
        return told
    ends = accumulate(map(len, told))
    return [each for each, end in zip(told, ends, strict=True) if end <= MAX_ROW_CHARACTERS]


@lru_cache(maxsize=1024)
def _describe_error(column_number: int | None, error_type: str, message: str) -> str:
    """Return the error as JSON; cached, since the same errors recur in row after row."""
    return json.dumps({"column_number": column_number, "error_type": error_type, "error_message": message}, ensure_ascii=False, separators=(",", ":"))


def _encode(text: str) -> bytes:
    r"""Return the JSON in UTF-8; half a surrogate pair becomes its escape (`\udc81`), which JSON has as well."""
    return text.encode("utf-8", "backslashreplace")


class Readable(Protocol):
    """A file of which pieces are read."""

    size_bytes: int

    def read(self, size_bytes: int, *, at: int) -> bytes:
        """Return up to `size_bytes` from position `at`."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class RowsIndex:
    """Reads a file, and closes it at the end; each look-up reads a few blocks and nothing else. Raises `RowsIndexDamaged`, and `OSError`."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        try:
            self._columns_at, self._columns_size, self._entries_at, self._blocks, self._rows, self._failed = self._read_end()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def _read_end(self) -> tuple[int, int, int, int, int, int]:
        size = self._file.size_bytes
        data = self._file.read(_END.size, at=max(0, size - _END.size))
        if len(data) != _END.size:
            raise RowsIndexDamaged
        *places, magic = _END.unpack(data)
        columns_at, columns_size, entries_at, blocks, rows, failed = places
        if magic != _MAGIC or entries_at + blocks * _ENTRY.size + _END.size != size:
            raise RowsIndexDamaged
        return columns_at, columns_size, entries_at, blocks, rows, failed

    def read_columns(self) -> bytes:
        """Return the labels of the columns as a JSON array."""
        return self._inflate(self._columns_at, self._columns_size)

    def read_from(self, row_number: int, *, limit: int, only_failed: bool) -> IndexedRows:
        """Return at most `limit` rows, or rows with an error, from `row_number` on."""
        rows: list[bytes] = []
        size = 0
        for row in self._iterate(self._find(row_number, only_failed=only_failed), only_failed=only_failed):
            if len(rows) == limit or (rows and size + len(row) > MAX_ANSWER_BYTES):
                return IndexedRows([each[1:] for each in rows], _get_row_number(row))
            rows.append(row)
            size += len(row)
        return IndexedRows([each[1:] for each in rows], None)

    def read_around(self, row_number: int, *, context: int, only_failed: bool) -> IndexedRows:
        """Return the row, or the first after it, with at most `context` rows, or rows with an error, before and after it."""
        place = self._find(row_number, only_failed=only_failed)
        start = max(0, place - context)
        rows: list[bytes] = []
        next_row, size = None, 0
        for index, row in enumerate(self._iterate(start, only_failed=only_failed), start):
            while rows and index <= place and size + len(row) > MAX_ANSWER_BYTES:
                size -= len(rows.pop(0))
            if index > place + context or (rows and size + len(row) > MAX_ANSWER_BYTES):
                next_row = _get_row_number(row)
                break
            rows.append(row)
            size += len(row)
        return IndexedRows([each[1:] for each in rows], next_row)

    def _find(self, row_number: int, *, only_failed: bool) -> int:
        """Return the place, among all rows or those with an error, of the first that is not before `row_number`."""
        block = self._search(_get_first_row, row_number)
        if block < 0:
            return 0
        entry = self._read_entry(block)
        lines = [line for line in self._read_block(entry) if not only_failed or line.startswith(_FAILED_BYTE)]
        before = sum(_get_row_number(line) < row_number for line in lines)
        return (entry.failed_before if only_failed else entry.rows_before) + before

    def _iterate(self, place: int, *, only_failed: bool) -> Iterator[bytes]:
        """Yield the rows, or those with an error, from a place among them on."""
        total = self._failed if only_failed else self._rows
        while place < total:
            entry = self._read_entry(self._search(_get_failed_before if only_failed else _get_rows_before, place))
            lines = [line for line in self._read_block(entry) if not only_failed or line.startswith(_FAILED_BYTE)]
            skipped = place - (entry.failed_before if only_failed else entry.rows_before)
            if not 0 <= skipped < len(lines):
                raise RowsIndexDamaged
            yield from lines[skipped:]
            place += len(lines) - skipped

    def _search(self, key: Callable[[_Entry], int], value: int) -> int:
        """Return the last block whose `key`, by which they are in order, is not greater than `value`; -1 if there is none."""
        low, high = 0, self._blocks
        while low < high:
            middle = (low + high) // 2
            if key(self._read_entry(middle)) <= value:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def _read_entry(self, block: int) -> _Entry:
        data = self._file.read(_ENTRY.size, at=self._entries_at + block * _ENTRY.size)
        if len(data) != _ENTRY.size:
            raise RowsIndexDamaged
        return _Entry(*_ENTRY.unpack(data))

    def _read_block(self, entry: _Entry) -> list[bytes]:
        return self._inflate(entry.offset, entry.size).split(b"\n")

    def _inflate(self, offset: int, size: int) -> bytes:
        try:
            return zlib.decompress(self._file.read(size, at=offset))
        except (zlib.error, OverflowError) as error:
            raise RowsIndexDamaged from error
        except OSError as error:
            if error.errno != errno.EINVAL:  # a place that no file has
                raise
            raise RowsIndexDamaged from error


def _get_row_number(line: bytes) -> int:
    found = _ROW_NUMBER.match(line)
    if found is None:
        raise RowsIndexDamaged
    return int(found[1])

"""Child process that reads an XLS workbook with xlrd and passes its rows to the parent, so that a hostile workbook cannot break the worker.

Run as `python -m features.processing.readers.excel.xls.child FD`; FD is the descriptor of the open workbook. The parent holds standard input open and
writes commands to it, one JSON value a line; the process ends when it closes. Each line on standard output is one JSON value. The first is
`{"sheets": [[name, visible, has rows], …]}`, or `{"encrypted": "package"}` or `{"encrypted": "records"}` as the only one. The commands:

- `{"peek": index}` is answered by the first rows of a sheet, a list;
- `{"read": index}` by where the sheet's records are in the file and what else is needed to read them there, an object of `sheet_place.describe_place`,
  and the bytes of the shared strings that it announces; or, where that cannot be, as if it had been
- `{"read_cells": index}`, the last command, by `{"rows": count, "merged": [range, …], "merged_count": count}`, then lists of rows, and finally
  `{"long_numbers": {column: row}, "doubtful_zeros": {column: row}}`.

A row is a `sheet_cells.Row`. Instead of any of these lines, `{"unreadable": sentence}` may come as the last one.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import sys
import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import IO, Any

from features.processing.readers.excel.refusals import DAMAGED, PRESENTATION, RIGHTS_MANAGED, TOO_LARGE, WORD_DOCUMENT
from features.processing.readers.excel.xls.book import Book, Encrypted, open_book
from features.processing.readers.excel.xls.sheet_cells import PEEKED_BYTES, PEEKED_ROWS, LoadedSheet, RowWriter, install_cells, load_sheet
from features.processing.readers.excel.xls.sheet_place import describe_place
from features.processing.readers.excel.xls.workbook_stream import open_parts
from shared.child_process import prepare_child
from shared.texts import make_storable

MEMORY_BYTES = 2**30
"""Address space in addition to the size of the file; the largest sheet, 65,536 rows of 256 numbers, takes about half of it."""
CPU_S = 120

_KEPT_SHEETS = 16
_CPU_GRACE_S = 5
"""Time between SIGXCPU, which tells the parent the reason, and SIGKILL, which cannot be ignored."""
_RIGHTS_MANAGEMENT = ("\tDRM", "DRMEncrypted")
"""How streams are named that hold a workbook under rights management. The older kind has a workbook beside it that only says so."""
_FOREIGN_STREAMS = {"WordDocument": WORD_DOCUMENT, "PowerPoint Document": PRESENTATION}


class _Unreadable(Exception):
    """The workbook cannot be read; the message is for the person who uploaded it."""


def main(arguments: Sequence[str]) -> None:
    """Read one workbook, write its rows to standard output, and end the process."""
    descriptor = int(arguments[0])
    prepare_child()
    commands: SimpleQueue[dict[str, int]] = SimpleQueue()
    threading.Thread(target=_take_commands, args=(commands,), daemon=True).start()
    memory_bytes = MEMORY_BYTES + os.fstat(descriptor).st_size
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + _CPU_GRACE_S))
    output = sys.stdout.buffer
    try:
        for line in _read_workbook(descriptor, commands):
            _write(output, line)
    except _Unreadable as unreadable:
        _write(output, {"unreadable": make_storable(str(unreadable))})
    except MemoryError:
        _write(output, {"unreadable": TOO_LARGE})
    # Nothing is left to do, and freeing millions of cells one by one would take time.
    os._exit(0)


def _take_commands(commands: SimpleQueue[dict[str, int]]) -> None:
    """Pass on the parent's commands; end the process with it."""
    for line in sys.stdin.buffer:
        commands.put(json.loads(line))
    os._exit(1)


def _write(output: IO[bytes], line: object) -> None:
    output.write(line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    output.flush()


def _read_workbook(descriptor: int, commands: SimpleQueue[dict[str, int]]) -> Iterator[Any]:
    try:
        book = _open(descriptor)
        if isinstance(book, str):
            yield {"encrypted": book}
            return
        sheets = book.list_sheets()
        yield {"sheets": [[sheet.name, sheet.is_visible, sheet.place is not None] for sheet in sheets]}
        known: dict[int, LoadedSheet] = {}
        while True:
            [(command, index)] = commands.get().items()
            place = sheets[index].place
            assert place is not None
            if command == "peek":
                yield _peek_or_tell(book, place, known)
                continue
            # A sheet that has been read already is soon given.
            described = describe_place(book, place) if command == "read" and place not in known else None
            if described is not None:
                yield from described
            else:
                yield from _read(book, known.get(place) or load_sheet(book, place))
                return
    except (_Unreadable, MemoryError, BrokenPipeError):
        raise
    except Exception as error:  # xlrd raises any exception that a damaged file causes inside it
        raise _Unreadable(DAMAGED) from error


def _open(descriptor: int) -> Book | str:
    """Return the open workbook, or what is encrypted in it: the package of an XLSX workbook, or the records."""
    contents = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    parts = open_parts(contents)
    if any(name.startswith(_RIGHTS_MANAGEMENT) for name in parts.names):
        raise _Unreadable(RIGHTS_MANAGED)
    if parts.stream is None:
        if "EncryptedPackage" in parts.names:
            return "package"
        raise _Unreadable(next((message for name, message in _FOREIGN_STREAMS.items() if name in parts.names), DAMAGED))
    install_cells()
    try:
        return open_book(parts.stream)
    except Encrypted:
        return "records"


def _peek_or_tell(book: Book, place: int, known: dict[int, LoadedSheet]) -> object:
    """Return what `_peek` does, or that the sheet is damaged, which need not matter to the others."""
    try:
        return _peek(book, place, known)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - see _read_workbook
        return {"unreadable": DAMAGED}


def _peek(book: Book, place: int, known: dict[int, LoadedSheet]) -> list[Any]:
    """Return the first rows of a sheet, and keep the sheet if it was read to its end."""
    loaded = load_sheet(book, place, most_bytes=PEEKED_BYTES)
    if loaded.is_complete and len(known) < _KEPT_SHEETS:
        known[place] = loaded
    rows: list[Any] = []
    for row in RowWriter(loaded, is_1904=bool(book.datemode)).write_rows():
        if any(map(str.strip, row[1])) or len(row) > 3:  # noqa: PLR2004 - cells without a value are content
            rows.append(row)
        if len(rows) == PEEKED_ROWS:
            return rows
    # Where the reading stopped a row may be cut off.
    return rows if loaded.is_complete or len(rows) == 1 else rows[:-1]


def _read(book: Book, loaded: LoadedSheet) -> Iterator[Any]:
    records = loaded.records
    yield {"rows": loaded.cells.nrows, "merged": records.merged, "merged_count": records.merged_count}
    writer = RowWriter(loaded, is_1904=bool(book.datemode))
    yield from writer.write_batches()
    yield {"long_numbers": writer.long_numbers, "doubtful_zeros": loaded.doubtful_zeros}


if __name__ == "__main__":
    main(sys.argv[1:])

"""Read XLS workbooks: xlrd reads them in a separate process with limits on memory and time; here the rows become chunks."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from features.processing.readers.base import Chunk, FileUnreadable, Note, ReadLimits, Source
from features.processing.readers.excel.cell_text import SheetRow
from features.processing.readers.excel.sheet_reader import RowBatch, SheetReader
from shared.child_process import start_child
from shared.descriptors.table_dialect import TableDialect

_CHILD = "features.processing.readers.excel.xls.child"
_TOO_SLOW = "The workbook cannot be read: it takes longer than any real workbook of its kind. It is probably damaged."
_BROKEN = "The workbook is damaged and cannot be read. Open it in Excel, save it again and upload the new file."
_BREAKING_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
"""What ends a process that reads broken data; any other death, such as a kill by the kernel for want of memory, is the machine's fault or our own."""


def open_xls(
    path: Path, *, dialect: TableDialect | None, limits: ReadLimits, encoding: str | None = None, field_names: Sequence[str] | None = None
) -> XlsTable:
    """Open the table in a sheet of an XLS workbook. Raises `FileUnreadable` if there is none, or if the workbook breaks its reader."""
    del encoding  # a workbook states its own encoding
    del field_names  # the first row that is not blank is the header
    return XlsTable(path, dialect=dialect, limits=limits)


class XlsTable:
    """An XLS workbook, opened at one sheet; see `base.Table`. Raises `ChildProcessError` if the process that reads it ends for another reason."""

    def __init__(self, path: Path, *, dialect: TableDialect | None, limits: ReadLimits) -> None:
        self._child = _start_child(path, dialect)
        try:
            opened = self._read_line()
            self.bytes_total: int = opened["rows"]
            self._reader = SheetReader(self._read_batches(), dialect=dialect, limits=limits)
        except BaseException:
            self.close()
            raise
        self.labels: Sequence[str] | None = self._reader.labels
        self.notes: Sequence[Note] = ()
        self.column_numbers: Sequence[int] | None = None
        self.source = Source(sheet=opened["sheet"], header_row=self._reader.header_row)

    def chunks(self) -> Iterator[Chunk]:
        """See `base.Table`."""
        return self._reader.chunks()

    def close(self) -> None:
        """See `base.Table`."""
        self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _read_batches(self) -> Iterator[RowBatch]:
        while isinstance(rows := self._read_line(), list):
            yield RowBatch([_read_row(number, cells) for number, cells in rows], rows[-1][0])

    def _read_line(self) -> Any:  # noqa: ANN401 - JSON
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line.endswith(b"\n"):
            raise _describe_end(self._child.wait())
        value = json.loads(line)
        if isinstance(value, Mapping) and "unreadable" in value:
            raise FileUnreadable(value["unreadable"])
        return value


def _start_child(path: Path, dialect: TableDialect | None) -> subprocess.Popen[bytes]:
    """Start a process that reads `path`; it ends when its standard input closes, so also when this process ends for any reason."""
    wanted = {"name": dialect.sheet_name, "number": dialect.sheet_number} if dialect is not None else {}
    with path.open("rb") as file:
        return start_child(_CHILD, str(file.fileno()), json.dumps(wanted), streams=subprocess.PIPE, pass_fds=[file.fileno()])


def _describe_end(status: int) -> Exception:
    if status == -signal.SIGXCPU:
        return FileUnreadable(_TOO_SLOW)
    if -status in _BREAKING_SIGNALS:
        return FileUnreadable(_BROKEN)
    return ChildProcessError(errno.ECHILD, f"The process that reads the workbook ended with status {status}.")


def _read_row(number: int, cells: list[str | list[str]]) -> SheetRow:
    texts = [cell if isinstance(cell, str) else "" for cell in cells]
    errors = [(column, cell[0]) for column, cell in enumerate(cells) if not isinstance(cell, str)]
    return SheetRow(number, texts, None, errors or None)

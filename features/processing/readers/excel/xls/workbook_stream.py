"""Take the workbook's stream out of an XLS file, which is a compound file (OLE2) as a rule, and a bare stream if it is very old."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from xlrd import compdoc

Contents: TypeAlias = mmap.mmap | bytes

_MOST_PARTS = 10_000
_STREAM_NAMES = ("workbook", "book")
"""In lower case. Workbooks of Excel 5 and 95 have the second name; a file with both is for all of these versions, and the first one holds more."""


class WorkbookStream(NamedTuple):
    """Where the records of a workbook are."""

    contents: Contents
    start: int
    size: int
    parts: Sequence[tuple[int, int]] = ()
    """Where `contents` are in the file, as begins and sizes in bytes; none if they do not lie there in a few parts."""


class FileParts(NamedTuple):
    """What an XLS file consists of."""

    stream: WorkbookStream | None
    names: frozenset[str]
    """The names of all streams and storages of a compound file."""


def open_parts(contents: mmap.mmap) -> FileParts:
    """Find the workbook's stream. Raises any exception that a damaged file causes in the libraries that read compound files."""
    if contents[:8] != compdoc.SIGNATURE:
        return FileParts(WorkbookStream(contents, 0, len(contents), [(0, len(contents))]), frozenset())
    try:
        found = _open_quickly(contents)
    except Exception:  # noqa: BLE001 - xlrd raises any exception that a damaged file causes inside it
        found = None
    # xlrd takes no compound file that is a little off.
    return found or _open_patiently(contents)


class _BoundedCompDoc(compdoc.CompDoc):  # type: ignore[misc] # xlrd has no types
    """Ends also if a chain of sectors is a loop, which xlrd does not see among short sectors; tells where a stream is that it has located."""

    parts: Sequence[tuple[int, int]] = ()
    """See `WorkbookStream`."""

    def _get_stream(self, mem: Contents, base: int, sat: list[int], sec_size: int, start_sid: int, *rest: object, **names: object) -> bytes:
        sector, seen = start_sid, 0
        while 0 <= sector < len(sat):
            sector, seen = sat[sector], seen + 1
            if seen > len(sat):
                raise compdoc.CompDocError("a chain of sectors is a loop")
        stream: bytes = super()._get_stream(mem, base, sat, sec_size, start_sid, *rest, **names)
        return stream

    def _locate_stream(self, mem: Contents, base: int, sat: list[int], sec_size: int, start_sid: int, *rest: object) -> tuple[Contents, int, int]:
        located: tuple[Contents, int, int] = super()._locate_stream(mem, base, sat, sec_size, start_sid, *rest)
        parts: list[tuple[int, int]] = [(0, len(mem))] if located[0] is mem else []
        sector = start_sid if not parts else -1
        while sector >= 0:
            begin = base + sector * sec_size
            size = len(mem[begin : begin + sec_size])
            if parts and sum(parts[-1]) == begin:
                parts[-1] = (parts[-1][0], parts[-1][1] + size)
            else:
                parts.append((begin, size))
            sector = sat[sector]
        self.parts = parts if len(parts) <= _MOST_PARTS else []
        return located


def _open_quickly(contents: mmap.mmap) -> FileParts | None:
    """Open a compound file of which nothing is copied if the stream is in one piece, as it mostly is; None if there is no workbook in it."""
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        document = _BoundedCompDoc(contents, logfile=log)
        for name in _STREAM_NAMES:
            document.parts = ()
            found, start, size = document.locate_named_stream(name)
            stream = WorkbookStream(found, start, size, document.parts)
            if stream.contents:
                return FileParts(stream, frozenset(node.name for node in document.dirlist if node.etype))
    return None


def _open_patiently(contents: mmap.mmap) -> FileParts:
    # Imported only here, because few files need it.
    from features.processing.readers.excel.xls.patient_ole import PatientOleFile  # noqa: PLC0415

    document = PatientOleFile(contents)
    for name in _STREAM_NAMES:
        data = document.read_stream(name)
        if data:
            return FileParts(WorkbookStream(data, 0, len(data)), document.list_names())
    return FileParts(None, document.list_names())

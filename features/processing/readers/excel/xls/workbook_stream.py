"""Take the workbook's stream out of an XLS file, which is a compound file (OLE2) as a rule, and a bare stream if it is very old."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import NamedTuple, TypeAlias

from xlrd import compdoc

Contents: TypeAlias = mmap.mmap | bytes

_STREAM_NAMES = ("workbook", "book")
"""In lower case. Workbooks of Excel 5 and 95 have the second name; a file with both is for all of these versions, and the first one holds more."""


class WorkbookStream(NamedTuple):
    """Where the records of a workbook are."""

    contents: Contents
    start: int
    size: int


class FileParts(NamedTuple):
    """What an XLS file consists of."""

    stream: WorkbookStream | None
    names: frozenset[str]
    """The names of all streams and storages of a compound file."""


def open_parts(contents: mmap.mmap) -> FileParts:
    """Find the workbook's stream. Raises any exception that a damaged file causes in the libraries that read compound files."""
    if contents[:8] != compdoc.SIGNATURE:
        return FileParts(WorkbookStream(contents, 0, len(contents)), frozenset())
    try:
        found = _open_quickly(contents)
    except Exception:  # noqa: BLE001 - xlrd raises any exception that a damaged file causes inside it
        found = None
    # xlrd takes no compound file that is a little off.
    return found or _open_patiently(contents)


class _BoundedCompDoc(compdoc.CompDoc):  # type: ignore[misc] # xlrd has no types
    """Ends also if a chain of sectors is a loop, which xlrd does not see among short sectors."""

    def _get_stream(self, mem: Contents, base: int, sat: list[int], sec_size: int, start_sid: int, *rest: object, **names: object) -> bytes:
        sector, seen = start_sid, 0
        while 0 <= sector < len(sat):
            sector, seen = sat[sector], seen + 1
            if seen > len(sat):
                raise compdoc.CompDocError("a chain of sectors is a loop")
        stream: bytes = super()._get_stream(mem, base, sat, sec_size, start_sid, *rest, **names)
        return stream


def _open_quickly(contents: mmap.mmap) -> FileParts | None:
    """Open a compound file of which nothing is copied if the stream is in one piece, as it mostly is; None if there is no workbook in it."""
    with Path(os.devnull).open("w", encoding="utf-8") as log:
        document = _BoundedCompDoc(contents, logfile=log)
        for name in _STREAM_NAMES:
            stream = WorkbookStream(*document.locate_named_stream(name))
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

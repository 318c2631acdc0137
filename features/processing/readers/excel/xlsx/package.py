"""Open the ZIP package of a workbook so that nothing in it can cost more memory or time than a real workbook does.

The directory is checked before anything is unpacked, sizes are counted while unpacking, and no part may declare a document type, because that is
where entities are defined. Parts are found as Excel finds them (`part_names.py`). Sources: ECMA-376 part 2 for the format, APPNOTE.TXT 4.3 for the
ZIP structures.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NoReturn
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError, ParserCreate, errors

from features.processing.readers.base import FileUnreadable
from features.processing.readers.damage import is_fault_of_machine
from features.processing.readers.excel.xlsx.part_names import decode_name, normalize_name
from shared.texts import quote_briefly

MAX_DIRECTORY_BYTES = 2**21
MAX_PARTS = 20_000
MAX_PART_BYTES = 4 * 2**30
"""A sheet of 1,048,576 rows with 50 filled columns takes about half of it."""
MAX_SMALL_PART_BYTES = 8 * 2**20
"""Limit for the parts that are only lists: of contents, of relationships, of properties of cells."""
MAX_RATIO, RATIO_FREE_BYTES = 400, 32 * 2**20
"""A part that unpacks to more than 32 MiB may unpack to 400 times its size. Sheets reach 5 to 20 times, with the same long text in every row 300;
nothing but zeros reaches 1,030."""
DAMAGED = "The workbook is damaged and cannot be read. Open it in Excel, save it again and upload the new file."
PROTECTED = "The workbook is protected by a password. Remove the password in Excel and upload the file again."

_PROLOG_BYTES = 2**20
_BLOCK_BYTES = 2**16
_ENCRYPTED_FLAG = 0x1
_END, _END64, _END64_LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_END_BYTES, _END64_BYTES, _LOCATOR_BYTES, _MAX_COMMENT_BYTES = 22, 56, 20, 2**16
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, RuntimeError, ValueError, LookupError, OverflowError, OSError)
_ZLIB_NO_MEMORY = "Error -4 "
_XML_NO_MEMORY = errors.codes[errors.XML_ERROR_NO_MEMORY]
XML_ERRORS = (ExpatError, LookupError, ValueError)
"""What expat raises for a damaged part; the last two for encodings that Python does not know, or that expat cannot use."""


class Package:
    """The ZIP file of a workbook. All methods raise `FileUnreadable` if the file is damaged or larger than any real workbook."""

    def __init__(self, path: Path) -> None:
        self._decoded: dict[str, zipfile.ZipInfo] | None = None
        self._file = path.open("rb")
        try:
            _check_directory_size(self._file)
            with unpacking():
                self._archive = zipfile.ZipFile(self._file)
            self._entries = _check_entries(self._archive.infolist())
        except BaseException:
            self._file.close()
            raise

    def find(self, name: str) -> str | None:
        """Return the name of a part as the directory has it, or None if there is no such part. Case, kind of slash and a leading slash do not matter."""
        entry = self._find(name)
        return None if entry is None else entry.filename

    def has_folder(self, name: str) -> bool:
        """Whether there are parts in a folder of the package, given by its name in lower case without slashes."""
        return any(key.startswith(f"{name}/") for key in self._entries)

    def size_of(self, name: str) -> int:
        """Return how many bytes a part unpacks to."""
        return self._require(name).file_size

    def open(self, name: str) -> IO[bytes]:
        """Open a part as a stream that ends where the directory says; read it inside `unpacking()`."""
        entry = self._require(name)
        with unpacking():
            with self._archive.open(entry) as stream:
                _refuse_document_type(stream)
            return self._archive.open(entry)

    def blocks(self, name: str, *, size_bytes: int = _BLOCK_BYTES, most_bytes: int = MAX_PART_BYTES) -> Iterator[bytes]:
        """Yield the bytes of a part, block by block. Raises `FileUnreadable` also if it unpacks to more than `most_bytes`."""
        if self.size_of(name) > most_bytes:
            raise FileUnreadable(f"The workbook cannot be read: its part {quote_briefly(name)} is larger than {most_bytes // 2**20} MiB.")
        with self.open(name) as stream:
            while True:
                with unpacking():
                    block = stream.read(size_bytes)
                if not block:
                    return
                yield block

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._archive.close()
        self._file.close()

    def _find(self, name: str) -> zipfile.ZipInfo | None:
        key = normalize_name(name)
        entry = self._entries.get(key) or self._entries.get(decode_name(key))
        if entry is None and self._decoded is None:
            self._decoded = {decode_name(key): entry for key, entry in self._entries.items() if "%" in key}
        return entry or (self._decoded or {}).get(decode_name(key))

    def _require(self, name: str) -> zipfile.ZipInfo:
        entry = self._find(name)
        if entry is None:
            raise FileUnreadable(
                f"The workbook is damaged: its part {quote_briefly(name)} is missing. Open it in Excel, save it again and upload the new file."
            )
        return entry


@contextmanager
def unpacking() -> Iterator[None]:
    """Turn the exceptions that `zipfile` raises for damaged files into `FileUnreadable`."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise_damaged(error)


def raise_damaged(error: Exception) -> NoReturn:
    """Raise `FileUnreadable` in place of what `zipfile`, expat or openpyxl raised; `MemoryError` or `error` itself if the machine is at fault."""
    if is_fault_of_machine(error):
        raise error
    if (isinstance(error, ExpatError | ParseError) and error.code == _XML_NO_MEMORY) or (
        isinstance(error, zlib.error) and str(error).startswith(_ZLIB_NO_MEMORY)
    ):
        raise MemoryError from error
    raise FileUnreadable(DAMAGED) from error


def _check_directory_size(file: BinaryIO) -> None:
    """Refuse a directory of millions of entries before it is read: each entry costs half a kilobyte of memory."""
    file_bytes = file.seek(0, 2)
    tail_bytes = min(file_bytes, _MAX_COMMENT_BYTES + _END_BYTES + _LOCATOR_BYTES)
    file.seek(file_bytes - tail_bytes)
    tail = file.read(tail_bytes)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_BYTES:
        raise FileUnreadable("The workbook is not complete: its end is missing. Open it in Excel, save it again and upload the new file.")
    size_bytes = struct.unpack_from("<L", tail, end + 12)[0]
    locator = end - _LOCATOR_BYTES
    if locator >= 0 and tail.startswith(_END64_LOCATOR, locator):
        place = struct.unpack_from("<Q", tail, locator + 8)[0]
        if place + _END64_BYTES > file_bytes:
            raise FileUnreadable(DAMAGED)
        file.seek(place)
        record = file.read(_END64_BYTES)
        if not record.startswith(_END64):
            raise FileUnreadable(DAMAGED)
        size_bytes = max(struct.unpack_from("<Q", record, 40)[0], 0 if size_bytes == 2**32 - 1 else size_bytes)
    if size_bytes > MAX_DIRECTORY_BYTES:
        raise FileUnreadable(f"The workbook cannot be read: it has more than {MAX_PARTS} parts.")
    file.seek(0)


def _check_entries(infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    if len(infos) > MAX_PARTS:
        raise FileUnreadable(f"The workbook cannot be read: it has more than {MAX_PARTS} parts.")
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = normalize_name(info.filename)
        if name in entries:
            raise FileUnreadable(f"The workbook is damaged: it has two parts named {info.filename[:100]!a}.")
        if info.flag_bits & _ENCRYPTED_FLAG:
            raise FileUnreadable(PROTECTED)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileUnreadable(DAMAGED)
        if info.file_size > MAX_PART_BYTES or info.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size):
            raise FileUnreadable(
                f"The workbook cannot be read: it would unpack to {info.file_size // 2**20:,} MiB from {info.compress_size // 2**10:,} KiB, "
                "which no real workbook does."
            )
        if not (info.filename.endswith(("/", "\\")) and not info.file_size):
            # A folder is no part.
            entries[name] = info
    return entries


def _refuse_document_type(stream: IO[bytes]) -> None:
    """Read up to the root element, and refuse a document type declaration, which would come before it."""
    parser = ParserCreate()
    reached_root = False

    def refuse(*_: object) -> None:
        raise FileUnreadable("The workbook cannot be read: it declares XML entities, which no real workbook does.")

    def stop(*_: object) -> None:
        nonlocal reached_root
        reached_root = True

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = stop
    try:
        for _ in range(_PROLOG_BYTES // _BLOCK_BYTES):
            block = stream.read(_BLOCK_BYTES)
            parser.Parse(block, not block)
            if reached_root or not block:
                return
    except XML_ERRORS as error:
        # The part may be broken after the start tag of its root: the rows before that place are still read.
        if reached_root:
            return
        raise_damaged(error)
    raise FileUnreadable(DAMAGED)

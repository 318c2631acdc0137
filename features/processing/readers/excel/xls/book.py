"""The parts of a workbook that hold for all of its sheets, read with xlrd: sheets, strings, number formats, dates.

Only records that cells need are looked at: xlrd itself refuses a workbook for a name, a font or a note that it does not understand.
Sources: MS-XLS 2.4.28 (BoundSheet8), 2.4.35 (Date1904), 2.4.126 (Format), 2.4.215 (RecalcId), 2.4.353 (XF).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from struct import error as StructError  # noqa: N812 - it is an exception
from struct import unpack_from
from types import SimpleNamespace
from typing import Any, NamedTuple

from xlrd import biffh, book, formatting, sheet

from features.processing.readers.excel.number_formats import GENERAL, NumberFormat, built_in_format, parse_format
from features.processing.readers.excel.xls.records import GLOBAL_RECORDS, RecordReader
from features.processing.readers.excel.xls.shared_strings import join_surrogates, read_shared_strings
from features.processing.readers.excel.xls.workbook_stream import WorkbookStream

FIRST_BIFF_8 = 80
_BIFF_2, _FIRST_BIFF_5, _BIFF_4_WORKBOOK = 21, 50, 45
_WORKSHEET = 0
_ENCODING = "cp1252"
"""For texts of workbooks that name none, or one that does not exist."""
_MALFORMED = (StructError, LookupError, UnicodeError)


class Encrypted(Exception):
    """The records of the workbook are encrypted."""


class ListedSheet(NamedTuple):
    """A sheet as the workbook lists it."""

    name: str
    is_visible: bool
    place: int | None
    """Its place among the sheets with cells; None for charts and macros."""


class Book(RecordReader, book.Book):  # type: ignore[misc] # xlrd has no types
    """The workbook whose stream xlrd was given instead of a file's contents. Raises `Encrypted`, and any exception if the stream is damaged."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[ListedSheet] = []
        self.parts: Sequence[tuple[int, int]] = ()
        """See `WorkbookStream`."""

    def biff2_8_load(self, *, file_contents: WorkbookStream, logfile: object, **options: Any) -> None:  # noqa: ANN401 - see xlrd
        """Take the stream, which has been found before."""
        self.filestr = self.mem = file_contents.contents
        self.parts = file_contents.parts
        self._position = self.base = file_contents.start
        self.stream_len = file_contents.size
        self.logfile, self.verbosity, self.use_mmap = logfile, 0, True
        self.encoding_override = self.formatting_info = None
        self.on_demand, self.ragged_rows = options["on_demand"], options["ragged_rows"]

    def parse_globals(self) -> None:
        """Read the records before the first sheet; a workbook of Excel 4 has its sheets among them."""
        if self.biff_version >= _FIRST_BIFF_5:
            self.wanted = GLOBAL_RECORDS
        super().parse_globals()

    def handle_boundsheet(self, data: bytes) -> None:
        """Note a sheet; those that are charts or macros have no cells."""
        if self.biff_version == _BIFF_4_WORKBOOK:
            super().handle_boundsheet(data)
            return
        offset, state, kind = unpack_from("<iBB", data)
        encoding = self.derive_encoding()
        name = biffh.unpack_unicode(data, 6, lenlen=1) if self.biff_version >= FIRST_BIFF_8 else biffh.unpack_string(data, 6, encoding, lenlen=1)
        place = None
        if kind == _WORKSHEET:
            place = len(self._sheet_names)
            self._sheet_names.append(name)
            self._sh_abs_posn.append(offset + self.base)
            self._sheet_visibility.append(state & 3)
        self.listed.append(ListedSheet(join_surrogates(name), is_visible=not state & 3, place=place))

    def list_sheets(self) -> list[ListedSheet]:
        """Return all sheets in the order of the workbook."""
        # Workbooks of Excel 4 and earlier hide no sheets.
        return self.listed or [ListedSheet(name, is_visible=True, place=place) for place, name in enumerate(self._sheet_names)]

    def handle_sst(self, data: bytes) -> None:
        """Read the shared strings."""
        pieces = [data]
        while (record := self.get_record_parts_conditional(biffh.XL_CONTINUE))[0] is not None:
            pieces.append(record[2])
        self._sharedstrings = read_shared_strings(pieces)

    def handle_format(self, data: bytes, rectype: int = biffh.XL_FORMAT) -> None:
        """Note a number format; one that is malformed shows plain numbers."""
        with suppress(*_MALFORMED):
            formatting.handle_format(self, data, rectype)

    def handle_xf(self, data: bytes) -> None:
        """Note the number format of a cell format."""
        number = 0
        with suppress(*_MALFORMED):
            if self.biff_version >= _FIRST_BIFF_5:
                (number,) = unpack_from("<H", data, 2)
            else:
                number = data[2] & 0x3F if self.biff_version == _BIFF_2 else data[1]
        self.xf_list.append(SimpleNamespace(format_key=number))

    def find_format(self, xf_index: int) -> NumberFormat:
        """Return how numbers are shown in the cell format with this index."""
        try:
            number = self.xf_list[xf_index].format_key
        except LookupError:
            return GENERAL
        if number in self.format_map:
            return parse_format(self.format_map[number].format_str)
        # In workbooks of Excel 4 and earlier it is a place in the workbook's own list.
        return built_in_format(number) if self.biff_version >= _FIRST_BIFF_5 else GENERAL

    def handle_datemode(self, data: bytes) -> None:
        """Note the date system."""
        self.datemode = int(data[:1] == b"\x01")

    def derive_encoding(self) -> str:
        """Return the encoding of texts in workbooks that are older than Unicode."""
        try:
            return str(super().derive_encoding())
        except LookupError:
            self.encoding = _ENCODING
            return _ENCODING

    def handle_filepass(self, _data: bytes) -> None:
        """Stop at the record that says so."""
        raise Encrypted

    def is_date_format_string(self, _code: str) -> bool:
        """See `xlrd.formatting`; the codes are parsed in `find_format`."""
        return False

    def xf_epilogue(self) -> None:
        """See `xlrd.formatting`; there is nothing to be done."""
        self._xf_epilogue_done = 1

    def names_epilogue(self) -> None:
        """See `xlrd.book`; there is nothing to be done."""

    def palette_epilogue(self) -> None:
        """See `xlrd.formatting`; there is nothing to be done."""


def open_book(stream: WorkbookStream) -> Book:
    """Read the parts of the workbook that hold for all sheets. Raises `Encrypted`, and any exception if the stream is damaged."""
    book.Book = Book
    for module in (biffh, book, sheet):
        module.unicode = _decode
    formatting.initialise_book = _initialise
    # It stays open as long as the process: sheets are read later.
    log = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    opened: Book = book.open_workbook_xls(file_contents=stream, logfile=log, on_demand=True, ragged_rows=True)
    return opened


def _initialise(opened: Book) -> None:
    """Do what cells need of `formatting.initialise_book`, which would replace the methods of `Book`."""
    opened._xf_epilogue_done = 0  # noqa: SLF001 - xlrd asks it for this


def _decode(data: bytes, encoding: str) -> str:
    # If a long text continues in the next record, the two halves of one character may be separated.
    return data.decode(encoding, "surrogatepass" if encoding == "utf_16_le" else "replace")

"""Say where the records of a sheet are in the file and what its cells need besides, so that whoever asks can read them there."""

from __future__ import annotations

from array import array
from typing import Any

from xlrd import biffh

from features.processing.readers.excel.xls.book import FIRST_BIFF_8, Book
from features.processing.readers.excel.xls.shared_strings import MAX_STRING_BYTES, MAX_STRINGS, join_surrogates

_MOST_FORMATS = 2**16


def describe_place(book: Book, place: int) -> tuple[dict[str, Any], bytes, bytes] | None:
    """Return where a sheet with cells is, the lengths of the shared strings, and their texts; None if the sheet should be read here.

    The lengths are in bytes, as unsigned numbers of four bytes in the order of the machine. Raises any exception if the sheet is damaged.
    """
    strings: list[str] = book._sharedstrings or []  # noqa: SLF001 - xlrd has no public access to it
    count = sum(map(len, strings))
    if book.biff_version < FIRST_BIFF_8 or not book.parts or len(strings) > MAX_STRINGS or count > MAX_STRING_BYTES:
        return None
    book._position = book._sh_abs_posn[place]  # noqa: SLF001
    book.begin_sheet(most_bytes=None, watch_formulas=False)
    book.getbof(biffh.XL_WORKSHEET)
    try:
        texts = "".join(strings).encode()
    except UnicodeEncodeError:
        strings = [join_surrogates(text) for text in strings]
        texts = "".join(strings).encode()
    if len(texts) > MAX_STRING_BYTES:
        return None
    told = {
        "parts": list(book.parts),
        "begin": book._position,  # noqa: SLF001
        # Workbooks that do not say how formulas were computed need a closer look at them.
        "watches_formulas": not book.engine_id,
        "is_1904": bool(book.datemode),
        "formats": _list_formats(book),
        "strings": len(strings),
        "string_bytes": len(texts),
    }
    return told, array("I", map(len, strings if len(texts) == count else map(str.encode, strings))).tobytes(), texts


def _list_formats(book: Book) -> list[tuple[int, int, int]]:
    """Return the kind, the decimals and the digits of the number format of each cell format."""
    known: dict[int, tuple[int, int, int]] = {}
    found: list[tuple[int, int, int]] = []
    for index, cell_format in enumerate(book.xf_list[:_MOST_FORMATS]):
        shown_as = known.get(cell_format.format_key)
        if shown_as is None:
            number_format = book.find_format(index)
            shown_as = known[cell_format.format_key] = (int(number_format.kind), number_format.decimals, number_format.digits)
        found.append(shown_as)
    return found

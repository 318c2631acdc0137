"""Read the rows of a sheet with openpyxl's read-only row iterator: slower than `walker`, which must give the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, time, timedelta
from typing import IO, Any, Literal, Self

from openpyxl import Workbook as OpenpyxlWorkbook
from openpyxl.worksheet._read_only import ReadOnlyWorksheet

from features.processing.readers.base import FileUnreadable
from features.processing.readers.excel.cell_text import MAX_SHEET_ROWS, FormatKind, SheetRow, iso_value_text, number_text, serial_text, unescape_text
from features.processing.readers.excel.sheet_reader import RowBatch
from features.processing.readers.excel.xlsx.package import Package, raise_damaged, unpacking
from features.processing.readers.excel.xlsx.strings import StringTable
from features.processing.readers.excel.xlsx.workbook import Sheet, Workbook

_BATCH_ROWS = 200


def walk_with_openpyxl(package: Package, workbook: Workbook, sheet: Sheet, *, strings: StringTable) -> Iterator[RowBatch]:
    """Yield the rows that have cells with content, as `SheetWalker.walk` does.

    openpyxl is given no styles, so dates arrive as numbers and are shown by the same rules as everywhere else.
    """
    archive = _CountedPackage(package)
    rows: list[SheetRow] = []
    try:
        for number, cells in enumerate(_Worksheet(archive, sheet, strings).rows_of_sheet(), 1):
            if number > MAX_SHEET_ROWS:
                raise ValueError(number)  # noqa: TRY301
            row = _read_row(number, cells, workbook)
            if row.cells or row.errors:
                rows.append(row)
            if len(rows) >= _BATCH_ROWS:
                yield RowBatch(rows, archive.bytes_read)
                rows = []
    except FileUnreadable:
        yield RowBatch(rows, archive.bytes_read)
        raise
    except (SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, AttributeError) as error:
        # openpyxl raises any of these for a damaged sheet.
        yield RowBatch(rows, archive.bytes_read)
        raise_damaged(error)
    yield RowBatch(rows, archive.bytes_read)


def _read_row(number: int, cells: Sequence[Any], workbook: Workbook) -> SheetRow:
    texts: list[str] = []
    errors: list[tuple[int, str]] = []
    for column, cell in enumerate(cells):
        if cell.value is None:
            continue
        if cell.data_type == "e":
            errors.append((column, str(cell.value)))
            continue
        texts += [""] * (column - len(texts))
        texts.append(_read_value(cell.value, workbook.kinds.get(str(cell._style_id)), is_1904=workbook.is_1904))  # noqa: SLF001 - the public attributes need styles
    return SheetRow(number, texts, None, errors or None)


def _read_value(value: object, kind: FormatKind | None, *, is_1904: bool) -> str:
    if isinstance(value, _SharedText):
        return str(value)
    if isinstance(value, str):
        return unescape_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number_text(value) if kind is None else serial_text(value, kind, is_1904=is_1904)
    assert isinstance(value, date | time | timedelta)
    return iso_value_text(value, kind or FormatKind.NUMBER)


class _Worksheet(ReadOnlyWorksheet):
    """openpyxl's worksheet, which ignores the dimensions that the sheet claims to have."""

    def __init__(self, archive: _CountedPackage, sheet: Sheet, strings: StringTable) -> None:
        owner = OpenpyxlWorkbook()
        owner._read_only = owner._data_only = True  # type: ignore[attr-defined]  # noqa: SLF001 - load_workbook sets them too
        owner._archive = archive  # type: ignore[attr-defined]  # noqa: SLF001
        super().__init__(owner, sheet.name, sheet.part, _SharedStrings(strings))

    def rows_of_sheet(self) -> Iterator[Sequence[Any]]:
        """Yield the cells of every row from row 1 on, up to the last cell of the row."""
        rows: Iterator[Sequence[Any]] = self.iter_rows()  # type: ignore[misc] # the stubs do not know that the method is shared
        return rows

    def _get_size(self) -> None:
        # The dimensions may be wrong, and if they are missing openpyxl reads the whole sheet to find them.
        self.reset_dimensions()


class _SharedText(str):
    """A text whose escapes are already replaced."""

    __slots__ = ()


class _SharedStrings:
    def __init__(self, strings: StringTable) -> None:
        self._texts = strings.texts

    def __getitem__(self, index: int) -> _SharedText:
        if index < 0:
            raise IndexError(index)
        return _SharedText(self._texts[index])


class _CountedPackage:
    """The package as openpyxl's worksheet uses it; counts the bytes that are read."""

    def __init__(self, package: Package) -> None:
        self._package = package
        self.bytes_read = 0

    def open(self, name: str) -> _CountedStream:
        """Open the part of the sheet, `name`."""
        return _CountedStream(self, self._package.open(name))


class _CountedStream:
    def __init__(self, owner: _CountedPackage, stream: IO[bytes]) -> None:
        self._owner, self._stream = owner, stream

    def read(self, size_bytes: int = -1) -> bytes:
        """Return the next bytes, and count them."""
        with unpacking():
            data = self._stream.read(size_bytes)
        self._owner.bytes_read += len(data)
        return data

    def close(self) -> None:
        """Close the part."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.close()
        return False

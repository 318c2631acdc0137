"""Turn the cells of a sheet into columns of text, with as few steps of Python as there are unusual cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.excel.cell_text import LONG_NUMBERS, USUAL_TYPES, show_value
from features.processing.readers.excel.number_formats import GENERAL, NumberFormat
from features.processing.readers.excel.number_texts import show_numbers
from features.processing.readers.excel.serial_texts import show_serials
from features.processing.readers.excel.sheet_grid import SheetGrid
from features.processing.readers.excel.sheet_rows import BadCell, CellTrouble, FarCell, SheetFacts, SheetRow
from features.processing.readers.excel.xls.cell_errors import error_text
from features.processing.readers.excel.xls.find_records import Positions
from features.processing.readers.excel.xls.found_cells import CellKind, FoundCells
from features.processing.readers.native_types import NativeType

_SPECIAL = pa.array(["", None, "false", "true"], type=pa.string())
_EMPTY, _NULL, _FALSE = range(3)
_MOST_PLACES = 2**19
_MOST_TEXT_BYTES = 2**22


class GridMaker:
    """Makes the columns of one sheet."""

    def __init__(self, strings: pa.StringArray, formats: Sequence[NumberFormat], *, is_1904: bool, facts: SheetFacts) -> None:
        self._strings, self._is_1904, self._facts = strings, is_1904, facts
        self._lengths = np.diff(np.frombuffer(strings.buffers()[1], np.int32, len(strings) + 1)) if len(strings) else np.empty(0, np.int32)
        self._formats = [GENERAL, *dict.fromkeys(each for each in formats if each != GENERAL)]
        places = {each: place for place, each in enumerate(self._formats)}
        self._format_places = np.zeros(2**16, np.int64)
        self._format_places[: len(formats)] = [places[each] for each in formats]
        self.width: int | None = None
        """How many columns the table has, once that is known; see `SheetRow`."""

    def make(self, cells: FoundCells) -> Iterator[SheetGrid]:
        """Yield whole rows as columns, in parts of bounded size; there are some cells."""
        begins = _find_begins(cells)
        at = 0
        for end in [*self._find_cuts(cells, begins), len(cells)]:
            yield self._make_grid(cells.select(at, end))
            at = end

    def _find_cuts(self, cells: FoundCells, begins: Positions) -> list[int]:
        """Return where a part ends before the last one; `begins` are the places of the first cells of the rows."""
        most_rows = max(1, _MOST_PLACES // (int(cells.columns.max()) + 1))
        lengths = np.zeros(len(cells), np.int64)
        shared = cells.kinds == CellKind.SHARED
        lengths[shared] = self._lengths[cells.values[shared].astype(np.int64)]
        size = np.cumsum(np.add.reduceat(lengths, begins))
        cuts: list[int] = []
        first = 0
        while True:
            before = int(size[first - 1]) if first else 0
            following = min(first + most_rows, max(first + 1, int(np.searchsorted(size, before + _MOST_TEXT_BYTES, side="right"))))
            if following >= len(begins):
                return cuts
            cuts.append(int(begins[following]))
            first = following

    def _make_grid(self, cells: FoundCells) -> SheetGrid:
        begins = _find_begins(cells)
        numbers = cells.rows[begins].astype(np.int64) + 1
        row_of = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(cells)))
        shown = self._show(cells)
        longest = int(cells.columns.max()) + 1
        width = longest if self.width is None else min(longest, self.width)
        places = np.zeros((longest, len(begins)), np.int64)
        types = np.zeros((longest, len(begins)), np.uint8)
        places[cells.columns, row_of] = shown.places
        types[cells.columns, row_of] = shown.types
        texts = shown.list_texts()
        # Numbers that are none have a type and no text.
        is_odd = (cells.kinds == CellKind.ERROR) | ((cells.kinds == CellKind.NUMBER) & ~np.isfinite(cells.values)) | (cells.columns >= width)
        exact: dict[int, SheetRow] = {}
        if bool(is_odd.any()):
            odd = np.unique(row_of[is_odd])
            last = np.append(begins, len(cells))[odd + 1] - 1
            lengths = (cells.columns[last].astype(np.int64) + 1).tolist()
            flat, flat_types = texts.take(pa.array(places[:, odd].T.ravel())).to_pylist(), types[:, odd].T.tobytes()
            for place, (index, length) in enumerate(zip(odd.tolist(), lengths, strict=True)):
                row = slice(place * longest, place * longest + length)
                exact[index] = _make_row(int(numbers[index]), flat[row], flat_types[row], width)
            errors = np.flatnonzero(cells.kinds == CellKind.ERROR)
            for index, column, code in zip(row_of[errors].tolist(), cells.columns[errors].tolist(), cells.values[errors].tolist(), strict=True):
                exact[index].bad = [*(exact[index].bad or ()), BadCell(column, error_text(int(code)), CellTrouble.ERROR_VALUE)]
        return SheetGrid(numbers, texts.take(pa.array(places[:width].ravel())), types[:width], int(numbers[-1]), exact)

    def _show(self, cells: FoundCells) -> _Shown:
        """Return the text and the type of each cell."""
        shown = _Shown(len(cells))
        at = np.flatnonzero(cells.kinds == CellKind.SHARED)
        shown.put(at, self._strings.take(pa.array(cells.values[at].astype(np.int64))), NativeType.TEXT)
        at = np.flatnonzero(cells.kinds == CellKind.TEXT)
        shown.put(at, pa.array([cells.texts[place] for place in cells.values[at].astype(np.int64).tolist()], type=pa.string()), NativeType.TEXT)
        at = np.flatnonzero(cells.kinds == CellKind.BOOLEAN)
        shown.places[at], shown.types[at] = _FALSE + (cells.values[at] != 0), int(NativeType.BOOLEAN)
        shown.places[cells.kinds == CellKind.ERROR] = _NULL
        is_number = cells.kinds == CellKind.NUMBER
        formats = self._format_places[cells.formats]
        is_finite = np.isfinite(cells.values)
        at = np.flatnonzero(is_number & is_finite & (formats == 0))
        shown.put(at, show_numbers(cells.values[at]), NativeType.NUMBER)
        for place in np.flatnonzero(np.bincount(formats[is_number])).tolist():
            has_format = is_number & (formats == place)
            shown.types[has_format & ~is_finite] = int(USUAL_TYPES[self._formats[place].kind])
            if place:
                self._show_formatted(np.flatnonzero(has_format & is_finite), cells.values, self._formats[place], shown)
        self._note_long(cells, np.flatnonzero(is_number & is_finite & (shown.types == NativeType.NUMBER)))
        return shown

    def _show_formatted(self, at: Positions, values: npt.NDArray[np.float64], shown_as: NumberFormat, shown: _Shown) -> None:
        """Show numbers with a format; those that are not written by column each once, since they repeat."""
        serials = show_serials(values[at], shown_as, is_1904=self._is_1904)
        if serials is not None:
            shown.put(at[serials.is_shown], serials.texts, serials.native_type)
            at = at[~serials.is_shown]
        if len(at):
            encoded = pa.array(values[at]).dictionary_encode()
            found = [show_value(value, shown_as, is_1904=self._is_1904) for value in encoded.dictionary.to_pylist()]
            codes = encoded.indices.to_numpy()
            shown.put(at, pa.array([text for text, _ in found], type=pa.string()).take(encoded.indices), NativeType.TEXT)
            shown.types[at] = np.array([int(native_type) for _, native_type in found], np.uint8)[codes]

    def _note_long(self, cells: FoundCells, at: Positions) -> None:
        """Record numbers of more digits than Excel keeps."""
        sizes = np.abs(cells.values[at])
        at = at[(sizes >= LONG_NUMBERS.start) & (sizes < LONG_NUMBERS.stop)]
        columns, firsts = np.unique(cells.columns[at], return_index=True)
        for column, row in zip(columns.tolist(), cells.rows[at[firsts]].tolist(), strict=True):
            self._facts.long_numbers.setdefault(column, row + 1)


def _find_begins(cells: FoundCells) -> Positions:
    """Return the places of the first cells of the rows."""
    return np.append(0, np.flatnonzero(cells.rows[1:] != cells.rows[:-1]) + 1)


class _Shown:
    """The texts of cells as places in a list of texts, which has several parts, and their types."""

    def __init__(self, count: int) -> None:
        self._parts: list[pa.StringArray] = [_SPECIAL]
        self._count = len(_SPECIAL)
        self.places = np.full(count, _EMPTY, np.int64)
        self.types = np.zeros(count, np.uint8)

    def put(self, at: Positions, texts: pa.StringArray, native_type: NativeType) -> None:
        """Give cells a text each, and all of them a type."""
        self.places[at] = np.arange(self._count, self._count + len(at))
        self.types[at] = int(native_type)
        self._parts.append(texts)
        self._count += len(texts)

    def list_texts(self) -> pa.StringArray:
        """Return the whole list."""
        return pa.concat_arrays(self._parts)


def _make_row(number: int, texts: list[str | None], types: bytes, width: int) -> SheetRow:
    """Return a row; cells to the right of the table are kept by their place."""
    cells = [text or "" for text in texts]
    row = SheetRow(number, cells[:width], bytearray(types[:width]))
    row.beyond = [FarCell(column, text, types[column]) for column, text in enumerate(cells[width:], width) if text] or None
    return row

"""Turn the cells that were found in a piece of XML into columns of text, with as few steps of Python as there are unusual cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.excel.cell_text import EXACT_DIGITS, unescape_text
from features.processing.readers.excel.serial_texts import show_serials
from features.processing.readers.excel.sheet_grid import SheetGrid
from features.processing.readers.excel.sheet_rows import MAX_GAP_CELLS, MAX_SHEET_COLUMNS, SheetRow
from features.processing.readers.excel.xlsx.cell_tags import WORD_BYTES, CellTags, Positions, TagKind
from features.processing.readers.excel.xlsx.cells import NUMBER, TEXT, CellValues
from features.processing.readers.excel.xlsx.find_cells import FoundCells, Mask, find_bytes, parse_digits
from features.processing.readers.excel.xlsx.part_parser import XML_BLANKS
from features.processing.readers.excel.xlsx.plain_xml import replace_entities
from features.processing.readers.native_types import NativeType

BOOLEAN = int(NativeType.BOOLEAN)
_SPECIAL = pa.array(["", None, "false", "true"], type=pa.string())
_EMPTY, _NULL, _FALSE, _TRUE = range(4)
_MINUS, _POINT, _ZERO, _ONE, _BLANK = (ord(character) for character in "-.01 ")
_MOST_CANONICAL = 2 * WORD_BYTES
_MOST_TEXT_BYTES = 2**23
_MOST_PLACES = 2**20
"""So many places for cells a grid may have, unless it is a single row."""
_EACH = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)

ReadRows = Callable[[bytes], Sequence[SheetRow]]
"""Reads rows that are left to the pattern."""


class ColumnMaker:
    """Makes the columns of one sheet."""

    def __init__(self, values: CellValues, tags: CellTags, read_rows: ReadRows) -> None:
        self._values, self._tags, self._read_rows = values, tags, read_rows

    def divide(self, cells: FoundCells, *, width: int | None) -> list[int]:
        """Return the indexes of the rows at which the parts begin and end that take so little memory, as columns, that each can be made at once."""
        count = len(cells.numbers)
        longest = int(cells.columns.max(initial=0)) + 1
        if bool(cells.is_odd.any()):
            # How far these reach is not known yet.
            longest = max(longest, width or MAX_SHEET_COLUMNS)
        most_rows = max(1, _MOST_PLACES // longest)
        ends = np.cumsum(self._weigh(cells))
        bounds = [0]
        while (first := bounds[-1]) < count:
            most_bytes = _MOST_TEXT_BYTES + (int(ends[first - 1]) if first else 0)
            bounds.append(min(count, first + most_rows, max(first + 1, int(np.searchsorted(ends, most_bytes, side="right")))))
        return bounds

    def _weigh(self, cells: FoundCells) -> npt.NDArray[np.int64]:
        """Return about how many bytes the shared strings of each row have."""
        shared = np.flatnonzero((self._tags.kinds[cells.tags] == TagKind.SHARED) & ~cells.is_inline)
        numbers = parse_digits(cells.words, cells.value_ends[shared], (cells.value_ends - cells.value_begins)[shared])
        strings = self._values.strings
        is_there = (numbers >= 0) & (numbers < len(strings))
        return np.bincount(cells.rows[shared[is_there]], strings.weigh(numbers[is_there]), len(cells.numbers)).astype(np.int64)

    def make(self, data: bytes, cells: FoundCells, *, end: int, width: int | None, bytes_read: int) -> SheetGrid | None:
        """Return the rows of `cells`, the last of which ends at `end` of `data`; None if they cannot be columns.

        They cannot if none has content, or if they are too sparse or out of order, or their texts too long. Raises whatever `read_rows` raises.
        """
        cells, numbers = self._pass_odd(cells, keeps_far=width is None)
        if len(cells.numbers) > 1 and not bool((np.diff(cells.numbers) > 0).all()):
            return None
        places = _Places(cells, numbers, self._tags, self._values)
        odd = self._read_odd(data, cells, end)
        return places.arrange(odd, width=width, bytes_read=bytes_read)

    def _pass_odd(self, cells: FoundCells, *, keeps_far: bool) -> tuple[FoundCells, Positions]:
        """Return the cells without those of rows that turn out to be odd, and the number in each cell that holds a plain one of few digits, else -1."""
        kinds = np.where(cells.is_inline, np.uint8(TagKind.TEXT), self._tags.kinds[cells.tags])
        lengths = cells.value_ends - cells.value_begins
        numbers = np.full(len(kinds), -1, np.int64)
        is_odd_cell = np.zeros(len(kinds), np.bool_)
        shared = np.flatnonzero(kinds == TagKind.SHARED)
        if len(shared):
            numbers[shared] = parse_digits(cells.words, cells.value_ends[shared], lengths[shared])
            strings = self._values.strings
            is_there = (numbers[shared] >= 0) & (numbers[shared] < len(strings))
            is_there[is_there] = ~strings.find_long(numbers[shared[is_there]])
            is_odd_cell[shared] = ~is_there
        boolean = np.flatnonzero(kinds == TagKind.BOOLEAN)
        if len(boolean):
            digit = cells.buffer[cells.value_begins[boolean]]
            numbers[boolean] = digit == _ONE
            is_odd_cell[boolean] = (lengths[boolean] != 1) | ((digit != _ZERO) & (digit != _ONE))
        marks = cells.ands
        if len(marks) and len(kinds):
            # A number with an entity in it.
            at = np.searchsorted(cells.value_begins, marks, side="right") - 1
            is_odd_cell[at[(at >= 0) & (marks < cells.value_ends[at]) & (kinds[at] != TagKind.TEXT)]] = True
        is_odd = cells.is_odd.copy()
        is_odd[cells.rows[is_odd_cell]] = True
        if keeps_far and len(kinds):
            # Until the table is known, cells far from the others are kept by their place.
            is_same_row = np.concatenate([[False], cells.rows[1:] == cells.rows[:-1]])
            before = np.where(is_same_row, np.concatenate([[0], cells.columns[:-1]]), -1)
            is_far = cells.columns - before - 1 > MAX_GAP_CELLS
            is_odd[cells.rows[is_far]] = True
            is_odd_cell |= is_far
        if bool(is_odd_cell.any()):
            kept = ~is_odd[cells.rows]
            return cells.select(kept, is_odd), numbers[kept]
        return cells, numbers

    def _read_odd(self, data: bytes, cells: FoundCells, end: int) -> dict[int, SheetRow]:
        """Return the rows that are left to the pattern and have content, by their number."""
        if not bool(cells.is_odd.any()):
            return {}
        bounds = [*cells.begins.tolist(), end]
        rows = self._read_rows(b"".join(data[bounds[index] : bounds[index + 1]] for index in np.flatnonzero(cells.is_odd).tolist()))
        return {row.number: row for row in rows}


class _Places:
    """The text of each cell as a place in a list of texts, which has several parts."""

    def __init__(self, cells: FoundCells, numbers: Positions, tags: CellTags, values: CellValues) -> None:
        self._cells, self._tags, self._values = cells, tags, values
        self._kinds = np.where(cells.is_inline, np.uint8(TagKind.TEXT), tags.kinds[cells.tags])
        self._parts: list[pa.StringArray] = [_SPECIAL]
        self._count = len(_SPECIAL)
        self._at = np.zeros(len(cells.rows), np.int64)
        self._types = np.zeros(len(cells.rows), np.uint8)
        self._show_booleans(numbers)
        self._show_shared(numbers)
        is_plain = self._show_numbers() | self._show_texts()
        self._take_plain(np.flatnonzero(is_plain))
        self._show_formatted()

    def arrange(self, odd: Mapping[int, SheetRow], *, width: int | None, bytes_read: int) -> SheetGrid | None:
        """Return all as columns; None if there are no rows, or very few cells in many columns."""
        cells = self._cells
        is_there = self._at != _EMPTY
        has_cells = np.zeros(len(cells.numbers), np.bool_)
        has_cells[cells.rows[is_there]] = True
        if odd:
            has_cells |= np.isin(cells.numbers, np.fromiter(odd, np.int64, len(odd)))
        kept = np.flatnonzero(has_cells)
        columns = cells.columns[is_there]
        rows = {index: odd[number] for index, number in enumerate(cells.numbers[kept].tolist()) if number in odd} if odd else {}
        longest = max(int(columns.max(initial=-1)) + 1, max(map(_count_places, rows.values()), default=0))
        longest = longest if width is None else min(longest, width)
        if not len(kept) or not longest or (width is None and len(kept) * longest > 4 * len(columns) + 2**16):
            return None
        if sum(len(text) for row in rows.values() for text in row.cells) > _MOST_TEXT_BYTES:
            return None
        index_of = np.cumsum(has_cells) - 1
        places = np.full((longest, len(kept)), _EMPTY, np.int64)
        types = np.zeros((longest, len(kept)), np.uint8)
        row_of = index_of[cells.rows[is_there]]
        places[columns, row_of] = self._at[is_there]
        types[columns, row_of] = self._types[is_there]
        self._add_odd(rows, places, types)
        texts = pa.concat_arrays(self._parts).take(pa.array(places.ravel()))
        exact = {index: row for index, row in rows.items() if row.bad or row.beyond or row.is_too_long or len(row.cells) > longest}
        return SheetGrid(cells.numbers[kept], texts, types, bytes_read, exact)

    def _add_odd(self, rows: Mapping[int, SheetRow], places: npt.NDArray[np.int64], types: npt.NDArray[np.uint8]) -> None:
        texts: list[str] = []
        for index, row in rows.items():
            length = min(len(row.cells), len(places))
            begin = self._count + len(texts)
            places[:length, index] = range(begin, begin + length)
            types[:length, index] = np.frombuffer(row.types, np.uint8)[:length]
            texts += row.cells[:length]
            for bad in row.bad or ():
                if bad.column < len(places):
                    places[bad.column, index] = _NULL
        self._add_part(pa.array(texts, type=pa.string()))

    def _add_part(self, texts: pa.StringArray) -> int:
        """Add texts to the list, and return the place of the first."""
        begin = self._count
        self._parts.append(texts)
        self._count += len(texts)
        return begin

    def _show_booleans(self, numbers: Positions) -> None:
        at = np.flatnonzero(self._kinds == TagKind.BOOLEAN)
        self._at[at] = _FALSE + numbers[at]
        self._types[at] = BOOLEAN

    def _show_shared(self, numbers: Positions) -> None:
        at = np.flatnonzero(self._kinds == TagKind.SHARED)
        if len(at):
            texts = self._values.strings.take(numbers[at])
            self._at[at] = self._add_part(texts) + np.arange(len(at))
            self._at[at[lengths_of(texts) == 0]] = _EMPTY

    def _show_numbers(self) -> Mask:
        """Show the numbers without a format, except those whose text stays as it is, which are returned."""
        is_number = np.asarray(self._kinds == TagKind.NUMBER)
        at = np.flatnonzero(is_number)
        self._types[at] = NUMBER
        others = at[~self._is_shortest(at)]
        if len(others):
            show, numbers = self._values.show_number, self._cells.numbers
            columns, rows = self._cells.columns[others].tolist(), numbers[self._cells.rows[others]].tolist()
            shown = [show(text, column, row) for text, column, row in zip(self._list_texts(others), columns, rows, strict=True)]
            self._put(others, shown)
            is_number[others] = False
        return is_number

    def _is_shortest(self, at: Positions) -> Mask:
        """Return which numbers are written as they are shown: with at most 15 digits, and no sign, zero or point too much."""
        cells = self._cells
        ends = cells.value_ends[at]
        first = cells.buffer[cells.value_begins[at]]
        is_negative = first == _MINUS
        begins = cells.value_begins[at] + is_negative
        lengths = ends - begins
        first, second, last = cells.buffer[begins], cells.buffer[begins + 1], cells.buffer[ends - 1]
        points = np.zeros(len(at), np.int64)
        is_right = (lengths >= 1) & (lengths <= _MOST_CANONICAL)
        for number in range(_MOST_CANONICAL // WORD_BYTES):
            # The bytes stand at the top of the word; those below are not part of the number.
            left = np.clip(lengths - number * WORD_BYTES, 0, WORD_BYTES)
            shifts = ((WORD_BYTES - left) * 8).astype(np.uint64)
            is_used = left > 0
            words = np.where(is_used, cells.words[np.maximum(ends - (number + 1) * WORD_BYTES, 0)] >> shifts << shifts, 0)
            point_bits = find_bytes(words, _POINT)
            points += np.bitwise_count(point_bits)
            zeros = np.where(is_used, (_EACH * np.uint64(_ZERO)) >> shifts << shifts, 0)
            digits = (words ^ ((point_bits >> np.uint64(7)) * np.uint64(_POINT ^ _ZERO))) ^ zeros
            is_right &= (((digits + _EACH * np.uint64(0x76)) | digits) & _HIGH) == 0
        is_whole = (points == 0) & (lengths <= EXACT_DIGITS) & ((first != _ZERO) | ((lengths == 1) & ~is_negative))
        is_decimal = (points == 1) & (first != _POINT) & (last != _POINT) & (last != _ZERO) & ((first != _ZERO) | (second == _POINT))
        return np.asarray(is_right & (is_whole | is_decimal))

    def _show_texts(self) -> Mask:
        """Show the texts with markup in them, and return the others."""
        cells = self._cells
        is_text = np.asarray(self._kinds == TagKind.TEXT)
        at = np.flatnonzero(is_text)
        if not len(at):
            return is_text
        begins, ends = cells.value_begins[at], cells.value_ends[at]
        trims = ~cells.keeps_blanks[at]
        # No lower character is left in the XML but blanks.
        is_other = trims & ((cells.buffer[begins] <= _BLANK) | (cells.buffer[ends - 1] <= _BLANK))
        for marks in (cells.ands, cells.escapes):
            if len(marks):
                found = np.searchsorted(begins, marks, side="right") - 1
                is_inside = (found >= 0) & (marks < ends[found])
                is_other[found[is_inside]] = True
        if bool(is_other.any()):
            others = at[is_other]
            texts = [replace_entities(text) for text in self._list_texts(others)]
            texts = [text.strip(XML_BLANKS) if trimmed else text for text, trimmed in zip(texts, trims[is_other].tolist(), strict=True)]
            self._put(others, [(unescape_text(text), TEXT) for text in texts])
            is_text[others] = False
        return is_text

    def _take_plain(self, at: Positions) -> None:
        """Take texts as they are in the XML: of a list of texts that begin and end at these places, each second one lies between two of them."""
        if len(at):
            self._at[at] = self._add_part(self._slice(at)) + 2 * np.arange(len(at))

    def _slice(self, at: Positions) -> pa.StringArray:
        """Return the values of cells as every second one of a list of texts."""
        bounds = np.empty(2 * len(at), np.int32)
        bounds[::2], bounds[1::2] = self._cells.value_begins[at], self._cells.value_ends[at]
        return pa.StringArray.from_buffers(len(bounds) - 1, pa.py_buffer(bounds), pa.py_buffer(self._cells.buffer))

    def _list_texts(self, at: Positions) -> list[str]:
        return list(self._slice(at).to_pylist()[::2])

    def _show_formatted(self) -> None:
        """Show numbers with a format; each text once, since dates repeat."""
        at = np.flatnonzero(self._kinds == TagKind.FORMATTED)
        if not len(at):
            return
        tags = self._cells.tags[at]
        plain = at[self._is_shortest(at)]
        for tag in np.flatnonzero(np.bincount(tags)).tolist():
            cells = self._show_serials(at[tags == tag], plain, tag)
            if not len(cells):
                continue
            texts = self._slice(cells)
            encoded = texts.take(pa.array(np.arange(0, len(texts), 2))).dictionary_encode()
            style = self._tags.styles[tag]
            shown = [self._values.show_once(text, style) for text in encoded.dictionary.to_pylist()]
            begin = self._add_part(pa.array([text for text, _ in shown], type=pa.string()))
            codes = encoded.indices.to_numpy()
            self._at[cells] = begin + codes
            self._types[cells] = np.array([kind for _, kind in shown], np.uint8)[codes]
            self._note_long(cells, encoded.dictionary.to_pylist(), codes, style)

    def _show_serials(self, at: Positions, plain: Positions, tag: int) -> Positions:
        """Show what has the usual form of a date or time, and return the other cells of this tag."""
        chosen = at[np.isin(at, plain, assume_unique=True)] if len(plain) < len(self._at) else at
        if not len(chosen):
            return at
        texts = self._slice(chosen)
        values = texts.take(pa.array(np.arange(0, len(texts), 2))).cast(pa.float64()).to_numpy()
        shown = show_serials(values, self._values.formats[self._tags.styles[tag]], is_1904=self._values.is_1904)
        if shown is None:
            return at
        chosen = chosen[shown.is_shown]
        self._at[chosen] = self._add_part(shown.texts) + np.arange(len(chosen))
        self._types[chosen] = int(shown.native_type)
        return np.setdiff1d(at, chosen, assume_unique=True)

    def _note_long(self, at: Positions, distinct: Sequence[str], codes: npt.NDArray[np.int32], style: str | None) -> None:
        """Record numbers of more digits than Excel keeps."""
        is_long = np.array([len(text) > EXACT_DIGITS for text in distinct], np.bool_)[codes]
        for cell, code in zip(at[is_long].tolist(), codes[is_long].tolist(), strict=True):
            row_number = int(self._cells.numbers[self._cells.rows[cell]])
            self._values.show_formatted(distinct[code], style, int(self._cells.columns[cell]), row_number)

    def _put(self, at: Positions, shown: Sequence[tuple[str, int]]) -> None:
        """Put texts and types in place of the values of cells."""
        self._at[at] = self._add_part(pa.array([text for text, _ in shown], type=pa.string())) + np.arange(len(at))
        self._types[at] = [kind for _, kind in shown]
        self._at[at[np.fromiter((not text for text, _ in shown), np.bool_, len(shown))]] = _EMPTY


def lengths_of(texts: pa.StringArray) -> npt.NDArray[np.int32]:
    """Return the length of each text in bytes."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.diff(offsets)


def _count_places(row: SheetRow) -> int:
    return max(len(row.cells), 1 + max(cell.column for cell in row.bad)) if row.bad else len(row.cells)

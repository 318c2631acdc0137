"""Find the cells in the XML of a sheet by scans of the whole buffer, without a step of Python for each: all `<`, what follows them, and what is between.

What is not written the way most programs write it is left out here, row by row, for the pattern of `scanner`: errors, rich texts, formulas without a value.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from features.processing.readers.excel.sheet_rows import MAX_SHEET_COLUMNS, MAX_SHEET_ROWS
from features.processing.readers.excel.xlsx.cell_tags import WORD_BYTES, CellTags, Positions, TagKind, Words

Mask = npt.NDArray[np.bool_]

_PADDING = bytes(4 * WORD_BYTES)
_MOST_DIGITS = 7
_ROW_START, _CELL_START, _ROW_END = (np.uint64(int.from_bytes(tag, "little")) for tag in (b'<row r="', b'<c r="', b"</row>"))
_CELL_START_BYTES, _ROW_START_BYTES = len(b'<c r="'), len(b'<row r="')
_FIRST = tuple(np.uint64(2 ** (8 * count) - 1) for count in range(8))
"""To mask the first bytes of a word."""
_KEPT = tuple(np.uint64(int.from_bytes(part, "little")) for part in (b"<t xml:s", b'pace="pr', b'eserve">'))
_VALUE_END, _TEXT_END, _CELL_END, _FORMULA_END, _INLINE = (np.uint64(int.from_bytes(tag, "little")) for tag in (b"</v>", b"</t>", b"</c>", b"</f>", b"<is>"))
_AFTER_LAST = 8
"""More tags than a cell has."""
_INLINE_END = np.uint64(int.from_bytes(b"</is>", "little"))
_QUOTE, _LESS, _SLASH, _TAB, _LINE_FEED, _BLANK = (ord(character) for character in '"</\t\n ')
_EACH = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
_EIGHT, _WORD_BITS = np.uint64(8), np.uint64(64)

_OTHER, _CELL, _VALUE, _END_VALUE, _END_CELL, _ROW, _END_ROW, _IS, _T, _T_KEPT, _END_T, _END_IS, _F, _F_WITH, _END_F = range(15)
"""Kinds of tags, by their first two characters; the rest is looked at later."""
_CODES = np.zeros(2**16, np.uint8)
for _code, _start in enumerate((b"c ", b"v>", b"/v", b"/c", b"ro", b"/r", b"is", b"t>", b"t ", b"/t", b"/i", b"f>", b"f ", b"/f"), 1):
    _CODES[int.from_bytes(_start, "little")] = _code


class FoundCells(NamedTuple):
    """The rows of a piece of XML, and the cells with content of those rows that are not odd, in their order."""

    numbers: Positions
    """Row numbers."""
    begins: Positions
    """Where each row begins; it ends where the next one begins."""
    is_odd: Mask
    """Rows that must be left to the pattern."""
    words: Words
    """The eight bytes from each position on."""
    buffer: npt.NDArray[np.uint8]
    ands: Positions
    """Where entities begin."""
    escapes: Positions
    """Where escapes such as `_x000D_` may begin."""
    rows: Positions
    """Of each cell the index of its row."""
    columns: Positions
    """From 0."""
    tags: npt.NDArray[np.int16]
    """As in `CellTags`."""
    value_begins: Positions
    value_ends: Positions
    is_inline: Mask
    """The value is an inline text."""
    keeps_blanks: Mask
    """The blanks at the ends of an inline text count."""

    def select(self, chosen: Mask, is_odd: Mask) -> FoundCells:
        """Return the cells in `chosen`, after more rows have turned out to be odd."""
        return self._replace(
            is_odd=is_odd,
            rows=self.rows[chosen],
            columns=self.columns[chosen],
            tags=self.tags[chosen],
            value_begins=self.value_begins[chosen],
            value_ends=self.value_ends[chosen],
            is_inline=self.is_inline[chosen],
            keeps_blanks=self.keeps_blanks[chosen],
        )

    def cut(self, first: int, last: int, end: int) -> FoundCells:
        """Return the rows from the index `first` up to the one before `last`, which ends at `end`, with their cells."""
        cells = slice(*np.searchsorted(self.rows, (first, last)).tolist())
        bounds = (int(self.begins[first]), end)
        ands, escapes = (marks[slice(*np.searchsorted(marks, bounds).tolist())] for marks in (self.ands, self.escapes))
        return FoundCells(
            self.numbers[first:last], self.begins[first:last], self.is_odd[first:last], self.words, self.buffer, ands, escapes,
            self.rows[cells] - first, self.columns[cells], self.tags[cells], self.value_begins[cells], self.value_ends[cells],
            self.is_inline[cells], self.keeps_blanks[cells],
        )  # fmt: skip


def find_cells(data: bytes, tags: CellTags, *, patterns: RestPatterns, width: int, takes_formulas: bool) -> FoundCells | None:
    """Find the cells of `data`, which is valid UTF-8 and consists of whole rows; None if all of it must be left to the pattern.

    A row with a cell to the right of the first `width` columns is odd, and unless `takes_formulas` one with a formula.
    """
    xml = _Tags(data)
    if _has_forbidden(xml.buffer[: len(data)]) or not len(xml.rows) or xml.rows[0] or xml.places[0]:
        return None
    rows = _read_rows(xml, patterns.row)
    return None if rows is None else _CellFinder(xml, rows, tags).find(width, patterns.formula if takes_formulas else None)


class RestPatterns(NamedTuple):
    """What may follow in start tags that have other attributes than are asked for here."""

    row: re.Pattern[str]
    """After the number of a row."""
    formula: re.Pattern[str]
    """After `<f`, up to the next tag."""


class _Tags:
    """All tags of a piece of XML."""

    def __init__(self, data: bytes) -> None:
        padded = data + _PADDING
        self.data = data
        self.buffer = np.frombuffer(padded, np.uint8)
        self.words: Words = np.ndarray((len(data) + 3 * WORD_BYTES,), "<u8", buffer=padded, strides=(1,))
        """The eight bytes from each position on."""
        places = np.flatnonzero(self.buffer[: len(data)] == _LESS)
        starts = np.ndarray((len(data) + WORD_BYTES,), "<u2", buffer=padded, strides=(1,))[places + 1]
        # After the last tag stand the end of the data, and tags of no kind.
        self.count = len(places)
        self.places = np.concatenate([places, np.full(_AFTER_LAST, len(data))])
        self.codes = np.concatenate([_CODES[starts], np.full(_AFTER_LAST, _OTHER, np.uint8)])
        self.rows = np.flatnonzero(self.codes == _ROW)

    def find_marks(self, mark: bytes) -> Positions:
        """Return where a mark of one or two characters stands, which few texts have."""
        if mark not in self.data:
            return np.empty(0, np.int64)
        found = np.flatnonzero(self.buffer == mark[0])
        return found if len(mark) == 1 else found[self.buffer[found + 1] == mark[1]]

    def is_followed(self, tags: Positions, code: int, word: np.uint64, size: int) -> Mask:
        """Whether each of these tags, by index, is exactly `word`, which has `size` bytes and this code, with the next tag after it at once."""
        at = self.places[tags]
        is_exact = (self.words[at] & _FIRST[size]) == word
        return np.asarray((self.codes[tags] == code) & is_exact & (self.places[tags + 1] == at + size))


class _Rows(NamedTuple):
    numbers: Positions
    digits: Positions
    """How many digits each number has."""
    quotes: Positions
    """Where the quotes after the numbers are."""


def _has_forbidden(buffer: npt.NDArray[np.uint8]) -> bool:
    """Whether there are control characters other than tabs and line feeds."""
    low = buffer[buffer < _BLANK]
    return bool(len(low)) and bool(((low != _TAB) & (low != _LINE_FEED)).any())


def _read_rows(xml: _Tags, pattern: re.Pattern[str]) -> _Rows | None:
    """Return what the start tags of all rows say; None if there is anything else between rows, or something unusual in these tags."""
    begins, words = xml.places[xml.rows], xml.words
    digit_words = words[begins + _ROW_START_BYTES]
    digits = _count_before(digit_words, _QUOTE)
    quotes = begins + _ROW_START_BYTES + digits
    numbers = parse_digits(words, quotes, digits)
    is_usual = (words[begins] == _ROW_START) & (digits <= _MOST_DIGITS) & (numbers >= 1) & (numbers <= MAX_SHEET_ROWS)
    if not bool((is_usual & ((digit_words & _FIRST[1]) != ord("0"))).all()):
        return None
    is_closed = _match_rests(xml, quotes + 1, xml.places[xml.rows + 1], pattern)
    if is_closed is None:
        return None
    # Each row ends with its end tag, or is closed in itself, and the next one follows at once.
    lasts = np.append(xml.rows[1:], xml.count) - 1
    ends = np.flatnonzero(xml.codes == _END_ROW)
    if not np.array_equal(ends, lasts[~is_closed]) or not bool((lasts[is_closed] == xml.rows[is_closed]).all()):
        return None
    return _Rows(numbers, digits, quotes) if bool(xml.is_followed(ends, _END_ROW, _ROW_END, 6).all()) else None


def _match_rests(xml: _Tags, begins: Positions, ends: Positions, pattern: re.Pattern[str]) -> Mask | None:
    """Return which start tags, of which these are the rests, are closed in themselves; None if not all of the rests match the pattern."""
    # Most are the same as the first.
    length = int(ends[0] - begins[0])
    is_usual = ends - begins == length
    usual = np.flatnonzero(is_usual)
    is_usual[usual] = (xml.buffer[begins[usual, None] + np.arange(length)] == xml.buffer[begins[0] : ends[0]]).all(axis=1)
    others = np.flatnonzero(~is_usual)
    rests = {xml.data[begin:end] for begin, end in zip(begins[others].tolist(), ends[others].tolist(), strict=True)}
    if not all(pattern.fullmatch(rest.decode()) for rest in (xml.data[begins[0] : ends[0]], *rests)):
        return None
    return np.asarray((xml.buffer[np.maximum(ends - 2, 0)] == _SLASH) & (ends - begins > 1))


class _CellFinder:
    """Finds the cells between the tags of rows. What is unusual about a cell makes its row odd."""

    def __init__(self, xml: _Tags, rows: _Rows, tags: CellTags) -> None:
        self._xml, self._rows, self._tags = xml, rows, tags
        self._cells = np.flatnonzero(xml.codes == _CELL)
        self._counts = np.diff(np.append(np.searchsorted(self._cells, xml.rows), len(self._cells)))
        self._row_of = np.repeat(np.arange(len(xml.rows)), self._counts)

    def find(self, width: int, formula_pattern: re.Pattern[str] | None) -> FoundCells:
        """Return all cells with content."""
        xml, cells = self._xml, self._cells
        columns, rests, is_right = self._read_references(width)
        ends = xml.places[cells + 1]
        rests = np.minimum(rests, ends)
        found = self._tags.recognise(xml.words, rests, ends - rests)
        kinds = self._tags.kinds[found]
        is_right &= (found >= 0) & (kinds != TagKind.ODD)
        is_empty = kinds == TagKind.EMPTY
        formulas = self._pass_formulas(formula_pattern)
        begins, value_ends, is_inline, keeps_blanks, lengths = self._read_values(formulas)
        lengths[is_empty] = 1
        has_content = (lengths > 1) & (value_ends > begins)
        after = xml.codes[cells + lengths]
        is_right &= ((after == _CELL) | (after == _END_ROW)) & (has_content | is_empty)
        is_odd = np.zeros(len(xml.rows), np.bool_)
        is_odd[self._row_of[~is_right]] = True
        # Before the first cell of a row, and in a row without cells, nothing else must stand.
        inner = xml.codes[xml.rows + 1]
        is_odd |= np.where(self._counts > 0, inner != _CELL, (inner != _END_ROW) & (inner != _ROW) & (xml.rows + 1 < xml.count))
        every = FoundCells(
            self._rows.numbers, xml.places[xml.rows], is_odd, xml.words, xml.buffer, xml.find_marks(b"&"), xml.find_marks(b"_x"),
            self._row_of, columns, found, begins, value_ends, is_inline, keeps_blanks,
        )  # fmt: skip
        return every.select(has_content & ~is_odd[self._row_of], is_odd)

    def _read_references(self, width: int) -> tuple[Positions, Positions, Mask]:
        """Return the column of each cell, where its reference ends, and whether it is right: in order, and in the row in which it stands."""
        xml, counts = self._xml, self._counts
        at = xml.places[self._cells]
        letters = xml.words[at + _CELL_START_BYTES]
        first, second, third = ((letters >> np.uint64(8 * place)).astype(np.uint8) for place in range(3))
        has_two = _is_letter(second)
        has_three = has_two & _is_letter(third)
        columns = first.astype(np.int64) - ord("A")
        columns = np.where(has_two, (columns + 1) * 26 + second - ord("A"), columns)
        columns = np.where(has_three, (columns + 1) * 26 + third - ord("A"), columns)
        quotes = at + (_CELL_START_BYTES + 1) + has_two + has_three + np.repeat(self._rows.digits, counts)
        shifts = np.repeat(_WORD_BITS - _EIGHT * self._rows.digits.astype(np.uint64), counts)
        same = np.repeat(xml.words[self._rows.quotes - WORD_BYTES], counts)
        is_right = ((xml.words[at] & _FIRST[_CELL_START_BYTES]) == _CELL_START) & _is_letter(first) & (columns < min(width, MAX_SHEET_COLUMNS))
        is_right &= (((xml.words[quotes - WORD_BYTES] ^ same) >> shifts) == 0) & (xml.buffer[quotes] == _QUOTE)
        is_first = np.zeros(len(at), np.bool_)
        is_first[(np.cumsum(counts) - counts)[counts > 0]] = True
        is_right[1:] &= is_first[1:] | (np.diff(columns) > 0)
        return columns, quotes + 1, is_right

    def _pass_formulas(self, pattern: re.Pattern[str] | None) -> Positions:
        """Return how many tags of a formula each cell begins with. A formula that is unusual is not passed over, so that no value is found after it."""
        xml, cells = self._xml, self._cells
        passed = np.zeros(len(cells), np.int64)
        inner = xml.codes[cells + 1]
        is_plain, has_attributes = inner == _F, inner == _F_WITH
        if pattern is None or not bool((is_plain | has_attributes).any()):
            return passed
        if bool(has_attributes.any()):
            tags = cells[has_attributes] + 1
            is_closed = _match_rests(xml, xml.places[tags] + 2, xml.places[tags + 1], pattern)
            if is_closed is None:
                has_attributes[:] = False
            else:
                passed[np.flatnonzero(has_attributes)[is_closed]] = 1
        open_ones = np.flatnonzero((is_plain | has_attributes) & (passed == 0))
        passed[open_ones[xml.is_followed(cells[open_ones] + 2, _END_F, _FORMULA_END, 4)]] = 2
        return passed

    def _read_values(self, formulas: Positions) -> tuple[Positions, Positions, Mask, Mask, Positions]:
        """Return where values begin and end, which are inline texts, which of these keep their blanks, and how many tags a cell has: 1 if it has no value."""
        xml, cells = self._xml, self._cells
        starts = cells + 1 + formulas
        begins, ends = xml.places[starts] + 3, xml.places[starts + 1]
        is_value = (xml.codes[starts] == _VALUE) & xml.is_followed(starts + 1, _END_VALUE, _VALUE_END, 4) & xml.is_followed(starts + 2, _END_CELL, _CELL_END, 4)
        lengths = np.where(is_value, 4 + formulas, 1)
        is_inline, keeps_blanks = (xml.codes[starts] == _IS) & (formulas == 0), np.zeros(len(cells), np.bool_)
        if bool(is_inline.any()):
            at = np.flatnonzero(is_inline)
            tags = cells[at] + 2
            texts = xml.places[tags]
            is_kept = (xml.codes[tags] == _T_KEPT) & (xml.words[texts] == _KEPT[0]) & (xml.words[texts + 8] == _KEPT[1]) & (xml.words[texts + 16] == _KEPT[2])
            is_right = xml.is_followed(tags - 1, _IS, _INLINE, 4) & (is_kept | (xml.codes[tags] == _T))
            is_right &= xml.is_followed(tags + 1, _END_T, _TEXT_END, 4) & xml.is_followed(tags + 2, _END_IS, _INLINE_END, 5)
            is_right &= xml.is_followed(tags + 3, _END_CELL, _CELL_END, 4)
            begins[at], ends[at] = texts + np.where(is_kept, 24, 3), xml.places[tags + 1]
            lengths[at[is_right]] = 6
            is_inline[at], keeps_blanks[at] = is_right, is_kept
        return begins, ends, is_inline, keeps_blanks, lengths


def _is_letter(bytes_: npt.NDArray[np.uint8]) -> Mask:
    return np.asarray((bytes_ >= ord("A")) & (bytes_ <= ord("Z")))


def _count_before(words: Words, byte: int) -> Positions:
    """Return how many bytes stand before the first of a kind in each word; 8 if there is none."""
    zeros = find_bytes(words, byte)
    return np.where(zeros == 0, WORD_BYTES, (np.bitwise_count((zeros & (~zeros + np.uint64(1))) - np.uint64(1)) >> 3)).astype(np.int64)


def find_bytes(words: Words, byte: int) -> Words:
    """Return 0x80 in place of each byte of that kind, and 0 in place of the others."""
    others = words ^ (_EACH * np.uint64(byte))
    return ~((((others & _LOW) + _LOW) | others) | _LOW)


def parse_digits(words: Words, ends: Positions, lengths: Positions) -> Positions:
    """Return the numbers of at most eight digits that end before these positions; -1 for what consists of anything else, or of nothing."""
    shifts = ((WORD_BYTES - np.clip(lengths, 1, WORD_BYTES)) * 8).astype(np.uint64)
    # The digits stand at the top of the word, with the value 0 below them.
    values = ((words[ends - WORD_BYTES] >> shifts) << shifts) ^ ((_EACH * np.uint64(ord("0"))) >> shifts << shifts)
    is_number = (((values + _EACH * np.uint64(0x76)) | values) & _HIGH) == 0
    values = values * np.uint64(10) + (values >> np.uint64(8))
    values = ((values & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    values = ((values & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32)
    return np.where(is_number & (lengths >= 1) & (lengths <= WORD_BYTES), values.astype(np.int64), -1)

"""One column of a chunk as text: its bytes, and which cells are empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Mask: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.int64]

SPACE, ASCII_END = 0x20, 0x80
SPACE_STARTS = np.zeros(256, dtype=np.bool_)
"""The first UTF-8 byte of every character that counts as white space for `str.isspace`."""
SPACE_STARTS[[0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0xC2, 0xE1, 0xE2, 0xE3]] = True

# Finding the row of one byte by a search in 10,000 cells takes as long as recording the rows of this many bytes.
_BYTES_PER_SEARCH = 64
_FEW_BLANKS = 4
"""If more than one in four cells must be examined, examining all cells at once takes less time."""
_MEMO_ENTRIES = 10_000
_MEMO_CHARACTERS = 100
_PAIR_BYTES = 2
_BYTES_AT_ONCE = 2**20
_KEPT_BYTES = 4_000
"""A thousand characters take at most as many bytes."""


class Column:
    """Text cells with views of their bytes; nothing is copied. A null is a cell that is absent or that the reader already reported."""

    def __init__(self, text: pa.StringArray) -> None:
        self.text = text
        size = len(text)
        offsets_buffer, data_buffer = text.buffers()[1:]
        self.offsets: npt.NDArray[np.int32] = np.frombuffer(offsets_buffer, np.int32)[text.offset : text.offset + size + 1] if size else np.zeros(1, np.int32)
        self._buffer: npt.NDArray[np.uint8] = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None and data_buffer.size else np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return len(self.text)

    @cached_property
    def present(self) -> Mask:
        """Cells that exist and were not reported by the reader."""
        if not self.text.null_count:
            return np.ones(len(self), np.bool_)
        return _unpack(self.text.buffers()[0], self.text.offset, len(self))

    @cached_property
    def data(self) -> npt.NDArray[np.uint8]:
        """The bytes of all cells, one after the other; cell i begins at `starts[i]`."""
        return self._buffer[self.offsets[0] : self.offsets[-1]]

    @cached_property
    def starts(self) -> npt.NDArray[np.int32]:
        """Position in `data` at which each cell begins."""
        result: npt.NDArray[np.int32] = self.offsets[:-1] - self.offsets[0]
        return result

    @cached_property
    def sizes(self) -> npt.NDArray[np.int32]:
        """Size of each cell in bytes."""
        sizes: npt.NDArray[np.int32] = self.offsets[1:] - self.offsets[:-1]  # `np.diff` takes twice as long for a few cells
        return sizes

    @cached_property
    def is_ascii(self) -> bool:
        """Whether all cells are ASCII."""
        return not len(self.data) or int(self.data.max()) < ASCII_END

    @cached_property
    def _may_have_space(self) -> bool:
        """Whether the cells can contain white space, which is either non-ASCII or an ASCII byte up to the space."""
        return not self.is_ascii or (len(self.data) > 0 and int(self.data.min()) <= SPACE)

    @cached_property
    def blank(self) -> Mask:
        """Cells that exist and are empty or contain only white space."""
        filled = self.sizes > 0
        if not self._may_have_space:
            return ~filled & self.present
        result: Mask = ~filled & self.present
        # At the start of an empty cell lies the first byte of the next cell; after the last cell there is none.
        first_bytes = self.data.take(self.starts, mode="clip")
        candidates = np.flatnonzero((first_bytes <= SPACE if self.is_ascii else SPACE_STARTS[first_bytes]) & filled)
        if len(candidates):
            result[[index for index, cell in zip(candidates.tolist(), self.texts(candidates), strict=True) if cell is not None and cell.isspace()]] = True
        return result

    def blank_among(self, rows: Indices) -> Mask:
        """Return the same as `blank`, given that only the cells in `rows` can be blank."""
        if len(rows) * _FEW_BLANKS > len(self):
            return self.blank
        result = np.zeros(len(self), np.bool_)
        if len(rows):
            result[rows] = Column(self.text.take(pa.array(rows))).blank
        return result

    def rows_of(self, positions: Indices) -> Indices:
        """Return the cell that contains each of the byte positions in `data`, which must be ascending."""
        if len(positions) * _BYTES_PER_SEARCH < len(self.data):
            return np.searchsorted(self.offsets[1:] - self.offsets[0], positions, side="right")
        # Many searches take longer than recording the row of every byte once.
        return self._row_of_byte[positions].astype(np.int64)

    def cells_with(self, marked: Mask) -> Mask:
        """Mark the cells that contain at least one of the marked bytes of `data`."""
        found: Mask = np.zeros(len(self), np.bool_)
        count = np.count_nonzero(marked)
        if not count:
            return found
        if count * _BYTES_PER_SEARCH < len(marked):
            found[self.rows_of(np.flatnonzero(marked))] = True
        else:
            filled = np.flatnonzero(self.sizes)
            # The bytes of each cell end at those of the next one that is filled.
            found[filled] = np.logical_or.reduceat(marked, self.starts[filled])
        return found

    @cached_property
    def _row_of_byte(self) -> npt.NDArray[np.int32]:
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    def texts(self, rows: Indices) -> Iterator[str | None]:
        """Yield the texts of some cells."""
        return iterate_texts(self.text.take(pa.array(rows)))

    def without(self, cells: Mask) -> Column:
        """Return the same column with nulls in place of the marked cells."""
        emptied = pc.if_else(pa.array(cells), pa.scalar(""), self.text)
        # Arrow would leave the bytes of the cells under the nulls, where fast parsers find them.
        valid = np.packbits(self.present & ~cells, bitorder="little")
        _, offsets, data = emptied.buffers()
        assert not emptied.offset
        return Column(pa.StringArray.from_buffers(len(emptied), offsets, data, pa.py_buffer(valid.tobytes())))

    def take_beginnings(self, rows: Indices) -> pa.StringArray:
        """Return the texts of some cells, of which long ones are cut to their first 4,000 bytes or a few less: at least 1,000 characters."""
        if not len(rows) or int(self.sizes[rows].max()) <= _KEPT_BYTES:
            return self.text.take(pa.array(rows))
        ends = self.starts.astype(np.int64) + np.minimum(self.sizes, _KEPT_BYTES)
        texts: list[str | None] = []
        for row, is_long, is_present in zip(rows.tolist(), (self.sizes[rows] > _KEPT_BYTES).tolist(), self.present[rows].tolist(), strict=True):
            part = self.data[int(self.starts[row]) : int(ends[row])].tobytes()
            texts.append(part.decode("utf-8", "ignore" if is_long else "strict") if is_present else None)
        return pa.array(texts, pa.string())

    def blanks_emptied(self) -> Column:
        """Return the same column with `""` in place of cells that contain only white space."""
        if not bool((self.blank & (self.sizes > 0)).any()):
            return self
        return Column(pc.if_else(pa.array(self.blank), pa.scalar(""), self.text))


class Memo:
    """Caches a slow function of a cell's text for a bounded number of distinct texts; texts of more than 100 characters are not cached."""

    def __init__(self, function: Callable[[str], Any]) -> None:
        self._function = function
        self._known: dict[str, Any] = {}

    def of_rows(self, column: Column, rows: Indices) -> Iterator[Any]:
        """Yield the results for some cells, none of which may be null; see `of_texts`."""
        return self.of_texts(column.texts(rows))

    def of_texts(self, texts: Iterable[str | None]) -> Iterator[Any]:
        """Yield the results for some texts, in order; one at a time, since results that are JSON may be large."""
        known, function = self._known, self._function
        for text in texts:
            assert text is not None
            if len(text) > _MEMO_CHARACTERS:
                yield function(text)
                continue
            if text not in known:
                if len(known) >= _MEMO_ENTRIES:
                    known.clear()
                known[text] = function(text)
            yield known[text]


def iterate_texts(texts: pa.StringArray) -> Iterator[str | None]:
    """Yield texts as Python's, of which only about a mebibyte exists at a time: they take up to four times the memory that they take in Arrow."""
    count = len(texts)
    step = max(1, count * _BYTES_AT_ONCE // max(1, texts.nbytes))
    for start in range(0, count, step):
        yield from texts.slice(start, step).to_pylist()


def as_mask(array: pa.BooleanArray) -> Mask:
    """Convert an Arrow mask to numpy; null counts as False."""
    if array.null_count:
        array = array.fill_null(False)
    bits = array.buffers()[1]
    return _unpack(bits, array.offset, len(array)) if bits is not None and len(array) else np.zeros(len(array), np.bool_)


def _unpack(bits: pa.Buffer, offset: int, size: int) -> Mask:
    """Unpack a bitmap in a third of the time that Arrow's own conversion takes."""
    # From the byte in which the cells begin: those of one column may be a small part of an array for many columns.
    whole, rest = divmod(offset, 8)
    mask: Mask = np.unpackbits(np.frombuffer(bits, np.uint8)[whole:], count=rest + size, bitorder="little")[rest:].view(np.bool_)
    return mask


class TextSet:
    """A set of texts that can be looked up for all cells of a column."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = pa.array(list(texts), pa.string())
        encoded = [text.encode("utf-8", "surrogatepass") for text in self._texts.to_pylist()]
        self._pairs: Mask | None = None
        if encoded and all(len(text) == _PAIR_BYTES for text in encoded):
            # Codes of countries, states and languages: a look-up in a table replaces hashing.
            self._pairs = np.zeros(2**16, np.bool_)
            self._pairs[[first << 8 | second for first, second in encoded]] = True

    def __len__(self) -> int:
        return len(self._texts)

    def find_in(self, column: Column) -> Mask:
        """Mark the cells whose text is in the set."""
        if self._pairs is None:
            return as_mask(pc.is_in(column.text, value_set=self._texts))
        found = np.zeros(len(column), np.bool_)
        rows = np.flatnonzero(column.sizes == _PAIR_BYTES)
        starts = column.starts[rows]
        found[rows] = self._pairs[column.data[starts].astype(np.uint16) << 8 | column.data[starts + 1]]
        return found

"""Rows of a sheet that were read together, as columns of text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.base import NativeTypes, RowNumbers
from features.processing.readers.excel.row_order import CELL_TEXT_BYTES
from features.processing.readers.excel.sheet_rows import SheetRow, is_blank
from features.processing.readers.native_types import NativeType

_LAST_BLANK, _FIRST_BEYOND_ASCII = ord(" "), 0x80


@dataclass(frozen=True)
class SheetGrid:
    """Consecutive rows in ascending order, of which those without content may be left out; the same as the list `rows`, which takes much longer to use."""

    numbers: RowNumbers
    """Row numbers in the sheet, from 1."""
    texts: pa.StringArray
    """The texts of all cells, column by column from column A on: `""` for cells that are empty, null for those that are bad."""
    types: npt.NDArray[np.uint8]
    """The `NativeType` of each cell; the shape is (columns, rows)."""
    bytes_read: int
    """Position of the reader in its input."""
    exact: Mapping[int, SheetRow] = field(default_factory=dict)
    """By their index, the rows of which `texts` and `types` do not tell everything: with bad cells, or cells to the right of the table."""

    @property
    def first_number(self) -> int:
        """Number of the first row."""
        return int(self.numbers[0])

    @property
    def last_number(self) -> int:
        """Number of the last row."""
        return int(self.numbers[-1])

    @property
    def is_ascending(self) -> bool:
        """Whether each row comes after the one before."""
        return True

    @property
    def weight(self) -> int:
        """Number of rows and cells, with more for long texts."""
        return len(self.numbers) * (1 + len(self.types)) + int(self._offsets[-1] - self._offsets[0]) // CELL_TEXT_BYTES

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, number: int) -> pa.StringArray:
        """Return the texts of a column (from 0)."""
        return self.texts.slice(number * len(self.numbers), len(self.numbers))

    def column_types(self, number: int) -> NativeTypes:
        """Return the native types of a column (from 0)."""
        return np.asarray(self.types[number])

    def measure_rows(self) -> npt.NDArray[np.int64]:
        """Return the length in bytes of the texts of each row."""
        return np.asarray(self._lengths.sum(axis=0, dtype=np.int64))

    def lengths_of(self, column: int) -> npt.NDArray[np.int32]:
        """Return the length in bytes of each text of a column (from 0)."""
        return np.asarray(self._lengths[column])

    @cached_property
    def _lengths(self) -> npt.NDArray[np.int32]:
        return np.diff(self._offsets).reshape(self.types.shape)

    @property
    def _offsets(self) -> npt.NDArray[np.int32]:
        return np.frombuffer(self.texts.buffers()[1], np.int32)[self.texts.offset : self.texts.offset + len(self.texts) + 1]

    def find_content(self) -> npt.NDArray[np.bool_]:
        """Return which rows hold anything but white space."""
        has_content = np.asarray((self.types != NativeType.TEXT).any(axis=0))
        unsure = np.flatnonzero(~has_content)
        if len(unsure):
            data = np.frombuffer(self.texts.buffers()[2] or b"\0", np.uint8)
            firsts = data[np.minimum(self._offsets[:-1], len(data) - 1)].reshape(self.types.shape)[:, unsure]
            has_content[unsure] = ((self._lengths[:, unsure] > 0) & (firsts > _LAST_BLANK) & (firsts < _FIRST_BEYOND_ASCII)).any(axis=0)
            for index in np.flatnonzero(~has_content).tolist():
                has_content[index] = not is_blank(self.take_row(index))
        for index, row in self.exact.items():
            has_content[index] |= not is_blank(row)
        return has_content

    def take_row(self, index: int) -> SheetRow:
        """Return the row with an index."""
        if index in self.exact:
            return self.exact[index]
        texts = self.texts.take(pa.array(np.arange(index, len(self.texts), len(self.numbers))))
        return _make_row(int(self.numbers[index]), texts.to_pylist(), self.types[:, index].tobytes())

    @cached_property
    def rows(self) -> list[SheetRow]:
        """The rows one by one."""
        count, width = len(self.numbers), len(self.types)
        order = np.arange(count * width).reshape(width, count).T.ravel()
        texts, types = self.texts.take(pa.array(order)).to_pylist(), self.types.T.tobytes()
        return [
            self.exact.get(index) or _make_row(number, texts[index * width : (index + 1) * width], types[index * width : (index + 1) * width])
            for index, number in enumerate(self.numbers.tolist())
        ]


def _make_row(number: int, texts: list[str], types: bytes) -> SheetRow:
    length = len(texts)
    while length and not texts[length - 1]:
        length -= 1
    return SheetRow(number, texts[:length], bytearray(types[:length]))

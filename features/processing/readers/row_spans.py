"""Every row of a file in turn, of whatever kind: what a chunk says of the rows that are not split into cells, and where rows stand in the file."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

RowKinds: TypeAlias = npt.NDArray[np.uint8]
"""A `RowKind` for each row."""
Offsets: TypeAlias = npt.NDArray[np.int64]


class RowKind(IntEnum):
    """Classification of a row after reading."""

    ROW = 0
    BLANK = 1
    COMMENT = 2
    UNCLOSED_QUOTE = 3
    TOO_LONG = 4


class RawRows(Protocol):
    """Consecutive whole rows as they stand in the file: bytes in its own encoding, line breaks included. They are read when they are asked for."""

    count: int | None
    """Number of rows; None if the rows were not counted when the block was cut."""
    begin: int
    end: int
    """Positions in the file."""

    def find_offsets(self) -> Offsets:
        """Return the position in the file at which each row begins, and `end` after them."""
        ...

    def read(self, begin: int, end: int) -> bytes:
        """Return the bytes between two positions in the file."""
        ...

    def read_text(self, index: int, *, max_bytes: int | None = None) -> str:
        """Return one row without its line break, or the beginning of it; undecodable bytes are shown as in errors."""
        ...


class RowSpan:
    """Consecutive rows of a file, of every kind; takes little memory however many rows there are."""

    __slots__ = ("_kind", "_packed", "cells", "count", "first_row", "index", "raw")

    def __init__(
        self, first_row: int, kinds: RowKinds, *, raw: RawRows | None = None, index: int = 0, cells: dict[int, Sequence[str | None]] | None = None
    ) -> None:
        self.first_row, self.count = first_row, len(kinds)
        self.raw, self.index = raw, index
        """Where the rows stand in the file, if it is text and this was asked for; the first of them is row `index` of `raw`."""
        self.cells = cells
        """The cells of comments, by row number, in a workbook, if this was asked for."""
        self._kind = int(kinds[0]) if len(kinds) else 0
        self._packed: bytes | None = zlib.compress(kinds.tobytes(), 1) if len(kinds) and bool((kinds != kinds[0]).any()) else None

    @property
    def are_all_rows(self) -> bool:
        """Whether all rows of the span were split into cells."""
        return self._packed is None and self._kind == RowKind.ROW

    @property
    def kinds(self) -> RowKinds:
        """The kind of each row."""
        if self._packed is None:
            return np.full(self.count, self._kind, dtype=np.uint8)
        return np.frombuffer(zlib.decompress(self._packed), dtype=np.uint8)

    def part(self, first: int, last: int) -> RowSpan:
        """Return the rows from index `first` up to but not including `last`."""
        if first <= 0 and last >= self.count:
            return self
        return RowSpan(self.first_row + first, self.kinds[first:last], raw=self.raw, index=self.index + first, cells=self.cells)


def cut_spans(spans: Sequence[RowSpan], row_number: int) -> tuple[list[RowSpan], list[RowSpan]]:
    """Cut spans in file order into the rows before the one with this number, and the rest."""
    before: list[RowSpan] = []
    rest: list[RowSpan] = []
    for span in spans:
        inside = row_number - span.first_row
        if inside >= span.count:
            before.append(span)
        elif inside <= 0:
            rest.append(span)
        else:
            before.append(span.part(0, inside))
            rest.append(span.part(inside, span.count))
    return before, rest


def iterate_lost(spans: Sequence[RowSpan]) -> Iterator[tuple[int, RowKind, RowSpan]]:
    """Yield the number, kind and span of every row that was not split into cells, in file order."""
    for span in spans:
        if span.are_all_rows:
            continue
        kinds = span.kinds
        places = np.flatnonzero(kinds)
        for place, kind in zip(places.tolist(), kinds[places].tolist(), strict=True):
            yield span.first_row + place, RowKind(kind), span


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """How a table stands in its text file: what is needed to write rows that are read as those of the file."""

    encoding: str
    """A codec that writes no byte order mark."""
    delimiter: str
    quote_char: str | None
    escape_char: str | None
    double_quote: bool
    line_end: str
    is_wrapped: bool
    """Rows are quoted as one cell (`"1,""Doe, Jane"",5"`)."""
    mark: bytes
    """The byte order mark."""
    sep_line: bytes
    """The line `sep=;` that the file begins with."""
    header: Sequence[bytes]
    """The rows of the header; none if the file has none."""
    decode: Callable[[bytes], str]
    """Decodes whole rows; undecodable bytes become lone surrogates, U+DC00 and the byte."""
    copy: Callable[[int, int, int], None]
    """Writes the bytes between two positions in the file to a descriptor, which is the last argument."""


@runtime_checkable
class KeepsRows(Protocol):
    """A table that tells of the rows that are no records, too, if it was opened with `ReadLimits.keep_rows`."""

    @property
    def width(self) -> int:
        """Return how many columns the table has."""
        ...

    @property
    def raw_table(self) -> RawTable | None:
        """How the table stands in its text file; None in a workbook."""
        ...

    def first_rows(self) -> Iterator[tuple[int, Sequence[str | None]]]:
        """Yield the number and the cells of every row up to and including the header; can be called while rows are read."""
        ...

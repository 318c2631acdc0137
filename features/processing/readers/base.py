"""The interface of every reader: a table that is read once, from its first row to its last, in chunks.

Readers deal with structure (rows, cells, encodings, sheets) and report errors in it; they know nothing about types, constraints,
the web, the database or Celery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.processing.readers.row_spans import RowSpan
from shared.descriptors.table_dialect import TableDialect
from shared.storage.arrival import Arrival
from shared.texts import make_storable

RowNumbers: TypeAlias = npt.NDArray[np.int64]
NativeTypes: TypeAlias = npt.NDArray[np.uint8]
"""A `NativeType` for each cell."""


class FileUnreadable(Exception):
    """The file cannot be read to its end; the message is one or two plain sentences for the person who uploaded it."""


class ContainedFile(Exception):
    """An opener found that the file is a wrapper, such as an encrypted workbook whose password is known: the file in it, at `path`, is to be read instead.

    Whoever catches it removes the file at `path` when the table has been read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


class ReadAnew(Exception):  # a request, not an error
    """What was read so far was read in a wrong way, since not all of the file was there; all of it is now, and it has to be read from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Limits for reading one file; they apply to every format."""

    chunk_rows: int = 10_000
    chunks_at_once: int = 1
    """At most how many chunks are read and checked together."""
    chunk_bytes: int = 32 * 2**20
    max_row_bytes: int = 16 * 2**20
    spill_dir: Path | None = None
    """Folder for data of one run that outgrows memory; None: the system's temporary folder."""
    spill_threshold_bytes: int = 64 * 2**20
    keep_rows: bool = False
    """Chunks also tell what no check needs: where the rows of a text file stand in it, the whole text of cells and rows that were reported, comments."""
    excel_reader: str = "fast"
    """`fast` (expat over the sheet's XML) or `openpyxl` (its own row iterator)."""
    arrival: Arrival | None = None
    """How much of the file is there, if it is still being fetched; None: all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Properties found in the file; those that its format does not have are None."""

    encoding: str | None = None
    delimiter: str | None = None
    quote_char: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    """Row number of the header in the file or sheet, from 1; None if the dialect says that there is no header."""

    def __post_init__(self) -> None:
        """Cut what comes from the file, or from whoever sent it, so that it can be stored."""
        for name in ("encoding", "sheet"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, make_storable(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person should know about how the file was read, and no error; it fails no row."""

    code: str
    """Such as `rows-above-header`; the codes are in the contract and in the README."""
    message: str
    """One plain sentence that names the way out: the dialect or schema property to send."""
    row_number: int | None = None
    column_name: str | None = None

    def __post_init__(self) -> None:
        """Cut what comes from the file, so that it can be stored."""
        object.__setattr__(self, "message", make_storable(self.message))
        if self.column_name is not None:
            object.__setattr__(self, "column_name", make_storable(self.column_name))

    def to_json(self) -> dict[str, Any]:
        """Return the note as JSON, without members that it does not have."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Errors of one type in one column of a chunk, or in whole rows of it: one error for each row number."""

    error_type: str
    row_numbers: RowNumbers
    """Row numbers in the file or sheet, from 1, ascending."""
    message: str | pa.StringArray
    """One plain sentence that names the violated limit; an array if the message differs from row to row."""
    raw_values: pa.StringArray | None = None
    """The text of the cells as it is in the file, or of a long one at least its first 1,000 characters (with `ReadLimits.keep_rows` readers give all of it);
    None for whole rows."""
    column_number: int | None = None
    """From 1; None for errors of whole rows. Readers and checks count the columns of the table, and the cells outside it (`extra-cell`) as in the file."""
    column_name: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    """The values that the message says, for programs, as JSON; the same for all rows."""
    first_rows: RowNumbers | None = None
    """For each error about a value that was there before, the row that has it first; 0 for the others, None if there are only others."""

    def __len__(self) -> int:
        return len(self.row_numbers)

    def slice(self, start: int, stop: int) -> Finding:
        """Return the errors from index `start` up to but not including `stop`; nothing is copied."""
        if start <= 0 and stop >= len(self):
            return self
        # `replace` takes twice as long.
        return Finding(
            error_type=self.error_type,
            row_numbers=self.row_numbers[start:stop],
            message=self.message if isinstance(self.message, str) else self.message.slice(start, stop - start),
            raw_values=None if self.raw_values is None else self.raw_values.slice(start, stop - start),
            column_number=self.column_number,
            column_name=self.column_name,
            params=self.params,
            first_rows=None if self.first_rows is None else self.first_rows[start:stop],
        )

    def list_params(self) -> list[Mapping[str, Any]]:
        """Return the values in the message of each error, the row that has its value first among them."""
        if self.first_rows is None:
            return [self.params] * len(self)
        return [{**self.params, "first_row_number": row} if row else self.params for row in self.first_rows.tolist()]


@dataclass(frozen=True, slots=True)
class LostRows:
    """Rows that have no cells to be checked, in runs: blank ones, rows that are too long, unclosed quotes."""

    at: RowNumbers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """The row number of the first row of each run, ascending."""
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """How many rows each run has."""

    def split(self, ends: RowNumbers) -> list[LostRows]:
        """Return the runs before each row number in `ends`, which ascend, and after the last one."""
        places = np.searchsorted(self.at, ends)
        return [LostRows(at, counts) for at, counts in zip(np.split(self.at, places), np.split(self.counts, places), strict=True)]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.counts.sum())


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Chunk:
    """Up to `chunk_rows` rows as columns of text, or up to `chunks_at_once` times as many if they are short.

    A null in `columns` means that there is nothing to check: the cell is absent, or the reader has already reported it. `""` is an empty cell.
    """

    columns: Sequence[pa.StringArray]
    """One array for each column of the header (of the first row, if there is no header), each of length `len(row_numbers)`."""
    native_types: Sequence[NativeTypes | None] | None = None
    """For each column the `NativeType` of each cell, or None if all of them are text; None: all cells of the chunk are text."""
    row_numbers: RowNumbers
    """Row numbers in the file or sheet, from 1, ascending, with gaps where rows were blank, comments or too long."""
    findings: Sequence[Finding] = field(default_factory=tuple)
    """Errors that the reader itself found (structure and encoding), including those of rows that are not among `row_numbers`."""
    lost: LostRows = field(default_factory=LostRows)
    """Rows that count as processed and failed but are not among `row_numbers`."""
    spans: Sequence[RowSpan] = field(default_factory=tuple)
    """All rows of the file from the end of the previous chunk on, of every kind; without blank rows that wait for the row after them."""
    bytes_read: int = 0
    """Position of the reader in its input after this chunk; divided by `Table.bytes_total` it estimates the progress."""

    def types_of(self, index: int) -> NativeTypes | None:
        """Return the native types of the cells of a column; None if all of them are text."""
        return self.native_types[index] if self.native_types is not None else None

    @property
    def rows_lost(self) -> int:
        """How many rows are in `lost`."""
        return self.lost.rows


class Table(Protocol):
    """One opened table of a file: its source and labels are known, its rows have not been read yet."""

    source: Source
    labels: Sequence[str] | None
    """The cells of the header as they are in the file; None if the dialect says that there is no header."""
    column_numbers: Sequence[int] | None
    """The number in the file, from 1, of each column of the table, ascending; None if they are simply 1, 2, 3 …"""
    bytes_total: int
    """The total that `Chunk.bytes_read` counts towards."""
    header_findings: Sequence[Finding]
    """Errors that the reader found in the cells of the header, with the row number of the header."""

    @property
    def notes(self) -> Sequence[Note]:
        """How the file was read; more may be known when `chunks` has been read to its end."""
        ...

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows in file order; can be called only once.

        Raises `FileUnreadable` if the file breaks off or exceeds a limit of its format.
        """
        ...

    def close(self) -> None:
        """Release files, threads and processes; may be called twice, and before `chunks` has been read to its end."""
        ...


class TableOpener(Protocol):
    """Signature of the function that a format's `opener` names."""

    def __call__(self, path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits, field_names: Sequence[str] | None) -> Table:
        """Open the table in the file. Raises `FileUnreadable`.

        Formats that state their own encoding ignore `encoding`. `field_names` are those of the schema, if one was given: they tell which row is the header.
        """
        ...

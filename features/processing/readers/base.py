"""What every reader gives: a table that is read once, from its first row to its last, in chunks.

Readers know structure (rows, cells, encodings, sheets) and report what is wrong with it; they know nothing of types, constraints,
the web, the database or Celery.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shared.descriptors.table_dialect import TableDialect

RowNumbers: TypeAlias = npt.NDArray[np.int64]


class FileUnreadable(Exception):
    """The file cannot be read to its end; the message is one or two plain sentences for the person who uploaded it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLimits:
    """Bounds of one reading. They hold for every format."""

    chunk_rows: int = 10_000
    chunk_bytes: int = 32 * 2**20
    max_row_bytes: int = 16 * 2**20
    spill_dir: Path | None = None
    """Where files of one run that outgrow memory go; None: the system's temporary folder."""
    spill_threshold_bytes: int = 64 * 2**20
    excel_reader: str = "fast"
    """`fast` (expat over the sheet's XML) or `openpyxl` (its own row iterator)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was found in the file; parts that its format does not have are None."""

    encoding: str | None = None
    delimiter: str | None = None
    quote_char: str | None = None
    sheet: str | None = None
    header_row: int | None = None
    """The header's place in the file or sheet, from 1; None where the dialect says that there is no header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found at one place (a column, or whole rows) of one chunk: an error§row for each row number."""

    error_type: str
    row_numbers: RowNumbers
    """Places in the file or sheet, from 1, ascending."""
    message: str | pa.StringArray
    """One plain sentence with the limit that was broken; an array where it differs from row to row."""
    raw_values: pa.StringArray | None = None
    """The cells' text as it stands in the file, not cut yet; None for whole rows."""
    column_number: int | None = None
    """From 1; None for an error of the whole row."""
    column_name: str | None = None

    def __len__(self) -> int:
        return len(self.row_numbers)

    def slice(self, start: int, stop: int) -> Finding:
        """The errors from index `start` up to, not with, `stop`; nothing is copied."""
        if start <= 0 and stop >= len(self):
            return self
        return replace(
            self,
            row_numbers=self.row_numbers[start:stop],
            message=self.message if isinstance(self.message, str) else self.message.slice(start, stop - start),
            raw_values=None if self.raw_values is None else self.raw_values.slice(start, stop - start),
        )


@dataclass(frozen=True, slots=True, weakref_slot=True, kw_only=True)
class Chunk:
    """Up to `chunk_rows` rows as columns of text.

    A null in `columns` means: nothing to check here, the cell is absent or was already reported by the reader; `""` is a cell that is there and empty.
    """

    columns: Sequence[pa.StringArray]
    """One for each column of the header (of the first row, where there is no header), each `len(row_numbers)` long."""
    row_numbers: RowNumbers
    """The rows' places in the file or sheet, from 1, ascending, with gaps where rows were blank, comments or too long."""
    findings: Sequence[Finding] = field(default_factory=tuple)
    """What the reader itself found (structure and encoding), also of rows that are not among `row_numbers`."""
    rows_lost: int = 0
    """Rows that count as processed and failed and are not among `row_numbers`: blank runs, rows that are too long, unclosed quotes."""
    bytes_read: int = 0
    """How far the reader is in its input after this chunk; with `Table.bytes_total` an estimate of the progress."""


class Table(Protocol):
    """One table of one file, opened: its source and labels are known, its rows are not read yet."""

    source: Source
    labels: Sequence[str] | None
    """The header's cells as they stand in the file; None where the dialect says that there is no header."""
    bytes_total: int
    """The whole of what `Chunk.bytes_read` counts towards."""

    def chunks(self) -> Iterator[Chunk]:
        """The rows in their order, once.

        Raises `FileUnreadable` where the file breaks off or passes a limit of its format.
        """
        ...

    def close(self) -> None:
        """Give files, threads and processes back; may be called twice and while `chunks` is half-way."""
        ...


class TableOpener(Protocol):
    """What a format's `opener` names."""

    def __call__(self, path: Path, *, dialect: TableDialect | None, encoding: str | None, limits: ReadLimits) -> Table:
        """The table in the file; `encoding` means nothing to formats that say their own. Raises `FileUnreadable`."""
        ...

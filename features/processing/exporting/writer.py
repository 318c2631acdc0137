"""What a writer of an output is: it takes the checked rows of a file in order and writes one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from features.processing.engine import CheckedRows
from features.processing.readers.base import Finding, ReadLimits, Source
from features.processing.readers.row_spans import RawTable
from shared.descriptors.table_schema import Field

_T = TypeVar("_T")

CheckRoom: TypeAlias = Callable[[], None]
"""Raises `OSError` (`ENOSPC`) if too little disk space is left. A writer calls it before it begins and at least once for each 8 MiB that it writes."""


def no_rows() -> Iterator[tuple[int, Sequence[str | None]]]:
    """Yield nothing: a table that has no rows above its records, or does not know them."""
    return iter(())


class OutputUnmakeable(Exception):
    """This output cannot be made of this file; the message is one plain sentence that names the way out, such as another format."""


class MustStartAgain(Exception):
    """What a writer assumed of the rows (the type of a column) does not hold: the file has to be read again. The writer knows better then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedTable:
    """What writers know of a table before its first row."""

    labels: Sequence[str] | None
    """The labels of the table's columns as they are in the file; None if it has no header."""
    column_numbers: Sequence[int] | None
    """The number in the file of each column; None if they are 1, 2, 3 …"""
    fields: Mapping[int, Field]
    """The field that describes each column, by its index; columns without one are absent."""
    width: int
    """Number of columns of the table."""
    header_findings: Sequence[Finding]
    """Errors of the header; columns are numbered as in the file."""
    source: Source
    first_rows: Callable[[], Iterator[tuple[int, Sequence[str | None]]]] = no_rows
    """Yields the number and the cells of every row of the file up to and including the header; can be called while rows are read."""
    raw: RawTable | None = None
    """How the table stands in its text file; None in a workbook, and unless the file was opened with `ReadLimits.keep_rows`."""

    @property
    def file_width(self) -> int:
        """Number of columns of the file up to the last one of the table."""
        return max(self.column_numbers, default=0) if self.column_numbers is not None else self.width

    def place(self, values: Sequence[_T], absent: _T) -> list[_T]:
        """Return one value for each column of the file, from one for each column of the table; `absent` for columns that are left out of the table."""
        if self.column_numbers is None:
            return list(values)
        placed = [absent] * self.file_width
        for number, value in zip(self.column_numbers, values, strict=True):
            placed[number - 1] = value
        return placed


@dataclass(slots=True)
class Written:
    """What a writer has made."""

    row_count: int = 0
    """Rows of the table (or error records) in it."""
    notes: list[str] = field(default_factory=list)
    """What a person should know about it, in sentences: cells that were cut, sheets that were added."""


class OutputWriter(Protocol):
    """Writes one output. `begin` may be called again after `MustStartAgain`; then everything that was written before is discarded."""

    def begin(self, table: OpenedTable) -> None:
        """Begin the file. Raises `OutputUnmakeable`."""
        ...

    def write(self, rows: CheckedRows) -> None:
        """Write some rows; `rows.failed` and `rows.findings` include errors that are only known after the last row. Raises `MustStartAgain`."""
        ...

    def finish(self) -> Written:
        """Complete the file and make it durable (fsync). Raises `MustStartAgain`."""
        ...

    def close(self) -> None:
        """Release files; what was not finished may be left incomplete. May be called twice, also after `finish`."""
        ...


class OpenWriter(Protocol):
    """Signature of the functions that make writers."""

    def __call__(self, path: Path, *, limits: ReadLimits, check_room: CheckRoom) -> OutputWriter:
        """Return the writer of the file at `path`, which does not exist yet. Temporary files go to the folder of `path`."""
        ...

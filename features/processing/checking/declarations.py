"""Declare and find checks: every module of `checks/` is imported, and the checks run in the order of their error types.

There are three kinds: a `@column_check` checks single cells, one column of a chunk at a time; a `@row_check` applies rules that span columns to a typed
pandas DataFrame; a `@key_check` checks keys over the whole file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import pyarrow as pa

from features.processing.checking.limited_judge import LimitedJudge
from features.processing.checking.type_rule import Typed
from features.processing.checking.work_ahead import WorkAhead
from features.processing.column import Column, Indices, Mask
from features.processing.keys.key_set import KeySpace
from features.processing.readers.base import ReadLimits, RowNumbers
from shared.descriptors.table_schema import Field, TableSchema

if TYPE_CHECKING:
    import pandas as pd

CHECKS = "features.processing.checks"
"""The package of all checks: every module in it is imported."""
ERROR_ORDER = (
    "required-error",
    "unique-error",
    "enum-error",
    "pattern-error",
    "minimum-error",
    "maximum-error",
    "exclusive-minimum-error",
    "exclusive-maximum-error",
    "min-length-error",
    "max-length-error",
    "json-schema-error",
    "category-error",
    "primary-key-error",
    "unique-key-error",
    "foreign-key-error",
)
"""A cell gets the first error that applies. Error types that are not listed here come last, ordered by the name of the check."""


class FileUncheckable(Exception):
    """The rows cannot be checked to the end; the message is one or two plain sentences for the person who uploaded the file. It ends the job as FAILED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """Objects that a check may need besides its field or schema."""

    limits: ReadLimits
    keys: KeySpace
    """Shared bookkeeping of values that must be unique."""
    judge: LimitedJudge = field(default_factory=LimitedJudge)
    """Judges texts by rules whose cost the uploader controls, in a process of its own."""
    ahead: WorkAhead = field(default_factory=WorkAhead)
    """A thread beside the one that checks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """One check of one field."""

    message: str | Callable[[Column, Indices], str | Sequence[str]]
    """One plain sentence, or a function that returns one sentence for all of the given rows, or one for each."""
    begin: Callable[[Column], bool] | None = None
    """Called, if given, before the columns of a chunk are judged: the rule may begin with this one in `CheckContext.ahead`, and returns whether it has."""
    begin_values: Callable[[Typed, RowNumbers], bool] | None = None
    """The same as soon as the types of its cells are known, before the other columns are judged, unless the column is small; given the row number of each
    cell."""
    find_bad: Callable[[Column], Mask] | None = None
    """Mark the bad cells of a column by their text. Marks on cells that are missing, have the wrong type or already have an error are ignored."""
    find_bad_values: Callable[[Typed], Mask] | None = None
    """The same by logical values; called for all cells of the right type, whatever other checks found."""
    find_first_rows: Callable[[Typed, RowNumbers], RowNumbers] | None = None
    """The same for values that must not come again: given the row number of each cell, returns for a bad one the row that has its value first, else 0.
    Give one of the three functions."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The values in the message, for programs (`params.make_params`)."""
    close: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinding:
    """Rows of a chunk that one rule rejects."""

    rows: Indices
    """Positions in the chunk, ascending."""
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    first_rows: RowNumbers | None = None
    """For each of the rows, the row that has its key first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFinding:
    """Rows that a rule rejects after the last chunk."""

    row_numbers: RowNumbers
    """Ascending, also from one finding of the rule to the next."""
    had_failed: Mask
    """Rows that already had an error when they were read."""
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedChunk:
    """A chunk whose cells were checked for their types."""

    row_numbers: RowNumbers
    columns: dict[str, Typed]
    """By the name of the field; fields without a column are absent."""
    missing: dict[str, Mask]
    """Empty cells, by the name of the field."""
    failed: Mask
    """Rows that already have an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A rule that spans columns, as a function of a pandas DataFrame.

    The frame has one column for each of `fields`, typed by the schema in use (see `frames.ChunkFrames`), and is indexed by row number.
    """

    fields: tuple[str, ...]
    """Names of the fields that the rule uses. A chunk is not checked if any of their columns is absent."""
    find_bad: Callable[[pd.DataFrame], pd.Series[bool]]
    """Mark the rows that break the rule, in the frame's order or with its row numbers as the index.

    A missing result (`<NA>`), such as that of a comparison with an empty or invalid cell, is not an error."""
    message: str | Callable[[pd.DataFrame], str | Sequence[str]]
    """One plain sentence, or a function that returns one for all of the bad rows that it is given, or one for each."""
    field: str | None = None
    """The field whose cell is at fault; the cell is reported unless it already has an error. None reports the row as a whole."""


class KeyRule(Protocol):
    """A rule about keys over the whole file.

    One that finds all errors in their chunk may say so by an attribute `reports_late` that is False: outputs then take one pass over the file, not two.
    An attribute `field_names` may name the fields whose columns it reads: the others may then be absent from the chunk, and take less time.
    If what it finds does not depend on errors of other rules, a method `begin` may take the chunk before `find_bad` does: it is called, or not, when the
    types of all cells are known, and other work goes on in another thread meanwhile.
    """

    def find_bad(self, chunk: TypedChunk) -> Sequence[RowFinding]:
        """Return the bad rows of the chunk."""
        ...

    def finish(self) -> Iterator[LateFinding]:
        """Yield the bad rows that are only known after the last chunk, in parts of bounded size and in row order."""
        ...

    def close(self) -> None:
        """Release what is held; may be called twice."""
        ...


ColumnCheckBuilder: TypeAlias = Callable[[Field, CheckContext], ColumnRule | None]
RowCheckBuilder: TypeAlias = Callable[[TableSchema, CheckContext], Sequence[RowRule]]
KeyCheckBuilder: TypeAlias = Callable[[TableSchema, CheckContext], Sequence[KeyRule]]


Builder = TypeVar("Builder", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Check(Generic[Builder]):
    """A declared check."""

    name: str
    error_type: str
    build: Builder


ColumnCheck: TypeAlias = Check[ColumnCheckBuilder]
RowCheck: TypeAlias = Check[RowCheckBuilder]
KeyCheck: TypeAlias = Check[KeyCheckBuilder]

_column_checks: dict[str, ColumnCheck] = {}
_row_checks: dict[str, RowCheck] = {}
_key_checks: dict[str, KeyCheck] = {}


def column_check(name: str, *, error_type: str) -> Callable[[ColumnCheckBuilder], ColumnCheckBuilder]:
    """Declare a check of single cells; names are unique."""
    return _declare(_column_checks, name, error_type)


def row_check(name: str, *, error_type: str) -> Callable[[RowCheckBuilder], RowCheckBuilder]:
    """Declare a check that spans the columns of a row; names are unique."""
    return _declare(_row_checks, name, error_type)


def key_check(name: str, *, error_type: str) -> Callable[[KeyCheckBuilder], KeyCheckBuilder]:
    """Declare a check of keys over the whole file; names are unique."""
    return _declare(_key_checks, name, error_type)


def column_checks() -> list[ColumnCheck]:
    """Return all checks of single cells in the order in which they apply."""
    return _in_order(_column_checks)


def row_checks() -> list[RowCheck]:
    """Return all checks that span columns, in the order in which they apply; they come after those of single cells."""
    return _in_order(_row_checks)


def key_checks() -> list[KeyCheck]:
    """Return all checks of keys, in the order in which they apply; they come last."""
    return _in_order(_key_checks)


def make_messages(said: str | Sequence[str], count: int) -> str | pa.StringArray:
    """Return what a rule says of `count` bad rows: one sentence for all, or one for each. Raises `ValueError` if some rows get none."""
    if isinstance(said, str):
        return said
    messages = pa.array(said, pa.string())
    if len(messages) != count or messages.null_count:
        raise ValueError(f"A check must give one message, or one for each of {count} bad rows, but gave {len(messages) - messages.null_count}.")
    return messages


def _declare(known: dict[str, Check[Builder]], name: str, error_type: str) -> Callable[[Builder], Builder]:
    def declare(build: Builder) -> Builder:
        # A module that is reloaded declares its checks again; two modules must not share a name.
        if name in known and known[name].build.__module__ != build.__module__:
            raise ValueError(f"There are two checks with the name {name!r}.")
        known[name] = Check(name, error_type, build)
        return build

    return declare


def _in_order(known: Mapping[str, Check[Builder]]) -> list[Check[Builder]]:
    import_all()
    last = len(ERROR_ORDER)
    return sorted(known.values(), key=lambda check: (ERROR_ORDER.index(check.error_type) if check.error_type in ERROR_ORDER else last, check.name))


@cache
def import_all() -> None:
    """Import every check. Called when checks are first needed, or earlier in a process that is going to fork."""
    # Imported by name, because every check imports this module.
    package = importlib.import_module(CHECKS)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{CHECKS}.{module.name}")

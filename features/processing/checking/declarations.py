"""How checks are declared and found: every module of `checks/` is imported, and its checks run in the order of their error types.

Three kinds: `@column_check` judges single cells, a column of a chunk at a time; `@row_check` judges rules that span columns, on a typed pandas
DataFrame; `@key_check` judges keys over the whole file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pyarrow as pa

from features.processing.checking.type_rule import Typed
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
"""A cell gets the first error that applies; errors that are not named here come last, in the order of their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What a check may need besides its field."""

    limits: ReadLimits
    keys: KeySpace
    """Shared bookkeeping of what must be unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRule:
    """One check of one field."""

    message: str | Callable[[Column, Indices], str | Sequence[str]]
    """One plain sentence, or what is said of some rows: one sentence for all, or one for each."""
    find_bad: Callable[[Column], Mask] | None = None
    """Marks cells of a column by their text. What it says of cells that are missing, of the wrong type or already in error is ignored."""
    find_bad_values: Callable[[Typed], Mask] | None = None
    """The same by their logical values; asked for all cells whose type is right, whatever other checks say of them. Give one of the two."""
    close: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFinding:
    """Rows of a chunk that one rule refuses."""

    rows: Indices
    """Places in the chunk, ascending."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LateFinding:
    """Rows that a rule refuses after the last chunk."""

    row_numbers: RowNumbers
    """Ascending, also over all findings of the rule."""
    had_failed: Mask
    """Rows that had an error already when they were read."""
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedChunk:
    """A chunk whose types were judged."""

    row_numbers: RowNumbers
    columns: dict[str, Typed]
    """By the name of the field; fields without a column are absent."""
    missing: dict[str, Mask]
    """Empty cells, by the name of the field."""
    failed: Mask
    """Rows that have an error already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A rule that spans columns, as a function of a pandas DataFrame.

    The frame has one column for each of `fields`, typed by the schema in use (see `frames.make_frame`), and is indexed by row number.
    """

    fields: tuple[str, ...]
    """Names of the fields that the rule looks at. Chunks that lack the column of one of them are not checked."""
    find_bad: Callable[[pd.DataFrame], pd.Series[bool]]
    """Mark the rows that break the rule. A missing result (`<NA>`), as comparisons with an empty or invalid cell give it, is no error."""
    message: str | Callable[[pd.DataFrame], Sequence[str]]
    """One plain sentence, or one for each of the bad rows that it is given."""
    field: str | None = None
    """The field whose cell is at fault, and is reported unless it has an error already; None: the row as a whole."""


class KeyRule(Protocol):
    """A rule about keys over the whole file."""

    def find_bad(self, chunk: TypedChunk) -> Sequence[RowFinding]:
        """Say which rows of the chunk are bad."""
        ...

    def finish(self) -> Iterator[LateFinding]:
        """Say what is only known after the last chunk, in pieces of bounded size, rows ascending."""
        ...

    def close(self) -> None:
        """Give back what was held; may be called twice."""
        ...


ColumnCheckBuilder: TypeAlias = Callable[[Field, CheckContext], ColumnRule | None]
RowCheckBuilder: TypeAlias = Callable[[TableSchema, CheckContext], Sequence[RowRule]]
KeyCheckBuilder: TypeAlias = Callable[[TableSchema, CheckContext], Sequence[KeyRule]]


@dataclass(frozen=True, slots=True)
class ColumnCheck:
    """A check that was declared for columns."""

    name: str
    error_type: str
    build: ColumnCheckBuilder


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A check that was declared for rows."""

    name: str
    error_type: str
    build: RowCheckBuilder


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """A check that was declared for keys."""

    name: str
    error_type: str
    build: KeyCheckBuilder


_column_checks: dict[str, ColumnCheck] = {}
_row_checks: dict[str, RowCheck] = {}
_key_checks: dict[str, KeyCheck] = {}


def column_check(name: str, *, error_type: str) -> Callable[[ColumnCheckBuilder], ColumnCheckBuilder]:
    """Declare a check of single cells; names are unique."""

    def declare(build: ColumnCheckBuilder) -> ColumnCheckBuilder:
        _refuse_second(name, build.__module__, _column_checks)
        _column_checks[name] = ColumnCheck(name, error_type, build)
        return build

    return declare


def row_check(name: str, *, error_type: str) -> Callable[[RowCheckBuilder], RowCheckBuilder]:
    """Declare a check that spans the columns of a row; names are unique."""

    def declare(build: RowCheckBuilder) -> RowCheckBuilder:
        _refuse_second(name, build.__module__, _row_checks)
        _row_checks[name] = RowCheck(name, error_type, build)
        return build

    return declare


def key_check(name: str, *, error_type: str) -> Callable[[KeyCheckBuilder], KeyCheckBuilder]:
    """Declare a check of keys over the whole file; names are unique."""

    def declare(build: KeyCheckBuilder) -> KeyCheckBuilder:
        _refuse_second(name, build.__module__, _key_checks)
        _key_checks[name] = KeyCheck(name, error_type, build)
        return build

    return declare


def column_checks() -> list[ColumnCheck]:
    """All checks of cells in the order in which they apply."""
    import_all()
    return sorted(_column_checks.values(), key=lambda check: _rank(check.error_type, check.name))


def row_checks() -> list[RowCheck]:
    """All checks that span columns, in the order in which they apply: after those of cells."""
    import_all()
    return sorted(_row_checks.values(), key=lambda check: _rank(check.error_type, check.name))


def key_checks() -> list[KeyCheck]:
    """All checks of keys, in the order in which they apply: last."""
    import_all()
    return sorted(_key_checks.values(), key=lambda check: _rank(check.error_type, check.name))


def messages_for(rule: ColumnRule, column: Column, rows: Indices) -> str | pa.StringArray:
    """What a finding says of some rows: one sentence for all, or one for each."""
    said = rule.message if isinstance(rule.message, str) else rule.message(column, rows)
    return said if isinstance(said, str) else pa.array(said, pa.string())


def _rank(error_type: str, name: str) -> tuple[int, str]:
    return (ERROR_ORDER.index(error_type) if error_type in ERROR_ORDER else len(ERROR_ORDER), name)


def _refuse_second(name: str, module: str, known: Mapping[str, ColumnCheck] | Mapping[str, RowCheck] | Mapping[str, KeyCheck]) -> None:
    # A module that is reloaded declares its checks anew; two modules must not share a name.
    if name in known and known[name].build.__module__ != module:
        raise ValueError(f"There are two checks with the name {name!r}.")


@cache
def import_all() -> None:
    """Import every check: when checks are first asked for, or earlier, in a process that is about to fork."""
    # By name, since every check imports this module.
    package = importlib.import_module(CHECKS)
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{CHECKS}.{module.name}")

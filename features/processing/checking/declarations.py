"""Where checks are found: every module of this folder that declares one is imported, and its checks run in the order of the error types."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeAlias

import pyarrow as pa

import features.processing.checks as checks_package
from features.processing.checking.type_rule import Typed
from features.processing.column import Column, Indices, Mask
from features.processing.keys.key_set import KeySpace
from features.processing.readers.base import ReadLimits, RowNumbers
from shared.descriptors.table_schema import Field, TableSchema

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
    columns: Mapping[str, Typed]
    """By the name of the field; fields without a column are absent."""
    missing: Mapping[str, Mask]
    """Empty cells, by the name of the field."""
    failed: Mask
    """Rows that have an error already."""


class KeyRule(Protocol):
    """One check of whole rows."""

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
KeyCheckBuilder: TypeAlias = Callable[[TableSchema, CheckContext], Sequence[KeyRule]]


@dataclass(frozen=True, slots=True)
class ColumnCheck:
    """A check that was declared for columns."""

    name: str
    error_type: str
    build: ColumnCheckBuilder


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """A check that was declared for rows."""

    name: str
    error_type: str
    build: KeyCheckBuilder


_column_checks: dict[str, ColumnCheck] = {}
_key_checks: dict[str, KeyCheck] = {}


def column_check(name: str, *, error_type: str) -> Callable[[ColumnCheckBuilder], ColumnCheckBuilder]:
    """Declare a check of single cells; names are unique."""

    def declare(build: ColumnCheckBuilder) -> ColumnCheckBuilder:
        _refuse_second(name, build.__module__, _column_checks)
        _column_checks[name] = ColumnCheck(name, error_type, build)
        return build

    return declare


def key_check(name: str, *, error_type: str) -> Callable[[KeyCheckBuilder], KeyCheckBuilder]:
    """Declare a check of whole rows; names are unique."""

    def declare(build: KeyCheckBuilder) -> KeyCheckBuilder:
        _refuse_second(name, build.__module__, _key_checks)
        _key_checks[name] = KeyCheck(name, error_type, build)
        return build

    return declare


def column_checks() -> list[ColumnCheck]:
    """All checks of cells in the order in which they apply."""
    import_all()
    return sorted(_column_checks.values(), key=lambda check: _rank(check.error_type, check.name))


def key_checks() -> list[KeyCheck]:
    """All checks of rows in the order in which they apply."""
    import_all()
    return sorted(_key_checks.values(), key=lambda check: _rank(check.error_type, check.name))


def messages_for(rule: ColumnRule, column: Column, rows: Indices) -> str | pa.StringArray:
    """What a finding says of some rows: one sentence for all, or one for each."""
    said = rule.message if isinstance(rule.message, str) else rule.message(column, rows)
    return said if isinstance(said, str) else pa.array(said, pa.string())


def _rank(error_type: str, name: str) -> tuple[int, str]:
    return (ERROR_ORDER.index(error_type) if error_type in ERROR_ORDER else len(ERROR_ORDER), name)


def _refuse_second(name: str, module: str, known: Mapping[str, ColumnCheck] | Mapping[str, KeyCheck]) -> None:
    # A module that is reloaded declares its checks anew; two modules must not share a name.
    if name in known and known[name].build.__module__ != module:
        raise ValueError(f"There are two checks with the name {name!r}.")


@cache
def import_all() -> None:
    """Import every check: at the first look, or earlier where a process is about to fork."""
    for module in pkgutil.iter_modules(checks_package.__path__):
        importlib.import_module(f"{checks_package.__name__}.{module.name}")

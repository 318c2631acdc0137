"""Data classes of a parsed and validated Table Schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """Constraints on the values of a field, as given in the descriptor; None (False for the two flags) if absent."""

    required: bool = False
    unique: bool = False
    enum: tuple[object, ...] | None = None
    pattern: str | None = None
    minimum: object | None = None
    maximum: object | None = None
    exclusive_minimum: object | None = None
    exclusive_maximum: object | None = None
    min_length: int | None = None
    max_length: int | None = None
    json_schema: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One column: its type, the way its values are written, and their constraints."""

    name: str
    type: str = "any"
    format: str = "default"
    constraints: Constraints = field(default_factory=Constraints)
    missing_values: tuple[str, ...] | None = None
    """Replaces the list of the schema if given."""
    decimal_char: str = "."
    group_char: str = ""
    bare_number: bool = True
    true_values: tuple[str, ...] = ("true", "True", "TRUE", "1")
    false_values: tuple[str, ...] = ("false", "False", "FALSE", "0")
    delimiter: str = ","
    """Separates the items of a list."""
    item_type: str = "string"
    """Type of the items of a list."""
    categories: tuple[object, ...] | None = None
    """The allowed values, without their labels."""
    categories_ordered: bool | None = None
    descriptor: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """Fields whose values must occur in other fields of the same table."""

    fields: tuple[str, ...]
    reference_fields: tuple[str, ...]
    """As many as `fields`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """A complete schema; every name in a key is the name of a field."""

    fields: tuple[Field, ...]
    missing_values: tuple[str, ...] = ("",)
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    fields_match: str = "exact"
    """`exact`, `equal`, `subset`, `superset` or `partial`."""
    descriptor: Mapping[str, object] = field(default_factory=dict)
    """The JSON object, as it can be sent with another upload."""

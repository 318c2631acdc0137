"""What a case of a workbook is: a small file, how it is sent, and what reading it must give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Place = tuple[int, int | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A workbook and what must be found; what is None may be anything."""

    name: str
    kind: str
    why: str
    content: bytes
    extension: str = "xlsx"
    schema: dict[str, Any] | None = None
    dialect: dict[str, Any] | None = None
    refused: bool = False
    """The upload is refused, and nothing else is expected."""
    status: str = "COMPLETED"
    says: Sequence[str] = ()
    """Words that must be in the sentences of the errors, or in that of the failure."""
    never_says: Sequence[str] = ()
    sheet: str | None = None
    header_row: int | None = None
    labels: Sequence[str] | None = None
    labels_are_distinct: bool = False
    fields: Mapping[str, Any] | None = None
    """Names of fields, each with a type or with members that the field must have."""
    errors: Sequence[Place] | None = None
    """All errors: row, column and type."""
    by_type: Mapping[str, int] | None = None
    """All errors: how many of each type."""
    rows: int | None = None
    """How many rows are processed."""
    cells: Mapping[str, str | None] | None = None
    """Texts of cells by their place, such as `B3`; None: there is nothing to check."""
    notes: Sequence[str] = ()
    """Codes that must be among the notes."""
    no_notes: Sequence[str] = ()
    """Codes that must not be among the notes."""


def schema(*fields: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """Return a Table Schema."""
    return {"fields": [dict(field) for field in fields], **members}


def field(name: str, type_name: str, **members: Any) -> dict[str, Any]:
    """Return a field of a Table Schema."""
    return {"name": name, "type": type_name, **members}


def collect(cases: list[Case], kind: str) -> Callable[..., None]:
    """Return a function that adds a case of this kind: `add(name, why, content, **expected)`."""

    def add(name: str, why: str, content: bytes, **expected: Any) -> None:
        cases.append(Case(name=name, kind=kind, why=why, content=content, **expected))

    return add

"""Columns of cells with a type of their own."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_packages import Value, number, one_sheet

STYLES = ["dd/mm/yyyy", "dd/mm/yyyy hh:mm", "hh:mm", "[h]:mm", "00000"]
DAY = 45306
"""2024-01-15."""


def date(offset: float = 0) -> Value:
    return number(repr(DAY + offset), 1)


def moment(offset: float) -> Value:
    return number(repr(DAY + offset), 2)


def clock(hours: float) -> Value:
    return number(repr(hours / 24), 3)


def hours(count: float) -> Value:
    return number(repr(count / 24), 4)


def code(value: int) -> Value:
    return number(value, 5)


def column(*values: Value, label: str = "v", more: Any = None) -> bytes:
    """Return a workbook with an id and one column."""
    return one_sheet(["id", label], *([index, value] for index, value in enumerate(values, 1)), styles=STYLES, **(more or {}))

"""Infer a schema from columns of cells, and find their errors by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pyarrow as pa

from features.processing.checking.checker import Checker
from features.processing.inference.infer import Inferred, infer_table_schema
from features.processing.readers.base import Chunk, ReadLimits
from shared.descriptors.table_schema import TableSchema


def make_chunk(columns: Sequence[Sequence[str]]) -> Chunk:
    """Return a chunk whose rows are numbered from 1; shorter columns are filled up with empty cells."""
    rows = list(zip_longest(*columns, fillvalue=""))
    return Chunk(columns=[pa.array([row[index] for row in rows], pa.string()) for index in range(len(columns))], row_numbers=np.arange(1, len(rows) + 1))


def infer(columns: Mapping[str, Sequence[str]]) -> Inferred:
    """Infer a schema from columns by name."""
    return infer_table_schema(list(columns), [make_chunk(list(columns.values()))])


def infer_one(cells: Sequence[str]) -> dict[str, object]:
    """Return the properties of a single column as `describe` does."""
    return describe(infer({"a": cells}), 0)


def describe(inferred: Inferred, index: int) -> dict[str, object]:
    """Return the properties and constraints of a field, but for its name and whether it is required."""
    field: dict[str, Any] = dict(inferred.table_schema.fields[index].descriptor)
    constraints = field.pop("constraints", {})
    return {name: value for name, value in (field | constraints).items() if name not in ("name", "required")}


def find_errors(schema: TableSchema, columns: Mapping[str, Sequence[str]]) -> dict[tuple[int, str], str]:
    """Return the error type of each bad cell, by row from 1 and column name."""
    checker = Checker(schema, labels=list(columns), header_row=0, limits=ReadLimits())
    findings = checker.check(make_chunk(list(columns.values()))).findings
    checker.close()
    return {(row, finding.column_name or ""): finding.error_type for finding in findings for row in finding.row_numbers.tolist()}


def bad_cells(cells: Sequence[str]) -> list[str]:
    """Return the cells of a column that its own inferred schema calls wrong."""
    columns = {"a": cells}
    return [cells[row - 1] for row, _ in sorted(find_errors(infer(columns).table_schema, columns))]

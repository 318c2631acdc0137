"""Find the columns without errors by judging those of equal fields as one: in tables of thousands of columns each call costs more than the few cells do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from operator import attrgetter

import numpy as np
import pyarrow as pa

from features.processing.checking.column_plan import ColumnPlan, EmptyColumns
from features.processing.checking.declarations import CheckContext, column_checks
from features.processing.column import Indices
from features.processing.readers.base import Chunk
from features.processing.readers.cell_grid import CellGrid
from shared.descriptors.table_schema import Field, TableSchema

_STACK_CELLS = 2**16
"""Most cells of a stack."""
_MANY_ROWS = 2**13
"""A column of so many cells is judged by itself."""
_options_of = attrgetter(*(each.name for each in fields(Field) if each.name not in ("name", "descriptor", "constraints")))


def make_plans(table_schema: TableSchema, matched: Mapping[int, Field], context: CheckContext, may_fail: Callable[[str], bool]) -> dict[int, ColumnPlan]:
    """Return the plan of each column by its index; fields that differ in their names only, and have no rules but their type, share one.

    `matched` has the fields by the same indices; `may_fail` tells, by a field's name, whether a rule that spans columns may reject its cells.
    """
    plans: dict[int, ColumnPlan] = {}
    shared: dict[object, ColumnPlan] = {}
    checks = column_checks()
    for index, field in matched.items():
        may_fail_later = may_fail(field.name)
        rules = [(check, rule) for check in checks if (rule := check.build(field, context)) is not None]
        key = None if rules else (may_fail_later, field.constraints.required, _options_of(field))
        plan = shared.get(key)
        if plan is None:
            plan = ColumnPlan(table_schema, field, rules, may_fail_later=may_fail_later)
            if key is not None:
                shared[key] = plan
        plans[index] = plan
    return plans


class ColumnStacks:
    """The columns of a table that can be judged as one, since they have the same plan."""

    def __init__(self, plans: Mapping[int, ColumnPlan], alone: Collection[int]) -> None:
        """`plans` has the plan of each column by its index; the columns in `alone` are judged by themselves."""
        groups: dict[int, list[int]] = {}
        for index, plan in plans.items():
            if index not in alone:
                groups.setdefault(id(plan), []).append(index)
        self._groups = [(plans[indices[0]], sorted(indices)) for indices in groups.values() if len(indices) > 1]

    def find_good(self, chunk: Chunk) -> set[int]:
        """Return the indices of columns that have no error, as far as columns can be judged as one.

        What is wrong with the others only they can tell by themselves: the sentences of errors depend on the other cells of their column.
        """
        good: set[int] = set()
        if not 0 < len(chunk.row_numbers) < _MANY_ROWS:
            return good
        columns = chunk.columns
        for plan, indices in self._groups:
            if chunk.native_types is not None or indices[-1] >= len(columns):
                indices = [index for index in indices if index < len(columns) and chunk.types_of(index) is None]  # noqa: PLW2901 - those that the chunk has
            if len(indices) > 1:
                good.update(_find_good_of_grid(columns, plan, indices) if isinstance(columns, CellGrid) else _find_good_of_columns(columns, plan, indices))
        return good


def _find_good_of_columns(columns: Sequence[pa.StringArray], plan: ColumnPlan, indices: Sequence[int]) -> Iterator[int]:
    count = len(columns[indices[0]])
    most = _STACK_CELLS // count
    for start in range(0, len(indices), most):
        stack = indices[start : start + most]
        if len(stack) > 1:
            bad = set((_find_failed(plan, pa.concat_arrays([columns[index] for index in stack])) // count).tolist())
            yield from (index for place, index in enumerate(stack) if place not in bad)


def _find_good_of_grid(grid: CellGrid, plan: ColumnPlan, indices: Sequence[int]) -> Sequence[int]:
    # Row by row, as the cells are.
    is_good = np.ones(len(indices), np.bool_)
    chosen = np.array(indices)
    most = max(1, _STACK_CELLS // len(indices))
    for first in range(0, grid.rows, most):
        part = grid.take_rows(first, min(most, grid.rows - first))
        is_good[_find_failed(plan, part.take_columns(chosen)) % len(indices)] = False
    good: list[int] = chosen[is_good].tolist()
    return good


def _find_failed(plan: ColumnPlan, cells: pa.StringArray) -> Indices:
    return np.flatnonzero(plan.check(cells, None, np.arange(len(cells)), 0, None, EmptyColumns(len(cells))).failed)

"""Find the columns without errors by judging those of equal fields as one: in tables of thousands of columns each call costs more than the few cells do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import fields
from operator import attrgetter

import numpy as np
import pyarrow as pa

from features.processing.checking.column_plan import ColumnPlan, EmptyColumns
from features.processing.checking.declarations import CheckContext, column_checks
from features.processing.readers.base import Chunk
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


def find_good(chunk: Chunk, plans: Mapping[int, ColumnPlan], alone: Collection[int]) -> set[int]:
    """Return the indices of columns of a chunk that have no error, as far as columns of one plan can be judged as one; those in `alone` are left out.

    What is wrong with the others only they can tell by themselves: the sentences of errors depend on the other cells of their column.
    """
    count = len(chunk.row_numbers)
    if not 0 < count < _MANY_ROWS:
        return set()
    groups: dict[int, list[int]] = {}
    for index, plan in plans.items():
        if index < len(chunk.columns) and index not in alone and chunk.types_of(index) is None:
            groups.setdefault(id(plan), []).append(index)
    most = _STACK_CELLS // count
    good: set[int] = set()
    for indices in groups.values():
        for start in range(0, len(indices), most):
            stack = indices[start : start + most]
            if len(stack) > 1:
                stacked = pa.concat_arrays([chunk.columns[index] for index in stack])
                judged = plans[stack[0]].check(stacked, None, np.arange(len(stacked)), 0, None, EmptyColumns(len(stacked)))
                bad = set((np.flatnonzero(judged.failed) // count).tolist())
                good.update(index for place, index in enumerate(stack) if place not in bad)
    return good

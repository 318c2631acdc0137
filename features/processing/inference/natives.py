"""Forms of columns in which cells have a type of their own, as in workbooks: those cells fit every form of that type, and the texts among them decide on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.native_cells import find_native_cells
from features.processing.checking.type_rule import TypeRule
from features.processing.column import Column, as_mask
from features.processing.inference.booleans import find_booleans
from features.processing.inference.dates import DateForm, find_date_forms
from features.processing.inference.numbers import NumberForm, Separators, find_number_forms
from features.processing.inference.sample import Sample, is_most
from features.processing.readers.base import NativeTypes
from features.processing.readers.native_types import NativeType
from shared.descriptors.table_schema import Field

_MOMENTS = {"date": NativeType.DATE, "datetime": NativeType.DATETIME, "time": NativeType.TIME, "duration": NativeType.DURATION}


class NativeSample:
    """The filled cells of a column, some of which have a type of their own."""

    def __init__(self, values: Column, types: NativeTypes) -> None:
        self._values, self._types = values, types
        self._present = frozenset(np.flatnonzero(np.bincount(types, minlength=len(NativeType))).tolist())
        self.texts = Sample(values.text.filter(pa.array(types == NativeType.TEXT)))
        """The cells that are text."""

    def find_moments(self) -> list[DateForm]:
        """Return the forms of dates, times and durations with the fewest wrong cells, of one type; more than one if they differ in the order of their parts."""
        best: list[DateForm] = []
        rank = (0, 0)
        if self._present.isdisjoint(_MOMENTS.values()):
            return []
        for name, own_type in _MOMENTS.items():
            forms = self._list_moments(name)
            if not forms:
                continue
            # Of equally good types the one that most cells have by themselves: a date at midnight fits both.
            this_rank = (-forms[0].wrong, int(np.count_nonzero(self._types == own_type)))
            if not best or this_rank > rank:
                best, rank = forms, this_rank
        return best

    def find_booleans(self) -> dict[str, object] | None:
        """Return the properties of a column of booleans; None if it is none."""
        if NativeType.BOOLEAN not in self._present:
            return None
        fitting = int(np.count_nonzero(self._types == NativeType.BOOLEAN))
        spelt = find_booleans(self.texts) if len(self.texts) else None
        candidates: list[dict[str, object]] = [{"type": "boolean"}, *([spelt] if spelt is not None else [])]
        rights = [fitting + self._count_right_texts(_field_of(each)) for each in candidates]
        best = max(rights)
        return candidates[rights.index(best)] if is_most(best, len(self._values)) else None

    def find_numbers(self) -> list[NumberForm]:
        """Return the forms of numbers with the fewest wrong cells; more than one if they are equally good."""
        if NativeType.NUMBER not in self._present:
            return []
        is_number = self._types == NativeType.NUMBER
        fitting = int(np.count_nonzero(is_number))
        has_decimals = bool(np.any(as_mask(pc.match_substring(self._values.text, ".")) & is_number))
        others = len(self._values) - fitting - len(self.texts)
        forms = [
            NumberForm(form.separators, form.is_whole and not has_decimals, form.is_bare, others + form.wrong)
            for form in (find_number_forms(self.texts) if len(self.texts) else [])
        ]
        wrong = {name: len(self._values) - fitting - self._count_right_texts(Field(name="", type=name)) for name in ("integer", "number")}
        is_whole = not has_decimals and wrong["integer"] <= wrong["number"]
        plain = NumberForm(Separators(None, None), is_whole, True, wrong["integer" if is_whole else "number"])
        least = min(form.wrong for form in (plain, *forms))
        if not is_most(len(self._values) - least, len(self._values)):
            return []
        return [plain] if plain.wrong == least else [form for form in forms if form.wrong == least]

    def _list_moments(self, name: str) -> list[DateForm]:
        fitting = find_native_cells(self._values, self._types, name)
        count = int(np.count_nonzero(fitting.mask)) if fitting is not None else 0
        if not count:
            return []
        others = len(self._values) - count - len(self.texts)
        forms = [form for form in (find_date_forms(self.texts) if len(self.texts) else []) if form.type == name]
        forms = [DateForm(name, form.format, others + form.wrong) for form in forms]
        plain = DateForm(name, "default", len(self._values) - count - self._count_right_texts(Field(name="", type=name)))
        least = min(form.wrong for form in (plain, *forms))
        if not is_most(len(self._values) - least, len(self._values)):
            return []
        return [plain] if plain.wrong == least else [form for form in forms if form.wrong == least]

    def _count_right_texts(self, field: Field) -> int:
        column = self.texts.column
        if not len(column):
            return 0
        rule = TypeRule(field)
        too_long = rule.find_too_long(column)
        column = column if too_long is None else column.without(too_long)
        return int(np.count_nonzero(rule.judge(column, column.present).ok))


def _field_of(properties: dict[str, object]) -> Field:
    true, false = (properties.get(name) for name in ("trueValues", "falseValues"))
    if isinstance(true, Sequence) and isinstance(false, Sequence):
        return Field(name="", type="boolean", true_values=tuple(map(str, true)), false_values=tuple(map(str, false)))
    return Field(name="", type="boolean")

"""Cells that have a type in the file by themselves: they satisfy the same type of a field, whatever text form its schema prescribes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.processing.checking.fast_parse import fast_parser_for
from features.processing.checking.reasons import Reasons
from features.processing.checking.type_rule import Typed, TypeRule
from features.processing.column import Column, Indices, Mask, as_mask
from features.processing.readers.base import NativeTypes
from features.processing.readers.native_types import NativeType
from shared.descriptors.table_schema import Field

_WORDS = {
    NativeType.NUMBER: "the cell holds a number",
    NativeType.BOOLEAN: "the cell holds TRUE or FALSE",
    NativeType.DATE: "the cell holds a date",
    NativeType.TIME: "the cell holds a time",
    NativeType.DATETIME: "the cell holds a date with a time",
    NativeType.DURATION: "the cell holds a duration",
}
_FORMAT_IT = "; if it is meant as one, format the cell as such in Excel"
_TIME_TYPES = ("date", "time", "datetime")
_DURATION = re.compile(r"PT(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)(\.[0-9]+)?S)?")
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2}(?:\.[0-9]+)?)")
_HOURS_OF_DAY = 24
_MIDNIGHT = "T00:00:00"

Texts = tuple[Mask, pa.StringArray]
"""Which of some cells can be converted, and the texts of all."""


@dataclass(frozen=True, slots=True)
class NativeCells:
    """The cells of a column that have the type of its field by themselves."""

    mask: Mask
    column: Column
    """The whole column, in which these cells are written in the default form of their type, and the others as they are."""


class NativeRule:
    """Finds and judges such cells for one field."""

    def __init__(self, field: Field, type_rule: TypeRule) -> None:
        self._field, self._type_rule = field, type_rule
        self._converters = _CONVERTERS.get(field.type, {})
        plain = _default_form(field)
        self._is_default = plain == field
        self._rule = type_rule if self._is_default else TypeRule(plain, fast_parse=fast_parser_for(replace(plain, format="default")))
        self._message = type_rule.message.removesuffix(".")

    def find(self, column: Column, types: NativeTypes | None) -> NativeCells | None:
        """Return the cells that have the type of the field; None if there are none, so that all are judged by their text."""
        return None if types is None else find_native_cells(column, types, self._field.type)

    def judge(self, column: Column, natives: NativeCells, candidates: Mask, types: NativeTypes) -> Typed:
        """Determine which of the cells in `candidates` are values: those in `natives` by the default form of the type, the others by that of the field."""
        if self._is_default:
            typed = self._type_rule.judge(natives.column, candidates)
            return typed if typed.reasons is None and bool(typed.ok[candidates].all()) else self._with_reasons(typed, candidates & ~typed.ok, types)
        own = self._rule.judge(natives.column.without(~natives.mask), candidates & natives.mask)
        if bool(natives.mask[candidates].all()):
            written = self._type_rule.judge_none(column)
        else:
            written = self._type_rule.judge(column.without(natives.mask), candidates & ~natives.mask)
        typed = MixedTyped(natives, self._type_rule.message, own=own, written=written)
        return self._with_reasons(typed, candidates & ~typed.ok, types)

    def explain(self, typed: Typed, candidates: Mask, types: NativeTypes | None) -> Typed:
        """Say of refused cells of other native types what they hold."""
        return typed if types is None else self._with_reasons(typed, candidates & ~typed.ok, types)

    def _with_reasons(self, typed: Typed, refused: Mask, types: NativeTypes) -> Typed:
        if not self._converters or not bool((types[refused] != NativeType.TEXT).any()):
            return typed
        messages = [self._type_rule.message] if typed.reasons is None else list(typed.reasons.messages)
        codes = np.zeros(len(types), np.int32) if typed.reasons is None else typed.reasons.codes.copy()
        broken = refused & (types == NativeType.NUMBER)
        if self._field.type == "integer" and bool(broken.any()):
            # To the parser of texts a point could be one between groups.
            codes[broken] = len(messages)
            messages.append(f"{self._message}: it has decimals.")
        for native_type, words in _WORDS.items():
            # What is said of the text already is more exact.
            cells = refused & (types == native_type) & (codes == 0)
            if bool(cells.any()) and native_type not in _OWN[self._field.type]:
                is_serial = native_type is NativeType.NUMBER and self._field.type in _TIME_TYPES
                codes[cells] = len(messages)
                messages.append(f"{self._message}: {words}{_FORMAT_IT if is_serial else ''}.")
        typed.reasons = Reasons(messages, codes)
        return typed


def find_native_cells(column: Column, types: NativeTypes, field_type: str) -> NativeCells | None:
    """Return the cells whose native type is that of a field; None if there are none."""
    text = column.text
    mask = np.zeros(len(column), np.bool_)
    for native_type, convert in _CONVERTERS.get(field_type, {}).items():
        found: Mask = types == native_type
        if not bool(found.any()):
            continue
        if convert is not None:
            can, converted = convert(column.text)
            found &= can
            text = pc.if_else(pa.array(found), converted, text)
        mask |= found
    mask &= column.present
    if not bool(mask.any()):
        return None
    return NativeCells(mask, column if text is column.text else Column(text))


class MixedTyped(Typed):
    """A column in which some cells are judged by the default form of their type, and the others by the form that the schema prescribes."""

    def __init__(self, natives: NativeCells, message: str, *, own: Typed, written: Typed) -> None:
        self._mask, self._own, self._written = natives.mask, own, written
        self.column = natives.column
        self.ok = own.ok | written.ok
        self.as_written = ~natives.mask
        self.reasons = _join_reasons(natives.mask, message, own.reasons, written.reasons)

    @property
    def scale(self) -> int:
        """See `Typed`."""
        return self._written.scale

    @property
    def _own_numbered(self) -> Mask:
        return self._own.numbered if self._own.scale == self._written.scale else np.zeros(len(self.column), np.bool_)

    @property
    def numbered(self) -> Mask:
        """See `Typed`."""
        return self._own_numbered | self._written.numbered

    @cached_property
    def numbers(self) -> npt.NDArray[np.int64]:
        """See `Typed`."""
        numbers = np.zeros(len(self.column), np.int64)
        for part, rows in ((self._own, self._own_numbered), (self._written, self._written.numbered)):
            if bool(rows.any()):
                numbers[rows] = part.numbers[rows]
        return numbers

    @property
    def accepted(self) -> Mask:
        """See `Typed`."""
        return self._own.accepted | self._written.accepted

    @cached_property
    def floats(self) -> npt.NDArray[np.float64]:
        """See `Typed`."""
        floats = np.zeros(len(self.column), np.float64)
        for part in (self._own, self._written):
            rows = part.accepted
            if bool(rows.any()):
                floats[rows] = part.floats[rows]
        return floats

    def values(self, rows: Indices) -> Iterator[Any]:
        """See `Typed`."""
        is_own = self._mask[rows]
        own, written = self._own.values(rows[is_own]), self._written.values(rows[~is_own])
        for each in is_own.tolist():
            yield next(own if each else written)


def _join_reasons(mask: Mask, message: str, own: Reasons | None, written: Reasons | None) -> Reasons | None:
    """Return the reasons of both kinds of cells; `message`, that of the type, is number 0 of both."""
    if own is None and written is None:
        return None
    messages = [message] if written is None else list(written.messages)
    codes = np.zeros(len(mask), np.int32) if written is None else written.codes.copy()
    if own is not None:
        shift = len(messages) - 1
        messages += own.messages[1:]
        codes[mask] = np.where(own.codes > 0, own.codes + shift, 0)[mask]
    return Reasons(messages, codes)


def _default_form(field: Field) -> Field:
    """Return the field with the form in which native cells are written: ISO dates, numbers with a point, `true` and `false`."""
    if field.type in ("integer", "number"):
        return replace(field, decimal_char=".", group_char="", bare_number=True)
    if field.type == "boolean":
        is_known = "true" in field.true_values and "false" in field.false_values
        return field if is_known else replace(field, true_values=("true",), false_values=("false",))
    # The default form of a time has no fraction of a second, which a cell may have.
    return replace(field, format="any" if field.type == "time" else "default")


def _take_midnight(text: pa.StringArray) -> Texts:
    return as_mask(pc.ends_with(text, _MIDNIGHT)), pc.utf8_slice_codeunits(text, 0, 10)


def _add_midnight(text: pa.StringArray) -> Texts:
    return np.ones(len(text), np.bool_), pc.binary_join_element_wise(text, _MIDNIGHT, "")


def _take_month(text: pa.StringArray) -> Texts:
    return as_mask(pc.ends_with(text, "-01")), pc.utf8_slice_codeunits(text, 0, 7)


def _convert_each(convert: Callable[[str], str | None]) -> Callable[[pa.StringArray], Texts]:
    def convert_all(text: pa.StringArray) -> Texts:
        encoded = pc.dictionary_encode(text)
        converted = pa.array([convert(each) for each in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)
        return as_mask(pc.is_valid(converted)), converted

    return convert_all


def _duration_as_time(text: str) -> str | None:
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1] or 0) >= _HOURS_OF_DAY:
        return None
    return f"{int(match[1] or 0):02}:{int(match[2] or 0):02}:{int(match[3] or 0):02}{match[4] or ''}"


def _time_as_duration(text: str) -> str | None:
    match = _TIME.fullmatch(text)
    return f"PT{int(match[1])}H{int(match[2])}M{match[3]}S" if match else None


_Converter = Callable[[pa.StringArray], Texts] | None
_CONVERTERS: Mapping[str, Mapping[NativeType, _Converter]] = {
    "integer": {NativeType.NUMBER: None},
    "number": {NativeType.NUMBER: None},
    "boolean": {NativeType.BOOLEAN: None},
    "date": {NativeType.DATE: None, NativeType.DATETIME: _take_midnight},
    "datetime": {NativeType.DATETIME: None, NativeType.DATE: _add_midnight},
    "time": {NativeType.TIME: None, NativeType.DURATION: _convert_each(_duration_as_time)},
    "duration": {NativeType.DURATION: None, NativeType.TIME: _convert_each(_time_as_duration)},
    "year": {NativeType.NUMBER: None},
    "yearmonth": {NativeType.DATE: _take_month},
}
"""For each type of field the native types that satisfy it, and how their text becomes that of the field's default form; None: it is that already."""
_OWN = {name: frozenset(native_type for native_type, convert in converters.items() if convert is None) for name, converters in _CONVERTERS.items()}
# Where 1 and 0 are true and false, a number is told nothing by being called one.
_OWN["boolean"] |= {NativeType.NUMBER}

"""Infer the schema of a table that came without one: the form that most values of a column have is taken as the form of all.

A column has a form if at least 90 % of its filled cells have it, or all but one of 3 to 10; with fewer than 3 cells all must have it. The first
that fits: codes with leading zeros, numbers, booleans, dates and times, formats of text; where several forms of one kind fit, the one that fewer
cells contradict. What a column leaves open, its decimal character or the order of day and month, the file's other columns decide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from features.processing.checking.labels import usable_names
from features.processing.column import Column
from features.processing.inference.booleans import find_booleans
from features.processing.inference.codes import find_code_pattern
from features.processing.inference.dates import DAY_FIRST, DateForm, choose_date_form, find_date_forms
from features.processing.inference.marks import find_marks, spell_marks
from features.processing.inference.natives import NativeSample
from features.processing.inference.numbers import NumberForm, choose_number_form, find_number_forms
from features.processing.inference.sample import Sample, is_most
from features.processing.inference.text_formats import find_text_format
from features.processing.readers.base import Chunk, FileUnreadable, NativeTypes, Note
from shared.descriptors.table_schema import MAX_FIELDS, TableSchema, parse_table_schema
from shared.texts import quote_briefly

MAX_ROWS = 10_000
_SCHEMA_URL = "https://datapackage.org/profiles/2.0/tableschema.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What was inferred of a table."""

    table_schema: TableSchema
    notes: Sequence[Note]
    """What could not be told from the values, and what was assumed."""


@dataclass(slots=True)
class _Findings:
    """What the values of one column say about its form; empty if they are plain text."""

    sample: Sample
    present: int
    """How many cells there are."""
    filled: int
    """How many of them are not empty."""
    marks: Sequence[str]
    """The marks for nothing among them, which `sample` leaves out."""
    marked: int
    """How many cells have such a mark."""
    properties: dict[str, object] | None = None
    pattern: str | None = None
    numbers: list[NumberForm] = field(default_factory=list)
    dates: list[DateForm] = field(default_factory=list)


def infer_table_schema(labels: Sequence[str] | None, chunks: Sequence[Chunk]) -> Inferred:
    """Return a schema for a table from its first rows, at most 10,000. Raises `FileUnreadable` if the table has too many columns.

    The labels become the field names; blank and repeated labels are replaced by unused names, so that the schema can be sent again and finds the
    same errors.
    """
    width = max([len(labels or ()), *(len(chunk.columns) for chunk in chunks)])
    if width > MAX_FIELDS:
        raise FileUnreadable(f"The table has {width} columns; at most {MAX_FIELDS} can be checked.")
    names = usable_names(labels) if labels is not None else []
    names += usable_names([""] * width)[len(names) :]
    columns = [_look_at(_first_rows(chunks, index), _first_types(chunks, index)) for index in range(width)]
    notes: list[Note] = []
    fields = _describe_all(names, columns, notes)
    return Inferred(table_schema=parse_table_schema({"$schema": _SCHEMA_URL, "fields": fields, "missingValues": [""]}), notes=notes)


def _first_rows(chunks: Sequence[Chunk], index: int) -> Column:
    parts = [chunk.columns[index] for chunk in chunks if index < len(chunk.columns)]
    joined = parts[0] if len(parts) == 1 else pa.concat_arrays(parts) if parts else pa.array([], pa.string())
    return Column(joined.slice(0, MAX_ROWS))


def _first_types(chunks: Sequence[Chunk], index: int) -> NativeTypes | None:
    parts = [None if chunk.native_types is None or index >= len(chunk.columns) else chunk.native_types[index] for chunk in chunks]
    if all(part is None for part in parts):
        return None
    sizes = [len(chunk.row_numbers) if index < len(chunk.columns) else 0 for chunk in chunks]
    return np.concatenate([np.zeros(size, np.uint8) if part is None else part for part, size in zip(parts, sizes, strict=True)])[:MAX_ROWS]


def _look_at(column: Column, types: NativeTypes | None) -> _Findings:
    present = column.present
    filled = present & ~column.blank
    counts = int(np.count_nonzero(present)), int(np.count_nonzero(filled))
    values = column if bool(filled.all()) else Column(column.text.filter(pa.array(filled)))
    marks = find_marks(values)
    marked = int(np.count_nonzero(marks))
    sample = Sample(values.text.filter(pa.array(~marks)) if marked else values.text)
    found = _Findings(sample, *counts, marks=spell_marks(values, marks) if marked else (), marked=marked)
    if not len(sample):
        return found
    found.pattern = find_code_pattern(sample)
    if found.pattern is None and not (types is not None and _find_native_form(found, NativeSample(sample.column, types[filled][~marks]))):
        _find_text_form(found)
    return found


def _find_native_form(found: _Findings, sample: NativeSample) -> bool:
    """Find the form of a column by the cells that have a type of their own; return whether there is one."""
    found.dates = sample.find_moments()
    if found.dates:
        return True
    found.properties = sample.find_booleans()
    if found.properties is not None:
        return True
    found.numbers = sample.find_numbers()
    found.sample = sample.texts if found.numbers else found.sample
    return bool(found.numbers)


def _find_text_form(found: _Findings) -> None:
    found.numbers = find_number_forms(found.sample)
    if not found.numbers:
        found.properties = find_booleans(found.sample)
        if found.properties is None:
            found.dates = find_date_forms(found.sample)
            if not found.dates and (name := find_text_format(found.sample)) is not None:
                found.properties = {"type": "string", "format": name}


def _describe_all(names: Sequence[str], columns: Sequence[_Findings], notes: list[Note]) -> list[dict[str, object]]:
    order = _most_common([each.dates[0].order for each in columns if len(each.dates) == 1 and each.dates[0].is_numeric_date])
    decimal = _find_decimal_char(columns)
    return [_describe(name, column, order, decimal, notes) for name, column in zip(names, columns, strict=True)]


def _find_decimal_char(columns: Sequence[_Findings]) -> str | None:
    """Return the decimal character of the columns that leave no doubt of theirs; where none does, a comma beside dates such as 31.12.2024.

    Who writes those writes decimal commas, but for the Swiss.
    """
    sure = [each.numbers[0].separators for each in columns if len(each.numbers) == 1]
    votes = [each.decimal for each in sure if each.decimal is not None]
    votes += [{".": ",", ",": "."}[each.group] for each in sure if each.decimal is None and each.group in (".", ",")]
    if not votes and any(each.dates and each.dates[0].format.startswith("%d.%m.") for each in columns):
        return ","
    return _most_common(votes)


def _most_common(votes: Sequence[str]) -> str | None:
    """Return what most votes are for; None if there is none, or two are equal."""
    counted = Counter(votes).most_common(2)
    return None if not counted or (len(counted) > 1 and counted[0][1] == counted[1][1]) else counted[0][0]


def _describe(name: str, column: _Findings, order: str | None, decimal: str | None, notes: list[Note]) -> dict[str, object]:
    described: dict[str, object] = {"name": name}
    constraints: dict[str, object] = {}
    if column.pattern is not None:
        described["type"] = "string"
        constraints["pattern"] = column.pattern
    elif column.numbers:
        described |= choose_number_form(column.numbers, column.sample, decimal).describe()
    elif column.dates:
        chosen = choose_date_form(column.dates, order)
        described |= chosen.describe()
        others = [form for form in column.dates if form is not chosen]
        if others and chosen.order != order:
            notes.append(_note_ambiguous(name, chosen, others[0]))
    else:
        described |= column.properties or {"type": "string"}
    is_plain = described == {"name": name, "type": "string"} and not constraints
    if column.marked and not is_plain:
        described["missingValues"] = ["", *column.marks]
    if is_most(column.filled - (0 if is_plain else column.marked), column.present):
        constraints = {"required": True} | constraints
    return described | ({"constraints": constraints} if constraints else {})


def _note_ambiguous(name: str, chosen: DateForm, other: DateForm) -> Note:
    first = "day" if chosen.order == DAY_FIRST else "month"
    return Note(
        code="ambiguous-dates",
        message=(
            f'The dates in column "{quote_briefly(name)}" fit with the day first and with the month first; they were read with the {first} first.'
            f' If that is wrong, send a schema in which the field has "format": "{other.format}".'
        ),
        column_name=name,
    )

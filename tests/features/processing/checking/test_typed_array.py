"""Values in local forms become the same Arrow values as those in the forms of programs."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking.type_rule import TypeRule
from features.processing.checking.typed_array import make_typed_array
from features.processing.column import Column
from shared.descriptors.table_schema import Field


@pytest.mark.parametrize(
    ("field", "cells", "values"),
    [
        ({"type": "number", "decimal_char": ",", "group_char": "."}, ["1.234,5", "x", "-7,25", "+3"], [1234.5, None, -7.25, 3.0]),
        ({"type": "number", "bare_number": False, "group_char": ","}, ["$1,234.50", "(5)", "7 %", "-$2"], [1234.5, -5.0, 7.0, -2.0]),
        ({"type": "integer", "group_char": "\u00a0"}, ["1\u00a0234", "12", "1\u00a02"], [1234, 12, None]),
        ({"type": "date", "format": "%d.%m.%Y"}, ["31.12.2024", "1.2.2024", "31.02.2024"], [dt.date(2024, 12, 31), dt.date(2024, 2, 1), None]),
        ({"type": "time", "format": "%I:%M %p"}, ["3:30 PM", "12:05 am"], [dt.time(15, 30), dt.time(0, 5)]),
        (
            {"type": "datetime", "format": "%Y-%m-%d %H:%M:%S.%f"},
            ["2024-12-31 15:30:00.25", "1969-12-31 23:59:59.5"],
            [dt.datetime(2024, 12, 31, 15, 30, 0, 250_000), dt.datetime(1969, 12, 31, 23, 59, 59, 500_000)],  # noqa: DTZ001 - the type has no zone
        ),
    ],
)
def test_values_in_a_local_form_are_those_that_a_person_reads(field: dict[str, object], cells: list[str], values: list[object]) -> None:
    parsed = Field(name="f", **field)  # type: ignore[arg-type]
    typed = TypeRule(parsed).judge(Column(pa.array(cells)), np.ones(len(cells), np.bool_))
    assert make_typed_array(typed, parsed).to_pylist() == values

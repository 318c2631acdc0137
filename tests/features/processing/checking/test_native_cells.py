"""A cell with a type of its own satisfies that type in whatever form the schema prescribes, and its constraints are judged by its value."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.processing.checking.checker import Checker
from features.processing.readers.base import Chunk, Finding, ReadLimits
from features.processing.readers.native_types import NativeType
from shared.descriptors.table_schema import parse_table_schema

NUMBER, BOOLEAN, DATE, TIME, DATETIME, DURATION = list(NativeType)[1:]
Cell = str | tuple[str, NativeType]


def _chunk(cells: Sequence[Cell], first_row: int = 2) -> Chunk:
    pairs = [(cell, NativeType.TEXT) if isinstance(cell, str) else cell for cell in cells]
    types = np.array([native_type for _, native_type in pairs], np.uint8)
    return Chunk(
        columns=[pa.array([text for text, _ in pairs], pa.string())],
        native_types=[types if types.any() else None],
        row_numbers=np.arange(first_row, first_row + len(cells)),
    )


def _check(field: dict[str, Any], *chunks: Sequence[Cell], **schema: Any) -> list[Finding]:
    parsed = parse_table_schema({"fields": [{"name": "a", **field}], **schema})
    checker = Checker(parsed, labels=["a"], header_row=1, limits=ReadLimits())
    found: list[Finding] = []
    row = 2
    for cells in chunks:
        found += checker.check(_chunk(cells, row)).findings
        row += len(cells)
    checker.close()
    return found


def _bad_rows(field: dict[str, Any], *chunks: Sequence[Cell], **schema: Any) -> list[tuple[int, str]]:
    return sorted((number, finding.error_type) for finding in _check(field, *chunks, **schema) for number in finding.row_numbers.tolist())


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ({"type": "date", "format": "%d/%m/%Y"}, ("2026-01-31", DATE)),
        ({"type": "date", "format": "%B %y"}, ("2026-01-31", DATE)),
        ({"type": "date"}, ("2026-01-31T00:00:00", DATETIME)),
        ({"type": "date", "format": "%d.%m.%Y"}, ("2026-01-31T00:00:00", DATETIME)),
        ({"type": "datetime", "format": "%d/%m/%Y %H:%M"}, ("2026-01-31T10:30:15", DATETIME)),
        ({"type": "datetime"}, ("2026-01-31", DATE)),
        ({"type": "datetime", "format": "%Y%m%d"}, ("2026-01-31", DATE)),
        ({"type": "time", "format": "%H:%M"}, ("10:30:15", TIME)),
        ({"type": "time"}, ("10:30:15.500", TIME)),
        ({"type": "time", "format": "%I:%M %p"}, ("PT8H30M", DURATION)),
        ({"type": "duration"}, ("PT30H15M", DURATION)),
        ({"type": "duration"}, ("08:30:00", TIME)),
        ({"type": "yearmonth"}, ("2026-01-01", DATE)),
        ({"type": "number", "decimalChar": ",", "groupChar": "."}, ("1234.5", NUMBER)),
        ({"type": "number", "decimalChar": ","}, ("1.234", NUMBER)),
        ({"type": "integer", "groupChar": "'"}, ("1234567", NUMBER)),
        ({"type": "integer"}, ("00042", NUMBER)),
        ({"type": "boolean", "trueValues": ["Yes"], "falseValues": ["No"]}, ("true", BOOLEAN)),
        ({"type": "boolean"}, ("1", NUMBER)),
        ({"type": "string", "constraints": {"pattern": "[0-9]{5}"}}, ("00042", NUMBER)),
        ({"type": "string"}, ("2026-01-31", DATE)),
        ({"type": "year"}, ("2026", NUMBER)),
        ({"type": "date", "format": "%Y%m%d"}, ("20260131", NUMBER)),
        ({"type": "any"}, ("PT1H", DURATION)),
    ],
)
def test_native_cell_satisfies_its_type_in_any_form(field: dict[str, Any], cell: Cell) -> None:
    assert _bad_rows(field, [cell]) == []


@pytest.mark.parametrize(
    ("field", "cell", "words"),
    [
        ({"type": "date"}, ("2026-01-31T10:00:00", DATETIME), "time of day"),
        ({"type": "date", "format": "%d/%m/%Y"}, ("45000", NUMBER), "the cell holds a number; if it is meant as one, format the cell as such in Excel"),
        ({"type": "date"}, ("10:00:00", TIME), "no date"),
        ({"type": "time"}, ("PT24H", DURATION), "the cell holds a duration"),
        ({"type": "time"}, ("2026-01-31", DATE), "the cell holds a date"),
        ({"type": "integer"}, ("1.5", NUMBER), "it has decimals"),
        ({"type": "integer", "groupChar": "."}, ("1.234", NUMBER), "it has decimals"),
        ({"type": "integer"}, ("2026-01-31", DATE), "the cell holds a date"),
        ({"type": "number", "decimalChar": ","}, ("true", BOOLEAN), "the cell holds TRUE or FALSE"),
        ({"type": "boolean", "trueValues": ["Yes"], "falseValues": ["No"]}, ("1", NUMBER), "one of Yes, No."),
        ({"type": "yearmonth"}, ("2026-01-15", DATE), "the cell holds a date"),
    ],
)
def test_native_cell_of_another_type_is_called_that(field: dict[str, Any], cell: Cell, words: str) -> None:
    found = _check(field, [cell])
    assert [finding.error_type for finding in found] == ["type-error"]
    message = found[0].message
    assert words in (message if isinstance(message, str) else message[0].as_py())


def test_text_in_the_form_of_the_schema_and_native_cells_stand_in_one_column() -> None:
    cells: list[Cell] = ["31/01/2026", ("2026-01-31", DATE), "2026-01-31", ("2026-02-01T00:00:00", DATETIME), "", "01/02/2026"]
    assert _bad_rows({"type": "date", "format": "%d/%m/%Y"}, cells) == [(4, "type-error")]


def test_text_is_never_taken_for_a_native_cell() -> None:
    cells: list[Cell] = ["1.234", ("1.234", NUMBER), "1,234", "1.234,5"]
    field = {"type": "number", "decimalChar": ",", "groupChar": ".", "constraints": {"maximum": 100}}
    assert _bad_rows(field, cells) == [(2, "maximum-error"), (5, "maximum-error")]


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize(
    ("field", "cells", "bad"),
    [
        ({"type": "date", "format": "%d/%m/%y", "constraints": {"minimum": "01/01/26"}}, ["31/12/25", ("1925-12-31", DATE), ("2026-01-01", DATE)], [2, 3]),
        ({"type": "date", "format": "%d/%m/%Y", "constraints": {"enum": ["01/02/2026"]}}, ["01/02/2026", ("2026-02-01", DATE), ("2026-01-02", DATE)], [4]),
        ({"type": "date", "format": "%d/%m/%Y", "constraints": {"unique": True}}, ["01/02/2026", ("2026-02-01", DATE), ("2026-01-02", DATE)], [3]),
        ({"type": "date", "format": "%d/%m/%Y", "constraints": {"unique": True}}, [("2026-02-01", DATE), "01/02/2026", "02/02/2026"], [3]),
        ({"type": "number", "decimalChar": ",", "constraints": {"unique": True}}, ["1,50", ("1.5", NUMBER), ("2", NUMBER), "2"], [3, 5]),
        ({"type": "number", "decimalChar": ",", "groupChar": ".", "constraints": {"enum": ["1.234"]}}, ["1.234", ("1.234", NUMBER), ("1234", NUMBER)], [3]),
        ({"type": "datetime", "format": "%d/%m/%Y %H:%M", "constraints": {"maximum": "01/01/2026 10:00"}}, [("2026-01-01T10:00:01", DATETIME)], [2]),
        ({"type": "time", "format": "%H:%M", "constraints": {"maximum": "08:30"}}, [("08:30:00", TIME), ("08:30:00.500", TIME), ("PT9H", DURATION)], [3, 4]),
        ({"type": "boolean", "trueValues": ["Y"], "falseValues": ["N"], "constraints": {"enum": ["Y"]}}, ["Y", ("true", BOOLEAN), ("false", BOOLEAN)], [4]),
    ],
)
def test_constraints_are_judged_by_value(field: dict[str, Any], cells: list[Cell], bad: list[int], chunks: int) -> None:
    parts = [cells] if chunks == 1 else [cells[:1], cells[1:]]
    assert [row for row, _ in _bad_rows(field, *[part for part in parts if part])] == bad


def test_primary_key_compares_values_of_both_kinds() -> None:
    cells: list[Cell] = ["1.000", ("1000", NUMBER), ("1001", NUMBER)]
    assert _bad_rows({"type": "integer", "groupChar": "."}, cells, primaryKey=["a"]) == [(3, "primary-key-error")]


def test_missing_values_are_missing_whatever_type_the_cell_has() -> None:
    field = {"type": "integer", "groupChar": ".", "missingValues": ["", "-99"], "constraints": {"required": True}}
    assert _bad_rows(field, [("-99", NUMBER), ("1", NUMBER)]) == [(2, "required-error")]


@pytest.mark.parametrize(
    ("field", "missing", "cell"),
    [
        ({"type": "date", "format": "%d.%m.%Y"}, "31.12.9999", ("9999-12-31", DATE)),
        ({"type": "date", "format": "%d.%m.%Y"}, "31.12.9999", ("9999-12-31T00:00:00", DATETIME)),
        ({"type": "number", "decimalChar": ","}, "-99,50", ("-99.5", NUMBER)),
        ({"type": "boolean", "trueValues": ["Y"], "falseValues": ["N"]}, "N", ("false", BOOLEAN)),
    ],
)
def test_missing_value_in_the_form_of_the_schema_is_a_value_of_a_native_cell(field: dict[str, Any], missing: str, cell: Cell) -> None:
    schema = field | {"missingValues": ["", missing], "constraints": {"required": True}}
    assert _bad_rows(schema, [cell, missing]) == [(2, "required-error"), (3, "required-error")]


def test_raw_value_is_the_text_of_the_cell() -> None:
    (finding,) = _check({"type": "date", "format": "%d/%m/%Y", "constraints": {"minimum": "01/01/2027"}}, [("2026-01-31T00:00:00", DATETIME)])
    assert finding.raw_values is not None
    assert finding.raw_values.to_pylist() == ["2026-01-31T00:00:00"]


_MOMENT_FORMS = {"date": ["default", "%d/%m/%Y", "%Y%m%d"], "datetime": ["default", "%d/%m/%Y %H:%M:%S"], "time": ["default", "%H.%M.%S"]}
_NATIVE_OF = {"date": DATE, "datetime": DATETIME, "time": TIME}


@given(st.data())
def test_workbook_and_csv_give_the_same_verdicts(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(_MOMENT_FORMS)))
    pattern = data.draw(st.sampled_from(_MOMENT_FORMS[name]))
    moments = data.draw(st.lists(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2000, 1, 3)), min_size=1, max_size=8))  # noqa: DTZ001
    limit = data.draw(st.sampled_from(moments))

    def show(moment: dt.datetime, form: str) -> str:
        iso = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%dT%H:%M:%S", "time": "%H:%M:%S"}[name]
        return moment.strftime(iso if form == "default" else form)

    field = {"type": name, "format": pattern, "constraints": {"minimum": show(limit, pattern), "unique": True}}
    native: list[Cell] = [(show(moment, "default"), _NATIVE_OF[name]) if data.draw(st.booleans()) else show(moment, pattern) for moment in moments]
    assert _bad_rows(field, native) == _bad_rows(field, [show(moment, pattern) for moment in moments])


def test_reasons_of_both_kinds_stand_side_by_side() -> None:
    (finding,) = _check({"type": "integer", "groupChar": "."}, ["x", "1,5", ("1.5", NUMBER), ("true", BOOLEAN), "1.000", ("7", NUMBER)])
    assert finding.row_numbers.tolist() == [2, 3, 4, 5]
    said = finding.message
    assert not isinstance(said, str)
    assert [message.removeprefix("This value must be a whole number").strip(": .") for message in said.to_pylist()][0::2] == ["", "it has decimals"]
    assert said[3].as_py().endswith("the cell holds TRUE or FALSE.")

"""Columns of workbooks are inferred by the types of their cells; texts among them decide on the form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.processing.checking.checker import Checker
from features.processing.inference.infer import infer_table_schema
from features.processing.readers.base import Chunk, ReadLimits
from features.processing.readers.native_types import NativeType
from tests.features.processing.inference.infer_columns import describe

NUMBER, BOOLEAN, DATE, TIME, DATETIME, DURATION = list(NativeType)[1:]
Cell = str | tuple[str, NativeType]


def _infer(*columns: Sequence[Cell]) -> tuple[list[dict[str, object]], list[list[int]]]:
    """Return the inferred properties of some columns, and the rows that they call wrong."""
    pairs = [[(cell, NativeType.TEXT) if isinstance(cell, str) else cell for cell in cells] for cells in columns]
    chunk = Chunk(
        columns=[pa.array([text for text, _ in cells], pa.string()) for cells in pairs],
        native_types=[np.array([native_type for _, native_type in cells], np.uint8) for cells in pairs],
        row_numbers=np.arange(len(columns[0])),
    )
    labels = [f"c{index}" for index in range(len(columns))]
    inferred = infer_table_schema(labels, [chunk])
    checker = Checker(inferred.table_schema, labels=labels, header_row=0, limits=ReadLimits())
    wrong: list[list[int]] = [[] for _ in columns]
    for finding in checker.check(chunk).findings:
        assert finding.column_number is not None
        wrong[finding.column_number - 1] += finding.row_numbers.tolist()
    checker.close()
    return [describe(inferred, index) for index in range(len(columns))], wrong


def _days(count: int) -> list[Cell]:
    return [(f"2026-01-{day:02}", DATE) for day in range(1, count + 1)]


@pytest.mark.parametrize(
    ("cells", "expected", "wrong"),
    [
        (_days(20), {"type": "date"}, []),
        ([*_days(19), ("2026-02-01T00:00:00", DATETIME)], {"type": "date"}, []),
        ([*_days(19), ("2026-02-01T10:00:00", DATETIME)], {"type": "datetime"}, []),
        ([("2026-01-01T00:00:00", DATETIME)] * 5, {"type": "datetime"}, []),
        ([*_days(19), "soon"], {"type": "date"}, [19]),
        ([*_days(10), *["31/01/2026"] * 10], {"type": "date", "format": "%d/%m/%Y"}, []),
        ([*_days(19), "31/01/2026"], {"type": "date", "format": "%d/%m/%Y"}, []),
        ([*_days(19), ("45000", NUMBER)], {"type": "date"}, [19]),
        ([*_days(5), *["text"] * 5], {"type": "string"}, []),
        ([("10:00:00", TIME)] * 5, {"type": "time"}, []),
        ([("PT30H", DURATION), ("PT8H30M", DURATION), ("PT1H", DURATION)], {"type": "duration"}, []),
        ([("PT8H30M", DURATION)] * 4, {"type": "duration"}, []),
        ([("08:30:00", TIME)] * 19 + [("2026-01-01T08:30:00", DATETIME)], {"type": "time"}, [19]),
        ([("08:30:00", TIME)] * 3 + [("PT8H30M", DURATION)] * 2, {"type": "time"}, []),
        ([("08:30:00", TIME)] * 3 + [("PT38H30M", DURATION)] * 2, {"type": "duration"}, []),
        ([("true", BOOLEAN), ("false", BOOLEAN)] * 5, {"type": "boolean"}, []),
        ([("true", BOOLEAN)] * 4 + ["Yes", "No"], {"type": "boolean", "trueValues": ["Yes", "YES", "yes"]}, []),
        ([("1", NUMBER), ("2", NUMBER), ("3", NUMBER)], {"type": "integer"}, []),
        ([("1.234", NUMBER), ("2.345", NUMBER), ("3.456", NUMBER)], {"type": "number"}, []),
        ([("1", NUMBER), ("2.5", NUMBER), ("3", NUMBER)], {"type": "number"}, []),
        ([("1.5", NUMBER)] * 6 + ["1.234,50"] * 6, {"type": "number", "decimalChar": ",", "groupChar": "."}, []),
        ([("1", NUMBER)] * 19 + ["x"], {"type": "integer"}, [19]),
        ([("1", NUMBER)] * 19 + ["1.5"], {"type": "number"}, []),
        ([("00123", NUMBER), ("12345", NUMBER), ("00001", NUMBER)], {"type": "string", "pattern": r"\d{5}"}, []),
        ([("1", NUMBER)] * 5 + ["a"] * 5, {"type": "string"}, []),
        ([("1", NUMBER)] * 17 + ["N/A"] * 3, {"type": "integer", "missingValues": ["", "N/A", "n/a"]}, []),
    ],
)
def test_column_gets_the_type_of_its_cells(cells: list[Cell], expected: dict[str, Any], wrong: list[int]) -> None:
    described, found = _infer(cells)
    for name, value in expected.items():
        given = described[0].get(name)
        assert set(given) == set(value) if isinstance(value, list) and isinstance(given, list) else given == value, described
    assert found == [wrong]


def test_native_numbers_say_nothing_about_the_decimal_character_of_texts() -> None:
    described, _ = _infer([("1.25", NUMBER)] * 6, ["1,25", "2,50", "3,75"] * 2)
    assert described[1]["decimalChar"] == ","
    assert "decimalChar" not in described[0]


def test_order_of_day_and_month_is_told_by_the_texts() -> None:
    described, wrong = _infer([*_days(5), "31/01/2026", "01/02/2026", "28/02/2026"])
    assert described[0] == {"type": "date", "format": "%d/%m/%Y"}
    assert wrong == [[]]

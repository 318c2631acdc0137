"""A table of every type, and the values that its cells stand for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple


class Typed(NamedTuple):
    """A column, its cells, and what they are in Parquet (as Python values) and in NDJSON."""

    field: dict[str, Any]
    cells: Sequence[str]
    values: Sequence[Any]
    json: Sequence[Any]


COLUMNS = [
    Typed({"name": "integer", "type": "integer"}, ["1", "-9223372036854775808", "007"], [1, -(2**63), 7], [1, -(2**63), 7]),
    Typed({"name": "grouped", "type": "integer", "groupChar": ","}, ["1,234", "", "5"], [1234, None, 5], [1234, None, 5]),
    Typed({"name": "large", "type": "integer"}, ["1" * 20, "-5", ""], [Decimal("1" * 20), Decimal(-5), None], [int("1" * 20), -5, None]),
    Typed({"name": "number", "type": "number"}, ["1.50", "-0.001", "1e3"], [1.5, -0.001, 1000.0], [1.5, -0.001, 1000]),
    Typed({"name": "comma", "type": "number", "decimalChar": ",", "groupChar": "."}, ["1.234,5", "", "2"], [1234.5, None, 2.0], [1234.5, None, 2]),
    Typed(
        {"name": "exact", "type": "number"},
        ["12345678901234567.25", "0.1", ""],
        [Decimal("12345678901234567.25"), Decimal("0.10"), None],
        [Decimal("12345678901234567.25"), 0.1, None],
    ),
    Typed(
        {"name": "double", "type": "number"},
        ["0.30000000000000004", "1.7976931348623157e308", "5"],
        [0.1 + 0.2, 1.7976931348623157e308, 5.0],
        [0.1 + 0.2, 1.7976931348623157e308, 5],
    ),
    Typed({"name": "flag", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]}, ["yes", "no", ""], [True, False, None], [True, False, None]),
    Typed(
        {"name": "day", "type": "date", "format": "%d.%m.%Y"},
        ["31.01.2024", "01.03.0999", ""],
        [dt.date(2024, 1, 31), dt.date(999, 3, 1), None],
        ["2024-01-31", "0999-03-01", None],
    ),
    Typed({"name": "clock", "type": "time"}, ["10:00:00", "", "23:59:59"], [dt.time(10), None, dt.time(23, 59, 59)], ["10:00:00", None, "23:59:59"]),
    Typed(
        {"name": "moment", "type": "datetime"},
        ["2024-01-31T10:00:00", "2024-01-31T10:00:00.25", ""],
        [dt.datetime(2024, 1, 31, 10), dt.datetime(2024, 1, 31, 10, 0, 0, 250_000), None],  # noqa: DTZ001  # without a zone, as in the file
        ["2024-01-31T10:00:00", "2024-01-31T10:00:00.250000", None],
    ),
    Typed(
        {"name": "zoned", "type": "datetime"},
        ["2024-01-31T10:00:00Z", "2024-01-31T10:00:00+02:00", ""],
        [dt.datetime(2024, 1, 31, 10, tzinfo=dt.UTC), dt.datetime(2024, 1, 31, 8, tzinfo=dt.UTC), None],
        ["2024-01-31T10:00:00Z", "2024-01-31T08:00:00Z", None],
    ),
    Typed({"name": "year", "type": "year"}, ["2024", "0999", ""], [2024, 999, None], [2024, 999, None]),
    Typed({"name": "month", "type": "yearmonth"}, ["2024-01", "", "2024-02"], ["2024-01", None, "2024-02"], ["2024-01", None, "2024-02"]),
    Typed({"name": "length", "type": "duration"}, ["P1D", "PT5M", ""], ["P1D", "PT5M", None], ["P1D", "PT5M", None]),
    Typed({"name": "text", "type": "string"}, ["=1+1", "", 'a"b'], ["=1+1", None, 'a"b'], ["=1+1", None, 'a"b']),
    Typed({"name": "anything", "type": "any"}, ["x", "1", ""], ["x", "1", None], ["x", "1", None]),
    Typed({"name": "items", "type": "list", "itemType": "integer"}, ["1,2", "3", ""], ["[1,2]", "[3]", None], [[1, 2], [3], None]),
    Typed({"name": "words", "type": "list", "delimiter": ";"}, ['a;b"', "", "c"], ['["a","b\\""]', None, '["c"]'], [["a", 'b"'], None, ["c"]]),
    Typed({"name": "days", "type": "list", "itemType": "date"}, ["2024-01-31", "", ""], ['["2024-01-31"]', None, None], [["2024-01-31"], None, None]),
    Typed({"name": "array", "type": "array"}, ["[1, 2.50]", "[]", ""], ["[1, 2.50]", "[]", None], [[1, 2.5], [], None]),
    Typed({"name": "object", "type": "object"}, ['{"a":\n1}', "{}", ""], ['{"a":\n1}', "{}", None], [{"a": 1}, {}, None]),
    Typed(
        {"name": "shape", "type": "geojson"},
        ['{"type": "Point", "coordinates": [1, 2]}', "", ""],
        ['{"type": "Point", "coordinates": [1, 2]}', None, None],
        [{"type": "Point", "coordinates": [1, 2]}, None, None],
    ),
    Typed({"name": "point", "type": "geopoint"}, ["1.5, 2", "", "3, 4"], ["1.5, 2", None, "3, 4"], ["1.5, 2", None, "3, 4"]),
    Typed({"name": "pair", "type": "geopoint", "format": "array"}, ["[1, 2]", "", ""], ["[1, 2]", None, None], [[1, 2], None, None]),
]


def schema_of(columns: Sequence[Typed]) -> dict[str, Any]:
    """Return the schema of the columns."""
    return {"fields": [column.field for column in columns]}


def csv_of(columns: Sequence[Typed]) -> bytes:
    """Return a CSV file of the columns."""
    names = [column.field["name"] for column in columns]
    rows = [names, *([column.cells[row] for column in columns] for row in range(3))]
    return b"".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row).encode() + b"\r\n" for row in rows)

"""Cells with a type of their own, judged by schemas."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import Shown, make_xls, one_sheet
from tests.cases.workbooks.native_cells import DAY, STYLES, clock, code, column, date, hours, moment

NATIVE_CASES: list[Case] = []


def judged(type_name: str, **members: Any) -> dict[str, Any]:
    return schema(field("id", "integer"), field("v", type_name, **members))


add = collect(NATIVE_CASES, "native-dates")
D = "%d/%m/%Y"
add("dates-under-a-format", "a date cell is a date whatever form text must have", column(date(), date(1)), schema=judged("date", format=D), errors=[])
add("dates-under-iso", "the default form", column(date(), date(1)), schema=judged("date"), errors=[], cells={"B2": "2024-01-15"})
add(
    "text-is-still-judged-by-the-format",
    "only native cells are free of it",
    column(date(), "15/01/2024", "2024-01-15", "31/02/2024"),
    schema=judged("date", format=D),
    errors=[(4, 2, "type-error"), (5, 2, "type-error")],
)
add(
    "date-times-under-a-format",
    "the same for date-times, also those at midnight",
    column(moment(0.5), moment(0), "15/01/2024 10:30"),
    schema=judged("datetime", format="%d/%m/%Y %H:%M"),
    errors=[],
)
add(
    "midnight-is-a-date",
    "a date-time at midnight passes as a date, another does not",
    column(moment(0), moment(1), moment(0.25)),
    schema=judged("date", format=D),
    errors=[(4, 2, "type-error")],
)
add(
    "date-cells-in-a-date-time-field",
    "a day without a time, or with one that its format hides, is a date-time",
    column(date(), date(0.4)),
    schema=judged("datetime"),
    errors=[],
)
add("times-under-a-format", "a time cell is a time", column(clock(9.5), clock(23), "08:15"), schema=judged("time", format="%H:%M"), errors=[])
add(
    "hours-as-durations",
    "[h]:mm is a duration",
    column(hours(30.25), hours(8), "PT8H"),
    schema=judged("duration"),
    errors=[],
    cells={"B2": "PT30H15M", "B3": "PT8H"},
)
add(
    "hours-as-times",
    "below a day it may be a time, above it is none",
    column(hours(8.5), hours(23.75), hours(30)),
    schema=judged("time"),
    errors=[(4, 2, "type-error")],
)
add("numbers-are-no-dates", "a number without a date format is none", column(date(), DAY), schema=judged("date", format=D), errors=[(3, 2, "type-error")])
add("dates-are-no-numbers", "a date cell is no number", column(5, date()), schema=judged("integer"), errors=[(3, 2, "type-error")])
add(
    "dates-under-a-format-xls",
    "the same in .xls",
    make_xls(
        {
            "S": [
                ["d", "s", "t"],
                [Shown(DAY, "dd/mm/yyyy"), Shown(DAY + 0.5, "dd/mm/yyyy hh:mm"), Shown(0.25, "hh:mm")],
                ["16/01/2024", "16/01/2024 08:00", "08:00"],
                [Shown(DAY + 0.5, "dd/mm/yyyy hh:mm"), "soon", "late"],
            ]
        }
    ),
    extension="xls",
    schema=schema(field("d", "date", format=D), field("s", "datetime", format="%d/%m/%Y %H:%M"), field("t", "time", format="%H:%M")),
    errors=[(4, 1, "type-error"), (4, 2, "type-error"), (4, 3, "type-error")],
)

add = collect(NATIVE_CASES, "native-numbers")
LOCAL = {"decimalChar": ",", "groupChar": "."}
add("numbers-under-a-decimal-comma", "a number cell needs no comma", column(1234.5, 0.25, -3), schema=judged("number", **LOCAL), errors=[])
add(
    "text-is-still-judged-by-its-characters",
    "text must be written as the schema says",
    column(1234.5, "1.234,5", "1,234.5"),
    schema=judged("number", **LOCAL),
    errors=[(4, 2, "type-error")],
)
add("integers-under-a-group-character", "nor a group character", column(1234567, "1.234.567"), schema=judged("integer", groupChar="."), errors=[])
add("numbers-where-text-has-a-unit", "nor a unit", column(12.5, "12.5 kg", "$3"), schema=judged("number", bareNumber=False), errors=[])
add("decimals-are-no-integers", "the value decides", column(5, 5.5, 6.0), schema=judged("integer", groupChar="."), errors=[(3, 2, "type-error")])
add(
    "numbers-under-a-decimal-comma-xls",
    "the same in .xls",
    make_xls({"S": [["id", "v"], [1, 1234.5], [2, "1.234,5"], [3, "1,234.5"]]}),
    extension="xls",
    schema=judged("number", **LOCAL),
    errors=[(4, 2, "type-error")],
)

add = collect(NATIVE_CASES, "native-booleans")
YES = {"trueValues": ["Yes"], "falseValues": ["No"]}
add("booleans-under-words", "a boolean cell is one", column(True, False, "Yes", "No"), schema=judged("boolean", **YES), errors=[])
add(
    "words-that-are-not-listed",
    "text and numbers must be as the schema says",
    column(True, "true", 1),
    schema=judged("boolean", **YES),
    errors=[(3, 2, "type-error"), (4, 2, "type-error")],
)
add("booleans-are-no-integers", "a boolean cell is no number", column(1, True), schema=judged("integer"), errors=[(3, 2, "type-error")])
add(
    "booleans-under-words-xls",
    "the same in .xls",
    make_xls({"S": [["id", "v"], [1, True], [2, False], [3, "Yes"], [4, "maybe"]]}),
    extension="xls",
    schema=judged("boolean", **YES),
    errors=[(5, 2, "type-error")],
)
add(
    "booleans-of-a-list",
    "constraints see the value",
    column(True, False, "No"),
    schema=judged("boolean", **YES, constraints={"enum": ["No"]}),
    errors=[(2, 2, "enum-error")],
)

add = collect(NATIVE_CASES, "native-constraints")
add(
    "limits-of-dates",
    "a date cell is compared by its value",
    column(date(), date(10), "16/01/2024", "14/01/2024"),
    schema=judged("date", format=D, constraints={"minimum": "15/01/2024", "maximum": "20/01/2024"}),
    errors=[(3, 2, "maximum-error"), (5, 2, "minimum-error")],
)
add(
    "limits-of-numbers",
    "a number cell likewise",
    column(1999.5, 2000.5, "2.000,5", "1.999,5"),
    schema=judged("number", **LOCAL, constraints={"maximum": "2.000"}),
    errors=[(3, 2, "maximum-error"), (4, 2, "maximum-error")],
)
add(
    "list-of-dates",
    "a list holds values, not texts",
    column(date(), date(1), "15/01/2024", "16/01/2024"),
    schema=judged("date", format=D, constraints={"enum": ["15/01/2024"]}),
    errors=[(3, 2, "enum-error"), (5, 2, "enum-error")],
)
add(
    "unique-dates",
    "a date cell and text of the same day are equal",
    column(date(), date(1), "15/01/2024", moment(1)),
    schema=judged("date", format=D, constraints={"unique": True}),
    errors=[(4, 2, "unique-error"), (5, 2, "unique-error")],
)
add(
    "unique-numbers",
    "a number cell and text of the same value are equal",
    column(1234.5, "1.234,50", 7, "8"),
    schema=judged("number", **LOCAL, constraints={"unique": True}),
    errors=[(3, 2, "unique-error")],
)
add(
    "primary-key-of-dates",
    "the same for keys of several fields",
    one_sheet(["day", "n"], [date(), 1], ["15/01/2024", "1"], [date(), 2], [moment(0), "2"], [date(1), 2], styles=STYLES),
    schema=schema(field("day", "date", format=D), field("n", "integer"), primaryKey=["day", "n"]),
    by_type={"primary-key-error": 2},
)
add(
    "dates-that-differ-are-no-duplicates",
    "other days are other values",
    column(date(), date(1), "17/01/2024"),
    schema=judged("date", format=D, constraints={"unique": True}),
    errors=[],
)
add(
    "unique-dates-xls",
    "the same in .xls",
    make_xls({"S": [["id", "v"], [1, Shown(DAY, "dd/mm/yyyy")], [2, "15/01/2024"], [3, Shown(DAY + 3, "dd/mm/yyyy")]]}),
    extension="xls",
    schema=judged("date", format=D, constraints={"unique": True, "maximum": "17/01/2024"}),
    errors=[(3, 2, "unique-error"), (4, 2, "maximum-error")],
)

add(
    "numbers-that-mean-nothing",
    "a missing value is one in a number cell, too",
    column(5, -99, "-99", 7),
    schema=judged("number", constraints={"minimum": 0}, missingValues=["-99"]),
    errors=[],
)
add(
    "foreign-key-to-the-same-sheet",
    "a reference is followed by its value",
    one_sheet(["day", "after"], [date(), None], [date(1), "15/01/2024"], ["17/01/2024", date(1)], [date(3), date(9)], styles=STYLES),
    schema=schema(
        field("day", "date", format=D),
        field("after", "date", format=D),
        foreignKeys=[{"fields": ["after"], "reference": {"resource": "", "fields": ["day"]}}],
    ),
    by_type={"foreign-key-error": 1},
)
add(
    "unique-durations",
    "hours and their ISO text are equal",
    column(hours(30), hours(8), "PT30H", "P1DT6H"),
    schema=judged("duration", constraints={"unique": True}),
    errors=[(4, 2, "unique-error"), (5, 2, "unique-error")],
)
add(
    "text-fields-take-what-is-shown",
    "a text field has the text of a cell, whatever its type",
    column(5, date(), True, code(501), hours(30), "x"),
    schema=judged("string", constraints={"enum": ["5", "2024-01-15", "true", "00501", "PT30H"]}),
    errors=[(7, 2, "enum-error")],
)
add(
    "years",
    "a number is a year, a date is none",
    column(2024, "1999", date()),
    schema=judged("year", constraints={"minimum": 2000}),
    errors=[(3, 2, "minimum-error"), (4, 2, "type-error")],
)
add(
    "listed-numbers",
    "values are compared and not their texts",
    column(1.0, "1,0", 2.5, "2,50", 3),
    schema=judged("number", decimalChar=",", constraints={"enum": ["1", "2,5"]}),
    errors=[(6, 2, "enum-error")],
)
add(
    "any-form-of-dates",
    "the format any takes date cells, too",
    column(date(), "2024-01-16", "soon"),
    schema=judged("date", format="any"),
    errors=[(4, 2, "type-error")],
)
add(
    "day-long-hours",
    "24:00 is a duration and no time",
    column(hours(24), hours(0), hours(23.5)),
    schema=judged("time"),
    errors=[(2, 2, "type-error")],
)

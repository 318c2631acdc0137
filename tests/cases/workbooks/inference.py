"""Schemas that are inferred from cells with a type of their own."""

from __future__ import annotations

from tests.cases.workbook_case import Case, collect
from tests.cases.workbook_packages import Shown, make_xls
from tests.cases.workbooks.native_cells import DAY, clock, code, column, date, hours, moment

INFERENCE_CASES: list[Case] = []
D = "%d/%m/%Y"

add = collect(INFERENCE_CASES, "native-inference")
TWELVE = range(12)
add("all-dates", "a column of date cells is one of dates", column(*(date(day) for day in TWELVE)), fields={"v": "date"}, errors=[])
add(
    "dates-and-text-of-one-form",
    "the text says the form, the date cells need none",
    column(*(date(day) for day in range(6)), *(f"{day}/01/2024" for day in range(20, 26))),
    fields={"v": {"type": "date", "format": D}},
    errors=[],
)
add(
    "one-wrong-text-among-dates",
    "one of many is wrong",
    column(*(date(day) for day in TWELVE), "soon"),
    fields={"v": "date"},
    errors=[(14, 2, "type-error")],
)
add(
    "date-times-and-dates",
    "some at midnight",
    column(*(moment(day / 2) for day in TWELVE)),
    fields={"v": "datetime"},
    errors=[],
)
add("hours-beyond-a-day", "a column of [h]:mm", column(*(hours(7.5 * index) for index in range(1, 13))), fields={"v": "duration"}, errors=[])
add(
    "one-wrong-text-among-hours",
    "the same with a wrong one",
    column(*(hours(7.5 * index) for index in range(1, 13)), "all day"),
    fields={"v": "duration"},
    errors=[(14, 2, "type-error")],
)
add("all-times", "a column of times", column(*(clock(index) for index in TWELVE)), fields={"v": "time"}, errors=[])
add("all-booleans", "a column of booleans", column(*(index % 3 == 0 for index in TWELVE)), fields={"v": "boolean"}, errors=[])
add(
    "one-wrong-text-among-booleans",
    "one of many is wrong",
    column(*(index % 3 == 0 for index in TWELVE), "maybe"),
    fields={"v": "boolean"},
    errors=[(14, 2, "type-error")],
)
add(
    "numbers-and-text-with-a-decimal-comma",
    "number cells beside text as people write it",
    column(*(1000.5 + index for index in range(6)), *(f"{index}.234,75" for index in range(1, 7)), "frei"),
    fields={"v": {"type": "number", "decimalChar": ","}},
    errors=[(14, 2, "type-error")],
)
add(
    "codes-with-shown-zeros",
    "00000 makes codes as text with zeros does",
    column(*(code(index * 737 + 501) for index in TWELVE), "x"),
    fields={"v": "string"},
    errors=[(14, 2, "pattern-error")],
)
add(
    "codes-shown-and-typed",
    "number cells and text of the same codes",
    column(*(code(index * 737 + 501) for index in range(6)), *(f"0{index}123" for index in range(6))),
    fields={"v": "string"},
    errors=[],
)
add(
    "a-number-among-dates",
    "a date that lost its format is no date",
    column(*(date(day) for day in TWELVE), DAY),
    fields={"v": "date"},
    errors=[(14, 2, "type-error")],
)
add("numbers-alone", "nothing but numbers", column(*range(45_300, 45_312)), fields={"v": "integer"}, errors=[])
add(
    "all-dates-xls",
    "the same in .xls",
    make_xls({"S": [["id", "v"], *([day, Shown(DAY + day, "dd/mm/yyyy")] for day in TWELVE), [12, "soon"]]}),
    extension="xls",
    fields={"v": "date"},
    errors=[(14, 2, "type-error")],
)
add(
    "booleans-and-words",
    "boolean cells beside words of the same meaning",
    column(*(index % 2 == 0 for index in range(6)), *["yes", "no"] * 3, "perhaps"),
    fields={"v": "boolean"},
    errors=[(14, 2, "type-error")],
)
add(
    "times-and-text",
    "time cells beside text of one form",
    column(*(clock(index) for index in range(6)), *(f"{index + 10}:30" for index in range(6)), "25:00"),
    fields={"v": "time"},
    errors=[(14, 2, "type-error")],
)
add(
    "date-times-and-text",
    "date-time cells beside text of one form",
    column(*(moment(index + 0.5) for index in range(6)), *(f"{index}/01/2024 10:30" for index in range(20, 26)), "31/02/2024 10:30"),
    fields={"v": "datetime"},
    errors=[(14, 2, "type-error")],
)
add(
    "month-first-text-beside-dates",
    "the text says the order",
    column(*(date(index) for index in range(6)), *(f"01/{index}/2024" for index in range(20, 26))),
    fields={"v": {"type": "date", "format": "%m/%d/%Y"}},
    errors=[],
)
add("mostly-text-and-some-numbers", "text with numbers among it is text", column(*(f"A{index}" for index in range(8)), 5, 6), fields={"v": "string"}, errors=[])
add(
    "whole-numbers-and-one-fraction",
    "one cell with decimals makes a column of numbers",
    column(*range(11), 2.5),
    fields={"v": "number"},
    errors=[],
)
add(
    "all-times-beyond-a-day-xls",
    "hours in .xls",
    make_xls({"S": [["v"], *([Shown(index / 3, "[h]:mm")] for index in range(12))]}),
    extension="xls",
    fields={"v": "duration"},
    errors=[],
)

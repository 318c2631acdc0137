"""Rows and cells in odd orders and places, blank rows, and cells far away from the table."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import cell_xml, column_letters, make_xls, make_xlsx, number, row_xml, rows_xml, sheet_xml, styles_xml

ROW_CASES: list[Case] = []
HEADER: list[Any] = ["id", "name", "amount"]
NAMES = ("Ann", "Bob", "Cy", "Di", "Eve", "Fay", "Gus", "Hal")
RECORDS: list[list[Any]] = [[index, name, index * 2.5] for index, name in enumerate(NAMES, 1)]
WRONG: list[Any] = [9, "Ida", "much"]
TABLE: list[list[Any]] = [HEADER, *RECORDS, WRONG]
FOUND: dict[str, Any] = {"errors": [(10, 3, "type-error")], "cells": {"A2": "1", "B3": "Bob", "C9": "20", "B10": "Ida"}, "rows": 9}
ORDERS = schema(field("id", "integer"), field("name", "string"), field("amount", "number"))


def data(xml: str, *, before: str = "", after: str = "") -> bytes:
    return make_xlsx({"Sheet1": sheet_xml(xml, before=before, after=after)}, styles=styles_xml("yyyy-mm-dd"))


def place(row: int, column: int) -> str:
    return f"{column_letters(column)}{row}"


def wrap(row: int, cells: str) -> str:
    return f'<row r="{row}">{cells}</row>'


def without_places(xml: str, places: str = "ABC") -> str:
    for row_number in range(1, 20):
        for letter in places:
            xml = xml.replace(f' r="{letter}{row_number}"', "")
    return xml


add = collect(ROW_CASES, "order")
add("in-order", "the plain case", data(rows_xml(*TABLE)), **FOUND)
add(
    "one-row-element-for-each-cell",
    "several elements of the same row",
    data("".join(wrap(row, cell_xml(value, place(row, column))) for row, values in enumerate(TABLE, 1) for column, value in enumerate(values))),
    **FOUND,
)
add(
    "a-row-element-for-each-cell-column-by-column",
    "the same, one column after the other",
    data("".join(wrap(row, cell_xml(values[column], place(row, column))) for column in range(3) for row, values in enumerate(TABLE, 1))),
    **FOUND,
)
add(
    "rows-out-of-order", "the number of a row says where it is", data("".join(row_xml(TABLE[row - 1], row) for row in (1, 3, 2, 6, 5, 4, 10, 9, 8, 7))), **FOUND
)
add("rows-backwards", "also the header", data("".join(row_xml(values, row) for row, values in reversed(list(enumerate(TABLE, 1))))), **FOUND)
add(
    "cells-out-of-order",
    "so does the place of a cell",
    data("".join(wrap(row, "".join(cell_xml(values[column], place(row, column)) for column in (2, 0, 1))) for row, values in enumerate(TABLE, 1))),
    **FOUND,
)
add("cells-without-places", "cells without a place follow each other", data(without_places(rows_xml(*TABLE))), **FOUND)
add(
    "rows-without-numbers",
    "so do rows",
    data(without_places("".join(row_xml(values, row).replace(f'<row r="{row}">', "<row>") for row, values in enumerate(TABLE, 1)))),
    **FOUND,
)
add("wrong-dimension", "what the sheet says of its size changes nothing", data(rows_xml(*TABLE), before='<dimension ref="A1:A2"/>'), **FOUND)
add("huge-dimension", "the same", data(rows_xml(*TABLE), before='<dimension ref="A1:XFD1048576"/>'), **FOUND)

add = collect(ROW_CASES, "far-away")
MANY: list[list[Any]] = [HEADER, *([index, f"name {index}", index * 2.5] for index in range(1, 2001))]
add(
    "label-in-the-last-column",
    "one label far away costs nothing and is no thousand errors",
    data(rows_xml(*MANY).replace("</row>", cell_xml("x", "XFD1") + "</row>", 1)),
    errors=[],
    rows=2000,
)
add(
    "cell-in-the-last-column",
    "one cell far away is one error",
    data(rows_xml(*MANY).replace('</row><row r="502">', cell_xml("x", "XFD501") + '</row><row r="502">', 1)),
    errors=[(501, 16384, "extra-cell")],
    rows=2000,
)
add(
    "cell-in-the-last-column-with-a-schema",
    "the same with a schema",
    data(rows_xml(*TABLE).replace('</row><row r="5">', cell_xml("x", "XFD4") + '</row><row r="5">', 1)),
    schema=ORDERS,
    errors=[(4, 16384, "extra-cell"), (10, 3, "type-error")],
)
add(
    "formatted-cell-in-the-last-column",
    "a cell with a format and no value is nothing",
    data(rows_xml(*TABLE).replace('</row><row r="5">', '<c r="XFD4" s="1"/></row><row r="5">', 1)),
    **FOUND,
)
add(
    "formatted-last-row",
    "nor is a row with a height",
    data(rows_xml(*TABLE) + '<row r="1048576" ht="30" customHeight="1"><c r="A1048576" s="1"/></row>'),
    **FOUND,
)
add(
    "formatted-columns",
    "nor are columns with a width",
    data(rows_xml(*TABLE), before='<cols><col min="1" max="16384" width="12" style="1" customWidth="1"/></cols>'),
    **FOUND,
)
add(
    "many-formatted-rows",
    "200,000 rows with nothing but a format",
    data(rows_xml(*TABLE) + "".join(f'<row r="{row}" s="1" customFormat="1"><c r="A{row}" s="1"/><c r="B{row}" s="1"/></row>' for row in range(11, 200_011))),
    **FOUND,
)
add(
    "one-cell-in-the-last-row",
    "a cell in the last row of the sheet is a record, and what is between one blank run",
    data(rows_xml(*TABLE) + '<row r="1048576">' + cell_xml(7, "A1048576") + "</row>"),
    schema=ORDERS,
    errors=[(10, 3, "type-error"), (11, None, "blank-row")],
    rows=1_048_575,
)

add = collect(ROW_CASES, "blank-rows")
GAP: list[list[Any]] = [HEADER, *RECORDS[:3], [], [], *RECORDS[3:]]
add("in-the-middle", "a run of blank rows is one error at its first row", data(rows_xml(*GAP)), errors=[(5, None, "blank-row")], rows=10)
add(
    "in-the-middle-written-out",
    "the same with cells that are empty",
    data(rows_xml(*GAP[:4]) + '<row r="5"><c r="A5" s="1"/><c r="B5"/></row><row r="6"/>' + rows_xml(*GAP[6:], first_row=7)),
    errors=[(5, None, "blank-row")],
    rows=10,
)
add("of-blanks", "cells of blanks are as empty", data(rows_xml(*GAP[:4], ["  ", " "], [" "], *GAP[6:])), errors=[(5, None, "blank-row")], rows=10)
add(
    "at-the-end",
    "blank rows at the end are ignored",
    data(rows_xml(*TABLE, [number("", 1)], ["", None], ["  "]) + '<row r="90"><c r="C90" s="1"/></row>'),
    **FOUND,
)
add(
    "two-runs",
    "each run is one error",
    data(rows_xml(HEADER, *RECORDS[:2], [], *RECORDS[2:4], [], [], *RECORDS[4:])),
    errors=[(4, None, "blank-row"), (7, None, "blank-row")],
    rows=11,
)
add("in-the-middle-xls", "the same in .xls", make_xls({"S": GAP}), extension="xls", errors=[(5, None, "blank-row")], rows=10)
add("below-the-header", "a blank row between header and records", data(rows_xml(HEADER, [], *RECORDS)), schema=ORDERS, errors=[(2, None, "blank-row")], rows=9)

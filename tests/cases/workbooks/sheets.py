"""Which sheet is read."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import MAIN, RELATIONSHIPS, make_xls, make_xlsx, relations_xml, rows_xml, sheet_xml

SHEET_CASES: list[Case] = []
ORDERS: list[list[Any]] = [["id", "amount"], [1, 2.5], [2, 5.0], [3, 7.5], [4, "much"]]
PEOPLE: list[list[Any]] = [["name", "born"], ["Ann", 1990], ["Bob", 1985], ["Cy", 2001], ["Di", 1999]]
COVER: list[list[Any]] = [["Report of the branch in Ulm"], [], ["All figures are preliminary, see the sheet Data."], ["Questions: report@example.org"]]
ORDERS_SCHEMA = schema(field("id", "integer"), field("amount", "number"))
ERRORS = [(5, 2, "type-error")]


def book(sheets: dict[str, list[list[Any]]], **package: Any) -> bytes:
    return make_xlsx({name: sheet_xml(rows_xml(*rows)) for name, rows in sheets.items()}, **package)


def with_chart_first() -> bytes:
    """Return a workbook whose first sheet is a chart."""
    relations = relations_xml(("rId1", "chartsheet", "chartsheets/sheet1.xml"), ("rId2", "worksheet", "worksheets/sheet2.xml"))
    chart = f'<chartsheet xmlns="{MAIN}" xmlns:r="{RELATIONSHIPS}"><sheetViews><sheetView workbookViewId="0"/></sheetViews></chartsheet>'
    sheets = {"Chart": sheet_xml(""), "Orders": sheet_xml(rows_xml(*ORDERS))}
    return make_xlsx(sheets, parts={"xl/_rels/workbook.xml.rels": relations, "xl/chartsheets/sheet1.xml": chart, "xl/worksheets/sheet1.xml": None})


FOUND: dict[str, Any] = {"sheet": "Orders", "errors": ERRORS}
add = collect(SHEET_CASES, "first-with-a-table")
add("first", "the plain case", book({"Orders": ORDERS, "People": PEOPLE}), notes=["other-sheets"], **FOUND)
add("first-is-empty", "an empty sheet is passed over without a word", book({"Sheet1": [], "Orders": ORDERS}), no_notes=["other-sheets"], **FOUND)
add("others-are-empty", "what has nothing to read was not left out", book({"Orders": ORDERS, "Sheet2": [], "Sheet3": []}), no_notes=["other-sheets"], **FOUND)
add("cover", "a page of prose is no table", book({"Cover": COVER, "Orders": ORDERS}), notes=["other-sheets"], **FOUND)
add("chart-first", "a chart has no rows", with_chart_first(), **FOUND)
add("hidden-first", "the first visible one", book({"Old": PEOPLE, "Orders": ORDERS}, sheet_attributes={"Old": 'state="hidden"'}), **FOUND)
add("very-hidden-first", "the same", book({"Old": PEOPLE, "Orders": ORDERS}, sheet_attributes={"Old": 'state="veryHidden"'}), **FOUND)
add("one-sheet", "no other sheet", book({"Orders": ORDERS}), no_notes=["other-sheets"], **FOUND)
add("cover-alone", "where there is nothing else, that is read", book({"Cover": COVER}), sheet="Cover")
XLS: dict[str, Any] = {"extension": "xls", **FOUND}
add("first-is-empty-xls", "the same in .xls", make_xls({"Sheet1": [], "Orders": ORDERS}), no_notes=["other-sheets"], **XLS)
add("cover-xls", "the same in .xls", make_xls({"Cover": COVER, "Orders": ORDERS}), notes=["other-sheets"], **XLS)
add("hidden-first-xls", "the same in .xls", make_xls({"Old": PEOPLE, "Orders": ORDERS}, hidden=["Old"]), **XLS)

add = collect(SHEET_CASES, "schema-decides")
add(
    "last-of-three",
    "the first that fits the schema",
    book({"People": PEOPLE, "Cover": COVER, "Orders": ORDERS}),
    schema=ORDERS_SCHEMA,
    notes=["other-sheets"],
    **FOUND,
)
add(
    "first-of-two-that-fit",
    "the first if several fit",
    book({"Orders": ORDERS, "Orders 2": [*ORDERS, [5, "more"]]}),
    schema=ORDERS_SCHEMA,
    notes=["other-sheets"],
    **FOUND,
)
add("none-fits", "if none fits, the first with a table", book({"Sheet1": [], "People": PEOPLE, "Cover": COVER}), schema=ORDERS_SCHEMA, sheet="People")
add("last-xls", "the same in .xls", make_xls({"People": PEOPLE, "Orders": ORDERS}), schema=ORDERS_SCHEMA, notes=["other-sheets"], **XLS)
add(
    "below-a-title",
    "also if its header stands below a title",
    book({"People": PEOPLE, "Orders": [["Orders of May"], [], *ORDERS]}),
    schema=ORDERS_SCHEMA,
    sheet="Orders",
    header_row=3,
    errors=[(7, 2, "type-error")],
)

add = collect(SHEET_CASES, "told-which")
TWO = {"People": PEOPLE, "Orders": ORDERS}
add("by-name", "the name decides", book(TWO), dialect={"sheetName": "Orders"}, **FOUND)
add("by-name-in-another-case", "names of sheets have no case in Excel", book(TWO), dialect={"sheetName": "orders"}, **FOUND)
add("by-number", "the number decides", book(TWO), dialect={"sheetNumber": 2}, **FOUND)
add("by-number-behind-a-chart", "charts count", with_chart_first(), dialect={"sheetNumber": 2}, **FOUND)
add("a-hidden-one", "whoever names a hidden sheet gets it", book(TWO, sheet_attributes={"Orders": 'state="hidden"'}), dialect={"sheetName": "Orders"}, **FOUND)
add(
    "wrong-name",
    "the sentence names those that are there",
    book(TWO),
    dialect={"sheetName": "Invoices"},
    status="FAILED",
    says=["Invoices", "People", "Orders"],
)
add("wrong-number", "the same", book(TWO), dialect={"sheetNumber": 3}, status="FAILED", says=["3", "People", "Orders"])
add("a-chart", "a chart has no rows to read", with_chart_first(), dialect={"sheetNumber": 1}, status="FAILED", says=["Orders"])
add("by-name-xls", "the same in .xls", make_xls(TWO), dialect={"sheetName": "ORDERS"}, **XLS)
add(
    "wrong-name-xls",
    "the same in .xls",
    make_xls(TWO),
    extension="xls",
    dialect={"sheetName": "Invoices"},
    status="FAILED",
    says=["Invoices", "People", "Orders"],
)
add("name-wins-over-the-schema", "what is told is not judged", book(TWO), dialect={"sheetName": "People"}, schema=ORDERS_SCHEMA, sheet="People")

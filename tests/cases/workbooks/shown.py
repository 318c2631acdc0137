"""What Excel shows of numbers, times and text."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import Cell, Shown, make_xls, make_xlsx, number, one_sheet, raw_text, rows_xml, sheet_xml, strings_xml

SHOWN_CASES: list[Case] = []

add = collect(SHOWN_CASES, "digits")
SUMS: list[list[Any]] = [
    ["id", "cents", "share", "tiny"],
    [1, number("434.99999999999994"), number("0.30000000000000004"), number("1E-07")],
    [2, number("100.00000000000001"), number("1.1000000000000001"), number("2.5E-05")],
    [3, number("7"), number("0.69999999999999996"), number("-1e-10")],
]
SUM_CELLS = {"B2": "435", "C2": "0.3", "D2": "0.0000001", "B3": "100", "C3": "1.1", "D3": "0.000025", "C4": "0.7", "D4": "-0.0000000001"}
add(
    "sums-that-are-slightly-off",
    "15 digits, as Excel shows them",
    one_sheet(*SUMS),
    cells=SUM_CELLS,
    fields={"cents": "integer", "share": "number"},
    errors=[],
    no_notes=["digits-lost"],
)
add(
    "sums-that-are-slightly-off-xls",
    "the same in .xls",
    make_xls({"S": [["cents", "share"], [434.99999999999994, 0.1 + 0.2], [7, 0.7]]}),
    extension="xls",
    cells={"A2": "435", "B2": "0.3"},
    fields={"cents": "integer"},
    errors=[],
)
add(
    "a-sum-in-an-integer-field",
    "the value is judged as it is shown",
    one_sheet(["id", "cents"], [1, number("434.99999999999994")], [2, number("434.9999999")]),
    schema=schema(field("id", "integer"), field("cents", "integer")),
    errors=[(3, 2, "type-error")],
)
CARDS: list[list[Any]] = [["id", "card"], [1, number("4000123412341234")], [2, number("4.0001234123412341E15")]]
add("sixteen-digits", "Excel keeps 15 digits: what was lost is said", one_sheet(*CARDS), notes=["digits-lost"], errors=[], cells={"B2": "4000123412341230"})
add(
    "sixteen-digits-xls",
    "the same in .xls",
    make_xls({"S": [["id", "card"], [1, 4000123412341230.0], [2, 4000123412341240.0]]}),
    extension="xls",
    notes=["digits-lost"],
    errors=[],
)
add(
    "fifteen-digits",
    "they are all there",
    one_sheet(["id", "card"], [1, number("400012341234123")], [2, number("999999999999999")]),
    cells={"B3": "999999999999999"},
    no_notes=["digits-lost"],
    errors=[],
)
add(
    "sixteen-digits-of-text",
    "text loses nothing",
    one_sheet(["id", "card"], [1, "4000123412341234"], [2, "4000123412341235"]),
    no_notes=["digits-lost"],
    errors=[],
)
add(
    "many-decimals",
    "decimals beyond the fifteenth digit belong to no identifier",
    one_sheet(["id", "x"], [1, number("1234567890.1234567")], [2, number("0.12345678901234567")]),
    no_notes=["digits-lost"],
    errors=[],
)

add = collect(SHOWN_CASES, "zeros")
ZIPS = schema(field("id", "integer"), field("zip", "string", constraints={"pattern": "[0-9]{5}"}))
add(
    "postal-codes",
    "00000 shows five digits",
    one_sheet(["id", "zip"], [1, number(501, 1)], [2, number(90210, 1)], styles=["00000"]),
    schema=ZIPS,
    errors=[],
    cells={"B2": "00501"},
)
add(
    "postal-codes-xls",
    "the same in .xls",
    make_xls({"S": [["id", "zip"], [1, Shown(501, "00000")], [2, Shown(90210, "00000")]]}),
    extension="xls",
    schema=ZIPS,
    errors=[],
    cells={"B2": "00501"},
)
add(
    "more-digits-than-zeros",
    "a longer number is shown whole",
    one_sheet(["id", "n"], [1, number(123456, 1)], [2, number(7, 1)], styles=["000"]),
    cells={"B2": "123456", "B3": "007"},
)
add(
    "zeros-in-an-integer-field",
    "a number with zeros before it is a number",
    one_sheet(["id", "n"], [1, number(7, 1)], [2, number(8, 1)], styles=["000"]),
    schema=schema(field("id", "integer"), field("n", "integer", constraints={"minimum": 5})),
    errors=[],
)
add(
    "one-zero-and-decimals",
    "0 and 0.00 hide or add nothing that matters",
    one_sheet(["id", "n", "p"], [1, number(7, 1), number(5, 2)], [2, number(8, 1), number("5.5", 2)], styles=["0", "0.00"]),
    fields={"n": "integer", "p": "number"},
    cells={"B2": "7", "C2": "5", "C3": "5.5"},
    errors=[],
)
add(
    "zeros-without-a-format",
    "the number alone has none",
    one_sheet(["id", "zip"], [1, 501], [2, 90210]),
    schema=ZIPS,
    errors=[(2, 2, "pattern-error")],
)

add = collect(SHOWN_CASES, "rounding")
MOMENTS = ["yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "hh:mm", "mm:ss.0"]
add(
    "just-before-midnight",
    "what is closer to midnight than half a second is the next day, in dates and in date-times",
    one_sheet(
        ["d", "t"], [number("41551.9999999998", 1), number("41551.9999999998", 2)], [number("45291.999999999", 1), number("45291.999999999", 2)], styles=MOMENTS
    ),
    cells={"A2": "2013-10-05", "B2": "2013-10-05T00:00:00", "A3": "2024-01-01", "B3": "2024-01-01T00:00:00"},
    errors=[],
)
add(
    "seconds-before-midnight",
    "nine seconds before midnight it is still the same day",
    one_sheet(["d", "t"], [number("41551.9999", 1), number("41551.9999", 2)], styles=MOMENTS),
    cells={"A2": "2013-10-04", "B2": "2013-10-04T23:59:51"},
)
add(
    "drifting-seconds",
    "sums of fractions of a day are rounded to the second",
    one_sheet(
        ["a", "b"],
        *([number(repr(45292 + index / 1440), 2), number(repr(index / 86400 * 59.9999999), 3)] for index in (1, 7, 61, 719)),
        styles=MOMENTS,
    ),
    cells={"A2": "2024-01-01T00:01:00", "A3": "2024-01-01T00:07:00", "A4": "2024-01-01T01:01:00", "A5": "2024-01-01T11:59:00", "B5": "11:59:00"},
    errors=[],
)
add(
    "tenths-that-the-format-shows",
    "a format that shows tenths keeps them",
    one_sheet(["t"], [number(repr(90.5 / 86400), 4)], [number(repr(90.04 / 86400), 4)], styles=MOMENTS),
    cells={"A2": "00:01:30.500", "A3": "00:01:30"},
)
add(
    "just-before-midnight-xls",
    "the same in .xls",
    make_xls({"S": [["d", "t"], [Shown(41551.9999999998, "yyyy-mm-dd"), Shown(41551.9999999998, "yyyy-mm-dd hh:mm:ss")]]}),
    extension="xls",
    cells={"A2": "2013-10-05", "B2": "2013-10-05T00:00:00"},
)

add = collect(SHOWN_CASES, "xml-space")
BLANKS: list[list[Any]] = [
    ["code", "via"],
    [raw_text("<t> A1 </t>"), raw_text('<t xml:space="preserve"> A1 </t>')],
    [raw_text("<t>\n\tA2  </t>"), raw_text("<t>A  2</t>")],
    [raw_text("<r><t> A</t></r><r><t>3 </t></r>"), raw_text('<r><t>A</t></r><r><t xml:space="preserve"> 3</t></r>')],
]
add(
    "inline-text",
    "blanks at the ends stay only with xml:space, those within always",
    one_sheet(*BLANKS),
    cells={"A2": "A1", "B2": " A1 ", "A3": "A2", "B3": "A  2", "A4": "A3", "B4": "A 3"},
)
add(
    "shared-text",
    "the same for shared strings",
    make_xlsx(
        {"S": sheet_xml(rows_xml(["a", "b"], [Cell("<v>0</v>", 't="s"'), Cell("<v>1</v>", 't="s"')], [Cell("<v>2</v>", 't="s"'), Cell("<v>3</v>", 't="s"')]))},
        strings=strings_xml("<t> x </t>", '<t xml:space="preserve"> x </t>', "<r><t>y </t></r><r><t>z</t></r>", "<t>a\nb</t>"),
    ),
    cells={"A2": "x", "B2": " x ", "A3": "yz", "B3": "a\nb"},
)
add(
    "a-cell-of-blanks",
    "blanks alone are nothing without xml:space",
    one_sheet(["a", "b"], ["x", raw_text("<t>   </t>")], ["y", raw_text('<t xml:space="preserve">   </t>')]),
    cells={"B2": "", "B3": "   "},
)
add(
    "results-of-formulas",
    "Excel writes xml:space at the value of a formula, too",
    one_sheet(
        ["a", "b"],
        [Cell('<f>"x "</f><v>x </v>', 't="str"'), Cell('<f>"x "</f><v xml:space="preserve">x </v>', 't="str"')],
        [Cell("<v> y</v>", 't="str"'), Cell('<f>" "</f><v xml:space="preserve"> </v>', 't="str"')],
    ),
    cells={"A2": "x", "B2": "x ", "A3": "y", "B3": " "},
)
add(
    "padded-codes-in-a-pattern",
    "what Excel shows without blanks passes",
    one_sheet(["code"], [raw_text("<t>A1 </t>")], [raw_text('<t xml:space="preserve">A2 </t>')]),
    schema=schema(field("code", "string", constraints={"pattern": "[A-Z][0-9]"})),
    errors=[(3, 1, "pattern-error")],
)

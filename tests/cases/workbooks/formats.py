"""Which number formats count, and what they make of numbers."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import Shown, make_xls, make_xlsx, number, one_sheet, rows_xml, sheet_xml, styles_xml

FORMAT_CASES: list[Case] = []
X14 = "http://schemas.microsoft.com/office/spreadsheetml/2009/9/main"
DUE = 45306
"""2024-01-15."""


def dates(count: int = 4, style: int = 1) -> list[list[Any]]:
    return [["id", "due"], *([index, number(DUE + index, style)] for index in range(count))]


def styled(styles: str, rows: list[list[Any]]) -> bytes:
    return make_xlsx({"Sheet1": sheet_xml(rows_xml(*rows))}, styles=styles)


add = collect(FORMAT_CASES, "number-formats")
PERCENT_DXF = '<dxfs count="1"><dxf><numFmt numFmtId="14" formatCode="0%"/></dxf></dxfs>'
add(
    "percent-in-a-conditional-format",
    "a dxf numbers its formats anew: the built-in date format 14 stays one",
    styled(styles_xml(14, dxfs=PERCENT_DXF), dates()),
    fields={"due": "date"},
    errors=[],
    cells={"B2": "2024-01-15"},
)
add(
    "percent-in-a-conditional-format-of-an-extension",
    "x14 keeps conditional formats in an extension of the styles, with formats of their own",
    styled(
        styles_xml(
            14,
            after=f'<extLst><ext uri="{{EB79DEF2-80B8-43e5-95BD-54CBDDF9020C}}" xmlns:x14="{X14}"><x14:dxfs count="1"><x14:dxf>'
            '<numFmt numFmtId="14" formatCode="0%"/></x14:dxf></x14:dxfs></ext></extLst>',
        ),
        dates(),
    ),
    fields={"due": "date"},
    errors=[],
    cells={"B3": "2024-01-16"},
)
add(
    "date-in-a-conditional-format",
    "a date format of a dxf makes no number a date",
    styled(styles_xml(2, dxfs='<dxfs><dxf><numFmt numFmtId="2" formatCode="yyyy-mm-dd"/></dxf></dxfs>'), [["id", "price"], [1, number("12.5", 1)]]),
    fields={"price": "number"},
    errors=[],
    cells={"B2": "12.5"},
)
add(
    "list-of-formats-in-an-extension",
    "a numFmts inside an extension is not the workbook's own",
    styled(
        styles_xml(2, after='<extLst><ext uri="{0}"><numFmts><numFmt numFmtId="2" formatCode="h:mm"/></numFmts></ext></extLst>'),
        [["id", "w"], [1, number("0.5", 1)], [2, number("1.25", 1)]],
    ),
    fields={"w": "number"},
    errors=[],
    cells={"B2": "0.5"},
)
add(
    "formats-of-named-styles",
    "cellStyleXfs are the named styles, not those of the cells",
    styled(
        styles_xml("0.0").replace("<cellXfs>", '<cellStyleXfs count="2"><xf numFmtId="14"/><xf numFmtId="14"/></cellStyleXfs><cellXfs>'),
        [["id", "w"], [1, number("0.5", 1)], [2, number("1.5", 0)]],
    ),
    fields={"w": "number"},
    errors=[],
    cells={"B2": "0.5", "B3": "1.5"},
)
add(
    "conditional-format-with-the-number-of-a-custom-one",
    "the same number in numFmts and in a dxf",
    styled(styles_xml("yyyy\\-mm\\-dd", dxfs='<dxfs><dxf><numFmt numFmtId="164" formatCode="0.0"/></dxf></dxfs>'), dates()),
    fields={"due": "date"},
    errors=[],
)
add("no-conditional-format", "the plain case", styled(styles_xml("yyyy-mm-dd"), dates()), fields={"due": "date"}, errors=[], cells={"B2": "2024-01-15"})
add(
    "a-percent-format-of-the-cells",
    "a format of the cells themselves that shows no date",
    styled(styles_xml("0%", dxfs='<dxfs><dxf><numFmt numFmtId="165" formatCode="d/m/yy"/></dxf></dxfs>'), [["id", "rate"], [1, number("0.25", 1)]]),
    fields={"rate": "number"},
    errors=[],
    cells={"B2": "0.25"},
)

add = collect(FORMAT_CASES, "1904")
DAYS_1904: list[list[Any]] = [["d"], [number(0, 1)], [number(43844, 1)], [number(58, 1)]]
for value in ("1", "true"):
    add(
        f"date1904-is-{value}",
        "serial numbers count from 1904",
        one_sheet(*DAYS_1904, styles=["yyyy-mm-dd"], before_sheets=f'<workbookPr date1904="{value}"/>'),
        cells={"A2": "1904-01-01", "A3": "2024-01-15", "A4": "1904-02-28"},
        fields={"d": "date"},
    )
add(
    "date1904-is-0",
    "the attribute alone says nothing",
    one_sheet(["d"], [number(DUE, 1)], [number(59, 1)], styles=["yyyy-mm-dd"], before_sheets='<workbookPr date1904="0"/>'),
    cells={"A2": "2024-01-15", "A3": "1900-02-28"},
)
add(
    "date1904-xls",
    "the same in .xls",
    make_xls({"S": [["d"], [Shown(43844, "yyyy-mm-dd")], [Shown(0, "yyyy-mm-dd")]]}, is_1904=True),
    extension="xls",
    cells={"A2": "2024-01-15", "A3": "1904-01-01"},
)
add(
    "native-1904-in-a-date-field",
    "with a schema and its own form",
    one_sheet(["d"], [number(43844, 1)], styles=["dd/mm/yyyy"], before_sheets='<workbookPr date1904="1"/>'),
    schema=schema(field("d", "date", format="%d/%m/%Y", constraints={"minimum": "15/01/2024", "maximum": "15/01/2024"})),
    errors=[],
)

add = collect(FORMAT_CASES, "date-formats")
for name, code, serial, shown in (
    ("day-and-month", "d. mmm", DUE, "2024-01-15"),
    ("literal-letters", '"day" 0', 5, "5"),
    ("escaped-letters", "0\\d", 5, "5"),
    ("locale", "[$-407]d. mmmm yyyy;@", DUE, "2024-01-15"),
    ("system-date", "[$-F800]dddd, mmmm dd, yyyy", DUE, "2024-01-15"),
    ("system-time", "[$-F400]h:mm:ss AM/PM", 0.75, "18:00:00"),
    ("half-day-alone", "AM/PM", 0.75, "18:00:00"),
    ("colour", "[Red]0.00", 2.5, "2.5"),
    ("condition", '[<1]0.00;[>=1]"much"', 0.5, "0.5"),
    ("minutes-and-seconds", "mm:ss", 0.05, "01:12:00"),
    ("elapsed-minutes", "[mm]:ss", 0.05, "PT1H12M"),
    ("month-alone", "mmmm", DUE, "2024-01-15"),
    ("second-section-with-dates", '0.0;"d"', 1.5, "1.5"),
    ("thousands", "#,##0", 1234567, "1234567"),
    ("scientific", "0.00E+00", 1234567, "1234567"),
    ("currency-with-letters", '#,##0.00 "USD"', 12.5, "12.5"),
    ("currency-with-a-locale", "[$SEK-41D] #,##0.00", 12.5, "12.5"),
    ("fraction", "# ?/?", 0.5, "0.5"),
):
    add(name, f"the format {code}", one_sheet(["v"], [number(serial, 1)], styles=[code]), cells={"A2": shown}, errors=[])

"""Formulas with and without a stored value, error values, and pictures in cells."""

from __future__ import annotations

from typing import Any

import xlwt

from tests.cases.workbook_case import Case, collect, field, schema
from tests.cases.workbook_packages import (
    RELATIONSHIPS,
    SHEET_CONTENT,
    Cell,
    content_types_xml,
    error,
    formula,
    make_xls,
    make_xlsx,
    one_sheet,
    relations_xml,
    rows_xml,
    sheet_xml,
)

FORMULA_CASES: list[Case] = []
RECALCULATED = '<calcPr calcId="124519" fullCalcOnLoad="1"/>'
WAY_OUT = ["Excel"]

add = collect(FORMULA_CASES, "formulas-without-a-value")
add(
    "none-was-computed",
    "each is one error that says the way out",
    one_sheet(["id", "total"], *([index, formula(f"A{index + 1}*2")] for index in range(1, 9))),
    by_type={"formula-error": 8},
    says=WAY_OUT,
)
add(
    "one-was-not-computed",
    "the same among computed ones",
    one_sheet(["id", "total"], *([index, formula(f"A{index + 1}*2", None if index == 5 else str(2 * index))] for index in range(1, 9))),
    fields={"total": "integer"},
    errors=[(6, 2, "formula-error")],
    says=WAY_OUT,
)
add(
    "empty-value-element",
    "an empty v is no number",
    one_sheet(["id", "total"], *([index, Cell(f"<f>A{index + 1}*2</f><v></v>" if index % 4 else f"<f>A{index + 1}*2</f><v/>")] for index in range(1, 9))),
    by_type={"formula-error": 8},
)
add(
    "shared-formula",
    "a cell that shares the formula of another has one too",
    one_sheet(
        ["id", "total"],
        [1, Cell('<f t="shared" ref="B2:B4" si="0">A2*2</f><v>2</v>')],
        [2, Cell('<f t="shared" si="0"/>')],
        [3, Cell('<f t="shared" si="0"/><v>6</v>')],
        [4, Cell("<v>8</v>")],
    ),
    errors=[(3, 2, "formula-error")],
)
add(
    "formula-as-a-label",
    "a label that was never computed",
    one_sheet(["id", formula('"to"&"tal"'), "city"], *([index, index * 2, f"city {index}"] for index in range(1, 6))),
    by_type={"formula-error": 1},
    says=WAY_OUT,
)
add(
    "computed-label",
    "a label that was computed is a label",
    one_sheet(["id", formula('"to"&"tal"', "total", cell_type="str")], *([index, index * 2] for index in range(1, 6))),
    labels=["id", "total"],
    errors=[],
)
add(
    "with-a-schema",
    "one cause is one error: not also a missing value",
    one_sheet(["id", "total"], [1, formula("A2*2")], [2, formula("A3*2", "4")]),
    schema=schema(field("id", "integer"), field("total", "integer", constraints={"required": True, "minimum": 3})),
    errors=[(2, 2, "formula-error")],
)
add(
    "empty-text-as-a-result",
    "a formula whose result is empty text has a value",
    one_sheet(["id", "note"], *([index, formula(f'IF(A{index + 1}>2,"big","")', "big" if index > 2 else "", cell_type="str")] for index in range(1, 6))),
    errors=[],
    cells={"B2": "", "B6": "big"},
)
add(
    "every-kind-of-result",
    "numbers, text, booleans and dates as results",
    one_sheet(
        ["n", "t", "b", "d"],
        *([formula("1+1", "2"), formula('"a"', "a", cell_type="str"), formula("TRUE()", "1", cell_type="b"), formula("TODAY()", "45306", style=1)],) * 3,
        styles=["yyyy-mm-dd"],
    ),
    fields={"n": "integer", "t": "string", "b": "boolean", "d": "date"},
    errors=[],
    cells={"A2": "2", "B2": "a", "C2": "true", "D2": "2024-01-15"},
)
add(
    "never-computed-xls",
    "the same in .xls",
    make_xls({"S": [["id", "total"], *([index, xlwt.Formula(f"A{index + 1}*2")] for index in range(1, 5))]}),
    extension="xls",
    by_type={"formula-error": 4},
    says=WAY_OUT,
)

add = collect(FORMULA_CASES, "zeros-of-a-writer-that-computes-nothing")
NAMED: list[list[Any]] = [["id", "city"]]
NAMED += [[index, formula(f'UPPER("city {index}")', "0")] for index in range(1, 6)]
add("text-formulas", "text functions never give 0", one_sheet(*NAMED, after_sheets=RECALCULATED), by_type={"formula-error": 5}, says=WAY_OUT)
add(
    "joined-text",
    "nor does what is joined with &",
    one_sheet(["id", "city"], *([index, formula(f'A{index + 1}&" km"', "0")] for index in range(1, 6)), after_sheets=RECALCULATED),
    by_type={"formula-error": 5},
)
add(
    "products-that-may-be-zero",
    "where it cannot be known there is a note and no error",
    one_sheet(["id", "total"], *([index, formula(f"A{index + 1}*C{index + 1}", "0")] for index in range(1, 6)), after_sheets=RECALCULATED),
    errors=[],
    notes=["formulas-not-computed"],
)
add(
    "computed-before-it-was-saved",
    "other values than 0 were computed, whatever happens on load",
    one_sheet(["id", "total"], *([index, formula(f"A{index + 1}*2", str(index * 2))] for index in range(1, 6)), after_sheets=RECALCULATED),
    errors=[],
    no_notes=["formulas-not-computed"],
)
add(
    "honest-zeros",
    "without fullCalcOnLoad a 0 is a 0",
    one_sheet(["id", "total"], *([index, formula(f"A{index + 1}*0", "0")] for index in range(1, 6)), after_sheets='<calcPr calcId="191029"/>'),
    errors=[],
    no_notes=["formulas-not-computed"],
    cells={"B2": "0"},
)

add = collect(FORMULA_CASES, "error-values")
for text in ("#N/A", "#VALUE!", "#REF!", "#DIV/0!"):
    add(
        f"{text[1:-1].replace('/', '').lower()}",
        "an error value is a formula-error that shows it",
        one_sheet(["id", "n"], [1, 5], [2, error(text)], [3, 6], [4, 7]),
        errors=[(3, 2, "formula-error")],
        says=[text],
        never_says=["picture"],
        fields={"n": "integer"},
    )
add("text-that-looks-like-one", "text is text", one_sheet(["id", "t"], [1, "#VALUE!"], [2, "#SPILL!"], [3, "x"]), errors=[], fields={"t": "string"})

add = collect(FORMULA_CASES, "pictures")
RICH = "http://schemas.microsoft.com/office/spreadsheetml/2017/richdata"
METADATA = (
    '<metadata xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:xlrd="http://schemas.microsoft.com/office/spreadsheetml/2017/richdata">'
    '<metadataTypes count="1"><metadataType name="XLRICHVALUE" minSupportedVersion="120000" copy="1" pasteAll="1" pasteValues="1" merge="1" splitFirst="1"'
    ' rowColShift="1" clearFormats="1" clearComments="1" assign="1" coerce="1"/></metadataTypes><futureMetadata name="XLRICHVALUE" count="1"><bk><extLst>'
    '<ext uri="{3e2802c4-a4d2-4d8b-9148-e3be6c30e623}"><xlrd:rvb i="0"/></ext></extLst></bk></futureMetadata><valueMetadata count="1"><bk><rc t="1" v="0"/>'
    "</bk></valueMetadata></metadata>"
)
RICH_TYPES = "http://schemas.microsoft.com/office/2017/06/relationships"


def with_rich_value(structure: str, values: str) -> bytes:
    """Return a workbook whose cell B3 is an error value with a rich value of this structure behind it."""
    rows = rows_xml(["id", "photo"], [1, "none"], [2, error("#VALUE!", 'vm="1"')], [3, "none"], [4, "some"])
    relations = relations_xml(
        ("rId1", "worksheet", "worksheets/sheet1.xml"),
        ("rId2", "sheetMetadata", "metadata.xml"),
    ).replace(
        "</Relationships>",
        f'<Relationship Id="rId3" Type="{RICH_TYPES}/rdRichValue" Target="richData/rdrichvalue.xml"/>'
        f'<Relationship Id="rId4" Type="{RICH_TYPES}/rdRichValueStructure" Target="richData/rdrichvaluestructure.xml"/></Relationships>',
    )
    return make_xlsx(
        {"Sheet1": sheet_xml(rows)},
        parts={
            "[Content_Types].xml": content_types_xml(SHEET_CONTENT),
            "xl/_rels/workbook.xml.rels": relations,
            "xl/metadata.xml": METADATA,
            "xl/richData/rdrichvalue.xml": f'<rvData xmlns="{RICH}" count="1"><rv s="0">{values}</rv></rvData>',
            "xl/richData/rdrichvaluestructure.xml": f'<rvStructures xmlns="{RICH}" count="1">{structure}</rvStructures>',
        },
    )


LOCAL_IMAGE = with_rich_value('<s t="_localImage"><k n="_rvRel:LocalImageIdentifier" t="i"/><k n="CalcOrigin" t="i"/></s>', "<v>0</v><v>5</v>")
SPILL = with_rich_value('<s t="_error"><k n="colOffset" t="i"/><k n="errorType" t="i"/><k n="rwOffset" t="i"/></s>', "<v>0</v><v>8</v><v>1</v>")
add("picture-in-a-cell", "the cell says #VALUE!, and Excel shows the picture", LOCAL_IMAGE, errors=[(3, 2, "formula-error")], says=["picture"])
add("spilled-formula", "#SPILL! is stored as #VALUE! with a rich value, too", SPILL, errors=[(3, 2, "formula-error")], never_says=["picture"])
WEB_IMAGE = with_rich_value('<s t="_webimage"><k n="WebImageIdentifier" t="i"/><k n="CalcOrigin" t="i"/></s>', "<v>0</v><v>1</v>")
add("picture-from-the-web", "IMAGE() shows a picture", WEB_IMAGE, errors=[(3, 2, "formula-error")], says=["picture"])
DRAWING = '<drawing r:id="rId1"/>'
add(
    "picture-above-the-cells",
    "a picture that lies above the cells is none of theirs",
    make_xlsx(
        {"Sheet1": sheet_xml(rows_xml(["id", "n"], [1, 5], [2, error("#VALUE!")], [3, 6], [4, 7]), after=DRAWING)},
        parts={
            "xl/worksheets/_rels/sheet1.xml.rels": relations_xml(("rId1", "drawing", "../drawings/drawing1.xml"), base=RELATIONSHIPS),
            "xl/drawings/drawing1.xml": '<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"/>',
        },
    ),
    errors=[(3, 2, "formula-error")],
    never_says=["picture"],
)

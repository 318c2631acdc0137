"""Names of parts, parts that are missing, namespaces, and packages that Excel takes although no writer should make them."""

from __future__ import annotations

from typing import Any

from tests.cases.workbook_case import Case, collect
from tests.cases.workbook_packages import (
    MACRO_CONTENT,
    MAIN,
    RELATIONSHIPS,
    STRICT_MAIN,
    STRICT_RELATIONSHIPS,
    Cell,
    content_types_xml,
    make_xls,
    make_xlsx,
    number,
    relations_xml,
    rows_xml,
    sheet_xml,
    strings_xml,
    styles_xml,
    workbook_xml,
)

PACKAGE_CASES: list[Case] = []
SHEET = sheet_xml(rows_xml(["id", Cell("<v>0</v>", 't="s"')], [1, number(45306, 1)], [2, number(45307, 1)]))
STYLES, STRINGS = styles_xml("yyyy-mm-dd"), strings_xml("<t>due</t>")
GOOD: dict[str, Any] = {"cells": {"A2": "1", "B2": "2024-01-15"}, "fields": {"id": "integer", "due": "date"}, "errors": []}
DAMAGED: dict[str, Any] = {"status": "FAILED", "says": ["damaged"]}
RELATIONS = (("rId1", "worksheet", "worksheets/sheet1.xml"), ("rId901", "styles", "styles.xml"), ("rId902", "sharedStrings", "sharedStrings.xml"))


def package(**changes: Any) -> bytes:
    return make_xlsx(**{"sheets": {"Sheet1": SHEET}, "styles": STYLES, "strings": STRINGS, **changes})


def related(*relations: tuple[str, str, str], **changes: Any) -> bytes:
    """Return a package whose workbook has these relationships."""
    parts = {"xl/_rels/workbook.xml.rels": relations_xml(*relations), **changes.pop("parts", {})}
    return package(parts=parts, **changes)


def prefixed(xml: str, prefix: str) -> str:
    """Return the XML with a prefix for the main namespace at every element."""
    named = xml.replace("</", f"</{prefix}:").replace(f'xmlns="{MAIN}"', f'xmlns:{prefix}="{MAIN}"')
    return "".join(f"<{part}" if part[:1] in "/?" else f"<{prefix}:{part}" for part in named.split("<") if part)


add = collect(PACKAGE_CASES, "part-names")
add("as-written-by-excel", "the plain case", package(), **GOOD)
add(
    "styles-in-another-case",
    "names of parts are compared without regard to case",
    related(RELATIONS[0], ("rId901", "styles", "Styles.XML"), RELATIONS[2]),
    **GOOD,
)
add("strings-in-another-case", "the ZIP has xl/SharedStrings.xml", package(rename=lambda name: name.replace("sharedStrings", "SharedStrings")), **GOOD)
add("everything-in-capitals", "all names in the ZIP in capitals", package(rename=str.upper), **GOOD)
add("backslashes", "some ZIP programs of Windows write backslashes", package(rename=lambda name: name.replace("/", "\\")), **GOOD)
add("leading-slashes", "names in the ZIP that begin with a slash", package(rename=lambda name: f"/{name}"), **GOOD)
add("absolute-targets", "targets from the root", related(*((name, kind, f"/xl/{target}") for name, kind, target in RELATIONS)), **GOOD)
add("targets-with-dots", "targets that go up and down", related(*((name, kind, f"../xl/./{target}") for name, kind, target in RELATIONS)), **GOOD)
add("targets-with-backslashes", "a backslash in a target", related(("rId1", "worksheet", "worksheets\\sheet1.xml"), *RELATIONS[1:]), **GOOD)
add(
    "workbook-elsewhere",
    "the relationships of the package say where the workbook is",
    package(
        parts={
            "[Content_Types].xml": content_types_xml(part="/book/main.xml"),
            "_rels/.rels": relations_xml(("rId7", "officeDocument", "/book/main.xml")),
            "xl/workbook.xml": None,
            "xl/_rels/workbook.xml.rels": None,
            "book/main.xml": workbook_xml('name="Sheet1"'),
            "book/_rels/main.xml.rels": relations_xml(*((name, kind, f"/xl/{target}") for name, kind, target in RELATIONS)),
        }
    ),
    **GOOD,
)

add = collect(PACKAGE_CASES, "missing-parts")
add("styles-are-missing", "a part that is named and not there is damage", package(parts={"xl/styles.xml": None}), **DAMAGED)
add("strings-are-missing", "the same for shared strings", package(parts={"xl/sharedStrings.xml": None}), **DAMAGED)
add("sheet-is-missing", "the same for the sheet", package(parts={"xl/worksheets/sheet1.xml": None}), **DAMAGED)
add("relationship-is-missing", "a sheet whose relationship is not there", related(*RELATIONS[1:]), **DAMAGED)
PLAIN = sheet_xml(rows_xml(["id", "n"], [1, 5], [2, 6]))
add("no-styles-and-no-strings", "parts that nobody names may be missing", make_xlsx({"S": PLAIN}), errors=[], fields={"n": "integer"})
add(
    "links-to-elsewhere",
    "an external target is no part",
    make_xlsx(
        {"S": PLAIN},
        parts={
            "xl/worksheets/_rels/sheet1.xml.rels": relations_xml(("rId1", "hyperlink", "https://example.org/")).replace("/></", ' TargetMode="External"/></')
        },
    ),
    errors=[],
)
add("strings-that-no-cell-uses", "a part that is there and not used", make_xlsx({"S": PLAIN}, strings=strings_xml("<t>x</t>")), errors=[])

add = collect(PACKAGE_CASES, "namespaces")
PREFIXED_PARTS = {
    "xl/worksheets/sheet1.xml": prefixed(SHEET, "x"),
    "xl/styles.xml": prefixed(STYLES, "x"),
    "xl/sharedStrings.xml": prefixed(STRINGS, "ns0"),
    "xl/workbook.xml": prefixed(workbook_xml('name="Sheet1"'), "main"),
}
add("prefixes", "every element with a prefix", package(parts=PREFIXED_PARTS), **GOOD)
MIXED = (
    SHEET.replace(f'xmlns="{MAIN}"', f'xmlns="{MAIN}" xmlns:x="{MAIN}" xmlns:y="{MAIN}"')
    .replace('<row r="2">', '<x:row r="2">', 1)
    .replace("</row>", "</x:row>", 2)
    .replace("</x:row>", "</row>", 1)
    .replace("<v>45306</v>", "<y:v>45306</y:v>")
)
add("mixed-prefixes", "several prefixes of one namespace in one part", package(parts={"xl/worksheets/sheet1.xml": MIXED}), **GOOD)
STRICT = {
    name: xml.replace(MAIN, STRICT_MAIN).replace(RELATIONSHIPS, STRICT_RELATIONSHIPS)
    for name, xml in {
        "xl/worksheets/sheet1.xml": SHEET,
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": STRINGS,
        "xl/workbook.xml": workbook_xml('name="Sheet1"'),
        "xl/_rels/workbook.xml.rels": relations_xml(*RELATIONS),
        "_rels/.rels": relations_xml(("rId1", "officeDocument", "xl/workbook.xml")),
    }.items()
}
add("strict", "the strict form of the standard has other namespaces", package(parts=STRICT), **GOOD)
add(
    "elements-of-another-namespace",
    "a v that belongs to somebody else is no value",
    package(
        parts={
            "xl/worksheets/sheet1.xml": SHEET.replace(f'xmlns="{MAIN}"', f'xmlns="{MAIN}" xmlns:o="http://example.org/other"').replace(
                "<v>45306</v>", "<v>45306</v><extLst><ext><o:v>7</o:v></ext></extLst>"
            )
        }
    ),
    **GOOD,
)

add = collect(PACKAGE_CASES, "taken-as-excel-does")
NAMES = "".join(f'<definedName name="n{index}">Sheet1!$A${index + 1}</definedName>' for index in range(80_000))
add("eighty-thousand-names", "names that no cell needs", package(after_sheets=f"<definedNames>{NAMES}</definedNames>"), **GOOD)
add("macros-called-xlsx", "macros are never looked at", package(parts={"[Content_Types].xml": content_types_xml(MACRO_CONTENT)}), **GOOD)
add(
    "macros-with-their-project",
    "the project of the macros is no table",
    related(
        *RELATIONS,
        ("rId950", "vbaProject", "vbaProject.bin"),
        parts={"[Content_Types].xml": content_types_xml(MACRO_CONTENT), "xl/vbaProject.bin": "not looked at"},
    ),
    **GOOD,
)
add(
    "template-called-xlsx",
    "a template is a workbook",
    package(parts={"[Content_Types].xml": content_types_xml("application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml")}),
    **GOOD,
)
add(
    "inline-text-beside-a-value",
    "the text of an inline string is in its is, whatever a v beside it says",
    make_xlsx({"S": sheet_xml(rows_xml(["id", "t"], [1, Cell("<v>1.0</v><is><t>one</t></is>", 't="inlineStr"')], [2, "two"]))}),
    cells={"B2": "one", "B3": "two"},
    errors=[],
)
TABLE: dict[str, list[list[Any]]] = {"S": [["id", "city"], *([index, f"city {index}"] for index in range(1, 9))]}


def with_unique_count(change: int) -> bytes:
    """Return an .xls workbook whose table of strings says a wrong count of distinct strings."""
    content = bytearray(make_xls(TABLE))
    place = next(
        index
        for index in range(len(content) - 12)
        if content[index : index + 2] == b"\xfc\x00" and int.from_bytes(content[index + 8 : index + 12], "little") == 10
    )
    content[place + 8 : place + 12] = (10 + change).to_bytes(4, "little")
    return bytes(content)


XLS_GOOD: dict[str, Any] = {"extension": "xls", "errors": [], "cells": {"B2": "city 1", "B9": "city 8"}, "rows": 8}
add("string-count-is-right", "the plain case", with_unique_count(0), **XLS_GOOD)
add("string-count-is-one-too-high", "counts that do not add up are no reason to refuse", with_unique_count(1), **XLS_GOOD)
add("string-count-is-far-too-high", "the same", with_unique_count(5_000), **XLS_GOOD)
add("string-count-is-too-low", "the same", with_unique_count(-2), **XLS_GOOD)

add = collect(PACKAGE_CASES, "no-workbook")
NO_WORKBOOKS = {
    "web-page": ("HTML", b"<html><body><table><tr><td>id</td></tr></table></body></html>"),
    "web-page-after-blanks": ("HTML", b"\r\n  <!DOCTYPE html>\n<table><tr><td>1</td></tr></table>"),
    "tab-separated": ("tab", b"id\tname\n1\tAnn\n2\tBob\n"),
    "tab-separated-utf-16": ("tab", "id\tname\r\n1\tAnn\r\n".encode("utf-16")),
    "spreadsheetml-2003": (
        "XML",
        b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
    ),
    "mht": ("web", b'MIME-Version: 1.0\r\nX-Document-Type: Workbook\r\nContent-Type: multipart/related; boundary="x"\r\n\r\n--x\r\n'),
}
for name, (word, content) in NO_WORKBOOKS.items():
    add(name, "called .xls, and something else: the sentence says what", content, extension="xls", refused=True, says=[word])
add("workbook-with-the-other-extension", "an .xlsx called .xls is read as what it is", package(), **{**GOOD, "extension": "xls"})
add("xls-called-xlsx", "and the other way round", make_xls(TABLE), **{**XLS_GOOD, "extension": "xlsx"})

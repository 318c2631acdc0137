"""Parts of workbooks are found as Excel finds them, whatever their names, prefixes and neighbours are."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.choose_sheet import SheetName
from features.processing.readers.excel.xlsx.open_sheets import XlsxWorkbook
from features.processing.readers.excel.xlsx.part_names import normalize_name, relationships_name, resolve_target
from tests.features.processing.readers.excel.workbooks import (
    CONTENT_TYPES,
    MAIN,
    PACKAGE_RELS,
    RELATIONSHIPS,
    WORKBOOK,
    WORKBOOK_RELS,
    read_xlsx,
    sheet_xml,
    strings_xml,
    styles_xml,
    write_package,
)

SHEET = sheet_xml('<row r="2"><c r="A2" s="1"><v>45000</v></c><c r="B2" t="s"><v>0</v></c></row>')
PARTS = {
    "[Content_Types].xml": CONTENT_TYPES,
    "_rels/.rels": PACKAGE_RELS,
    "xl/workbook.xml": WORKBOOK,
    "xl/_rels/workbook.xml.rels": WORKBOOK_RELS,
    "xl/worksheets/sheet1.xml": SHEET,
    "xl/styles.xml": styles_xml("yyyy-mm-dd"),
    "xl/sharedStrings.xml": strings_xml("<t>text</t>"),
}
READ = {2: ["2023-03-15", "text"]}


def write(path: Path, parts: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def renamed(change: Callable[[str], str]) -> dict[str, str]:
    return {change(name): text for name, text in PARTS.items()}


def retargeted(change: Callable[[str], str]) -> dict[str, str]:
    targets = ("xl/workbook.xml", "worksheets/sheet1.xml", "styles.xml", "/xl/sharedStrings.xml")
    changed = dict(PARTS)
    for name in ("_rels/.rels", "xl/_rels/workbook.xml.rels"):
        for target in targets:
            changed[name] = changed[name].replace(f'Target="{target}"', f'Target="{change(target)}"')
    return changed


@pytest.mark.parametrize(
    "parts",
    [
        renamed(str.upper),
        renamed(str.lower),
        renamed(lambda name: name.replace("/", "\\")),
        renamed(lambda name: f"/{name}"),
        renamed(lambda name: f"\\{name.title()}".replace("/", "\\")),
        renamed(lambda name: f"./{name}"),
        renamed(lambda name: name.replace("/", "//")),
        renamed(lambda name: name.replace("sheet1", "sheet%31")),
        retargeted(str.upper),
        retargeted(lambda target: target.replace("/", "\\")),
        retargeted(lambda target: f"./{target}" if target[0] != "/" else target),
        retargeted(lambda target: f"../xl/{target}" if target[0] not in "/x" else target),
        retargeted(lambda target: target.replace("sheet1", "%73heet1")),
        renamed(str) | {"xl/": "", "xl\\worksheets\\": ""},
        renamed(str) | {"docProps/core.xml": "broken", "xl/calcChain.xml": "broken", "xl/metadata.xml": "broken"},
        {name: text for name, text in PARTS.items() if name != "[Content_Types].xml"},
        {name: text for name, text in PARTS.items() if name != "_rels/.rels"},
        {name: text for name, text in PARTS.items() if name not in ("_rels/.rels", "[Content_Types].xml")},
        {name.replace("xl/", "book/"): text.replace("xl/", "book/") for name, text in PARTS.items()},
        {name.replace("xl/", "book/"): text.replace("xl/", "book/") for name, text in PARTS.items() if name != "_rels/.rels"},
    ],
)
def test_parts_are_found_by_any_name(tmp_path: Path, parts: dict[str, str]) -> None:
    assert read_xlsx(write(tmp_path / "a.xlsx", parts)).rows == READ
    assert read_xlsx(tmp_path / "a.xlsx", excel_reader="openpyxl").rows == READ


@pytest.mark.parametrize(
    ("name", "named"), [("xl/styles.xml", "styles.xml"), ("xl/sharedStrings.xml", "sharedStrings.xml"), ("xl/worksheets/sheet1.xml", "sheet1.xml")]
)
def test_part_that_is_named_and_not_there_is_damage(tmp_path: Path, name: str, named: str) -> None:
    parts = {each: text for each, text in PARTS.items() if each != name}
    with pytest.raises(FileUnreadable, match=named):
        read_xlsx(write(tmp_path / "a.xlsx", parts))


def test_part_of_another_sheet_may_be_missing(tmp_path: Path) -> None:
    workbook = WORKBOOK.replace("<sheets>", '<sheets><sheet name="gone" sheetId="7" r:id="rId8"/>')
    path = write(tmp_path / "a.xlsx", PARTS | {"xl/workbook.xml": workbook})
    assert read_xlsx(path, dialect={"sheetName": "Sheet1"}).rows == READ
    with pytest.raises(FileUnreadable, match="sheet gone is missing"):
        read_xlsx(path, dialect={"sheetName": "gone"})


def test_names_are_compared_as_places() -> None:
    assert normalize_name("\\XL\\.\\worksheets/../Styles.XML") == "xl/styles.xml"
    assert normalize_name("../../a") == "a"
    assert normalize_name(resolve_target("../b#c", base="xl/workbook.xml")) == "b"
    assert relationships_name("") == "/_rels/.rels"
    assert relationships_name("xl\\workbook.xml") == "xl/_rels/workbook.xml.rels"


def prefixed(xml: str, prefix: str) -> str:
    """Give all elements of a part a prefix."""
    head, _, body = xml.partition("?>\n")
    body = body.replace("</", "\0").replace("<", f"<{prefix}:").replace("\0", f"</{prefix}:")
    return f"{head}?>\n{body.replace(' xmlns=', f' xmlns:{prefix}=')}"


@pytest.mark.parametrize(
    "names", [["xl/workbook.xml"], ["xl/styles.xml"], ["xl/sharedStrings.xml"], ["xl/worksheets/sheet1.xml"], ["xl/_rels/workbook.xml.rels"], list(PARTS)]
)
def test_prefixes_of_any_name_change_nothing(tmp_path: Path, names: list[str]) -> None:
    parts = PARTS | {name: prefixed(PARTS[name], "any") for name in names}
    assert read_xlsx(write(tmp_path / "a.xlsx", parts)).rows == READ


def test_parts_without_a_namespace_are_read(tmp_path: Path) -> None:
    parts = {name: text.replace(f' xmlns="{MAIN}"', "") for name, text in PARTS.items()}
    assert read_xlsx(write(tmp_path / "a.xlsx", parts)).rows == READ


FOREIGN = '<o:numFmts xmlns:o="urn:o"><o:numFmt numFmtId="164" formatCode="0.0"/></o:numFmts>'
WITHIN = (
    '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><mc:Choice Requires="x14">'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="0"/></cellXfs><numFmts><numFmt numFmtId="164" formatCode="0.0"/></numFmts></mc:Choice></mc:AlternateContent>'
)
DXF = '<dxfs><dxf><numFmt numFmtId="164" formatCode="0.00%"/></dxf><dxf><numFmts><numFmt numFmtId="164" formatCode="0"/></numFmts></dxf></dxfs>'
EXTENSION = (
    '<extLst><ext uri="x" xmlns:x14="urn:x14"><x14:dxfs><dxf><numFmt numFmtId="164" formatCode="0.00%"/></dxf></x14:dxfs>'
    '<numFmts><numFmt numFmtId="164" formatCode="0"/></numFmts><cellXfs><xf numFmtId="164"/></cellXfs></ext></extLst>'
)


@pytest.mark.parametrize("other", [FOREIGN, WITHIN, DXF, EXTENSION, '<cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>'])
@pytest.mark.parametrize("is_before", [True, False])
def test_formats_that_are_not_those_of_cells_do_not_count(tmp_path: Path, other: str, is_before: bool) -> None:
    styles = styles_xml("yyyy-mm-dd")
    styles = styles.replace("<numFmts>", f"{other}<numFmts>", 1) if is_before else styles.replace("</styleSheet>", f"{other}</styleSheet>")
    assert read_xlsx(write(tmp_path / "a.xlsx", PARTS | {"xl/styles.xml": styles})).rows == READ


def test_thousands_of_names_cost_nothing(tmp_path: Path) -> None:
    names = "".join(f'<definedName name="n{number}" hidden="1">{"x" * 200}!$A${number}</definedName>' for number in range(80_000))
    workbook = WORKBOOK.replace("</workbook>", f"<definedNames>{names}</definedNames></workbook>")
    assert len(workbook) > 18 * 2**20
    started = time.process_time()
    assert read_xlsx(write(tmp_path / "a.xlsx", PARTS | {"xl/workbook.xml": workbook})).rows == READ
    assert time.process_time() - started < 5


def test_sheets_are_listed_with_their_visibility(tmp_path: Path) -> None:
    states = ["", ' state="visible"', ' state="hidden"', ' state="veryHidden"']
    sheets = "".join(f'<sheet name="s{number}" sheetId="{number}"{state} r:id="rId1"/>' for number, state in enumerate(states))
    kinds = ("chartsheet", "dialogsheet")
    sheets += "".join(f'<sheet name="{kind}" sheetId="9" r:id="{kind}"/>' for kind in kinds)
    relationships = "".join(f'<Relationship Id="{kind}" Type="{RELATIONSHIPS}/{kind}" Target="x.xml"/>' for kind in kinds)
    parts = {
        "xl/workbook.xml": WORKBOOK.replace("<sheets>", f"<sheets>{sheets}"),
        "xl/_rels/workbook.xml.rels": WORKBOOK_RELS.replace("</Relationships>", f"{relationships}</Relationships>"),
    }
    workbook = XlsxWorkbook(write(tmp_path / "a.xlsx", PARTS | parts), ReadLimits())
    workbook.close()
    assert workbook.sheets == [
        SheetName("s0", is_visible=True, has_rows=True),
        SheetName("s1", is_visible=True, has_rows=True),
        SheetName("s2", is_visible=False, has_rows=True),
        SheetName("s3", is_visible=False, has_rows=True),
        SheetName("chartsheet", is_visible=True, has_rows=False),
        SheetName("dialogsheet", is_visible=True, has_rows=False),
        SheetName("Sheet1", is_visible=True, has_rows=True),
    ]


def peek(path: Path) -> list[int]:
    workbook = XlsxWorkbook(path, ReadLimits())
    try:
        return [row.number for row in workbook.peek(0)]
    finally:
        workbook.close()


def test_look_at_a_sheet_is_bounded_in_rows_and_bytes(tmp_path: Path) -> None:
    rows = "".join(f'<row r="{number}"><c r="A{number}"><v>1</v></c></row>' for number in range(2, 50_000))
    assert peek(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows))) == list(range(1, 201))
    empty = "".join(f'<row r="{number}" s="1"><c r="A{number}"/></row>' for number in range(2, 400_000))
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml(f'{empty}<row r="400000"><c r="A400000"><v>1</v></c></row>'))
    started = time.process_time()
    assert peek(path) == [1]
    assert time.process_time() - started < 5


def test_look_at_a_sheet_sees_rows_before_the_damage(tmp_path: Path) -> None:
    assert peek(write_package(tmp_path / "a.xlsx", sheet=sheet_xml('<row r="2"><c r="A2"><v>1</v></c></row><row></c>'))) == [1, 2]
    with pytest.raises(FileUnreadable, match="damaged"):
        peek(write_package(tmp_path / "a.xlsx", sheet=sheet_xml("<row></c>", header="")))


def test_look_at_a_sheet_puts_its_rows_together(tmp_path: Path) -> None:
    cells = "".join(f'<row r="{number}"><c r="{letter}{number}"><v>1</v></c></row>' for number in (3, 2, 4) for letter in "AB")
    workbook = XlsxWorkbook(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(cells, header="")), ReadLimits())
    rows = [(row.number, row.cells) for row in workbook.peek(0)]
    workbook.close()
    assert rows == [(2, ["1", "1"]), (3, ["1", "1"]), (4, ["1", "1"])]

"""What cells of XLSX sheets hold: native types, troubles, blanks; and what is learned of a sheet besides its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.processing.readers.excel.sheet_rows import MAX_MERGES, BadCell, CellTrouble, FarCell, MergedRange, SheetFacts, SheetRow
from features.processing.readers.excel.xlsx import scanner as xlsx_scanner
from features.processing.readers.excel.xlsx.merges import read_merges
from features.processing.readers.native_types import NativeType
from tests.features.processing.readers.excel.workbooks import MAIN, WORKBOOK_RELS, read_rows, read_xlsx, sheet_xml, strings_xml, styles_xml, write_package


@pytest.fixture(params=["fast", "expat", "openpyxl"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "expat":
        monkeypatch.setattr(xlsx_scanner, "_find_prefixes", lambda _: None)
        return "fast"
    return str(request.param)


def rows_of(tmp_path: Path, rows: str, reader: str, parts: dict[str, str | bytes | None] | None = None, after: str = "") -> tuple[list[SheetRow], SheetFacts]:
    path = write_package(tmp_path / "a.xlsx", parts, sheet=sheet_xml(rows, header="", after=after))
    return read_rows(path, excel_reader=reader)


def types_of(row: SheetRow) -> list[NativeType]:
    return [NativeType(kind) for kind in row.types]


def test_cells_have_the_types_that_they_show(tmp_path: Path, reader: str) -> None:
    codes = ["yyyy-mm-dd", "hh:mm", "yyyy-mm-dd hh:mm", "[h]:mm", "00000", "0.00%"]
    values = "".join(f'<c s="{style}"><v>{value}</v></c>' for style, value in enumerate(["1.5", "45000", "0.5", "45000", "1.25", "7", "0.1"]))
    others = (
        '<c t="s"><v>0</v></c><c t="str"><v>x</v></c><c t="inlineStr"><is><t>x</t></is></c><c t="b"><v>1</v></c>'
        '<c s="1"><v>-1</v></c><c><v>x</v></c><c t="d"><v>2024-01-02T00:00:00</v></c><c t="d" s="1"><v>2024-01-02T00:00:00</v></c>'
    )
    rows, _ = rows_of(
        tmp_path,
        f'<row r="1">{values}{others}</row>',
        reader,
        {"xl/styles.xml": styles_xml(*codes), "xl/sharedStrings.xml": strings_xml("<t>x</t>")},
    )
    t = NativeType
    assert list(zip(rows[0].cells, types_of(rows[0]), strict=True)) == [
        ("1.5", t.NUMBER),
        ("2023-03-15", t.DATE),
        ("12:00:00", t.TIME),
        ("2023-03-15T00:00:00", t.DATETIME),
        ("PT30H", t.DURATION),
        ("00007", t.NUMBER),
        ("0.1", t.NUMBER),
        ("x", t.TEXT),
        ("x", t.TEXT),
        ("x", t.TEXT),
        ("true", t.BOOLEAN),
        ("-1", t.NUMBER),
        ("x", t.TEXT),
        ("2024-01-02T00:00:00", t.DATETIME),
        ("2024-01-02", t.DATE),
    ]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("<f>A1*2</f>", "=A1*2"),
        ("<f>A1*2</f><v/>", "=A1*2"),
        ("<f>A1*2</f><v></v>", "=A1*2"),
        ('<f>A1&amp;"&lt;"</f>', '=A1&"<"'),
        ('<f t="shared" si="0"/>', ""),
        ("<f/>", ""),
        (f"<f>{'1+' * 5000}1</f>", "=" + "1+" * 4096),
    ],
)
@pytest.mark.parametrize("kind", ["", ' t="n"', ' t="b"', ' t="e"', ' s="1"'])
def test_formula_without_a_value_was_not_computed(tmp_path: Path, reader: str, cell: str, expected: str, kind: str) -> None:
    rows, _ = rows_of(tmp_path, f'<row r="1"><c r="A1"{kind}>{cell}</c></row>', reader)
    assert rows == [SheetRow(1, [], bytearray(), None, [BadCell(0, expected, CellTrouble.NOT_COMPUTED)])]


def test_formula_whose_value_is_no_text_is_computed(tmp_path: Path, reader: str) -> None:
    cells = '<c t="str"><f>A1</f><v></v></c><c t="str"><f>A1</f><v/></c><c t="str"><f>A1</f></c><c><v>1</v></c>'
    rows, _ = rows_of(tmp_path, f'<row r="1">{cells}</row>', reader)
    assert rows == [SheetRow(1, ["", "", "", "1"], bytearray([0, 0, 0, 1]), None, [BadCell(2, "=A1", CellTrouble.NOT_COMPUTED)])]


METADATA = (
    f'<metadata xmlns="{MAIN}" xmlns:xlrd="urn:rich"><metadataTypes count="2"><metadataType name="XLDAPR"/><metadataType name="XLRICHVALUE"/></metadataTypes>'
    '<futureMetadata name="XLDAPR"><bk><extLst><ext uri="x"><xda:dynamicArrayProperties xmlns:xda="urn:xda" fDynamic="1"/></ext></extLst></bk></futureMetadata>'
    '<futureMetadata name="XLRICHVALUE"><bk><extLst><ext uri="y"><xlrd:rvb i="1"/></ext></extLst></bk>'
    '<bk><extLst><ext uri="y"><xlrd:rvb i="0"/></ext></extLst></bk>'
    '<bk><extLst><ext uri="y"><xlrd:rvb i="2"/></ext></extLst></bk></futureMetadata>'
    '<cellMetadata count="1"><bk><rc t="1" v="0"/></bk></cellMetadata>'
    '<valueMetadata count="3"><bk><rc t="2" v="0"/></bk><bk><rc t="2" v="1"/></bk><bk><rc t="2" v="2"/></bk></valueMetadata></metadata>'
)
RICH_VALUES = '<rvData xmlns="urn:rich"><rv s="0"><v>4</v></rv><rv s="1"><v>0</v><v>5</v></rv><rv s="2"><v>0</v></rv></rvData>'
STRUCTURES = (
    '<rvStructures xmlns="urn:rich"><s t="_error"><k n="errorType" t="i"/></s><s t="_localImage"><k n="x" t="i"/></s>'
    '<s t="_webimage"><k n="x"/></s></rvStructures>'
)
KINDS = {"sheetMetadata": "metadata.xml", "rdRichValue": "richData/rdrichvalue.xml", "rdRichValueStructure": "richData/rdrichvaluestructure.xml"}
PICTURE_PARTS: dict[str, str | bytes | None] = {
    "xl/metadata.xml": METADATA,
    "xl/richData/rdrichvalue.xml": RICH_VALUES,
    "xl/richData/rdrichvaluestructure.xml": STRUCTURES,
    "xl/_rels/workbook.xml.rels": WORKBOOK_RELS.replace(
        "</Relationships>", "".join(f'<Relationship Id="{kind}" Type="urn:x/{kind}" Target="{target}"/>' for kind, target in KINDS.items()) + "</Relationships>"
    ),
}
RICH_ROW = '<row r="1">' + "".join(f'<c t="e" vm="{number}"><v>#VALUE!</v></c>' for number in (1, 2, 3, 9, "x", 0)) + '<c t="e"><v>#VALUE!</v></c></row>'


def test_picture_in_a_cell_is_told_from_an_error(tmp_path: Path, reader: str) -> None:
    rows, _ = rows_of(tmp_path, RICH_ROW, reader, PICTURE_PARTS)
    picture, error = CellTrouble.PICTURE, CellTrouble.ERROR_VALUE
    assert [cell.trouble for cell in rows[0].bad or ()] == [picture, error, picture, error, error, error, error]
    assert {cell.text for cell in rows[0].bad or ()} == {"#VALUE!"}


@pytest.mark.parametrize("name", [name for name in PICTURE_PARTS if name.endswith(("metadata.xml", "value.xml", "structure.xml"))])
@pytest.mark.parametrize("text", [None, "<x", "", "<x/>", METADATA.replace('i="', 'i="9'), RICH_VALUES.replace('s="', 's="x')])
def test_cells_are_errors_if_nothing_tells_that_they_are_pictures(tmp_path: Path, reader: str, name: str, text: str | None) -> None:
    rows, _ = rows_of(tmp_path, RICH_ROW, reader, PICTURE_PARTS | {name: text})
    assert {cell.trouble for cell in rows[0].bad or ()} == {CellTrouble.ERROR_VALUE}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<t> a\n</t>", "a"),
        ('<t xml:space="preserve"> a\n</t>', " a\n"),
        ('<t xml:space="default"> a </t>', "a"),
        ("<t>&#160;a\u3000</t>", "\u00a0a\u3000"),
        ("<t>_x0020_a_x0020_</t>", " a "),
        ("<t>&#32;a&#10;</t>", "a"),
        ("<t>a \n b</t>", "a \n b"),
        ('<r><t> a </t></r><r><t xml:space="preserve"> b </t></r><r><t> c </t></r>', "a b c"),
        ('<r xml:space="preserve"><t> a </t></r><r><t> b </t></r>', " a b"),
        ("<t>   </t>", ""),
    ],
)
def test_blanks_at_the_ends_of_a_text_count_only_if_it_says_so(tmp_path: Path, reader: str, text: str, expected: str) -> None:
    cells = f'<c t="s"><v>0</v></c><c t="inlineStr"><is>{text}</is></c><c><v>1</v></c>'
    rows, _ = rows_of(tmp_path, f'<row r="1">{cells}</row>', reader, {"xl/sharedStrings.xml": strings_xml(text)})
    assert rows[0].cells == [expected, expected, "1"]


@pytest.mark.parametrize(("space", "expected"), [("", "a"), (' xml:space="preserve"', " a ")])
def test_blanks_at_the_ends_of_the_text_of_a_formula_follow_the_same_rule(tmp_path: Path, reader: str, space: str, expected: str) -> None:
    rows, _ = rows_of(tmp_path, f'<row r="1"><c r="A1" t="str"><f>B1</f><v{space}> a </v></c></row>', reader)
    assert rows[0].cells == [expected]


def test_space_of_an_element_around_a_text_holds_for_it(tmp_path: Path) -> None:
    strings = strings_xml("<t> a </t>", '<t xml:space="default"> b </t>').replace("<sst ", '<sst xml:space="preserve" ')
    cells = '<c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="str"><v> c </v></c><c t="str" xml:space="default"><v> d </v></c>'
    rows, _ = rows_of(tmp_path, f'<row r="1" xml:space="preserve">{cells}</row>', "fast", {"xl/sharedStrings.xml": strings})
    assert rows[0].cells == [" a ", "b", " c ", "d"]


def test_numbers_that_lost_digits_are_recorded_by_column(tmp_path: Path, reader: str) -> None:
    rows = (
        '<row r="3"><c r="B3"><v>1234567890123456</v></c><c r="C3"><v>1E+16</v></c><c r="D3"><v>1.5E+300</v></c></row>'
        '<row r="2"><c r="A2"><v>123456789012345</v></c><c r="B2" s="1"><v>4111111111111111</v></c><c r="E2"><v>0.1234567890123456789</v></c></row>'
    )
    found, facts = rows_of(tmp_path, rows, reader, {"xl/styles.xml": styles_xml("0000")})
    assert facts.long_numbers == {1: 2, 2: 3}
    assert [row.cells[1] for row in found] == ["1234567890123460", "4111111111111110"]


def test_rows_come_as_they_stand(tmp_path: Path, reader: str) -> None:
    rows = '<row r="2"><c r="A2"><v>1</v></c></row><row r="2"><c r="B2"><v>2</v></c></row><row r="1"><c r="A1"><v>3</v></c></row><row><c><v>4</v></c></row>'
    found, _ = rows_of(tmp_path, rows, reader)
    assert [(row.number, row.cells) for row in found] == [(2, ["1"]), (2, ["", "2"]), (1, ["3"]), (2, ["4"])]


def test_rows_in_parts_and_out_of_order_are_one_table(tmp_path: Path, reader: str) -> None:
    cells = [(row, column) for row in range(1, 30) for column in range(2)]
    rows = "".join(
        f'<row r="{row}"><c r="{"AB"[column]}{row}" t="str"><v>{row}{"ab"[column]}</v></c></row>' for row, column in sorted(cells, key=lambda each: each[0] % 7)
    )
    reading = read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows, header="")), excel_reader=reader)
    assert reading.rows == {row: [f"{row}a", f"{row}b"] for row in range(2, 30)}


def test_far_cell_is_kept_by_its_place(tmp_path: Path, reader: str) -> None:
    rows, _ = rows_of(tmp_path, '<row r="1"><c r="A1"><v>1</v></c><c r="IW1"><v>2</v></c><c r="XFD1"><v>3</v></c></row>', reader)
    assert len(rows[0].cells) == 257
    assert rows[0].beyond == [FarCell(16_383, "3", NativeType.NUMBER)]
    rows, _ = rows_of(tmp_path, '<row r="1"><c r="A1"><v>1</v></c><c r="IY1"><v>2</v></c><c r="B1"><v>3</v></c></row>', reader)
    assert (rows[0].cells, rows[0].beyond) == (["1", "3"], [FarCell(258, "2", NativeType.NUMBER)])


MERGES = '<sheetProtection/><mergeCells count="9"><mergeCell ref="A1:B2"/><mergeCell ref="C3:C4"/></mergeCells><pageMargins/>'


def test_merged_ranges_are_found_behind_the_rows(tmp_path: Path, reader: str) -> None:
    _, facts = rows_of(tmp_path, '<row r="1"><c r="A1"><v>1</v></c></row>', reader, after=MERGES)
    assert facts.merged == [MergedRange(1, 2, 0, 1), MergedRange(3, 4, 2, 2)]
    assert facts.merged_count == 2


@pytest.mark.parametrize(
    ("reference", "count"), [("$B$2:$A$1", 1), ("A1", 0), ("A1:A1", 0), ("x:y", 0), ("A0:B1", 0), ("A1:XFE2", 0), ("A1:B1048577", 0), ("", 0)]
)
def test_merged_range_that_no_sheet_has_is_left_out(tmp_path: Path, reference: str, count: int) -> None:
    _, facts = rows_of(tmp_path, '<row r="1"><c r="A1"><v>1</v></c></row>', "fast", after=f'<mergeCells><mergeCell ref="{reference}"/></mergeCells>')
    assert facts.merged == [MergedRange(1, 2, 0, 1)] * count


@pytest.mark.parametrize("rows", ['<row r="1"><c><v>1</v></c></row>', "", '<!-- </sheetData> --><row r="1"/>', '<row r="1"/>' * 20_000])
@pytest.mark.parametrize("prefix", ["", "x:"])
def test_merged_ranges_are_found_without_the_rows(rows: str, prefix: str) -> None:
    data = sheet_xml(rows, header="", after=MERGES)
    if prefix:
        data = data.replace("</", "\0").replace("<", "<x:").replace("\0", "</x:").replace("<x:?xml", "<?xml").replace("<x:!--", "<!--")
        data = data.replace(" xmlns=", " xmlns:x=")
    for block_bytes in (3, 1000, 2**16):
        facts = SheetFacts()
        encoded = data.encode()
        read_merges(lambda: (encoded[at : at + block_bytes] for at in range(0, len(encoded), block_bytes)), facts)  # noqa: B023 - called at once
        assert facts.merged_count == 2


def test_merged_ranges_are_counted_and_kept_up_to_a_limit(tmp_path: Path, reader: str) -> None:
    merges = "".join(f'<mergeCell ref="A{row}:B{row}"/>' for row in range(1, MAX_MERGES + 101))
    _, facts = rows_of(tmp_path, '<row r="1"><c r="A1"><v>1</v></c></row>', reader, after=f"<mergeCells>{merges}</mergeCells>")
    assert (len(facts.merged), facts.merged_count) == (MAX_MERGES, MAX_MERGES + 100)


def test_merges_of_other_elements_do_not_count(tmp_path: Path) -> None:
    after = '<extLst><ext><mergeCells><mergeCell ref="A1:B2"/></mergeCells></ext></extLst><o:mergeCells xmlns:o="urn:o"><mergeCell ref="A1:B2"/></o:mergeCells>'
    _, facts = rows_of(tmp_path, '<row r="1"><c r="A1"><v>1</v></c></row>', "fast", after=after)
    assert facts.merged_count == 0

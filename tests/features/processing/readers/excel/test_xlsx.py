"""Well-formed XLSX workbooks: sheets, headers, cells, blank rows, cells outside the table."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from features.processing.readers.base import FileUnreadable, ReadLimits
from features.processing.readers.excel.sheet_rows import column_letters
from features.processing.readers.excel.xlsx import scanner as xlsx_scanner
from features.processing.readers.excel.xlsx.table import open_xlsx
from tests.features.processing.readers.excel.workbooks import (
    CONTENT_TYPES,
    MAIN,
    RELATIONSHIPS,
    WORKBOOK,
    WORKBOOK_RELS,
    read_xlsx,
    sheet_xml,
    strings_xml,
    styles_xml,
    write_package,
)

MOMENT = datetime(2026, 11, 23, 10)  # noqa: DTZ001 - workbooks have no time zones
READERS = ["fast", "expat", "openpyxl"]


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Choose a reader; `expat` is the fast reader, made to treat every sheet as too unusual for the patterns."""
    if request.param == "expat":
        monkeypatch.setattr(xlsx_scanner, "_find_prefixes", lambda _: None)
        return "fast"
    return str(request.param)


def save(path: Path, rows: list[list[Any]], *, is_1904: bool = False) -> Path:
    book = openpyxl.Workbook()
    if is_1904:
        book.epoch = CALENDAR_MAC_1904
    for row in rows:
        book.worksheets[0].append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("is_1904", [False, True])
def test_values_become_text(tmp_path: Path, reader: str, is_1904: bool) -> None:
    values = [7, -3, 1.5, 1e-7, 1e21, True, False, date(2026, 11, 23), MOMENT, time(10), timedelta(hours=30, minutes=15), " x ", "007"]
    path = save(tmp_path / "a.xlsx", [[f"c{i}" for i in range(len(values))], values], is_1904=is_1904)
    expected = [
        "7",
        "-3",
        "1.5",
        "0.0000001",
        "1000000000000000000000",
        "true",
        "false",
        "2026-11-23",
        "2026-11-23T10:00:00",
        "10:00:00",
        "PT30H15M",
        " x ",
        "007",
    ]
    assert read_xlsx(path, excel_reader=reader).rows == {2: expected}


def test_dates_in_iso_form_are_shown_by_their_format(tmp_path: Path, reader: str) -> None:
    book = openpyxl.Workbook(iso_dates=True)
    book.iso_dates = True
    sheet = book.worksheets[0]
    sheet.append(["a", "b", "c", "d"])
    sheet.append([date(2026, 11, 23), MOMENT.replace(second=1), time(10, 30), timedelta(hours=30)])
    book.save(tmp_path / "a.xlsx")
    assert read_xlsx(tmp_path / "a.xlsx", excel_reader=reader).rows == {2: ["2026-11-23", "2026-11-23T10:00:01", "10:30:00", "PT30H"]}


def test_date_format_of_cells_without_a_style_is_used(tmp_path: Path, reader: str) -> None:
    styles = styles_xml().replace('<xf numFmtId="0"/>', '<xf numFmtId="14"/>')
    path = write_package(tmp_path / "a.xlsx", {"xl/styles.xml": styles}, sheet=sheet_xml('<row r="2"><c r="A2"><v>45000</v></c></row>'))
    assert read_xlsx(path, excel_reader=reader).rows == {2: ["2023-03-15", ""]}


def test_formulas_give_their_cached_value(tmp_path: Path, reader: str) -> None:
    rows = (
        '<row r="2"><c r="A2"><f>1+1</f><v>2</v></c><c r="B2" t="str"><f>"x"</f><v>x</v></c></row>'
        '<row r="3"><c r="A3"><f>1+1</f></c><c r="B3" t="b"><f>TRUE()</f><v>1</v></c></row>'
        '<row r="4"><c r="A4" t="str"><f>""</f><v></v></c><c r="B4"><f>1/3</f><v>0.33333333333333331</v></c></row>'
    )
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows))
    reading = read_xlsx(path, excel_reader=reader)
    assert reading.rows == {2: ["2", "x"], 3: [None, "true"], 4: ["", "0.333333333333333"]}
    assert reading.errors == [(3, 1, "formula-error", "=1+1")]


def test_error_values_are_reported_and_not_checked(tmp_path: Path, reader: str) -> None:
    path = save(tmp_path / "a.xlsx", [["a", "b"], [1, "#N/A"], ["#DIV/0!", 2], [3, 4, "#REF!"]])
    reading = read_xlsx(path, excel_reader=reader)
    assert reading.rows == {2: ["1", None], 3: [None, "2"], 4: ["3", "4"]}
    assert reading.errors == [(2, 2, "formula-error", "#N/A"), (3, 1, "formula-error", "#DIV/0!"), (4, 3, "extra-cell", "#REF!")]


def test_rich_text_is_joined_without_phonetic_readings(tmp_path: Path, reader: str) -> None:
    strings = strings_xml(
        "<r><rPr><b/></rPr><t>bold</t></r><r><t xml:space='preserve'> plain</t></r>",
        '<t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/>',
        "<t>line_x000D_\nbreak</t>",
        "<t>_x005F_x000D_</t>",
        "<t/>",
    )
    rows = "".join(f'<row r="{n + 2}"><c r="A{n + 2}" t="s"><v>{n}</v></c><c r="B{n + 2}"><v>1</v></c></row>' for n in range(5))
    inline = '<row r="7"><c r="A7" t="inlineStr"><is><r><t>b</t></r><r><t xml:space="preserve"> p</t></r><rPh sb="0" eb="1"><t>x</t></rPh></is></c></row>'
    path = write_package(tmp_path / "a.xlsx", {"xl/sharedStrings.xml": strings}, sheet=sheet_xml(rows + inline))
    cells = [row[0] for row in read_xlsx(path, excel_reader=reader).rows.values()]
    assert cells == ["bold plain", "東京", "line\r\nbreak", "_x000D_", "", "b p"]


def test_blank_rows_in_the_middle_are_one_error_and_at_the_end_none(tmp_path: Path, reader: str) -> None:
    rows = (
        '<row r="3"><c r="A3"><v>1</v></c></row><row r="5" s="1"><c r="A5" s="1"/></row><row r="9"><c r="A9"><v>2</v></c></row><row r="12"><c r="B12"/></row>'
    )
    reading = read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows)), excel_reader=reader)
    assert list(reading.rows) == [3, 9]
    assert reading.errors == [(2, None, "blank-row", None), (4, None, "blank-row", None)]
    assert reading.rows_lost == 1 + 5


def test_row_of_white_space_is_blank(tmp_path: Path, reader: str) -> None:
    path = save(tmp_path / "a.xlsx", [["a", "b"], [" ", "\t"], [1, 2]])
    assert read_xlsx(path, excel_reader=reader).errors == [(2, None, "blank-row", None)]


def test_blank_gap_of_a_million_rows_is_one_error(tmp_path: Path) -> None:
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml('<row r="1048576"><c r="A1048576"><v>1</v></c></row>'))
    reading = read_xlsx(path)
    assert (list(reading.rows), reading.errors, reading.rows_lost) == ([1048576], [(2, None, "blank-row", None)], 1048574)


def test_rows_and_cells_without_references_follow_on(tmp_path: Path, reader: str) -> None:
    rows = '<row><c><v>1</v></c><c><v>2</v></c></row><row r="5"><c r="B5"><v>3</v></c><c><v>4</v></c></row><row><c><v>5</v></c></row>'
    reading = read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows)), excel_reader=reader)
    assert reading.rows == {2: ["1", "2"], 5: ["", "3"], 6: ["5", ""]}
    assert (5, 3, "extra-cell", "4") in reading.errors


def test_cells_outside_the_table_are_reported_one_by_one(tmp_path: Path, reader: str) -> None:
    path = save(tmp_path / "a.xlsx", [["a", "b"], [1], [1, 2, 3, None, 5], [1, 2, None, None, " "]])
    reading = read_xlsx(path, excel_reader=reader)
    assert reading.rows == {2: ["1", ""], 3: ["1", "2"], 4: ["1", "2"]}
    assert reading.errors == [(3, 3, "extra-cell", "3"), (3, 5, "extra-cell", "5")]


def test_cell_at_the_far_corner_is_an_extra_cell(tmp_path: Path) -> None:
    rows = '<row r="2"><c r="A2"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>9</v></c></row>'
    reading = read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows)))
    assert reading.errors == [(3, None, "blank-row", None), (1048576, 16384, "extra-cell", "9")]
    assert reading.rows[1048576] == ["", ""]


@pytest.mark.parametrize("dimension", ["A1", "A1:B1", "A1:XFD1048576", "nonsense"])
def test_wrong_dimension_changes_nothing(tmp_path: Path, reader: str, dimension: str) -> None:
    rows = "".join(f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>1</v></c></row>' for n in range(2, 7))
    path = write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows, before=f'<dimension ref="{dimension}"/>'))
    assert list(read_xlsx(path, excel_reader=reader).rows) == [2, 3, 4, 5, 6]


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 10_000])
def test_chunks_differ_in_size_only(tmp_path: Path, reader: str, chunk_rows: int) -> None:
    path = save(tmp_path / "a.xlsx", [["a"], *([n, n] if n % 3 else [] for n in range(1, 21))])
    reading = read_xlsx(path, excel_reader=reader, chunk_rows=chunk_rows)
    assert max(reading.chunk_sizes) <= chunk_rows
    whole = read_xlsx(path)
    assert (reading.rows, reading.errors, reading.rows_lost) == (whole.rows, whole.errors, whole.rows_lost)


def make_sheets(path: Path) -> Path:
    book = openpyxl.Workbook()
    first = book.worksheets[0]
    first.title = "hidden"
    first.sheet_state = "hidden"
    first.append(["h"])
    chart = book.create_chartsheet("chart")
    assert chart is not None
    for name in ("one", "two"):
        book.create_sheet(name).append([name])
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("dialect", "label"),
    [({}, "one"), ({"sheetNumber": 1}, "h"), ({"sheetNumber": 4}, "two"), ({"sheetName": "two"}, "two"), ({"sheetName": "hidden"}, "h")],
)
def test_sheet_is_the_first_visible_or_the_one_named(tmp_path: Path, reader: str, dialect: dict[str, Any], label: str) -> None:
    assert read_xlsx(make_sheets(tmp_path / "a.xlsx"), dialect=dialect, excel_reader=reader).labels == [label]


@pytest.mark.parametrize(
    ("dialect", "named"), [({"sheetNumber": 5}, "5"), ({"sheetName": "three"}, "three"), ({"sheetNumber": 2}, "chart"), ({"sheetName": "chart"}, "chart")]
)
def test_sheet_that_is_not_there_is_named_with_those_that_are(tmp_path: Path, dialect: dict[str, Any], named: str) -> None:
    with pytest.raises(FileUnreadable, match=named) as raised:
        read_xlsx(make_sheets(tmp_path / "a.xlsx"), dialect=dialect)
    assert "hidden, chart, one, two" in str(raised.value)


def test_source_tells_sheet_and_header(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [[], [], ["a"], [1]])
    table = open_xlsx(path, dialect=None, limits=ReadLimits())
    table.close()
    assert (table.source.sheet, table.source.header_row, table.source.encoding) == ("Sheet", 3, None)


TITLED: list[list[Any]] = [["Report", None], [None, None], ["first", "second"], ["name", "name"], ["# note"], [1, 2], [], [3, 4]]


@pytest.mark.parametrize(
    ("dialect", "labels", "rows", "blank"),
    [
        ({"headerRows": [4]}, ["name", "name"], [5, 6, 8], [7]),
        ({"headerRows": [3, 4]}, ["first name", "second name"], [5, 6, 8], [7]),
        ({"headerRows": [3, 4], "headerJoin": "-", "commentChar": "#"}, ["first-name", "second-name"], [6, 8], [7]),
        ({"headerRows": [4], "commentRows": [5, 7, 8]}, ["name", "name"], [6], []),
        ({"commentRows": [1, 3, 5]}, ["name", "name"], [6, 8], [7]),
        ({"header": False}, None, [1, 3, 4, 5, 6, 8], [2, 7]),
        ({"header": False, "commentRows": [1], "commentChar": "#"}, None, [3, 4, 6, 8], [2, 7]),
    ],
)
def test_dialect_says_what_is_header_and_comment(
    tmp_path: Path, reader: str, dialect: dict[str, Any], labels: list[str] | None, rows: list[int], blank: list[int]
) -> None:
    reading = read_xlsx(save(tmp_path / "a.xlsx", TITLED), dialect=dialect, excel_reader=reader)
    assert (reading.labels, list(reading.rows)) == (labels, rows)
    assert [error[0] for error in reading.errors if error[2] == "blank-row"] == blank


def test_blank_rows_around_a_comment_are_one_run(tmp_path: Path, reader: str) -> None:
    path = save(tmp_path / "a.xlsx", [["a"], [], ["#"], [], [1]])
    reading = read_xlsx(path, dialect={"commentChar": "#"}, excel_reader=reader)
    assert (reading.errors, reading.rows_lost) == ([(2, None, "blank-row", None)], 2)


@pytest.mark.parametrize("rows", [[], [[None, " "]], [[None], [None]]])
def test_sheet_without_a_header_is_refused(tmp_path: Path, reader: str, rows: list[list[Any]]) -> None:
    with pytest.raises(FileUnreadable, match="header"):
        read_xlsx(save(tmp_path / "a.xlsx", rows), excel_reader=reader)


def test_header_row_that_is_not_there_is_refused(tmp_path: Path, reader: str) -> None:
    with pytest.raises(FileUnreadable, match="header"):
        read_xlsx(save(tmp_path / "a.xlsx", [["a"]]), dialect={"headerRows": [7]}, excel_reader=reader)


def test_sheet_without_rows_is_refused_where_there_is_no_header(tmp_path: Path, reader: str) -> None:
    with pytest.raises(FileUnreadable, match="no rows"):
        read_xlsx(save(tmp_path / "a.xlsx", []), dialect={"header": False}, excel_reader=reader)


def test_header_alone_gives_no_rows(tmp_path: Path, reader: str) -> None:
    reading = read_xlsx(save(tmp_path / "a.xlsx", [["a", "b", "c", " "]]), excel_reader=reader)
    assert (reading.labels, reading.rows, reading.errors) == (["a", "b", "c"], {}, [])


def test_row_that_is_too_long_is_one_error(tmp_path: Path, reader: str) -> None:
    path = save(tmp_path / "a.xlsx", [["a", "b"], [1, "x" * 600], [2, "y" * 100], ["z" * 300, "z" * 300]])
    reading = read_xlsx(path, max_row_bytes=500, excel_reader=reader)
    assert (list(reading.rows), reading.rows_lost) == ([3], 2)
    assert reading.errors == [(2, None, "row-too-long", None), (4, None, "row-too-long", None)]


def test_cells_out_of_order_stand_where_they_say(tmp_path: Path) -> None:
    rows = '<row r="2"><c r="B2"><v>2</v></c><c r="A2"><v>1</v></c></row>'
    assert read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows))).rows == {2: ["1", "2"]}


def test_prefixed_names_and_pretty_printing_change_nothing(tmp_path: Path, reader: str) -> None:
    sheet = f'<x:worksheet xmlns:x="{MAIN}">\n <x:sheetData>\n'
    sheet += '  <x:row r="1">\n <x:c r="A1" t="s">\n <x:v>0</x:v>\n </x:c>\n </x:row>\n'
    sheet += '  <x:row r="2">\n <x:c r="A2" t="inlineStr">\n <x:is>\n <x:t xml:space="preserve"> y </x:t>\n </x:is>\n </x:c>\n </x:row>\n'
    sheet += " </x:sheetData>\n</x:worksheet>"
    strings = f'<x:sst xmlns:x="{MAIN}">\n <x:si>\n <x:t>x</x:t>\n </x:si>\n</x:sst>'
    path = write_package(tmp_path / "a.xlsx", {"xl/sharedStrings.xml": strings}, sheet=sheet)
    reading = read_xlsx(path, excel_reader=reader)
    assert (reading.labels, reading.rows) == (["x"], {2: [" y "]})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_parts_in_other_encodings_are_read(tmp_path: Path, reader: str, encoding: str) -> None:
    sheet = sheet_xml('<row r="2"><c r="A2" t="inlineStr"><is><t>Ü😀</t></is></c></row>')
    sheet = sheet.replace('encoding="UTF-8" ', 'encoding="UTF-16" ' if encoding == "utf-16" else "")
    path = write_package(tmp_path / "a.xlsx", sheet=sheet.encode(encoding))
    assert read_xlsx(path, excel_reader=reader).rows == {2: ["Ü😀", ""]}


def test_strict_variant_of_the_format_is_read(tmp_path: Path) -> None:
    def strict(text: str) -> str:
        return text.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main").replace(
            RELATIONSHIPS, "http://purl.oclc.org/ooxml/officeDocument/relationships"
        )

    parts = {"xl/workbook.xml": strict(WORKBOOK), "xl/_rels/workbook.xml.rels": strict(WORKBOOK_RELS), "xl/styles.xml": strict(styles_xml("yyyy-mm-dd"))}
    sheet = sheet_xml('<row r="2"><c r="A2" s="1"><v>45000</v></c><c r="B2" s="1" t="d"><v>2026-11-23T00:00:00Z</v></c></row>')
    path = write_package(tmp_path / "a.xlsx", parts, sheet=strict(sheet))
    assert read_xlsx(path).rows == {2: ["2023-03-15", "2026-11-23"]}


@pytest.mark.parametrize("kind", ["sheet.macroEnabled", "template"])
def test_other_kinds_of_workbook_are_read(tmp_path: Path, kind: str) -> None:
    wanted = {
        "sheet.macroEnabled": "application/vnd.ms-excel.sheet.macroEnabled.main+xml",
        "template": "application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml",
    }
    types = CONTENT_TYPES.replace("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml", wanted[kind])
    assert read_xlsx(write_package(tmp_path / "a.xlsx", {"[Content_Types].xml": types})).labels == ["a", "b"]


def test_what_openpyxl_would_refuse_outside_the_rows_does_not_matter(tmp_path: Path, reader: str) -> None:
    workbook = WORKBOOK.replace("<sheets>", '<workbookPr unknown="1"/><bookViews><workbookView activeTab="x"/></bookViews><sheets>').replace(
        "</workbook>", '<definedNames><definedName bad="1">x</definedName></definedNames></workbook>'
    )
    styles = styles_xml("yyyy-mm-dd").replace("<cellXfs>", '<fonts><font><color rgb="nonsense"/></font></fonts><cellXfs>')
    path = write_package(
        tmp_path / "a.xlsx",
        {"xl/workbook.xml": workbook, "xl/styles.xml": styles, "docProps/core.xml": "broken"},
        sheet=sheet_xml('<row r="2"><c r="A2" s="1"><v>45000</v></c></row>'),
    )
    assert read_xlsx(path, excel_reader=reader).rows == {2: ["2023-03-15", ""]}


@pytest.mark.parametrize("threshold_bytes", [0, 1000, 2**26])
def test_shared_strings_are_the_same_from_a_file(tmp_path: Path, reader: str, threshold_bytes: int) -> None:
    spill = tmp_path / "spill"
    spill.mkdir()
    texts = [f"text {number} Ü😀_x000D_" if number % 7 else "" for number in range(1000)]
    path = tmp_path / "a.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_string(0, 0, "a")
        for number, text in enumerate(reversed(texts), 1):
            sheet.write_string(number, 0, text or f"{number}\r\n")
    reading = read_xlsx(path, excel_reader=reader, spill_dir=spill, spill_threshold_bytes=threshold_bytes)
    assert [row[0] for row in reading.rows.values()] == [text or f"{number}\r\n" for number, text in enumerate(reversed(texts), 1)]
    assert not list(spill.iterdir())


def test_closing_half_way_and_twice_is_safe(tmp_path: Path, reader: str) -> None:
    path = save(tmp_path / "a.xlsx", [["a"], *([n] for n in range(50))])
    table = open_xlsx(path, dialect=None, limits=ReadLimits(chunk_rows=10, excel_reader=reader, spill_threshold_bytes=0))
    next(table.chunks())
    table.close()
    table.close()


@pytest.mark.parametrize("odd", ["", ' vm="1"', " x=''"])
def test_cells_of_a_wide_table_that_stand_far_from_the_others_of_their_row_are_read_in_every_row(tmp_path: Path, odd: str) -> None:
    letters = [column_letters(column) for column in range(320)]
    labels = "".join(f'<c r="{each}1" t="inlineStr"><is><t>h{each}</t></is></c>' for each in letters)
    rows = ""
    for number in range(2, 402):
        # The width of the table is not known while most of these are read.
        cells = letters if number % 5 else ["A", "KO"]
        shown = "".join(f'<c r="{each}{number}"{odd if each == "KO" else ""}><v>{number}</v></c>' for each in cells)
        rows += f'<row r="{number}">{shown}</row>'
    reading = read_xlsx(write_package(tmp_path / "a.xlsx", sheet=sheet_xml(rows, header=f'<row r="1">{labels}</row>')))
    assert [row[300] for row in reading.rows.values()] == [str(number) for number in range(2, 402)]
    assert reading.errors == []

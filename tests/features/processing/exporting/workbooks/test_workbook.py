"""The package around the cells: compared with what XlsxWriter writes, and read by openpyxl."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import openpyxl
import pytest
import xlsxwriter

from features.processing.exporting.workbooks.cell_xml import NO_CELL, blank_cell, number_cell, text_cell
from features.processing.exporting.workbooks.workbook import Layout, Workbook
from tests.features.processing.exporting.outputs import check_nothing, read_sheets

SENTENCES = ["This cell must not be empty.", " <&> \x01", "_x0041_"]


def write_ours(path: Path, *, max_rows: int = 10, rows: int = 3, max_comments: int = 5_000) -> Workbook:
    book = Workbook(path, check_room=check_nothing, max_comments=max_comments)
    bad = book.styles.attribute(fill="bad")
    date = book.styles.attribute("yyyy-mm-dd")
    header = [text_cell("_row"), text_cell("_errors"), text_cell("name"), text_cell("joined")]
    book.begin(Layout(title="Annotated rows", header=header, widths=[9.5, 60], frozen_columns=2, has_filter=True, max_rows=max_rows))
    for number in range(rows):
        cells = [number_cell(number + 2), text_cell(" a <b>\n\r&_x0041_"), text_cell("x", bad), f"{date}><v>45000</v></c>"]
        book.add_row([*cells, NO_CELL, blank_cell(bad)], [(3, SENTENCES[number % 3])])
    book.finish()
    return book


def write_theirs(path: Path, *, rows: int = 3) -> None:
    with xlsxwriter.Workbook(str(path), {"constant_memory": True, "strings_to_urls": False}) as book:
        sheet = book.add_worksheet("Annotated rows")
        bad, date = book.add_format({"bg_color": "#FFC7CE"}), book.add_format({"num_format": "yyyy-mm-dd"})
        sheet.set_column(0, 0, 8.79)
        sheet.set_column(1, 1, 59.29)
        sheet.freeze_panes(1, 2)
        sheet.ignore_errors({"number_stored_as_text": "A1:XFD1048576"})
        sheet.autofilter(0, 0, rows, 3)
        for column, label in enumerate(["_row", "_errors", "name", "joined"]):
            sheet.write_string(0, column, label)
        for number in range(rows):
            sheet.write_number(number + 1, 0, number + 2)
            sheet.write_string(number + 1, 1, " a <b>\n\r&_x0041_")
            sheet.write_string(number + 1, 2, "x", bad)
            sheet.write_number(number + 1, 3, 45000, date)
            sheet.write_blank(number + 1, 5, None, bad)
            sheet.write_comment(number + 1, 2, SENTENCES[number % 3])


def shape_of(element: ET.Element, leave_out: Sequence[str] = ()) -> object:
    """Return what an element says, without attributes and elements that have a default."""
    attributes = {name: value for name, value in element.attrib.items() if name.rpartition("}")[2] not in leave_out}
    children = [shape_of(child, leave_out) for child in element if child.tag.rpartition("}")[2] not in leave_out]
    return element.tag, attributes, (element.text or "").strip("\n") if not children else "", children


def parse(path: Path, name: str) -> ET.Element:
    with zipfile.ZipFile(path) as archive:
        return ET.fromstring(archive.read(name))


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    ours, theirs = tmp_path / "ours.xlsx", tmp_path / "theirs.xlsx"
    write_ours(ours)
    write_theirs(theirs)
    return ours, theirs


def test_sheet_is_that_of_xlsxwriter(both: tuple[Path, Path]) -> None:
    left_out = ("dimension", "cols")
    ours, theirs = (shape_of(parse(path, "xl/worksheets/sheet1.xml"), left_out) for path in both)
    assert ours == theirs


def test_comments_are_those_of_xlsxwriter(both: tuple[Path, Path]) -> None:
    ours, theirs = (shape_of(parse(path, "xl/comments1.xml")) for path in both)
    assert ours == theirs


def test_drawing_is_that_of_xlsxwriter_but_for_sizes(both: tuple[Path, Path]) -> None:
    ours, theirs = (shape_of(parse(path, "xl/drawings/vmlDrawing1.vml"), ("style", "Anchor")) for path in both)
    assert ours == theirs


def test_workbook_names_sheets_and_filters_as_xlsxwriter_does(both: tuple[Path, Path]) -> None:
    left_out = ("fileVersion", "workbookPr", "bookViews", "calcPr")
    ours, theirs = (shape_of(parse(path, "xl/workbook.xml"), left_out) for path in both)
    assert ours == theirs


def test_styles_of_cells_are_those_of_xlsxwriter(both: tuple[Path, Path]) -> None:
    for name in ("cellXfs", "numFmts"):
        ours, theirs = (parse(path, "xl/styles.xml").find(f"{{http://schemas.openxmlformats.org/spreadsheetml/2006/main}}{name}") for path in both)
        assert ours is not None
        assert theirs is not None
        assert shape_of(ours) == shape_of(theirs)


def test_every_part_that_is_named_is_there(both: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(both[0]) as archive:
        names = set(archive.namelist())
        types = re.findall(r'PartName="/([^"]+)"', archive.read("[Content_Types].xml").decode())
        assert set(types) <= names
        assert archive.testzip() is None
        rels = archive.read("xl/worksheets/_rels/sheet1.xml.rels").decode()
        assert {f"xl/{target}" for target in re.findall(r'Target="\.\./([^"]+)"', rels)} <= names


def test_rows_past_a_sheet_go_on_with_the_next_under_the_same_header(tmp_path: Path) -> None:
    book = write_ours(tmp_path / "a.xlsx", max_rows=3, rows=5)
    sheets = read_sheets(tmp_path / "a.xlsx")
    assert list(sheets) == ["Annotated rows", "Annotated rows 2", "Annotated rows 3"]
    assert [len(rows) for rows in sheets.values()] == [3, 3, 2]
    assert {tuple(rows[0][:4]) for rows in sheets.values()} == {("_row", "_errors", "name", "joined")}
    assert [row[0] for rows in sheets.values() for row in rows[1:]] == [2, 3, 4, 5, 6]
    assert book.sheet_count == 3
    loaded = openpyxl.load_workbook(tmp_path / "a.xlsx")
    assert [sheet.auto_filter.ref for sheet in loaded.worksheets] == ["A1:D3", "A1:D3", "A1:D2"]
    assert [sheet["C2"].comment is not None for sheet in loaded.worksheets] == [True, True, True]
    loaded.close()


def test_shapes_of_many_comments_have_numbers_of_their_own(tmp_path: Path) -> None:
    write_ours(tmp_path / "a.xlsx", max_rows=1501, rows=2000)
    with zipfile.ZipFile(tmp_path / "a.xlsx") as archive:
        drawings = [archive.read(f"xl/drawings/vmlDrawing{number}.vml").decode() for number in (1, 2)]
    ids = [shape for drawing in drawings for shape in re.findall(r'<v:shape id="_x0000_s(\d+)"', drawing)]
    assert len(ids) == len(set(ids)) == 2000
    named = [re.search(r'idmap v:ext="edit" data="([\d,]+)"', drawing) for drawing in drawings]
    assert [found[1] for found in named if found] == ["1,2", "3"]
    assert {int(shape) // 1024 for shape in ids} == {1, 2, 3}


def test_comments_past_the_most_are_counted(tmp_path: Path) -> None:
    assert write_ours(tmp_path / "a.xlsx", rows=5, max_comments=2).comments_left_out == 3


def test_closed_before_its_end_it_writes_nothing_more(tmp_path: Path) -> None:
    book = Workbook(tmp_path / "a.xlsx", check_room=check_nothing)
    book.begin(Layout(title="A", header=None, widths=[]))
    book.add_row([text_cell("x" * 100)])
    book.close()
    book.close()
    assert (tmp_path / "a.xlsx").stat().st_size == 0


def test_full_disk_ends_it_and_it_can_be_closed(tmp_path: Path) -> None:
    calls = 0

    def check_room() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(28, "No space left on device")

    book = Workbook(tmp_path / "a.xlsx", check_room=check_room)
    book.begin(Layout(title="A", header=None, widths=[]))
    with pytest.raises(OSError, match="No space left"):
        for number in range(1_000_000):
            book.add_row([text_cell(f"{hash((number, column)):x}") for column in range(20)])
    book.close()
    assert (tmp_path / "a.xlsx").stat().st_size < 10 * 2**20
